package engine

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/batch"
	"kvstored/pkg/engine/enginetest"
)

// pin reads a long value and keeps it: the view and its pin.
func (c *tab) pin(key string) ([]byte, uint64) {
	c.t.Helper()
	c.do(func() { c.b.Get(0, c.in(key)) })
	op := c.b.Op(0)
	if op.Status != batch.OK || op.Pin == 0 {
		c.t.Fatalf("%s: %v, pin %d", key, op.Status, op.Pin)
	}
	return op.ValueBytes(), op.Pin
}

func pinsNow(t *testing.T, h *Host) uint64 {
	t.Helper()
	h.Lock()
	defer h.Unlock()
	st, err := h.Stat(batch.SpaceAll)
	if err != nil {
		t.Fatal(err)
	}
	return st.Pins
}

// A value being written to a client outlives its key, its engine and its
// store, through any number of swaps, and goes when it is released.
func TestPinsThroughSwaps(t *testing.T) {
	debug, hash := enginetest.Build(t, "debug"), enginetest.Build(t, "hash")
	debugNext, hashNext := enginetest.Build(t, "debug", nextVersion), enginetest.Build(t, "hash", nextVersion)
	for _, path := range [][]string{
		{hash, hashNext, debug}, {debug, debugNext, hash}, {hash, debug, debugNext, hash, debug},
	} {
		var names []string
		for _, p := range path {
			names = append(names, strings.TrimSuffix(p[strings.LastIndex(p, "/")+1:], ".so"))
		}
		t.Run(strings.Join(names, " "), func(t *testing.T) {
			h := openHost(t, path[0], func(o *Options) { o.Check.Command = nil })
			c := newTab(t, h)
			type held struct {
				view, want []byte
				pin        uint64
			}
			var all []held
			take := func(i int) {
				want := bytes.Repeat([]byte{byte('a' + i)}, 100_000+i)
				c.set(0, fmt.Sprint("long ", i), string(want), 0)
				for range 2 {
					view, pin := c.pin(fmt.Sprint("long ", i))
					all = append(all, held{view, want, pin})
				}
				c.set(0, fmt.Sprint("long ", i), strings.Repeat("over", 40_000), 0)
			}
			take(0)
			for i, next := range path[1:] {
				mustSwap(t, h, next)
				take(i + 1)
			}
			for i, v := range all {
				if !bytes.Equal(v.view, v.want) {
					t.Errorf("value %d changed", i)
				}
				h.Release(v.pin)
				time.Sleep(time.Millisecond)
			}
			if n := pinsNow(t, h); n != 0 {
				t.Errorf("%d pins are left", n)
			}
			waitGone(t, h)
			if s := h.Status(); s.StillMapped != 0 {
				t.Errorf("status %+v", s)
			}
			h.Lock()
			defer h.Unlock()
			if h.pins.translate || h.pins.plain != h.cur || len(h.pins.names) != 0 {
				t.Errorf("the table of pins: translate %v, %d names", h.pins.translate, len(h.pins.names))
			}
		})
	}
}
