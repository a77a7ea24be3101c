package engine

import (
	"fmt"
	"strings"
)

// Capabilities of an engine: the KV_CAP_ flags of kvstore.h.
const (
	CapDelete    uint64 = 1 << 0
	CapExpiry    uint64 = 1 << 1
	CapSpaces    uint64 = 1 << 2
	CapTags      uint64 = 1 << 3
	CapScan      uint64 = 1 << 4
	CapOrdered   uint64 = 1 << 5
	CapBinary    uint64 = 1 << 6
	CapUpdate    uint64 = 1 << 7
	CapDurable   uint64 = 1 << 8
	CapBlocking  uint64 = 1 << 9
	CapExclusive uint64 = 1 << 10
	CapHandover  uint64 = 1 << 11
	CapNoUnload  uint64 = 1 << 12
	CapLimit     uint64 = 1 << 13

	CapPrompt uint64 = 1 << 32

	capKnown     uint64 = 1<<14 - 1
	capMayIgnore uint64 = 1 << 32
)

var capNames = [64]string{"delete", "expiry", "spaces", "tags", "scan", "ordered", "binary",
	"update", "durable", "blocking", "exclusive", "handover", "no-unload", "limit", 32: "prompt"}

// CapNames lists the flags by name, in the order of kvstore.h, unknown ones as
// numbers.
func CapNames(caps uint64) string {
	var names []string
	for i := range 64 {
		if caps&(1<<i) == 0 {
			continue
		}
		if capNames[i] != "" {
			names = append(names, capNames[i])
		} else {
			names = append(names, fmt.Sprintf("bit-%d", i))
		}
	}
	return strings.Join(names, " ")
}

const (
	abiVersion    = 1   // KVSTORE_ABI_VERSION of our kvstore.h
	threadsSerial = 100 // KV_THREADS_SERIAL
)

// Info is what an engine says of itself.
type Info struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	Format       string `json:"format"`
	ABI          uint32 `json:"abi"`
	Size         uint32 `json:"size"`
	Capabilities uint64 `json:"capabilities"`
	ThreadModel  uint32 `json:"thread_model"`
	MaxKey       uint64 `json:"max_key"`
	MaxValue     uint64 `json:"max_value"`
	// Legacy: a library with plain set and get, adapted by the host.
	Legacy bool `json:"legacy,omitempty"`

	missing missing
}

// missing tells which members of the descriptor are null.
type missing struct {
	name, version, format                          bool
	open, close, exec, commit, release, scan, stat bool
	maintain, offer, accept, resume, limit         bool
}

// Has tells whether the engine has all of the capabilities.
func (i *Info) Has(caps uint64) bool { return i.Capabilities&caps == caps }

// check refuses a descriptor that this host cannot serve with; path is where
// the library came from.
func (i *Info) check(path string) error {
	for _, check := range []func() *Refusal{i.checkABI, i.checkCaps, i.checkMembers, i.checkTexts, i.checkLimits} {
		if r := check(); r != nil {
			r.What = path + ": " + r.What
			return r
		}
	}
	return nil
}

// checkABI refuses an engine for another interface.
func (i *Info) checkABI() *Refusal {
	if i.ABI > abiVersion {
		return refuse(fmt.Sprintf("it was built for interface version %d; this kvstored knows version %d", i.ABI, abiVersion),
			"install a newer kvstored, or an engine built for this one", "the engine is too new")
	}
	if i.ABI == 0 {
		return badDescriptor("its abi is 0")
	}
	return nil
}

// badDescriptor refuses an engine whose descriptor is wrong.
func badDescriptor(why string, args ...any) *Refusal {
	return refuse(fmt.Sprintf(why, args...), "tell the engine's author; kvstore.h says what a descriptor must have",
		"the engine's descriptor is not valid")
}

// checkMembers finds a member that the engine must have.
func (i *Info) checkMembers() *Refusal {
	m := &i.missing
	scan, hand := i.Has(CapScan), i.Has(CapHandover)
	for _, must := range []struct {
		lacks bool
		what  string
	}{
		{m.name, "name"}, {m.version, "version"}, {m.format, "format"},
		{m.open, "open()"}, {m.close, "close()"}, {m.exec, "exec()"},
		{m.scan && scan, "scan(), which its capability scan promises"},
		{m.stat && scan, "stat(), which its capability scan promises"},
		{m.offer && hand, "offer(), which its capability handover promises"},
		{m.accept && hand, "accept(), which its capability handover promises"},
		{m.resume && hand, "resume(), which its capability handover promises"},
		{m.limit && i.Has(CapLimit), "limit(), which its capability limit promises"},
		{m.commit && i.Has(CapDurable), "commit(), which its capability durable promises"},
		{m.stat && !m.release, "stat(), which counts the pins that release() gives back"},
	} {
		if must.lacks {
			return badDescriptor("it has no %s", must.what)
		}
	}
	return nil
}

// checkTexts looks at name, version and format.
func (i *Info) checkTexts() *Refusal {
	if !isName(i.Name) {
		return badDescriptor("its name %q is not 1 to 32 of a-z, 0-9 and -", i.Name)
	}
	if !isWord(i.Version) {
		return badDescriptor("its version %q is not 1 to 64 printable characters without blanks", i.Version)
	}
	if !isWord(i.Format) {
		return badDescriptor("its format %q is not 1 to 64 printable characters without blanks", i.Format)
	}
	return nil
}

// The least that an engine must hold.
const (
	leastKey   = 64
	leastValue = 1024
)

// checkLimits refuses limits of length that leave nothing to work with.
func (i *Info) checkLimits() *Refusal {
	if i.MaxKey != 0 && i.MaxKey < leastKey {
		return badDescriptor("its max_key is %d; keys of %d bytes must fit", i.MaxKey, leastKey)
	}
	if i.MaxValue != 0 && i.MaxValue < leastValue {
		return badDescriptor("its max_value is %d; values of %d bytes must fit", i.MaxValue, leastValue)
	}
	return nil
}

func isName(s string) bool {
	return len(s) >= 1 && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func isWord(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 64
}

// checkCaps refuses what this host cannot do for an engine.
func (i *Info) checkCaps() *Refusal {
	if unknown := i.Capabilities & (capMayIgnore - 1) &^ capKnown; unknown != 0 {
		return refuse("it needs capabilities that this kvstored does not know: "+CapNames(unknown),
			"install a newer kvstored", "the engine asks for too much")
	}
	if i.ThreadModel != threadsSerial {
		return refuse(fmt.Sprintf("its thread model is %d; this kvstored knows %d (serial) only", i.ThreadModel, threadsSerial),
			"install a newer kvstored", "the engine asks for too much")
	}
	for _, c := range []struct {
		flag uint64
		why  string
	}{
		{CapBlocking, "its calls may wait for disk or network (blocking), which this version cannot serve yet"},
	} {
		if i.Has(c.flag) {
			return refuse(c.why, "use an engine that keeps its data in memory, such as hash", "the engine asks for too much")
		}
	}
	return nil
}
