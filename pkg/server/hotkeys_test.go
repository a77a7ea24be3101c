package server

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"kvstored/pkg/batch"
)

// load has h see perSecond operations a second in batches of 50 for so many
// seconds, from now on: share of them are of "hot", the others of many keys.
func load(h *hotKeys, b *batch.Batch, texts *batch.Sink, now int64, seconds, perSecond int, share float64) int64 {
	hot := texts.Copy([]byte("hot"))
	var others [][]byte
	for i := range 5000 {
		others = append(others, texts.Copy([]byte("key:"+strconv.Itoa(i))))
	}
	for i := range seconds * perSecond / 50 {
		b.Reset()
		for range 50 {
			key := hot
			if rand.Float64() >= share {
				key = others[rand.IntN(len(others))]
			}
			b.Get(3, key)
		}
		h.see(b, 0, b.Len(), now+int64(i)*50*1000/int64(perSecond))
	}
	return now + int64(seconds)*1000
}

// A key that is asked for more than others is found under any load, with its
// rate, at a cost that does not grow with the load; what is over is forgotten.
func TestHotKeys(t *testing.T) {
	for _, perSecond := range []int{200, 5_000, 200_000} {
		b, texts := batch.New(), batch.NewSink()
		h := &hotKeys{}
		now := load(h, b, texts, 1_700_000_000_000, 5, perSecond, 0.2)
		keys := h.hottest(now)
		if len(keys) == 0 || string(keys[0].Key) != "hot" || keys[0].DB != 3 {
			t.Fatalf("%d/s: %+v", perSecond, keys)
		}
		if k := keys[0]; k.Share < 0.13 || k.Share > 0.27 || k.PerSecond < 0.13*float64(perSecond) || k.PerSecond > 0.27*float64(perSecond) {
			t.Errorf("%d/s: a share of %.3f, %.1f/s", perSecond, k.Share, k.PerSecond)
		}
		if least := perSecond / hotLooks / 2; h.every < least {
			t.Errorf("%d/s: one of %d operations is looked at", perSecond, h.every)
		}
		for range 20 {
			now += 10_000
			keys = h.hottest(now)
		}
		if len(keys) != 0 {
			t.Errorf("%d/s: after minutes without any: %+v", perSecond, keys)
		}
		b.Close()
	}
}

// A sudden load is not looked at in full until the second is over.
func TestHotKeysGiveWay(t *testing.T) {
	b, texts := batch.New(), batch.NewSink()
	defer b.Close()
	key := texts.Copy([]byte("k"))
	h := &hotKeys{}
	for range 20_000 {
		b.Reset()
		for range 50 {
			b.Get(0, key)
		}
		h.see(b, 0, b.Len(), 1_700_000_000_000)
	}
	if h.every < 64 {
		t.Errorf("of a million operations in no time one of %d is looked at", h.every)
	}
	if total := h.total; total < 800_000 || total > 1_200_000 {
		t.Errorf("a million operations are taken for %.0f", total)
	}
}
