package engine

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"kvstored/pkg/batch"
)

// A pin is given out by Exec as the engine's own number and comes back through
// Release, from any goroutine. Numbers mean something to their store only. So
// while values of a store that was replaced by a copy are still pinned, pins
// of later stores go out under names of the host's, and every plain number is
// the old store's. In all other times there is one store and no translation.

// pinTable knows whose pin is whose.
type pinTable struct {
	plain     *generation              // guarded by lane; plain numbers are its
	translate bool                     // guarded by lane; plain is not the serving one
	names     map[uint64]pinned        // guarded by lane; pins that went out translated
	ready     map[*generation][]uint64 // guarded by lane; scratch of deliverPins

	waiting atomic.Int32 // length of queue
	mu      sync.Mutex
	queue   []uint64 // guarded by mu; given back, not yet delivered
}

// pinned is a pin under the name that the engine knows.
type pinned struct {
	gen *generation
	pin uint64
}

// Release gives a pin back that Exec put into an operation. It may be called
// from any goroutine, with or without the lane; the engine gets it when the
// lane is next taken.
func (h *Host) Release(pin uint64) {
	p := &h.pins
	p.mu.Lock()
	p.queue = append(p.queue, pin)
	p.waiting.Store(int32(len(p.queue)))
	p.mu.Unlock()
}

// deliverPins hands what was given back to the stores. The lane is held.
func (h *Host) deliverPins() {
	p := &h.pins
	p.mu.Lock()
	queue := p.queue
	p.queue = nil
	p.waiting.Store(0)
	p.mu.Unlock()
	if p.ready == nil {
		p.ready = make(map[*generation][]uint64)
	}
	for _, pin := range queue {
		if h.lent.sum != 0 {
			h.lent.set(pin, 0)
		}
		to := pinned{p.plain, pin}
		if named, ok := p.names[pin]; ok {
			to = named
			delete(p.names, pin)
		}
		owner := to.gen.owner()
		p.ready[owner] = append(p.ready[owner], to.pin)
	}
	for gen, pins := range p.ready {
		gen.store.release(pins)
		gen.released.Add(1)
		delete(p.ready, gen)
	}
	if h.full.Load() { // nobody may write before somebody looks whether that was it
		h.weigh()
	}
}

// owner is the generation that has the store of g now. The lane is held.
func (g *generation) owner() *generation {
	for g.heir != nil {
		g = g.heir
	}
	return g
}

// hide puts names of the host's in place of the pins of operations [from, to).
// The lane is held.
func (p *pinTable) hide(gen *generation, b *batch.Batch, from, to int) {
	for i := from; i < to; i++ {
		op := b.Op(i)
		if op.Code != batch.Get || op.Pin == 0 || op.Status != batch.OK {
			continue
		}
		name := p.newName()
		p.names[name] = pinned{gen, op.Pin}
		op.Pin = name
	}
}

// newName is a number that no pin has. Engines count or use addresses; with
// the top bit set and the rest at random none meets theirs.
func (p *pinTable) newName() uint64 {
	if p.names == nil {
		p.names = make(map[uint64]pinned)
	}
	for {
		name := rand.Uint64() | 1<<63
		if _, taken := p.names[name]; !taken {
			return name
		}
	}
}

// moved notes that next took over the store of old. The lane is held.
func (p *pinTable) moved(old, next *generation) {
	old.heir = next
	if p.plain == old {
		p.plain = next
	}
}

// replaced notes that next, with a store of its own, serves in place of old.
// The lane is held.
func (p *pinTable) replaced(old, next *generation) {
	if p.plain == old && old.pinCount() == 0 {
		p.plain = next
	}
	p.translate = p.plain != next
}

// forget notes that nothing of gen is pinned any more, so that plain numbers
// can be the serving generation's again. The lane is held.
func (p *pinTable) forget(gen, serving *generation) {
	if p.plain == gen {
		p.plain, p.translate = serving, false
	}
}
