package reactor

import (
	"time"

	"golang.org/x/sys/unix"
)

// accept takes waiting connections, a bounded number at a time.
func (r *Reactor) accept(listener int) {
	for i := 0; i < 64; i++ {
		fd, errno := rawAccept(listener)
		switch errno {
		case 0:
			r.Adopt(fd)
		case unix.EINTR, unix.ECONNABORTED:
		case unix.EAGAIN:
			return
		default:
			r.turnDeaf()
			return
		}
	}
}

// turnDeaf stops accepting for a moment: there is no descriptor or no memory
// for another connection, its peer waits in the backlog, and the listener
// would be reported ready without end.
func (r *Reactor) turnDeaf() {
	if r.deaf {
		return
	}
	r.deaf = true
	for _, fd := range r.listen {
		r.unwatch(fd)
	}
	r.handler.Refuse(&Conn{FD: -1}, NoDescriptor, r.count)
	time.AfterFunc(deafFor, func() { _ = r.Post(r.hear) }) // ended: nobody listens
}

// hear accepts again.
func (r *Reactor) hear() {
	r.deaf = false
	if r.stop {
		return
	}
	for _, fd := range r.listen {
		if r.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN|unix.EPOLLEXCLUSIVE) != nil {
			r.turnDeaf() // the kernel has no memory for it: later
			return
		}
	}
}

// Adopt takes over fd, a connected non-blocking stream socket.
func (r *Reactor) Adopt(fd int) {
	c := &Conn{FD: fd, ID: r.nextID(), interest: unix.EPOLLIN}
	if r.count >= r.limits.Clients {
		r.handler.Refuse(c, TooManyClients, r.count)
		unix.Close(fd)
		return
	}
	if err := r.control(unix.EPOLL_CTL_ADD, fd, edges(c.interest)); err != nil {
		unix.Close(fd)
		return
	}
	for fd >= len(r.conns) {
		r.conns = append(r.conns, make([]*Conn, max(64, len(r.conns)))...)
	}
	r.conns[fd] = c
	r.count++
	if !r.handler.Open(c) {
		r.finish(c)
	}
}

// read takes bytes from the socket and has them parsed.
func (r *Reactor) read(c *Conn, events uint32) {
	if c.blocked || c.queued || c.held || c.closing || c.active {
		if events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 && !c.queued && !c.active {
			r.close(c) // the peer is gone for good
			return
		}
		r.remind(c)
		return
	}
	if c.big != nil {
		r.readBig(c, events)
		return
	}
	if arenaSize-r.used < len(c.in)+arenaRead {
		r.remind(c)
		return
	}
	buf := r.arena[r.used:]
	had := copy(buf, c.in)
	n, errno := rawRead(c.FD, buf[had:had+arenaRead])
	if !r.got(c, n, errno, n == arenaRead, events) {
		return
	}
	r.used += (had + n + 63) &^ 63
	r.parse(c, buf[:had+n])
}

// readBig fills the connection's own mapping.
func (r *Reactor) readBig(c *Conn, events uint32) {
	if c.lent != nil && c.lent.wants(c.bigN) && !r.reach(c, stageStep) {
		return
	}
	if c.bigN == len(c.big) {
		if err := c.grow(c.big[:c.bigN], c.bigN+1, r); err != nil {
			r.refuse(c, NoMemory, c.bigN)
			return
		}
	}
	room := c.big[c.bigN:]
	if c.lent != nil {
		room = c.big[c.bigN:c.lent.Fit]
	}
	n, errno := rawRead(c.FD, room)
	if !r.got(c, n, errno, n == len(room), events) {
		return
	}
	c.bigN += n
	if c.bigN >= c.need && r.ready(c) {
		r.parse(c, c.big[:c.bigN])
	}
}

// got tells whether a read brought bytes, and closes where it never will. A
// read that did not fill its buffer has emptied the socket, but for the end of
// the stream, of which the events tell. (Descriptors and urgent bytes, which
// nobody sends to a server, also end a read early: what follows them is read
// when more comes.)
func (r *Reactor) got(c *Conn, n int, errno unix.Errno, filled bool, events uint32) bool {
	switch {
	case errno == unix.EINTR:
		r.remind(c)
		return false
	case errno == unix.EAGAIN:
		return false
	case errno != 0:
		r.close(c)
		return false
	case n == 0:
		r.endOfInput(c)
		return false
	}
	r.traffic.BytesIn += uint64(n)
	r.traffic.Reads++
	if filled || events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		r.remind(c)
	}
	return true
}

// endOfInput serves the end of the peer's stream: what is still to be written
// is written, then the connection closes.
func (r *Reactor) endOfInput(c *Conn) {
	if len(c.out) > 0 || len(c.waits) > 0 {
		r.finish(c)
		return
	}
	r.close(c)
}

// parseKept has the bytes parsed that an earlier tick left over. Those on the
// heap go to the arena first: requests are off-heap.
func (r *Reactor) parseKept(c *Conn) {
	if !r.ready(c) {
		return
	}
	data := c.pending()
	if c.big == nil {
		if arenaSize-r.used < len(data) {
			r.queue(c)
			return
		}
		n := copy(r.arena[r.used:], data)
		data = r.arena[r.used : r.used+n]
		r.used += (n + 63) &^ 63
	}
	r.parse(c, data)
}

// parse has data parsed and keeps what is left.
func (r *Reactor) parse(c *Conn, data []byte) {
	taken, need, verdict := r.handler.Parse(c, data)
	rest := data[taken:]
	if taken > 0 || verdict == Broken {
		c.active = true
		r.active = append(r.active, c)
	}
	switch verdict {
	case NeedMore:
		if size := max(need, len(rest)); size > r.limits.Input {
			r.refuse(c, TooMuchInput, size)
			rest, need = nil, 0
		}
	case Full:
		r.queue(c)
	case Blocked:
		c.blocked = true
		r.blocked++
		if !c.active {
			r.watch(c) // no settle follows: not to be told of its input again
		}
	case Broken:
		c.closing = true
		rest = nil
	}
	if !c.dead {
		r.keep(c, rest, need, taken)
	}
}

// refuse reports a limit that c met and closes it, after the answers to what
// it asked for before.
func (r *Reactor) refuse(c *Conn, why Reason, figure int) {
	if c.active {
		c.closing = true
		c.refused = &refusal{why, figure}
		return
	}
	r.handler.Refuse(c, why, figure)
	r.finish(c)
}

// keep stores the rest of the input. Requests of this tick may lie in the
// connection's own mapping, which therefore stays until the tick has ended.
func (r *Reactor) keep(c *Conn, rest []byte, need, taken int) {
	if taken > 0 {
		c.discard(r)
	}
	if err := c.keep(rest, need, r); err != nil {
		r.refuse(c, NoMemory, max(need, len(rest)))
	}
}

func (r *Reactor) queue(c *Conn) {
	if !c.queued {
		c.queued = true
		r.again = append(r.again, c)
	}
}

// Resume lets a blocked connection go on. Reactor's goroutine only.
func (r *Reactor) Resume(c *Conn) {
	if c.dead || !c.blocked {
		return
	}
	c.blocked = false
	r.blocked--
	if len(c.pending()) > 0 {
		r.queue(c)
	}
	r.watch(c)
}

// Conns calls fn for every open connection. Reactor's goroutine only.
func (r *Reactor) Conns(fn func(c *Conn)) {
	for _, c := range r.conns {
		if c != nil {
			fn(c)
		}
	}
}

// Count is the number of open connections. Reactor's goroutine only.
func (r *Reactor) Count() int { return r.count }

// settle ends c's part in a tick.
func (r *Reactor) settle(c *Conn) {
	if c.dead {
		return
	}
	if c.refused != nil {
		r.handler.Refuse(c, c.refused.why, c.refused.figure)
	}
	if c.closing {
		r.finish(c)
		return
	}
	r.watch(c)
}

// finish closes c as soon as its output is written.
func (r *Reactor) finish(c *Conn) {
	c.closing = true
	if len(c.out) == 0 && len(c.waits) == 0 {
		r.close(c)
		return
	}
	r.watch(c)
}

// Kill closes c now; what waits to be written is dropped. Reactor's goroutine
// only, also from [Handler.Execute].
func (r *Reactor) Kill(c *Conn) { r.close(c) }

// fail closes c at once: its socket takes nothing more.
func (r *Reactor) fail(c *Conn) { r.close(c) }

// watch sets the events that c waits for.
func (r *Reactor) watch(c *Conn) {
	var want uint32
	if !c.blocked && !c.closing && c.outN <= r.limits.Pause {
		want |= unix.EPOLLIN
	}
	if len(c.out) > 0 {
		want |= unix.EPOLLOUT
	}
	if want == c.interest || c.dead {
		return
	}
	if (want^c.interest)&unix.EPOLLOUT != 0 {
		if want&unix.EPOLLOUT != 0 {
			r.stalled++
		} else {
			r.stalled--
		}
	}
	c.interest = want
	r.remind(c)
}

// edges are the events of a connection in the epoll set. It tells of each once,
// when it comes, and not until it is served: asking for the state of every
// socket a second time, in the next wait, was a twentieth of what a request by
// itself costs.
func edges(interest uint32) uint32 {
	if interest&unix.EPOLLIN != 0 {
		interest |= unix.EPOLLRDHUP
	}
	return interest | unix.EPOLLET
}

// remind has the epoll set tell of c again in the next tick if there is
// anything to tell: for events that are not served to their end.
func (r *Reactor) remind(c *Conn) {
	if c.dead {
		return
	}
	if err := r.control(unix.EPOLL_CTL_MOD, c.FD, edges(c.interest)); err != nil {
		r.close(c)
	}
}

func (r *Reactor) unwatch(fd int) {
	// Before every close: another process may hold the same socket, and the
	// epoll set would go on reporting it.
	_ = unix.EpollCtl(r.w.epfd, unix.EPOLL_CTL_DEL, fd, nil)
}

// close ends c now.
func (r *Reactor) close(c *Conn) {
	if c.dead {
		return
	}
	c.dead = true
	if c.blocked {
		r.blocked--
	}
	if c.interest&unix.EPOLLOUT != 0 {
		r.stalled--
	}
	for i := range c.out {
		if c.out[i].pin != 0 {
			r.handler.Unpin(c.out[i].pin)
		}
	}
	r.dropHeld(c)
	c.out, c.outN = nil, 0
	c.discard(r) // requests of this tick may lie there
	c.in = nil
	r.handler.Closed(c)
	r.unwatch(c.FD)
	unix.Close(c.FD)
	r.conns[c.FD] = nil
	r.count--
}

// Sweep closes connections whose peers have taken nothing for a minute while
// more than the pause mark waits for them. Reactor's goroutine only.
func (r *Reactor) Sweep() {
	if r.stalled == 0 {
		return
	}
	now := nanotime()
	r.Conns(func(c *Conn) {
		if len(c.out) > 0 && c.outN > r.limits.Pause && now-c.since > stalledAfter {
			r.handler.Refuse(c, Stalled, c.outN)
			r.close(c)
		}
	})
}

// Waiting tells whether a connection has output that its socket does not
// take. Reactor's goroutine only.
func (r *Reactor) Waiting() bool { return r.stalled > 0 }

// SendOnce tries to write b to a socket that is not served.
func (r *Reactor) SendOnce(fd int, b []byte) {
	_, _ = send(fd, b) // a last word: nothing depends on it
}
