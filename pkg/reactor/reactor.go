package reactor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"kvstored/pkg/batch"
)

// Sizes of the input.
const (
	arenaRead  = 128 << 10 // most bytes taken from one socket in a tick
	arenaSize  = 4 << 20   // bytes of all sockets in a tick
	smallInput = 64 << 10  // up to here unparsed bytes are kept on the heap
)

// readGrace is how long a stopping reactor goes on taking what clients send.
const readGrace = 200 * time.Millisecond

// stalledAfter is how long a connection above the pause mark may take nothing
// before it is closed.
const stalledAfter = int64(60 * time.Second)

// deafFor is how long no connection is accepted after one could not be.
const deafFor = 100 * time.Millisecond

// Reason says why a connection was refused or closed.
type Reason int

// The reasons.
const (
	TooManyClients Reason = iota
	TooMuchInput
	TooMuchOutput
	Stalled
	TooManyPushes
	NoMemory
	NoDescriptor // for another connection, which waits; the Conn is nobody's
	Reasons      // how many there are
)

// Verdict is what [Handler.Parse] came to.
type Verdict int

// The verdicts.
const (
	NeedMore Verdict = iota // all complete requests were taken
	Full                    // the tick has enough; call again in the next one
	Blocked                 // nothing more until [Reactor.Resume]
	Broken                  // no protocol: answer, then close
)

// Handler parses, executes and answers. Its methods are called by the
// reactor's goroutine only.
type Handler interface {
	// Open greets a new connection; false closes it, after what was sent.
	Open(c *Conn) bool
	// Closed says goodbye; c.FD is closed right after.
	Closed(c *Conn)
	// Parse takes complete requests from the front of data, which stays
	// unchanged until Done. It returns the bytes taken and, with NeedMore, the
	// least number of unparsed bytes that is worth another call (0: any).
	Parse(c *Conn, data []byte) (taken, need int, v Verdict)
	// Execute carries out what was parsed in this tick.
	Execute()
	// Answer sends the answers of c's requests of this tick through Send.
	Answer(c *Conn)
	// Done ends the tick.
	Done()
	// Unpin gives back a pin of a Ref.
	Unpin(pin uint64)
	// Stage lends memory for a request of total bytes, of which want are to be
	// fit to be filled (s is the zero Stage), or more of what was lent: filled
	// bytes are there and stay as they are. false: none, and s is what it was.
	// It is given back like a pin. Connections may be closed meanwhile.
	Stage(s *Stage, total, filled, want int) bool
	// Refuse is told of a limit; for TooManyClients it may Send a last word.
	Refuse(c *Conn, why Reason, figure int)
}

// Limits of one reactor.
type Limits struct {
	Clients int // connections
	Input   int // bytes of one unfinished request
	Output  int // bytes a client may leave unread before it is closed
	Pause   int // bytes left unread above which it is not read
	Push    int // bytes of messages that it did not ask for one by one and leaves unread; 0: as Output
}

// Reactor is one event loop. Make it with [New], give it listeners with
// [Reactor.Listen], run it with [Reactor.Run].
type Reactor struct {
	handler Handler
	limits  Limits
	w       *waiter
	wake    int     // eventfd
	conns   []*Conn // by descriptor
	count   int     // connections
	listen  []int
	knocks  []int // listeners with connections waiting, this tick
	nextID  func() uint64
	arena   []byte
	used    int            // of the arena, this tick
	active  []*Conn        // with requests in this tick
	again   []*Conn        // with unparsed bytes that need no read
	spare   []*Conn        // the other again list
	stalled int            // connections with output waiting
	blocked int            // connections whose handler waits for something
	deaf    bool           // no connection is accepted for a moment
	mark    uint64         // what is sent waits for this mark
	free    uint64         // up to this mark nothing waits
	replies int            // in the next Send
	share   int            // bytes that one connection is sent in a tick: sendMost
	holding []*Conn        // with answers that wait
	bells   map[int]func() // by descriptor, what to call
	rung    []func()       // of this tick
	maps    spares         // mappings for large requests
	garbage []waste        // to be given back after this tick
	side    side
	traffic Traffic

	stop      bool
	noRead    bool
	readUntil int64 // when stopping: the latest read
	until     int64 // when stopping: the latest end

	mu     sync.Mutex
	posted []func() // guarded by mu
	asked  []func() // guarded by mu
	ended  bool     // guarded by mu: Run has returned
}

// Traffic is what went through the sockets since the start.
type Traffic struct {
	BytesIn, BytesOut uint64
	Reads, Writes     uint64 // system calls that moved bytes
}

// Traffic is the figures of now. Reactor's goroutine only.
func (r *Reactor) Traffic() Traffic { return r.traffic }

// SetLimits changes the limits for what comes. Reactor's goroutine only.
func (r *Reactor) SetLimits(l Limits) { r.limits = l }

// ErrEnded says that the reactor runs no more.
var ErrEnded = errors.New("the reactor has ended")

// New returns a reactor that is not running. nextID gives connections their
// numbers and may be shared by reactors.
func New(h Handler, limits Limits, nextID func() uint64) (*Reactor, error) {
	w, err := newWaiter()
	if err != nil {
		return nil, err
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		w.close()
		return nil, os.NewSyscallError("eventfd", err)
	}
	arena, err := batch.Map(arenaSize)
	if err != nil {
		w.close()
		unix.Close(wake)
		return nil, err
	}
	r := &Reactor{handler: h, limits: limits, w: w, wake: wake, nextID: nextID, arena: arena, share: sendMost}
	if err := r.control(unix.EPOLL_CTL_ADD, wake, unix.EPOLLIN); err != nil {
		return nil, err
	}
	return r, nil
}

// Listen accepts connections from fd, a listening stream socket, which stays
// the caller's. Before Run only.
func (r *Reactor) Listen(fd int) error {
	if err := unix.SetNonblock(fd, true); err != nil {
		return os.NewSyscallError("set the listening socket non-blocking", err)
	}
	r.listen = append(r.listen, fd)
	return r.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN|unix.EPOLLEXCLUSIVE)
}

func (r *Reactor) control(op, fd int, events uint32) error {
	err := unix.EpollCtl(r.w.epfd, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
	if err != nil {
		return fmt.Errorf("watch descriptor %d: %w", fd, err)
	}
	return nil
}

// Post has fn called by the reactor's goroutine, between ticks. It may be
// called from anywhere.
func (r *Reactor) Post(fn func()) error { return r.post(&r.posted, fn) }

// Ask is Post for what must not wait for a tick that takes long: fn may be
// called within [Reactor.Meanwhile], too.
func (r *Reactor) Ask(fn func()) error { return r.post(&r.asked, fn) }

func (r *Reactor) post(to *[]func(), fn func()) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return ErrEnded
	}
	*to = append(*to, fn)
	if len(r.posted)+len(r.asked) == 1 {
		r.ring() // under the lock: once the reactor has ended the descriptor may be somebody else's
	}
	return nil
}

func (r *Reactor) ring() {
	one := [8]byte{1}
	_, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(r.wake), uintptr(unsafe.Pointer(&one)), 8)
	if errno != 0 && errno != unix.EAGAIN {
		panic("wake the reactor: " + errno.Error())
	}
}

// Stop ends Run: no connection is accepted any more, what was received is
// finished and answered, for at most grace. It may be called from anywhere.
func (r *Reactor) Stop(grace time.Duration) error {
	return r.Ask(func() {
		for _, fd := range r.listen {
			r.unwatch(fd)
		}
		r.stop = true
		r.readUntil = nanotime() + int64(min(grace, readGrace))
		r.until = nanotime() + int64(grace)
	})
}

// Run is the loop. It returns after Stop, with every connection closed.
func (r *Reactor) Run() {
	for {
		n := r.w.wait(!r.stop && len(r.again) == 0)
		r.tick(n)
		if r.stop && r.finished(n) {
			break
		}
	}
	r.Conns(r.close)
	r.freeGarbage()
	r.end()
}

// finished tells, while stopping, whether all that was received is answered.
func (r *Reactor) finished(n int) bool {
	now := nanotime()
	if now > r.until {
		return true
	}
	if now > r.readUntil {
		r.noRead = true
	}
	if (n == 0 || r.noRead) && len(r.again) == 0 && r.stalled == 0 && len(r.holding) == 0 {
		if r.blocked == 0 {
			return true
		}
		r.Conns(r.closeUnlessBlocked) // only those still wait for an answer
	}
	if n == 0 || r.noRead {
		time.Sleep(time.Millisecond)
	}
	return false
}

func (r *Reactor) closeUnlessBlocked(c *Conn) {
	if !c.blocked {
		r.close(c)
	}
}

// end gives the reactor's own resources back.
func (r *Reactor) end() {
	r.mu.Lock()
	r.ended = true
	posted := append(r.asked, r.posted...)
	r.asked, r.posted = nil, nil
	r.mu.Unlock()
	for _, fn := range posted {
		fn()
	}
	unix.Close(r.wake)
	r.w.close()
	r.maps.drop()
	batch.Unmap(r.arena)
	if r.side.arena != nil {
		batch.Unmap(r.side.arena)
	}
}

// tick is one turn: the phases after wait.
func (r *Reactor) tick(n int) {
	r.used = 0
	again := r.again
	r.again, r.spare = r.spare[:0], again
	for _, c := range again {
		c.queued = false
		switch {
		case c.dead || c.blocked:
		case c.outN > r.limits.Pause:
			c.held = true
		default:
			r.parseKept(c)
		}
	}
	mail := false
	for i := 0; i < n; i++ {
		ev := &r.w.events[i]
		if int(ev.Fd) == r.wake {
			mail = true
			continue
		}
		r.event(int(ev.Fd), ev.Events)
	}
	if len(r.active) > 0 {
		r.handler.Execute()
		for i, c := range r.active {
			r.active[i] = nil
			c.active = false
			r.handler.Answer(c)
			r.settle(c)
		}
		r.active = r.active[:0]
		r.handler.Done()
	}
	r.freeGarbage()
	// After those that end in this tick: their places and numbers are free now.
	for _, fd := range r.knocks {
		r.accept(fd)
		r.w.noise()
	}
	r.knocks = r.knocks[:0]
	for _, fn := range r.rung {
		fn()
	}
	r.rung = r.rung[:0]
	switch {
	case mail && r.side.turn:
		r.askedFor() // the rest is read when the tick is over
	case mail:
		r.mail()
	}
}

// freeGarbage gives back what requests of the tick lay in.
func (r *Reactor) freeGarbage() {
	for i := range r.garbage {
		if g := &r.garbage[i]; g.pin != 0 {
			r.handler.Unpin(g.pin)
		} else {
			r.spareMap(g.mem)
		}
		r.garbage[i] = waste{}
	}
	r.garbage = r.garbage[:0]
}

// mail calls what was posted.
func (r *Reactor) mail() {
	var counter [8]byte
	_, _ = rawRead(r.wake, counter[:]) // only empties it: EAGAIN is as good
	r.askedFor()
	r.mu.Lock()
	posted := r.posted
	r.posted = nil
	r.mu.Unlock()
	for _, fn := range posted {
		fn()
	}
	r.w.noise()
}

// event serves one event of the epoll set.
func (r *Reactor) event(fd int, events uint32) {
	c := r.lookup(fd)
	if c == nil {
		r.other(fd)
		return
	}
	if events&unix.EPOLLOUT != 0 && len(c.out) > 0 {
		r.flush(c)
	}
	if events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR|unix.EPOLLRDHUP) != 0 && !c.dead && !r.noRead {
		r.read(c, events)
	}
}

// other serves an event of a descriptor that is no connection's.
func (r *Reactor) other(fd int) {
	if fn, ok := r.bells[fd]; !ok {
		if slices.Contains(r.listen, fd) {
			r.knocks = append(r.knocks, fd)
		}
	} else if !r.side.turn { // else it is reported again
		r.rung = append(r.rung, fn)
	}
}

// lookup is the connection behind fd, nil when there is none.
func (r *Reactor) lookup(fd int) *Conn {
	if fd >= len(r.conns) {
		return nil
	}
	return r.conns[fd]
}
