package repair

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
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

// TestPiecesOfOtherValues: a number is used again for the next value. Where so
// much is missing that one may end there and the other begin, their pieces are
// not joined.
func TestPiecesOfOtherValues(t *testing.T) {
	piece := strings.Repeat("a", 1000)
	for _, c := range []struct {
		what  string
		lost  []uint64 // before the second piece, before the third, before what takes them
		total uint64
		whole bool
	}{
		{"nothing is missing", []uint64{0, 0, 0}, 3000, true},
		{"less than what the other would need to its second piece", []uint64{999, 0, 0}, 3000, true},
		{"as much as that", []uint64{1000, 0, 0}, 3000, false},
		{"less than to its third", []uint64{0, 1999, 0}, 3000, true},
		{"in two parts", []uint64{999, 1999, 2999}, 3000, true},
		{"all of a shorter one", []uint64{0, 0, 1100}, 1050, false},
		{"not all of it", []uint64{0, 0, 1049}, 1050, true},
		{"another file", []uint64{0, 0, math.MaxUint64}, 3000, false},
	} {
		w := &writer{}
		for i := range 3 {
			fr := frame{frameHead: frameHead{count: 1}, body: appendLong(nil, recordStage, 0, "", 0, uint64(i)*1000, 3000, piece)}
			if i > 0 {
				w.join(frame{lost: c.lost[i-1]}) // a frame of something else
			}
			w.join(fr)
		}
		w.join(frame{frameHead: frameHead{count: 1}, lost: c.lost[2],
			body: appendLong(nil, recordTake, 0, "key", 0, 0, c.total, "")})
		if whole := len(w.gone) == 0; whole != c.whole {
			t.Errorf("%s: whole is %v", c.what, whole)
		}
	}
}

// TestTwoValuesWithTheirMiddleLost: of two values under one number, one after
// the other, the end of the first and the start of the second are damaged.
func TestTwoValuesWithTheirMiddleLost(t *testing.T) {
	piece := func(offset uint64, c string) []byte {
		return appendLong(nil, recordStage, 0, "", 0, offset, 200000, strings.Repeat(c, 100000))
	}
	take := func(key string) []byte { return appendLong(nil, recordTake, 0, key, 0, 0, 200000, "") }
	dir := filepath.Join(t.TempDir(), "data-1")
	f := writeLog(t, dir, [][]byte{piece(0, "a"), piece(100000, "a"), take("first"), piece(0, "b"), piece(100000, "b"), take("second")})
	if _, err := f.WriteAt(make([]byte, 110000), 110000); err != nil {
		t.Fatal(err)
	}
	r, err := Run(Options{Dir: dir})
	if err != nil || !r.Damaged {
		t.Fatalf("%v %+v", err, r)
	}
	defer os.RemoveAll(r.Copy)
	copied, err := openFile(r.Copy, "log-1", kindLog, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer copied.close()
	copied.walk(func(fr frame) bool {
		eachRecord(fr.body, func(r record) {
			if r.kind == recordTake {
				t.Errorf("%s is there, with a part of another value", r.key)
			}
		})
		return true
	}, new(missed).passOver)
}

// writeLog makes a directory with a log of such frames, each with one record.
func writeLog(t *testing.T, dir string, bodies [][]byte) *os.File {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "log-1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	w := newWriter(f)
	for _, body := range bodies {
		w.body, w.count = body, 1
		w.flush()
	}
	if err := w.end(); err != nil {
		t.Fatal(err)
	}
	return f
}
