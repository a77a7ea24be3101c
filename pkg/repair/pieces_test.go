package repair

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// appendLong is a piece of a long value, or what takes it.
func appendLong(b []byte, kind byte, space uint32, key string, stage, offset, total uint64, value string) []byte {
	if space == 0 {
		b = append(b, kind)
	} else {
		b = binary.AppendUvarint(append(b, kind|recordSpace), uint64(space))
	}
	b = binary.AppendUvarint(b, uint64(len(key)))
	for _, n := range []uint64{stage, offset, total} {
		b = binary.AppendUvarint(b, n)
	}
	if kind == recordStage {
		b = binary.AppendUvarint(b, uint64(len(value)))
	}
	return append(append(b, key...), value...)
}

// TestPiecesOfLongValues: those that follow each other are kept, and what takes
// them; a value that lacks one goes, with its key named.
func TestPiecesOfLongValues(t *testing.T) {
	first, second := strings.Repeat("a", 3000), strings.Repeat("b", 2000)
	stage := func(n, offset uint64, value string) []byte {
		return appendLong(nil, recordStage, 0, "", n, offset, 5000, value)
	}
	take := func(space uint32, key string, n uint64) []byte {
		return appendLong(nil, recordTake, space, key, n, 100, 4800, "")
	}
	w := &writer{}
	join := func(want []byte, records ...[]byte) {
		t.Helper()
		got := w.join(frame{frameHead: frameHead{count: uint64(len(records))}, body: bytes.Join(records, nil)})
		if !bytes.Equal(got.body, want) {
			t.Errorf("%d bytes are left, want %d", len(got.body), len(want))
		}
		n := uint64(0)
		if !eachRecord(got.body, func(record) { n++ }) || n != got.count {
			t.Errorf("%d records are left, counted as %d", n, got.count)
		}
	}
	whole := [][]byte{stage(3, 0, first), stage(3, 3000, second), take(0, "whole", 3)}
	join(bytes.Join(whole, nil), whole...)
	join([]byte("\x02\x05again"), take(0, "again", 3)) // it is forgotten once it was taken
	join(nil, stage(4, 3000, second))
	join([]byte("\x0a\x07\x03cut"), take(7, "cut", 4))
	one := stage(16, 0, first)
	join(one, one)
	join([]byte("\x02\x05short"), take(0, "short", 16))
	join(nil, stage(17, 0, first))
	if len(w.gone) != 3 || w.gone[1].Key != "cut" || w.gone[1].Space != 7 {
		t.Errorf("lost: %v", w.gone)
	}
}
