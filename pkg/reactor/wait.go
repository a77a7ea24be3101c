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
// come in quick succession wait in the kernel without telling the scheduler,
// for a bounded time; else park the goroutine, with the epoll set itself
// watched by Go's own poller. Between the two stands a gate, an epoll set that
// holds ours and is shut but while the goroutine is parked: else every event
// would wake the runtime's poller beside us.
const (
	quickGap    = int64(12 * time.Millisecond) // mean gap below which a raw wait is worth it
	rawWait     = int64(20 * time.Millisecond) // longest raw wait
	slice       = int64(4 * time.Millisecond)  // after which other goroutines get their turn
	gapLongest  = int64(40 * time.Millisecond) // what one gap counts for at most
	gapSmoothed = 8                            // the mean is over about this many ticks
)

// waiter waits for events of an epoll set. One goroutine uses it.
type waiter struct {
	epfd   int
	gate   *os.File // an epoll set with epfd in it, known to Go's poller
	gatefd int
	raw    syscall.RawConn
	events [maxEvents]unix.EpollEvent
	gap    int64 // smoothed nanoseconds between events
	last   int64 // when the last events came, nanoseconds
	turn   int64 // when other goroutines last had their turn
	n      int   // events of the last poll
}

const maxEvents = 512

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
	w := &waiter{epfd: epfd, gatefd: gatefd, gap: gapLongest}
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

// setGate opens or shuts the gate.
func (w *waiter) setGate(events uint32) {
	ev := unix.EpollEvent{Events: events}
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(w.gatefd), unix.EPOLL_CTL_MOD,
		uintptr(w.epfd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	if errno != 0 {
		panic("epoll_ctl: " + errno.Error())
	}
}

// poll asks for events, waiting at most ms milliseconds without the Go
// scheduler knowing. An interrupted call is one without events.
func (w *waiter) poll(ms int) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(w.epfd),
		uintptr(unsafe.Pointer(&w.events[0])), maxEvents, uintptr(ms), 0, 0)
	if errno != 0 {
		if errno != unix.EINTR {
			panic("epoll_wait: " + errno.Error())
		}
		return 0
	}
	return int(n)
}

// wait returns the number of events, at least one, that are in w.events.
// With block false it returns at once, maybe with none.
func (w *waiter) wait(block bool) int {
	n := 0
	if block && w.gap < quickGap {
		w.giveWay()
		n = w.rawWait()
	} else {
		n = w.poll(0)
	}
	if n == 0 && block {
		n = w.park()
	}
	if n > 0 {
		w.measure(n)
	}
	return n
}

// giveWay lets other goroutines run from time to time where they have no
// processor of their own. It spares the runtime the signal by which it would
// take their turn for them.
func (w *waiter) giveWay() {
	if w.last-w.turn > slice {
		w.turn = w.last
		if runtime.GOMAXPROCS(0) == 1 {
			runtime.Gosched()
		}
	}
}

// rawWait waits in the kernel in the scheduler's back. A signal (the runtime
// sends one when it wants this thread to stop) ends a round early, and the
// ordinary call in each round lets the runtime stop the goroutine there.
func (w *waiter) rawWait() int {
	for left := rawWait; left > 0; {
		start := nanotime()
		if n := w.poll(int(left / int64(time.Millisecond))); n > 0 {
			return n
		}
		yieldPoint()
		left -= max(nanotime()-start, int64(time.Millisecond)/2)
		if left < int64(time.Millisecond) {
			break
		}
	}
	return 0
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
	w.setGate(unix.EPOLLIN)
	err := w.raw.Read(w.tryPoll)
	w.setGate(0)
	if err != nil {
		panic("wait for the epoll set: " + err.Error())
	}
	return w.n
}

func (w *waiter) tryPoll(uintptr) bool {
	w.n = w.poll(0)
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
