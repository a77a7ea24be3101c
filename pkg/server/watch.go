package server

import (
	"slices"

	"kvstored/pkg/batch"
)

// WATCH. What clients watch is kept here, in the host, so that it outlives an
// exchange of the engine. Every operation that the engine carries out for
// anybody passes carryOut, which tells the table about those that changed
// something; without watched keys that costs one comparison a run.
//
// A key whose time has passed since it was watched has changed; whether the
// engine has removed it already does not matter, so expiry needs no event. A
// key that the engine evicted is told by countEvents.

// watchKey is a key of a database.
type watchKey struct {
	space uint32
	key   string
}

// watched is a key that one client watches, and what it was then.
type watched struct {
	watchKey
	cl      *client
	present bool
	expiry  int64 // milliseconds since 1970; 0: never
}

// watches is all watched keys. Only the reactor's goroutine touches it.
type watches struct {
	keys map[watchKey][]*watched
}

func (t *watches) any() bool { return len(t.keys) > 0 }

// add has cl watch a key. One that it watches already stays as it was.
func (t *watches) add(cl *client, space uint32, key []byte, present bool, expiry int64) {
	k := watchKey{space, string(key)}
	for _, one := range t.keys[k] {
		if one.cl == cl {
			return
		}
	}
	if t.keys == nil {
		t.keys = map[watchKey][]*watched{}
	}
	one := &watched{k, cl, present, expiry}
	t.keys[k] = append(t.keys[k], one)
	cl.watching = append(cl.watching, one)
}

// forget ends what cl watches.
func (t *watches) forget(cl *client) {
	for _, one := range cl.watching {
		rest := slices.DeleteFunc(t.keys[one.watchKey], func(o *watched) bool { return o == one })
		if len(rest) == 0 {
			delete(t.keys, one.watchKey)
			continue
		}
		t.keys[one.watchKey] = rest
	}
	cl.watching, cl.Dirty = nil, false
}

// hasChanged tells whether something that cl watches has changed by now.
func (t *watches) hasChanged(cl *client, now int64) bool {
	if cl.Dirty {
		return true
	}
	for _, one := range cl.watching {
		if one.present && one.expiry != 0 && one.expiry < now {
			return true
		}
	}
	return false
}

// touch notes that a key has changed.
func (t *watches) touch(space uint32, key []byte) {
	for _, one := range t.keys[watchKey{space, string(key)}] {
		one.cl.Dirty = true
	}
}

// see notes what operations [from, to) of b, carried out, have changed, and
// what had to go for them.
func (t *watches) see(b *batch.Batch, from, to int) {
	for ev := b.Events(); ev != nil; ev = ev.Following() {
		if ev.Reason == batch.Evicted {
			t.touch(ev.Space, ev.KeyBytes())
		}
	}
	grown := false
	for i := from; i < to; i++ {
		o := b.Op(i)
		switch {
		case o.MakesRoom(): // BITFIELD: it counts when one of its fields is then written
			if grown = o.Changed(); grown {
				t.grew(o)
			}
		case grown && o.SetsField() && o.Wrote():
			t.touch(o.Space, o.KeyBytes())
		case !o.Changed():
		case o.Code == batch.Clear:
			t.clear(o.Space)
		case o.Persists():
			t.persist(o)
		default:
			t.touch(o.Space, o.KeyBytes())
		}
	}
}

// clear notes that a database was emptied: what was not there has not changed.
func (t *watches) clear(space uint32) {
	for k, list := range t.keys {
		if k.space != space {
			continue
		}
		for _, one := range list {
			one.cl.Dirty = one.cl.Dirty || one.present
		}
	}
}

// grew notes that a key is there, which counts when its database is emptied; it alone is no change.
func (t *watches) grew(o *batch.Op) {
	for _, one := range t.keys[watchKey{o.Space, string(o.KeyBytes())}] {
		one.present = true
	}
}

// persist notes that an expiry time was taken away, where there was one.
func (t *watches) persist(o *batch.Op) {
	for _, one := range t.keys[watchKey{o.Space, string(o.KeyBytes())}] {
		one.cl.Dirty = one.cl.Dirty || one.expiry != 0
	}
}

// Watch has the client whose Step runs watch a key.
func (h host) Watch(space uint32, key []byte, present bool, expiry int64) {
	h.w.watches.add(h.w.current, space, key, present, expiry)
}

// Unwatch ends what the client whose Step runs watches; changed tells whether
// any of it has changed.
func (h host) Unwatch() (changed bool) {
	changed = h.w.watches.hasChanged(h.w.current, h.w.now)
	h.w.watches.forget(h.w.current)
	return changed
}
