package server

import (
	"math"
	"math/rand/v2"

	"kvstored/pkg/batch"
)

// How often keys were used of late, for OBJECT FREQ: an engine notes no more
// than it needs to choose what goes. So while the policy ranks keys by their use
// the host takes a sample: at most one operation in a millisecond, which stands
// for all since the one before. Figures are those of Redis with its
// lfu-log-factor of 10 and its lfu-decay-time of a minute.
const (
	frequencyFirst = 5 // of a key that was used once, as in Redis
	frequencyMost  = 255
	frequencyScale = 5    // uses for the first step above that: they grow with the square
	usageKeys      = 4096 // that are remembered
	usageKeyLength = 1024 // of the longest one that is
	usageTries     = 8    // keys that are looked at for one to forget
	minute         = 60_000
)

type usage struct {
	keys  map[usedKey]usedOf
	at    int64 // milliseconds: of the last sample
	since int   // operations since
}

type usedKey struct {
	space uint32
	key   string
}

// usedOf is the frequency of a key at a time.
type usedOf struct {
	level float64
	at    int64 // milliseconds
}

// now is the level after the time since: one less for each minute.
func (u usedOf) now(now int64) float64 {
	return max(0, u.level-float64(max(now-u.at, 0)/minute)) // the clock may have been set back
}

// more is the level after n uses more.
func more(level float64, n int) float64 {
	above := max(0, level-frequencyFirst)
	uses := frequencyScale*above*above + float64(n)
	return min(frequencyFirst+math.Sqrt(uses/frequencyScale), frequencyMost)
}

// sampleUse notes one of the operations [from, to) of b. The lane is held.
func (w *worker) sampleUse(b *batch.Batch, from, to int) {
	u := &w.usage
	u.at = w.now
	if !w.s.o.Engine.Limit().Policy.Ranks() {
		u.keys, u.since = nil, 0
		return
	}
	weight := u.since
	i := from + rand.IntN(to-from)
	o := b.Op(i)
	switch o.Code {
	case batch.Get, batch.Set, batch.Update:
	default:
		return // nothing is read or written: it counts with the next
	}
	u.since = 0
	if o.Status != batch.OK || o.KeyLen > usageKeyLength || w.untouched(b, i) {
		return
	}
	u.note(usedKey{o.Space, string(o.KeyBytes())}, weight, w.now)
}

// untouched tells whether the operation is that of a connection whose uses do
// not count (CLIENT NO-TOUCH).
func (w *worker) untouched(b *batch.Batch, i int) bool {
	if b != w.batch {
		return w.current != nil && w.current.NoTouch
	}
	for k := range w.replies {
		if r := &w.replies[k]; r.Render != nil && r.Op <= i && i < r.Op+max(r.N, 1)+r.Run {
			return r.Session != nil && r.Session.NoTouch
		}
	}
	return false
}

func (u *usage) note(key usedKey, n int, now int64) {
	if u.keys == nil {
		u.keys = make(map[usedKey]usedOf)
	}
	used, known := u.keys[key]
	if !known && len(u.keys) >= usageKeys {
		u.forget(now)
	}
	u.keys[key] = usedOf{more(used.now(now), n), now}
}

// forget makes room: of a few keys that one goes which is used least.
func (u *usage) forget(now int64) {
	var least usedKey
	level, tries := math.Inf(1), 0
	for key, used := range u.keys {
		if l := used.now(now); l < level {
			least, level = key, l
		}
		if tries++; tries == usageTries {
			break
		}
	}
	delete(u.keys, least)
}

// Frequency is how often a key was used of late, 0 where it was not seen to be;
// tracked is false while nobody looks.
func (h host) Frequency(space uint32, key []byte) (n int64, tracked bool) {
	w := h.w
	if !w.s.o.Engine.Limit().Policy.Ranks() {
		return 0, false
	}
	return int64(w.usage.keys[usedKey{space, string(key)}].now(w.now)), true
}
