package repair

import (
	"encoding/binary"
	"math"
)

// stages is how many long values can be in pieces at the same time: STAGES of
// layout.h.
const stages = 17

// longValue is one that comes in pieces.
type longValue struct {
	total, filled uint64
	lost          uint64 // bytes of the file that are missing behind its last piece
}

// other tells whether what comes next may be of another value under the same
// number: then its first n bytes stood where something is missing.
func (v *longValue) other(n uint64) bool { return v.lost != 0 && v.lost >= n }

// join follows the pieces of long values. A piece is left out where one before
// it is lost, or may be that of another value, and the key of such a value is removed: what it was before that
// is not what it was in the end.
func (w *writer) join(fr frame) frame {
	for i := range w.long {
		v := &w.long[i]
		v.lost += min(fr.lost, math.MaxUint64-v.lost)
	}
	if !hasPieces(fr.body) {
		return fr
	}
	body := make([]byte, 0, len(fr.body))
	rest := fr.body
	eachRecord(fr.body, func(r record) {
		raw := rest[:r.size]
		rest = rest[r.size:]
		switch {
		case r.kind == recordStage && !w.piece(r):
			fr.count--
			return
		case r.kind == recordTake && !w.whole(r):
			w.gone = append(w.gone, newKey(r.space, r.key))
			raw = appendDelete(nil, r)
		}
		body = append(body, raw...)
	})
	fr.body = body
	return fr
}

func hasPieces(body []byte) (has bool) {
	eachRecord(body, func(r record) { has = has || r.kind >= recordStage })
	return has
}

// piece takes the next piece of a value; false when it does not follow.
func (w *writer) piece(r record) bool {
	if r.stage >= stages {
		return false
	}
	v := &w.long[r.stage]
	if r.offset == 0 {
		*v = longValue{total: r.total}
	}
	n := uint64(len(r.value))
	if v.total != r.total || v.filled != r.offset || v.total == 0 || n > v.total-v.filled || v.other(r.offset) {
		*v = longValue{}
		return false
	}
	v.filled, v.lost = v.filled+n, 0
	return true
}

// whole tells whether all is there that r takes, which ends it.
func (w *writer) whole(r record) bool {
	if r.stage >= stages {
		return false
	}
	v := w.long[r.stage]
	w.long[r.stage] = longValue{}
	return v.total != 0 && r.offset <= v.filled && r.total <= v.filled-r.offset && !v.other(r.offset+r.total)
}

// appendDelete is the removal of a record's key.
func appendDelete(b []byte, r record) []byte {
	if r.space == 0 {
		b = append(b, recordDelete)
	} else {
		b = binary.AppendUvarint(append(b, recordDelete|recordSpace), uint64(r.space))
	}
	return append(binary.AppendUvarint(b, uint64(len(r.key))), r.key...)
}
