package reactor

import (
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How the loop waits is chosen by how quickly events follow one another. A
// wait that tells the Go scheduler about itself costs the process several
// thread switches; one that does not holds a scheduler slot. So: while events
// come often enough wait in the kernel without telling the scheduler, for a
// bounded time; else park the goroutine, with the epoll set itself watched by
// Go's own poller. Between the two stands a gate, an epoll set that holds ours
// and is shut while we wait ourselves: else every event would wake the
// runtime's poller beside us.
//
// Two things follow from waiting without the scheduler. Somebody else must
// watch the descriptors and timers of other goroutines: see handOver. And the
// runtime's monitor thread sleeps only while every slot is free; awake it
// costs a few milliseconds a second. It is woken by every system call that
// the scheduler knows of, and goes to sleep again when it finds us parked:
// so we park for a moment after such calls (see [waiter.noise]) and when its
// signal shows that it is awake. Where Go has one processor only, nobody else
// can watch and the monitor must stay awake: there raw waits are short.
const (
	rawGap      = int64(50 * time.Millisecond)  // mean gap below which a raw wait is worth it
	rawShortest = int64(8 * time.Millisecond)   // a raw wait lasts at most this long, or
	rawGaps     = int64(8)                      // so many mean gaps, but
	rawLongest  = int64(250 * time.Millisecond) // never longer than this
	busyGap     = int64(200 * time.Microsecond) // below it the monitor thread is cheaper than parking
	quietTime   = int64(time.Millisecond)       // parking after noise
	signalTime  = int64(12 * time.Millisecond)  // parking after a signal: the monitor looks every 10 ms
	gapLongest  = int64(200 * time.Millisecond) // what one gap counts for at most
	gapSmoothed = 8                             // the mean is over about this many ticks
	aloneGap    = int64(2 * time.Millisecond)   // rawGap where Go has one processor
)

// waiter waits for events of an epoll set. One goroutine uses it.
type waiter struct {
	epfd   int
	gate   *os.File // an epoll set with epfd in it, known to Go's poller
	gatefd int
	open   uint32 // events that the gate lets through
	raw    syscall.RawConn
	events [maxEvents]unix.EpollEvent
	gap    int64 // smoothed nanoseconds between events
	last   int64 // when the last events came, nanoseconds
	n      int   // events of the last poll

	alone     bool  // Go has one processor
	handed    bool  // others' descriptors and timers are watched by another thread
	parkUntil int64 // until then parking is preferred; 0: not
}

// maxEvents is how many connections a tick takes. More would share the tick's
// costs a little further, but what the kernel has of a socket would be out of
// the processor's caches between its read and its write: beside 512, 64 took
// 15 % less CPU a request from 10,000 connections, 9 % less from 1,000.
const maxEvents = 64

func newWaiter() (*waiter, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	gatefd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		unix.Close(epfd)
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	w := &waiter{epfd: epfd, gatefd: gatefd, gap: gapLongest, alone: runtime.GOMAXPROCS(0) == 1}
	if err := w.openGate(); err != nil {
		unix.Close(gatefd)
		unix.Close(epfd)
		return nil, err
	}
	return w, nil
}

// openGate puts epfd behind the gate and shows the gate to Go's poller.
func (w *waiter) openGate() error {
	if err := unix.EpollCtl(w.gatefd, unix.EPOLL_CTL_ADD, w.epfd, &unix.EpollEvent{}); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	if err := unix.SetNonblock(w.gatefd, true); err != nil { // or os.NewFile does not poll it
		return os.NewSyscallError("fcntl", err)
	}
	w.gate = os.NewFile(uintptr(w.gatefd), "gate")
	raw, err := w.gate.SyscallConn()
	w.raw = raw
	return err
}

func (w *waiter) close() {
	w.gate.Close()
	unix.Close(w.epfd)
}

// setGate opens or shuts the gate. It stays open from one parking to the
// next: while requests are rare it seldom wakes anybody needlessly.
func (w *waiter) setGate(events uint32) {
	if events == w.open {
		return
	}
	w.open = events
	ev := unix.EpollEvent{Events: events}
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(w.gatefd), unix.EPOLL_CTL_MOD,
		uintptr(w.epfd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	if errno != 0 {
		panic("epoll_ctl: " + errno.Error())
	}
}

// poll asks for events, waiting at most ms milliseconds without the Go
// scheduler knowing. A call that a signal ended is one without events.
func (w *waiter) poll(ms int) (n int, interrupted bool) {
	got, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(w.epfd),
		uintptr(unsafe.Pointer(&w.events[0])), maxEvents, uintptr(ms), 0, 0)
	switch errno {
	case 0:
		return int(got), false
	case unix.EINTR:
		return 0, true
	}
	panic("epoll_wait: " + errno.Error())
}

// wait returns the number of events, at least one, that are in w.events.
// With block false it returns at once, maybe with none.
func (w *waiter) wait(block bool) int {
	var n int
	switch {
	case !block:
		n, _ = w.poll(0)
	case w.gap < rawGap && !w.parking() && (!w.alone || w.gap < aloneGap):
		n = w.rawWait()
	}
	if n == 0 && block {
		n = w.park()
	}
	if n > 0 {
		w.measure(n)
	}
	return n
}

// noise tells that the scheduler was told of a system call.
func (w *waiter) noise() { w.parkUntil = nanotime() + quietTime }

// parking tells whether the monitor thread is to be let go to sleep.
func (w *waiter) parking() bool {
	if w.parkUntil == 0 {
		return false
	}
	if w.alone || w.gap < busyGap || nanotime() > w.parkUntil {
		w.parkUntil = 0
		return false
	}
	return true
}

// rawWait waits in the kernel in the scheduler's back. A signal (the runtime
// sends one when it wants this thread to stop) ends a round early, and the
// ordinary call in each round lets the runtime stop the goroutine there.
func (w *waiter) rawWait() int {
	w.handOver()
	limit := rawShortest
	if !w.alone {
		limit = min(max(w.gap*rawGaps, limit), rawLongest)
	}
	for {
		n, interrupted := w.poll(int(limit / int64(time.Millisecond)))
		if n > 0 {
			return n
		}
		yieldPoint()
		now := nanotime()
		if interrupted && w.gap >= busyGap && !w.alone {
			w.parkUntil = now + signalTime
			return 0
		}
		if now-w.last >= limit {
			return 0
		}
	}
}

// handOver has another thread of the runtime wait for the descriptors and
// timers of all other goroutines: the one that did may be ours, and as long
// as we do not park nobody would.
func (w *waiter) handOver() {
	if w.handed {
		return
	}
	w.handed = true
	w.setGate(0)
	go func() {}() // wakes a thread, which finds nothing else and waits there
}

// yieldPoint is an ordinary function call: its prologue is where the runtime
// can stop a goroutine. Without one in a loop of raw system calls a garbage
// collection waits for seconds.
//
//go:noinline
func yieldPoint() {
	var frame [256]byte
	touch(&frame)
}

//go:noinline
func touch(b *[256]byte) { b[0] = 1 }

// park lets the goroutine sleep until the epoll set is readable.
func (w *waiter) park() int {
	w.n = 0
	w.handed = false
	w.setGate(unix.EPOLLIN)
	err := w.raw.Read(w.tryPoll)
	if err != nil {
		panic("wait for the epoll set: " + err.Error())
	}
	return w.n
}

func (w *waiter) tryPoll(uintptr) bool {
	w.n, _ = w.poll(0)
	return w.n > 0
}

// measure keeps the mean time between events.
func (w *waiter) measure(n int) {
	now := nanotime()
	gap := min((now-w.last)/int64(n), gapLongest)
	w.gap += (gap - w.gap) / gapSmoothed
	w.last = now
}

var processStart = time.Now()

// nanotime is monotonic nanoseconds since the process started.
func nanotime() int64 { return int64(time.Since(processStart)) }
