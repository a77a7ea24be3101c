package batch

import "fmt"

// Status mirrors enum kv_status: what an operation came to.
type Status int32

// The statuses of kvstore.h.
const (
	OK          Status = 0
	NotFound    Status = 10
	OutOfMemory Status = 20
	NoSpace     Status = 30
	ReadOnly    Status = 40
	TooLarge    Status = 50
	Unsupported Status = 60
	Refused     Status = 70
	IOError     Status = 80
	Corrupt     Status = 90
	Unknown     Status = 100
	Failed      Status = 110
)

var statusTexts = map[Status]string{
	OK:          "ok",
	NotFound:    "no such key",
	OutOfMemory: "out of memory",
	NoSpace:     "the disk is full",
	ReadOnly:    "the store takes no writes now",
	TooLarge:    "key or value too large for this engine",
	Unsupported: "this engine cannot do that",
	Refused:     "the engine does not take keys or values of this form",
	IOError:     "input/output error",
	Corrupt:     "stored data is damaged",
	Unknown:     "the outcome is unknown",
	Failed:      "the engine failed",
}

func (s Status) String() string {
	if t, ok := statusTexts[s]; ok {
		return t
	}
	return fmt.Sprintf("the engine failed (status %d)", int32(s))
}

// Error makes a status an error of its own, for errors.Is.
func (s Status) Error() string { return s.String() }

// Err is nil for OK, else the status as an error.
func (s Status) Err() error {
	if s == OK {
		return nil
	}
	return s
}
