package reactor

import "kvstored/pkg/batch"

// side is what [Reactor.Meanwhile] puts in the place of what the tick uses.
type side struct {
	arena []byte // nil before the first time
	turn  bool   // of the others: it is under way
}

// Meanwhile gives the connections that have no part in the present tick a
// turn, served by h, and calls what was asked for with [Reactor.Ask]. It is for a
// handler whose Execute takes long; it never waits. Everything that belongs to
// the tick stays untouched, and what was posted, and bells, wait for its end.
// Connections of the tick that are through with it, as done tells, are answered
// before and have a turn, too.
func (r *Reactor) Meanwhile(h Handler, done func(c *Conn) bool) {
	if r.side.turn {
		return
	}
	r.answerEarly(done)
	if r.side.arena == nil {
		r.side.arena = r.mustArena()
	}
	r.side.turn = true
	handler, arena, used, active, garbage, knocks := r.handler, r.arena, r.used, r.active, r.garbage, r.knocks
	again, spare, mark := r.again, r.spare, r.mark
	r.handler, r.arena, r.used, r.active, r.garbage, r.knocks = h, r.side.arena, 0, nil, nil, nil
	r.again, r.spare, r.mark = nil, nil, 0 // what is said now tells nothing of what waits
	kept := make([]*Conn, 0, len(again))
	for _, c := range again { // requests of the tick lie in front of what these have left
		if c.active {
			kept = append(kept, c)
		} else {
			r.again = append(r.again, c)
		}
	}
	r.tick(r.w.wait(false))
	left := r.again
	r.handler, r.arena, r.used, r.active, r.garbage, r.knocks = handler, arena, used, active, garbage, knocks
	r.again, r.spare, r.mark = append(kept, left...), spare, mark
	r.side.turn = false
}

// answerEarly answers connections of the tick before its end.
func (r *Reactor) answerEarly(done func(c *Conn) bool) {
	rest := r.active[:0]
	for _, c := range r.active {
		if !done(c) {
			rest = append(rest, c)
			continue
		}
		c.active = false
		r.handler.Answer(c)
		r.settle(c)
	}
	clear(r.active[len(rest):])
	r.active = rest
}

// askedFor calls what was asked for.
func (r *Reactor) askedFor() {
	r.mu.Lock()
	asked := r.asked
	r.asked = nil
	r.mu.Unlock()
	for _, fn := range asked {
		fn()
	}
}

// mustArena maps memory for the input of a turn.
func (r *Reactor) mustArena() []byte {
	arena, err := batch.Map(arenaSize)
	if err != nil {
		panic(err.Error())
	}
	return arena
}

// Stopping tells whether Stop was called. Reactor's goroutine only.
func (r *Reactor) Stopping() bool { return r.stop }
