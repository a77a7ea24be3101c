package conformance

import (
	"bytes"

	"kvstored/pkg/batch"
)

// checkStage fills memory of the store as a long value arrives, and sets a key
// to what lies there; an engine may also say that it has none.
func checkStage(t *trial) {
	t.open()
	const total, piece = 3 << 20, 1 << 20
	op := t.one(func(b *batch.Batch) int { return b.Stage(0, total, 0, piece) })
	if op.Status == batch.Unsupported {
		return
	}
	t.expect("memory for a long value", op, batch.OK)
	if op.Pin == 0 || op.Value == 0 || op.Length < piece || op.Length > total {
		t.failf("memory for a long value: pin %d at %#x, %d of %d bytes", op.Pin, op.Value, op.Length, total)
	}
	pin, view, fit := op.Pin, batch.Bytes(op.Value, total), int(op.Length)
	want := t.value(total)
	for filled := 0; filled < total; {
		filled += copy(view[filled:fit], want[filled:])
		for more := true; more; more = op.Tag != 0 {
			op = t.one(func(b *batch.Batch) int { return b.Stage(pin, total, filled, min(total, filled+piece)) })
			t.expect("more memory for a long value", op, batch.OK)
			if op.Pin != pin || op.Value != batch.Addr(view) || int(op.Length) < min(total, filled+piece) {
				t.failf("more memory for a long value: pin %d at %#x, %d bytes; it was %d at %#x", op.Pin, op.Value, op.Length, pin, batch.Addr(view))
			}
		}
		fit = int(op.Length)
	}
	if t.has(capScan) && t.stat(batch.SpaceAll).Entries != 0 {
		t.failf("memory that the host fills counts as an entry")
	}
	t.expect("SET of a value in it", t.one(func(b *batch.Batch) int {
		return b.Set(0, t.in([]byte("key")), view[100:total-50], 0, 0, 0)
	}), batch.OK)
	if !bytes.Equal(view, want) {
		t.failf("memory that the host filled changed when a key was set to it")
	}
	t.store.Release([]uint64{pin})
	t.want(0, "key", want[100:total-50])
	t.pin("key", 7)
	t.update(0, "key", batch.FuncAppend, func(a *batch.Arg) { a.SetValue(t.in([]byte("more"))) })
	t.checkHeld("when what was received was appended to")
	t.want(0, "key", append(want[100:total-50:total-50], "more"...))
	if t.has(capDelete) {
		t.expect("DELETE", t.one(func(b *batch.Batch) int { return b.Delete(0, t.in([]byte("key"))) }), batch.OK)
		t.checkHeld("when what was received was deleted")
	}
	t.releaseHeld()
	t.abandonStages(total, piece)
	t.checkPinCount()
}

// abandonStages begins some that come to nothing, one across a hand-over.
func (t *trial) abandonStages(total, piece int) {
	for _, hand := range []bool{false, true} {
		op := t.one(func(b *batch.Batch) int { return b.Stage(0, total, 0, piece) })
		t.expect("memory for a long value", op, batch.OK)
		pin, view := op.Pin, batch.Bytes(op.Value, uint64(piece))
		copy(view, "still here")
		if hand && t.has(capHandover) {
			t.handOver()
			if string(view[:10]) != "still here" {
				t.failf("memory that the host fills changed when the store was handed over")
			}
			t.set(0, "copied", view, 0, 0)
			t.want(0, "copied", view)
			if op = t.one(func(b *batch.Batch) int { return b.Stage(pin, total, piece, total) }); op.Status != batch.NotFound {
				t.expect("more memory for a long value after a hand-over", op, batch.OK)
				if op.Value != batch.Addr(view) {
					t.failf("memory that the host fills moved when the store was handed over")
				}
			}
		}
		t.store.Release([]uint64{pin})
	}
}
