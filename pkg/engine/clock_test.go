package engine

import (
	"fmt"
	"testing"
	"time"

	"kvstored/pkg/engine/enginetest"
)

// Clients see what the clock shows now, however far ahead it once was: an exchange by copy
// loses nothing of it, and what is gone by it goes by the new store.
func TestCopyAfterTheClockWasSetBack(t *testing.T) {
	h := openHost(t, enginetest.Build(t, "hash"))
	c := newTab(t, h)
	now := time.Now().UnixMilli()
	c.b.Reset()
	c.b.Get(0, c.in("none"))
	h.Lock()
	if err := h.Exec(c.b, 0, 1, now+24*3600_000); err != nil {
		t.Fatal(err)
	}
	h.Unlock()
	for i := range 100 {
		c.set(0, fmt.Sprint("session ", i), "here", now+3600_000)
	}
	c.set(0, "short", "gone", now+1)
	time.Sleep(10 * time.Millisecond)
	mustSwap(t, h, enginetest.Build(t, "debug"))
	for i := range 100 {
		if got := c.get(0, fmt.Sprint("session ", i)); got != "here" {
			t.Fatalf("session %d after the exchange: %s", i, got)
		}
	}
	if got := c.get(0, "short"); got != "-" {
		t.Errorf("what had expired is %q after the exchange", got)
	}
}
