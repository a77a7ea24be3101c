package reactor

import "golang.org/x/sys/unix"

// What has been answered but may not be told yet, because what it tells of is
// not on disk, waits with its connection: Hold says from which mark on, Release
// up to which it may go. All of it belongs to the reactor's goroutine.

// heldBack is output of one Send.
type heldBack struct {
	mark    uint64
	replies int // how many, as Replies said before the Send
	buf     []byte
	refs    []Ref
	n       int // bytes
}

// Hold has all that is sent from now on wait until Release has reached mark.
func (r *Reactor) Hold(mark uint64) { r.mark = max(r.mark, mark) }

// Held is how many connections wait for a Release.
func (r *Reactor) Held() int { return len(r.holding) }

// Replies says how many replies the next Sends of this tick hold; none: they
// are messages, and what cannot be told is not sent.
func (r *Reactor) Replies(n int) { r.replies = n }

// Release lets go what waits for marks up to done. Of what waits for later
// marks up to lost each reply is replaced by text.
func (r *Reactor) Release(done, lost uint64, text []byte) {
	r.free = max(r.free, done, lost)
	still := r.holding[:0]
	for _, c := range r.holding {
		if !c.dead && r.letGo(c, done, text) {
			still = append(still, c)
		}
	}
	clear(r.holding[len(still):])
	r.holding = still
}

// letGo sends what may go of c; whether something still waits.
func (r *Reactor) letGo(c *Conn, done uint64, text []byte) bool {
	k := 0
	for ; k < len(c.waits) && !c.dead && c.waits[k].mark <= r.free; k++ {
		h := c.waits[k]
		c.waits[k] = heldBack{}
		c.outN -= h.n
		if h.mark > done {
			r.unpinAll(h.refs)
			h.buf, h.refs = nil, nil
			for range h.replies {
				h.buf = append(h.buf, text...)
			}
		}
		r.sendNow(c, h.buf, h.refs)
	}
	if c.dead {
		return false
	}
	c.waits = c.waits[k:]
	if len(c.waits) > 0 {
		return true
	}
	c.waits = nil
	r.release(c)
	if c.closing {
		r.finish(c)
	} else {
		r.watch(c)
	}
	return false
}

// holdBack keeps a Send until it may go. Only pinned values stay where they are.
func (r *Reactor) holdBack(c *Conn, buf []byte, refs []Ref) {
	h := heldBack{mark: r.mark, replies: r.replies, buf: append([]byte(nil), buf...), n: len(buf)}
	for _, ref := range refs {
		if ref.Pin == 0 && !ref.Own {
			ref.Own = true
			ref.Data = append([]byte(nil), ref.Data...)
		}
		h.refs = append(h.refs, ref)
		h.n += len(ref.Data)
	}
	if len(c.waits) == 0 {
		r.holding = append(r.holding, c)
	}
	c.waits = append(c.waits, h)
	c.outN += h.n
}

// dropHeld forgets what waits on a connection that closes.
func (r *Reactor) dropHeld(c *Conn) {
	for _, h := range c.waits {
		r.unpinAll(h.refs)
	}
	c.waits = nil
}

// OnReadable has fn called by the reactor's goroutine, between ticks, when fd is
// readable; fn makes it unreadable. Before Run only; fd stays the caller's.
func (r *Reactor) OnReadable(fd int, fn func()) error {
	if r.bells == nil {
		r.bells = make(map[int]func())
	}
	r.bells[fd] = fn
	return r.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN)
}
