package command

import (
	"encoding/binary"
	"math/bits"
)

// The table of names: open addressing over a power of two, never full. Names
// are compared eight bytes at a time, letters without their case.

const (
	indexBits = 9
	indexSize = 1 << indexBits
	hashFold  = 0x2020202020202020
	hashMul   = 0x9e3779b97f4a7c15
)

// entry is one name: its first and last eight bytes (overlapping in names up
// to 16 bytes), and which of their bits are the case of a letter.
type entry struct {
	first, last         uint64
	firstCase, lastCase uint64
	len                 int
	cmd                 *Command
	name                string
}

var index [indexSize]entry

// addName puts a lower-case name into the index.
func addName(name string, cmd *Command) {
	e := entry{len: len(name), cmd: cmd, name: name}
	e.first, e.last = words([]byte(name))
	e.firstCase, e.lastCase = caseBits(e.first), caseBits(e.last)
	for i := slot(e.first, e.last, e.len); ; i = (i + 1) % indexSize {
		if index[i].name == "" {
			index[i] = e
			return
		}
	}
}

// Lookup finds a command by its name in any case, nil when there is none.
func Lookup(name []byte) *Command {
	if len(name) == 0 {
		return nil
	}
	var first, last uint64
	if len(name) == 3 { // GET, SET and DEL: as words would, without the call
		first = uint64(name[0]) | uint64(name[1])<<8 | uint64(name[2])<<16
	} else {
		first, last = words(name)
	}
	for i := slot(first, last, len(name)); ; i = (i + 1) % indexSize {
		e := &index[i]
		switch {
		case e.len == 0:
			return nil
		case e.len == len(name) && (e.first^first)&^e.firstCase == 0 && (e.last^last)&^e.lastCase == 0 &&
			(e.len <= 16 || equalFold(name, e.name)):
			return e.cmd
		}
	}
}

func slot(first, last uint64, n int) uint64 {
	h := ((first | hashFold) ^ bits.RotateLeft64(last|hashFold, 23) ^ uint64(n)) * hashMul
	return h >> (64 - indexBits)
}

// words returns the first and the last eight bytes of a name, which is not
// empty; of a shorter name all bytes, in first.
func words(b []byte) (first, last uint64) {
	n := len(b)
	switch {
	case n >= 8:
		return binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:])
	case n >= 4:
		hi := uint64(binary.LittleEndian.Uint32(b[n-4:]))
		return uint64(binary.LittleEndian.Uint32(b)) | hi<<(8*uint(n-4)), 0
	case n == 3:
		return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16, 0
	case n == 2:
		return uint64(b[0]) | uint64(b[1])<<8, 0
	}
	return uint64(b[0]), 0
}

// caseBits is 0x20 at each byte of w that is a lower-case letter.
func caseBits(w uint64) uint64 {
	var mask uint64
	for i := 0; i < 64; i += 8 {
		if c := byte(w >> i); c >= 'a' && c <= 'z' {
			mask |= 0x20 << i
		}
	}
	return mask
}

// equalFold compares with a lower-case name; ASCII letters in any case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// isWord compares an option with a lower-case word as Redis does with
// strcasecmp: the option ends at its first NUL byte.
func isWord(opt []byte, lower string) bool {
	if len(opt) < len(lower) || !equalFold(opt[:len(lower)], lower) {
		return false
	}
	return len(opt) == len(lower) || opt[len(lower)] == 0
}

// cString is b up to its first NUL byte.
func cString(b []byte) []byte {
	for i, c := range b {
		if c == 0 {
			return b[:i]
		}
	}
	return b
}
