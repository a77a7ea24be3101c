package cli

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// longValue is the length from which on a value is never held: it goes through
// in pieces.
const longValue = 1 << 20

// record is one key as files of export have it.
type record struct {
	key, value []byte
	expires    int64 // milliseconds since 1970; 0: never

	// long is the value in place of value where that is too long to be held:
	// size bytes, to be read once.
	long io.Reader
	size int64
}

// sum adds up records, in any order.
type sum struct {
	keys  int64
	total uint64
}

// add counts a record that is held; the checksum of all is the sum of each one's.
func (s *sum) add(r record) {
	h := recordHash(r.key)
	h.Write(r.value)
	s.took(h, r.expires)
}

// recordHash begins the checksum of one record; its value is written next. The
// time of expiry comes last, as in a command.
func recordHash(key []byte) hash.Hash {
	h := sha256.New()
	h.Write(binary.LittleEndian.AppendUint64(make([]byte, 0, 8), uint64(len(key))))
	h.Write(key)
	return h
}

// took counts a record whose key and value were written to h.
func (s *sum) took(h hash.Hash, expires int64) {
	var last [8]byte
	binary.LittleEndian.PutUint64(last[:], uint64(expires))
	h.Write(last[:])
	var digest [sha256.Size]byte
	s.total += binary.LittleEndian.Uint64(h.Sum(digest[:0]))
	s.keys++
}

// String is the checksum as files have it.
func (s sum) String() string { return fmt.Sprintf("%016x", s.total) }

// claim is what a file says it holds.
type claim struct {
	Keys     int64  `json:"keys"`
	Checksum string `json:"checksum"`

	where string // in the file, or beside it, for messages
}

// inLastCommand is where the form of the protocol has its claim.
const inLastCommand = "its last command"

// sum is what is claimed, as a sum.
func (c claim) sum() (sum, bool) {
	total, err := strconv.ParseUint(c.Checksum, 16, 64)
	return sum{c.Keys, total}, err == nil
}

// differs says what was found in place of what is claimed.
func (c claim) differs(got sum) string {
	return fmt.Sprintf("%d keys with checksum %s, not %d with %s", got.keys, got, c.Keys, c.Checksum)
}

// holds reports whether s is what is claimed.
func (c claim) holds(s sum) bool { return c.Keys == s.keys && c.Checksum == s.String() }

// text is a claim as files other than JSON lines have it.
func (s sum) text() string { return fmt.Sprintf("keys %d checksum %s", s.keys, s) }

// sumOf reads what text wrote.
func sumOf(text string) (s sum, ok bool) {
	words := strings.Fields(text)
	if len(words) != 4 || words[0] != "keys" || words[2] != "checksum" {
		return s, false
	}
	var err, err2 error
	s.keys, err = strconv.ParseInt(words[1], 10, 64)
	s.total, err2 = strconv.ParseUint(words[3], 16, 64)
	return s, err == nil && err2 == nil
}

// Formats of files.
const (
	formatJSON = "jsonl"
	formatRESP = "resp"
	formatCSV  = "csv"
)

// formats are the names that --format takes.
var formats = []string{formatJSON, formatRESP, formatCSV}

// formatOf is the format that a file's name tells; empty if it does not.
func formatOf(path string) string {
	switch {
	case strings.HasSuffix(path, ".jsonl"), strings.HasSuffix(path, ".ndjson"), strings.HasSuffix(path, ".json"):
		return formatJSON
	case strings.HasSuffix(path, ".resp"), strings.HasSuffix(path, ".txt"), strings.HasSuffix(path, ".aof"):
		return formatRESP
	case strings.HasSuffix(path, ".csv"):
		return formatCSV
	}
	return ""
}

// textOf writes bytes as a string and how it is encoded.
func textOf(b []byte) (text, encoding string) {
	if utf8.Valid(b) {
		return string(b), ""
	}
	return base64.StdEncoding.EncodeToString(b), "base64"
}

// bytesOf reads a string that textOf wrote.
func bytesOf(text, encoding string) ([]byte, error) {
	switch encoding {
	case "", "utf-8":
		return []byte(text), nil
	case "base64":
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, errors.New("not base64: " + shorten(text))
		}
		return b, nil
	}
	return nil, errors.New("an unknown encoding: " + encoding)
}

// shorten cuts a long text for a message.
func shorten(text string) string {
	if len(text) > 40 {
		return string(wholeRunes([]byte(text[:40]))) + "…"
	}
	return text
}
