package engine

import (
	"bytes"
	"testing"
	"time"

	"kvstored/pkg/batch"
	"kvstored/pkg/engine/enginetest"
)

// TestRepliesOfABatchHaveALimit: a short request that asks for the same value
// over and over must not take all memory there is.
func TestRepliesOfABatchHaveALimit(t *testing.T) {
	h, err := Open(enginetest.Build(t, "hash"), Options{Trust: testTrust})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	b := batch.New()
	defer b.Close()
	value := bytes.Repeat([]byte("v"), 60_000) // too short to be pinned
	key := b.Scratch.Copy([]byte("k"))
	b.Set(0, key, b.Scratch.Copy(value), 0, 0, 0)
	for range batch.SinkMost/len(value) + 1 {
		b.Get(0, key)
	}
	last := b.Set(0, key, b.Scratch.Copy([]byte("w")), 0, 0, 0)
	h.Lock()
	defer h.Unlock()
	if err := h.Exec(b, 0, b.Len(), time.Now().UnixMilli()); err != nil {
		t.Fatal(err)
	}
	if st := b.Op(1).Status; st != batch.OK {
		t.Errorf("the first: %v", st)
	}
	if st := b.Op(last - 1).Status; st != batch.OutOfMemory {
		t.Errorf("the last: %v", st)
	}
	if st := b.Op(last).Status; st != batch.OK {
		t.Errorf("a write after them: %v", st)
	}
}
