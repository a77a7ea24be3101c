package repair

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"
)

// keysMost is how many keys a report names; it counts the others.
const keysMost = 1000

// Report is what was found and done.
type Report struct {
	StateDir  string `json:"state_dir,omitempty"`
	Directory string `json:"directory"`
	Damaged   bool   `json:"damaged"`
	Files     []File `json:"files"`
	// Missing are files that must be there and are not.
	Missing []string `json:"missing,omitempty"`
	// Torn is an end that a crash tore: no damage, a start cuts it by itself.
	Torn *Torn `json:"torn,omitempty"`
	Kept Kept  `json:"kept"`
	Lost *Lost `json:"lost,omitempty"`
	// Copy is the directory with what is whole; "" where nothing had to be copied.
	Copy     string   `json:"copy,omitempty"`
	Commands []string `json:"commands,omitempty"`
}

// File is what was found in one file.
type File struct {
	Name    string   `json:"name"`
	Bytes   int64    `json:"bytes"`
	Frames  uint64   `json:"frames"`  // whole ones
	Records uint64   `json:"records"` // in them
	Note    string   `json:"note,omitempty"`
	Damage  []Damage `json:"damage,omitempty"`
}

// Damage is a part of a file that does not fit its checksums.
type Damage struct {
	Offset  int64  `json:"offset"`
	End     int64  `json:"end"`
	Why     string `json:"why"`
	Frames  uint64 `json:"frames"`  // that are lost there, as far as is known
	Records uint64 `json:"records"` // the same
	unknown uint64 // frames of which the records are not known
	keys    []Key
}

// Torn says where a crash tore the log.
type Torn struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"`
	Bytes  int64  `json:"bytes"`
}

// Kept counts what is whole.
type Kept struct {
	Frames  uint64 `json:"frames"`
	Records uint64 `json:"records"`
}

// Lost is what is not.
type Lost struct {
	Bytes  int64  `json:"bytes"`
	Frames uint64 `json:"frames"`
	// Records is how many changes were in frames of which the number can still
	// be read; Unknown counts the frames of which not even that.
	Records uint64 `json:"records"`
	Unknown uint64 `json:"frames_of_unknown_records"`
	// Keys are those that damaged parts seem to name; a name may be damaged, too.
	Keys        []Key `json:"keys,omitempty"`
	KeysLeftOut int   `json:"keys_left_out,omitempty"`
	// Doubtful are keys of which only a part was changed after something was
	// lost: what they had before may be missing from their value.
	Doubtful        []Key `json:"doubtful_keys,omitempty"`
	DoubtfulLeftOut int   `json:"doubtful_keys_left_out,omitempty"`
}

// name adds keys to those that are lost.
func (l *Lost) name(keys []Key) {
	room := min(keysMost-len(l.Keys), len(keys))
	l.Keys = append(l.Keys, keys[:room]...)
	l.KeysLeftOut += len(keys) - room
}

// Key names a key in a report.
type Key struct {
	Space    uint32 `json:"space,omitempty"`
	Key      string `json:"key"`
	Encoding string `json:"encoding"`
}

func newKey(space uint32, key []byte) Key {
	if utf8.Valid(key) {
		return Key{space, string(key), "utf-8"}
	}
	return Key{space, base64.StdEncoding.EncodeToString(key), "base64"}
}

// String is the key for people.
func (k Key) String() string {
	text := strconv.Quote(k.Key)
	if k.Encoding == "base64" {
		text = "base64:" + k.Key
	}
	if k.Space != 0 {
		text += " in database " + strconv.FormatUint(uint64(k.Space), 10)
	}
	return text
}
