package server

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/zeebo/xxh3"

	"kvstored/pkg/batch"
	"kvstored/pkg/command"
)

// The keys that are asked for most are always known, for ENGINE HOTKEYS. About
// hotLooks operations a second are looked at, whatever the load, so that it
// costs a busy daemon a thousandth. The counts are kept by the Space-Saving
// algorithm (Metwally, Agrawal, El Abbadi 2005): a key without a counter takes
// the smallest one over, and how much of that is not its own is remembered.

const (
	hotSlots    = 128     // counters
	hotLooks    = 100     // operations looked at in a second
	hotWidest   = 1 << 14 // one of so many is looked at at least
	hotHalfLife = 10 * time.Second
)

// hotKeys is the counters. Reactor's goroutine only.
type hotKeys struct {
	every  int    // of so many operations one is looked at, on average
	skip   int    // operations until the next look
	seen   uint64 // operations since the counts faded last
	looked int    // of them
	faded  int64  // milliseconds: when the counts did

	hashes [hotSlots]uint64
	slots  [hotSlots]hotSlot
	used   int
	total  float64 // operations, faded like the counts
	span   float64 // seconds, faded like the counts
}

// hotSlot is one counter.
type hotSlot struct {
	count, over float64 // of count at most over belongs to other keys
	looks       int     // that met the key
	space       uint32
	key         []byte // memory of its own, used again
}

// see looks at some of the operations [from, to) of b.
func (h *hotKeys) see(b *batch.Batch, from, to int, now int64) {
	h.seen += uint64(to - from)
	if now-h.faded >= 1000 {
		h.fade(now)
	}
	at := from + h.skip
	for ; at < to; at += h.gap() {
		if op := b.Op(at); op.Code != batch.Clear && op.KeyLen <= usageKeyLength {
			h.count(op.Space, op.KeyBytes())
		}
	}
	h.skip = at - to
}

// gap is how many operations to go on to the next look: by chance, since
// clients send in patterns.
func (h *hotKeys) gap() int {
	if h.looked++; h.looked > 2*hotLooks && h.every < hotWidest { // the load grew within the second
		h.every, h.looked = 2*h.every, 0
	}
	if h.every <= 1 {
		return 1
	}
	return 1 + rand.IntN(2*h.every-1)
}

// count adds the operations that one look stands for.
func (h *hotKeys) count(space uint32, key []byte) {
	weight := float64(max(h.every, 1))
	h.total += weight
	hash := xxh3.HashSeed(key, uint64(space)+1)
	least := 0
	for i := range h.used {
		if h.hashes[i] == hash {
			h.slots[i].count += weight
			h.slots[i].looks++
			return
		}
		if h.slots[i].count < h.slots[least].count {
			least = i
		}
	}
	if h.used < hotSlots {
		least = h.used
		h.used++
	}
	s := &h.slots[least]
	h.hashes[least] = hash
	s.space, s.key = space, append(s.key[:0], key...)
	s.over, s.looks = s.count, 1
	s.count += weight
}

// fade lets the past weigh less, and fits the looks to the load.
func (h *hotKeys) fade(now int64) {
	elapsed := float64(now-h.faded) / 1000
	if h.faded == 0 || elapsed <= 0 { // the first time, or the clock was set back
		h.faded, h.every = now, max(h.every, 1)
		return
	}
	h.every = min(max(int(float64(h.seen)/elapsed/hotLooks), 1), hotWidest)
	kept := math.Exp2(-elapsed / hotHalfLife.Seconds())
	h.span = h.span*kept + (1-kept)*hotHalfLife.Seconds()/math.Ln2
	h.total *= kept
	for i := range h.used {
		h.slots[i].count *= kept
		h.slots[i].over *= kept
	}
	h.faded, h.seen, h.looked = now, 0, 0
}

// hottest is the keys that have counters of their own, those with most
// operations first. What may belong to other keys is not counted, and what was
// seen but once says nothing.
func (h *hotKeys) hottest(now int64) []command.HotKey {
	h.fade(now)
	var keys []command.HotKey
	for i := range h.used {
		s := &h.slots[i]
		own := s.count - s.over
		if s.looks < 2 || own < 1 || h.span == 0 || h.total == 0 {
			continue
		}
		keys = append(keys, command.HotKey{DB: s.space, Key: s.key, PerSecond: own / h.span, Share: own / h.total})
	}
	slices.SortFunc(keys, func(a, b command.HotKey) int { return cmp.Compare(b.PerSecond, a.PerSecond) })
	return keys
}

// HotKeys is the keys that are asked for most.
func (h host) HotKeys() []command.HotKey { return h.w.hot.hottest(h.w.now) }
