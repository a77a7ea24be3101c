package engine

import (
	"testing"
	"time"

	"kvstored/pkg/engine/enginetest"
)

// TestStageLeavesRoom: what was lent counts, and is no longer in the way of anybody when it was
// given back, though nobody has written anything since.
func TestStageLeavesRoom(t *testing.T) {
	h := openHost(t, enginetest.Build(t, "hash"), func(o *Options) { o.Check.Command = nil })
	var s Staged
	h.Lock()
	ok := h.Stage(&s, 8<<20, 0, 8<<20, time.Now().UnixMilli())
	h.Unlock()
	if !ok {
		t.Fatal("nothing is lent")
	}
	if err := h.SetLimit(Limit{MaxMemory: 4 << 20}); err != nil || !h.Full() {
		t.Fatalf("a limit below what is lent: %v, full %v", err, h.Full())
	}
	h.Release(s.Pin)
	h.Lock()
	h.Unlock()
	if h.Full() {
		t.Error("what was lent was given back, and still takes the room of others")
	}
}
