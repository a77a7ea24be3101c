// Package repair reads what the engine hash keeps in a directory, without the
// engine: it tells what is damaged, and writes a copy of what is whole. The
// form of the files is described in libkvstore/engines/hash/disk.h.
package repair

import (
	"encoding/binary"
	"math/bits"

	"github.com/zeebo/xxh3"
)

// dataFormat is FORMAT of layout.h: what an owner file calls these files.
const dataFormat = "hash-4"

// Of disk.h.
const (
	fileMagic  = 0x31656c6966766b
	frameMagic = 0x6672616d
	kindLog    = 1
	kindBase   = 2

	frameRecords = 1
	frameEnd     = 2

	fileHeadSize  = 64
	frameHeadSize = 56
)

var le = binary.LittleEndian

// fileHead is the first 64 bytes of a file.
type fileHead struct {
	kind     uint32
	number   uint64
	id       uint64 // seeds the checksums of the file
	firstSeq uint64
	store    uint64
}

// parseFileHead takes a head apart; whole tells whether it fits its checksum.
func parseFileHead(b []byte) (h fileHead, whole bool) {
	h = fileHead{le.Uint32(b[8:]), le.Uint64(b[16:]), le.Uint64(b[24:]), le.Uint64(b[32:]), le.Uint64(b[40:])}
	whole = le.Uint64(b) == fileMagic && le.Uint32(b[12:]) == fileHeadSize && le.Uint64(b[48:]) == 0 &&
		le.Uint64(b[56:]) == xxh3.Hash(b[:56])
	return h, whole
}

// bytes is the head as it is written.
func (h fileHead) bytes() []byte {
	b := make([]byte, fileHeadSize)
	le.PutUint64(b, fileMagic)
	le.PutUint32(b[8:], h.kind)
	le.PutUint32(b[12:], fileHeadSize)
	le.PutUint64(b[16:], h.number)
	le.PutUint64(b[24:], h.id)
	le.PutUint64(b[32:], h.firstSeq)
	le.PutUint64(b[40:], h.store)
	le.PutUint64(b[56:], xxh3.Hash(b[:56]))
	return b
}

// nextID is the id of the file that the engine makes after one with this id.
func nextID(id, store uint64) uint64 {
	return xxh3.HashSeed(le.AppendUint64(nil, id), store)
}

// frameHead stands before the records of a frame.
type frameHead struct {
	kind   uint32
	seq    uint64
	synced uint64
	length uint64
	count  uint64
	body   uint64
}

// parseFrameHead takes a head apart; whole tells whether it fits its checksum.
func parseFrameHead(b []byte, id uint64) (h frameHead, whole bool) {
	if le.Uint32(b) != frameMagic || le.Uint64(b[48:]) != xxh3.HashSeed(b[:48], id) {
		return h, false
	}
	return frameHead{le.Uint32(b[4:]), le.Uint64(b[8:]), le.Uint64(b[16:]), le.Uint64(b[24:]), le.Uint64(b[32:]), le.Uint64(b[40:])}, true
}

// put writes the head of a frame that has this body.
func (h frameHead) put(b []byte, id uint64, body []byte) {
	le.PutUint32(b, frameMagic)
	le.PutUint32(b[4:], h.kind)
	le.PutUint64(b[8:], h.seq)
	le.PutUint64(b[16:], h.synced)
	le.PutUint64(b[24:], uint64(len(body)))
	le.PutUint64(b[32:], h.count)
	le.PutUint64(b[40:], xxh3.HashSeed(body, id))
	le.PutUint64(b[48:], xxh3.HashSeed(b[:48], id))
}

// Types of records.
const (
	recordSet    = 1
	recordDelete = 2
	recordClear  = 3
	recordPatch  = 4
	recordRetag  = 5
	recordStage  = 6
	recordTake   = 7
)

const (
	recordType   = 7
	recordSpace  = 8
	recordTag    = 16
	recordExpiry = 32
)

// record is one record, without tag and expiry.
type record struct {
	kind   byte
	space  uint32
	key    []byte
	value  []byte // of a patch: the patch
	stage  uint64 // of a piece of a long value, and of what takes that: its number
	offset uint64 // of a patch, of a piece, of the value among the pieces
	total  uint64 // length of the value afterwards; of a piece: of all of them
	size   int    // of all of it, in bytes
}

// parseRecord takes the record at the start of b apart; false: there is none.
func parseRecord(b []byte) (r record, ok bool) {
	if len(b) == 0 || b[0]&recordType == 0 || b[0] >= 2*recordExpiry {
		return r, false
	}
	rd := reading{b: b, at: 1}
	flags := b[0]
	r.kind = flags & recordType
	if flags&recordSpace != 0 {
		r.space = uint32(rd.number())
	}
	if r.kind != recordClear {
		if flags&recordTag != 0 {
			rd.number()
		}
		if flags&recordExpiry != 0 {
			rd.bytes(8)
		}
		keyLen, valueLen := rd.number(), uint64(0)
		if r.kind >= recordStage {
			r.stage = rd.number()
		}
		if r.kind == recordPatch || r.kind >= recordStage {
			r.offset, r.total = rd.number(), rd.number()
		}
		if r.kind == recordSet || r.kind == recordPatch || r.kind == recordStage {
			valueLen = rd.number()
		}
		r.key = rd.bytes(keyLen)
		r.value = rd.bytes(valueLen)
	}
	r.size = rd.at
	return r, !rd.bad
}

// reading is where the reading of a record is.
type reading struct {
	b   []byte
	at  int
	bad bool
}

func (rd *reading) number() (v uint64) {
	for shift := 0; shift < bits.UintSize; shift += 7 {
		if rd.at >= len(rd.b) {
			break
		}
		c := rd.b[rd.at]
		rd.at++
		v |= uint64(c&127) << shift
		if c < 128 {
			return v
		}
	}
	rd.bad = true
	return 0
}

func (rd *reading) bytes(n uint64) []byte {
	if rd.bad || n > uint64(len(rd.b)-rd.at) {
		rd.bad = true
		return nil
	}
	rd.at += int(n)
	return rd.b[rd.at-int(n) : rd.at]
}

// eachRecord calls fn for the records of a body; false when it does not hold
// records from end to end. fn has then seen those before.
func eachRecord(body []byte, fn func(record)) bool {
	for len(body) > 0 {
		r, ok := parseRecord(body)
		if !ok {
			return false
		}
		fn(r)
		body = body[r.size:]
	}
	return true
}
