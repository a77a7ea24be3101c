package reactor

// Stage is memory that the handler lends for a long request, so that its value
// can stay where it was received.
type Stage struct {
	Data []byte // all of it; Data[:Fit] may be filled
	Pin  uint64
	Fit  int
	More bool // not to be used before Stage was asked once more
	Of   any  // the handler's own

	told int // bytes that the handler knows to be there
}

// wants tells whether the handler is to be asked before more is received: there
// is no room, or it does not know of much that is there.
func (s *Stage) wants(have int) bool { return have == s.Fit || have-s.told >= stageStep }

// waste is what requests of a tick lay in.
type waste struct {
	mem []byte
	pin uint64 // lent by the handler, 0: a mapping of our own
}

const (
	stageFrom  = 1 << 20 // bytes of a request from which on it is worth while
	stageStep  = 1 << 20 // bytes that are made ready at a time
	stageSlack = 4 << 10 // bytes for what follows the value in its request
)

// stage has a request of which rest is there, and which needs so many bytes,
// received into memory of the handler's.
func (r *Reactor) stage(c *Conn, rest []byte, need int) bool {
	if c.big != nil || need < stageFrom || len(rest) > stageStep/2 {
		return false
	}
	s, total := &Stage{}, need+stageSlack
	ok := r.handler.Stage(s, total, 0, min(total, stageStep))
	switch {
	case c.dead: // it was told what went to make room, and did not take it
		if ok {
			r.handler.Unpin(s.Pin)
		}
		return true
	case !ok:
		return false
	}
	c.bigN = copy(s.Data[:s.Fit], rest)
	c.in, c.big, c.lent = nil, s.Data, s
	return true
}

// reach has the handler know what was received into lent memory, and makes it fit
// to take more bytes; where they are not to be had the request moves. false: it
// was refused, or the connection was closed meanwhile.
func (r *Reactor) reach(c *Conn, more int) bool {
	s := c.lent
	want := min(len(c.big), c.bigN+more)
	ok := (more == 0 || want > c.bigN) && r.handler.Stage(s, len(c.big), c.bigN, want)
	switch {
	case c.dead:
		return false
	case !ok:
		return r.unlend(c)
	}
	s.told = c.bigN
	return true
}

// unlend moves a request to a mapping of our own.
func (r *Reactor) unlend(c *Conn) bool {
	if err := c.grow(c.big[:c.bigN], max(c.need, c.bigN+1), r); err != nil {
		r.refuse(c, NoMemory, max(c.need, c.bigN))
		return false
	}
	return true
}

// ready tells whether a request that was received into lent memory may be
// parsed now; else it is looked at again in the next tick.
func (r *Reactor) ready(c *Conn) bool {
	s := c.lent
	if s == nil || s.told == c.bigN && !s.More {
		return true
	}
	if !r.reach(c, 0) {
		return false
	}
	if c.lent != nil && c.lent.More {
		r.queue(c)
		return false
	}
	return true
}

// Unstage moves requests that are being received into lent memory to our own,
// where the handler no longer knows of it. Reactor's goroutine only.
func (r *Reactor) Unstage() {
	r.Conns(func(c *Conn) {
		if c.lent != nil && !c.dead && !c.active {
			r.reach(c, 0)
		}
	})
}
