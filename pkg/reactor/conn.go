package reactor

import (
	"fmt"

	"golang.org/x/sys/unix"

	"kvstored/pkg/batch"
)

// Conn is one connection. Only its reactor's goroutine touches it.
type Conn struct {
	FD   int
	ID   uint64
	Data any // the handler's own

	in    []byte // unparsed bytes, on the heap; or
	big   []byte // a mapping of its own for a large request, of which
	bigN  int    // this many bytes are filled
	lent  *Stage // big is memory of the handler's
	need  int    // least bytes that take the parser further, 0: any
	out   []chunk
	outN  int   // bytes in out
	ownN  int   // of them, bytes that are kept for this connection alone
	pushN int   // bytes announced with Push since out was last empty
	held  bool  // has unparsed requests that wait for out to shrink
	since int64 // when out last moved, nanoseconds

	waits []heldBack // answers that wait for a Release, before them all of out

	interest uint32 // events in the epoll set
	blocked  bool   // the handler waits for something: not read
	closing  bool   // close when out is empty
	refused  *refusal
	dead     bool // closed; its place in lists is ignored
	active   bool // has requests in this tick
	queued   bool // in the reactor's again list
}

// refusal is a limit that is reported when the tick's answers are given.
type refusal struct {
	why    Reason
	figure int
}

// chunk is output that the socket has not taken yet.
type chunk struct {
	data []byte
	pin  uint64 // given back to the handler when written, 0: none
	own  bool   // data lies on the heap, and nobody changes it
}

// Ref is output to be written between Buf[:At] and Buf[At:] of a Send. It is
// good until its Pin is released; without one until the tick ends, or, Own, for ever.
type Ref struct {
	At   int
	Data []byte
	Pin  uint64
	Own  bool
}

// Closing says that the connection closes when its output is written.
func (c *Conn) Closing() { c.closing = true }

// Push announces n bytes, to be given to Send next, that the peer did not ask
// for one by one: messages. When it leaves more than Limits.Push of such
// bytes unread it is closed.
func (c *Conn) Push(n int) { c.pushN += n }

// Ending tells whether nothing more is sent to the connection: it is closed,
// or closes when what it was sent before is written.
func (c *Conn) Ending() bool { return c.dead || c.closing }

// Buffered is the unparsed input and the unwritten output, in bytes.
func (c *Conn) Buffered() (in, out int) { return len(c.in) + c.bigN, c.outN }

// pending is the unparsed bytes.
func (c *Conn) pending() []byte {
	if c.big != nil {
		return c.big[:c.bigN]
	}
	return c.in
}

// drop gives all buffers back.
func (c *Conn) drop(r *Reactor) {
	c.in = nil
	switch {
	case c.lent != nil:
		r.handler.Unpin(c.lent.Pin)
	case c.big != nil:
		r.spareMap(c.big)
	}
	c.big, c.bigN, c.lent = nil, 0, nil
}

// discard has what the connection's large request lay in given back after the tick.
func (c *Conn) discard(r *Reactor) {
	if c.big == nil {
		return
	}
	g := waste{mem: c.big}
	if c.lent != nil {
		g.pin = c.lent.Pin
	}
	r.garbage = append(r.garbage, g)
	c.big, c.bigN, c.lent = nil, 0, nil
}

// keep stores rest, the unparsed bytes, which may lie in the arena or in the
// connection's own buffers.
func (c *Conn) keep(rest []byte, need int, r *Reactor) error {
	c.need = need
	if len(rest) == 0 {
		c.drop(r)
		return nil
	}
	want := max(need, len(rest))
	if want <= smallInput {
		kept := append([]byte(nil), rest...)
		c.drop(r)
		c.in = kept
		return nil
	}
	if r.stage(c, rest, want) {
		return nil
	}
	if want > len(c.big) {
		return c.grow(rest, want, r)
	}
	c.bigN = copy(c.big, rest) // moves within the mapping, or nothing at all
	return nil
}

// grow moves rest to a mapping with room for want bytes. Memory is used only
// as it fills, so a length that is announced but never sent costs nothing.
func (c *Conn) grow(rest []byte, want int, r *Reactor) error {
	size := max(want+arenaRead, 2*len(c.big))
	if c.lent != nil {
		size = want + arenaRead
	}
	big, err := r.maps.take(size)
	if err != nil {
		return fmt.Errorf("make room for a request of %d bytes: %w", want, err)
	}
	n := copy(big, rest)
	c.drop(r)
	c.big, c.bigN = big, n
	return nil
}

// rawAccept takes a waiting connection from a non-blocking listener. It does not
// ask for the peer's address: unix.Accept4 does, and leaves 240 bytes of garbage.
func rawAccept(listener int) (int, unix.Errno) {
	fd, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return int(fd), errno
}

// rawRead and rawWrite are non-blocking system calls that the Go scheduler
// need not know of.
func rawRead(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), batch.Addr(b), uintptr(len(b)))
	return int(n), errno
}
