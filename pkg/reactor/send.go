package reactor

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Send writes buf with refs in their places to c, and keeps what the socket
// does not take. buf is copied where it must be kept; so are references
// without a pin that are not Own. Pins are given to [Handler.Unpin] when written or dropped.
func (r *Reactor) Send(c *Conn, buf []byte, refs []Ref) {
	if c.dead {
		r.unpinAll(refs)
		return
	}
	if r.mark > r.free || len(c.waits) > 0 {
		r.holdBack(c, buf, refs)
		return
	}
	r.sendNow(c, buf, refs)
}

// sendNow is Send of what need not wait.
func (r *Reactor) sendNow(c *Conn, buf []byte, refs []Ref) {
	if len(c.out) > 0 {
		r.enqueue(c, buf, refs, 0)
		return
	}
	if len(refs) > 0 || len(buf) > r.share {
		r.sendRefs(c, buf, refs)
		return
	}
	n, errno := send(c.FD, buf)
	r.sent(n)
	switch {
	case errno == 0 && n == len(buf):
		c.pushN = 0
	case errno == 0 || errno == unix.EAGAIN || errno == unix.EINTR:
		r.enqueue(c, buf, nil, n)
	default:
		r.fail(c)
	}
}

// sent counts n bytes that a socket took.
func (r *Reactor) sent(n int) {
	if n > 0 {
		r.traffic.BytesOut += uint64(n)
		r.traffic.Writes++
	}
}

// send is send(2) that neither blocks nor raises SIGPIPE; n is 0 on error.
func send(fd int, b []byte) (n int, errno unix.Errno) {
	got, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(got), 0
}

// How much goes into one call, in pieces and in bytes, and to one connection in
// a tick: a peer that reads as fast as we write must not keep the others, or
// the collector, waiting for all of a large value.
const (
	maxVec   = 64
	sendMost = 1 << 20
)

// sendRefs writes buffers and references together.
func (r *Reactor) sendRefs(c *Conn, buf []byte, refs []Ref) {
	r.enqueueViews(c, buf, refs)
	if !r.flush(c) {
		return
	}
	// What is left outlives the tick: own it.
	for i := range c.out {
		if c.out[i].pin == 0 && !c.out[i].own {
			c.out[i].data = append([]byte(nil), c.out[i].data...)
			c.out[i].own = true
		}
	}
}

// enqueueViews appends the pieces to c.out without copying them.
func (r *Reactor) enqueueViews(c *Conn, buf []byte, refs []Ref) {
	at := 0
	for _, ref := range refs {
		r.push(c, chunk{data: buf[at:ref.At]})
		r.push(c, chunk{ref.Data, ref.Pin, ref.Own})
		at = ref.At
	}
	r.push(c, chunk{data: buf[at:]})
}

// enqueue appends copies of the pieces, without the first skip bytes of buf
// (only when there are no refs), and watches for the socket to take more.
func (r *Reactor) enqueue(c *Conn, buf []byte, refs []Ref, skip int) {
	at := 0
	for _, ref := range refs {
		r.pushCopy(c, buf[at:ref.At])
		if ref.Pin != 0 || ref.Own {
			r.push(c, chunk{ref.Data, ref.Pin, ref.Own})
		} else {
			r.pushCopy(c, ref.Data)
		}
		at = ref.At
	}
	r.pushCopy(c, buf[max(at, skip):])
	r.outputWaits(c)
}

func (r *Reactor) push(c *Conn, k chunk) {
	if len(k.data) == 0 {
		if k.pin != 0 {
			r.handler.Unpin(k.pin)
		}
		return
	}
	c.out = append(c.out, k)
	c.add(len(k.data), k.pin)
}

// add counts n bytes more, or fewer, to be written. Pinned ones lie in the
// store anyway.
func (c *Conn) add(n int, pin uint64) {
	c.outN += n
	if pin == 0 {
		c.ownN += n
	}
}

// pushCopy appends a copy, joined to the last chunk where that is small.
func (r *Reactor) pushCopy(c *Conn, data []byte) {
	if n := len(c.out); n > 0 && c.out[n-1].pin == 0 && !c.out[n-1].own && cap(c.out[n-1].data)-len(c.out[n-1].data) >= len(data) {
		c.out[n-1].data = append(c.out[n-1].data, data...)
		c.add(len(data), 0)
		return
	}
	own := make([]byte, len(data), max(len(data), 16<<10))
	copy(own, data)
	r.push(c, chunk{data: own})
}

// flush writes what it can of c.out, up to a tick's share; true when something
// is left.
func (r *Reactor) flush(c *Conn) bool {
	full := false
	for left := r.share; left > 0 && len(c.out) > 0; {
		n, errno := sendChunks(c.FD, c.out, left)
		if errno == unix.EAGAIN {
			full = true
			break
		}
		if errno != 0 && errno != unix.EINTR {
			r.fail(c)
			return false
		}
		if n > 0 {
			r.sent(n)
			left -= n
			r.written(c, n)
		}
	}
	if len(c.out) > 0 {
		r.outputWaits(c)
		r.release(c)
		if !full {
			r.remind(c)
		}
		return true
	}
	r.outputDone(c)
	return false
}

// sendChunks is send for the first chunks of out, at most `most` bytes of them.
func sendChunks(fd int, out []chunk, most int) (n int, errno unix.Errno) {
	var vec [maxVec]unix.Iovec
	k := 0
	for ; k < len(out) && k < maxVec && most > 0; k++ {
		size := min(len(out[k].data), most)
		vec[k].Base = unsafe.SliceData(out[k].data)
		vec[k].SetLen(size)
		most -= size
	}
	msg := unix.Msghdr{Iov: &vec[0]}
	msg.SetIovlen(k)
	got, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd),
		uintptr(unsafe.Pointer(&msg)), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
	if errno != 0 {
		return 0, errno
	}
	return int(got), 0
}

// written takes n bytes off c.out.
func (r *Reactor) written(c *Conn, n int) {
	c.since = nanotime()
	k := 0
	for n > 0 {
		pin, part := c.out[k].pin, min(n, len(c.out[k].data))
		c.add(-part, pin)
		n -= part
		if part < len(c.out[k].data) {
			c.out[k].data = c.out[k].data[part:]
			break
		}
		if pin != 0 {
			r.handler.Unpin(pin)
		}
		c.out[k] = chunk{}
		k++
	}
	c.out = c.out[k:]
}

// outputWaits watches for room in the socket, stops reading a connection
// whose peer does not read, and closes it at the limit.
func (r *Reactor) outputWaits(c *Conn) {
	if c.since == 0 {
		c.since = nanotime()
	}
	if c.ownN > r.limits.Output {
		r.handler.Refuse(c, TooMuchOutput, c.ownN)
		r.fail(c)
		return
	}
	if n := min(c.pushN, c.ownN); r.limits.Push > 0 && n > r.limits.Push {
		r.handler.Refuse(c, TooManyPushes, n)
		r.fail(c)
		return
	}
	r.watch(c)
}

// outputDone goes back to reading.
func (r *Reactor) outputDone(c *Conn) {
	c.out, c.since, c.pushN = nil, 0, 0
	r.release(c)
	if c.closing && len(c.waits) == 0 {
		r.close(c)
		return
	}
	r.watch(c)
}

// release lets held requests go on when enough of the output is written.
func (r *Reactor) release(c *Conn) {
	if c.held && c.outN <= r.limits.Pause {
		c.held = false
		r.queue(c)
	}
}

// unpinAll gives the pins of refs back unwritten.
func (r *Reactor) unpinAll(refs []Ref) {
	for _, ref := range refs {
		if ref.Pin != 0 {
			r.handler.Unpin(ref.Pin)
		}
	}
}
