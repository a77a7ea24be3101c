// Package trace runs a program with those of its system calls in view that
// change files or make them durable. Each is told of before it is made and, if
// wanted, after it; the observer may have it fail, or end the program right there.
//
// It works by ptrace(2), with a seccomp filter that stops the program for these
// calls only. Calls are counted over all threads, in the order in which they
// happen.
package trace

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Call is one system call of the program.
type Call struct {
	Name string // "fdatasync"
	// Path is the file that it is about, To the second one of a rename.
	Path, To string
	// Creates: an open that makes or empties the file.
	Creates bool
	// Done: it was made, and Result is its value or the negative error.
	Done   bool
	Result int64
	// Args are its arguments, as the program gave them.
	Args [6]uint64

	tid int
}

// String is the call in a line.
func (c *Call) String() string {
	text := c.Name + " " + c.Path
	if c.To != "" {
		text += " to " + c.To
	}
	return text
}

// Action is what becomes of the program at a call.
type Action struct {
	kill, after bool
	fail        unix.Errno
}

// The actions. Fail has a call fail without being made.
var (
	Go    = Action{}
	Kill  = Action{kill: true}  // SIGKILL, before or after the call
	After = Action{after: true} // to be told of it again when it was made
)

// Fail has the call fail with this error, without being made.
func Fail(errno unix.Errno) Action { return Action{fail: errno} }

// Observer decides at each call. It is called from one goroutine, while the
// thread that makes the call is stopped; other threads go on.
type Observer func(*Call) Action

// Process is a program that runs in view.
type Process struct {
	pid     int
	observe Observer
	mine    map[int]bool  // by thread: of the program itself, not of its children
	made    map[int]*Call // by thread: the call that the observer wants to see made
	ended   chan struct{}
	status  unix.WaitStatus // how it ended, once ended is closed
	err     error
}

// Start runs cmd, whose Stdin, Stdout and Stderr are nil or files, and calls
// observe at each call. Wait, Kill and Signal are to be used on the result, and not those of cmd.
func Start(cmd *exec.Cmd, observe Observer) (*Process, error) {
	p := &Process{observe: observe, mine: map[int]bool{}, made: map[int]*Call{}, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: only this thread may say anything to what it traces
		if err := p.start(cmd); err != nil {
			started <- err
			return
		}
		close(started)
		p.err = p.loop()
		close(p.ended)
	}()
	return p, <-started
}

// PID is the program's process id.
func (p *Process) PID() int { return p.pid }

// Signal sends one to the program.
func (p *Process) Signal(s unix.Signal) {
	select {
	case <-p.ended:
	default:
		_ = unix.Kill(p.pid, s)
	}
}

// Wait waits for its end and that of all that it started.
func (p *Process) Wait() (unix.WaitStatus, error) {
	<-p.ended
	return p.status, p.err
}

// Ended is closed at its end.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Kill ends it at once and waits.
func (p *Process) Kill() {
	p.Signal(unix.SIGKILL)
	<-p.ended
}

const options = unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK |
	unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL

// start runs this very program as the shim (filter.go), which waits to be seized.
func (p *Process) start(cmd *exec.Cmd) error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	defer write.Close()
	shim := *cmd
	shim.Args = append([]string{shimName, fmt.Sprint(3 + len(cmd.ExtraFiles)), cmd.Path}, cmd.Args...)
	shim.Path = "/proc/self/exe"
	shim.ExtraFiles = append(append([]*os.File{}, cmd.ExtraFiles...), read)
	if err := shim.Start(); err != nil {
		return err
	}
	p.pid = shim.Process.Pid
	_ = shim.Process.Release() // the tracer is who reaps it
	if err := seize(p.pid); err != nil {
		_ = unix.Kill(p.pid, unix.SIGKILL)
		_, _ = unix.Wait4(p.pid, nil, 0, nil)
		return fmt.Errorf("ptrace: seize process %d: %w", p.pid, err)
	}
	_, err = write.Write([]byte{1})
	return err
}

func seize(pid int) error {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(pid), 0, options, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// loop serves everything that is traced until nothing is left.
func (p *Process) loop() error {
	for {
		var status unix.WaitStatus
		tid, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case err == unix.EINTR:
		case err == unix.ECHILD:
			return nil
		case err != nil:
			return fmt.Errorf("wait for the traced program: %w", err)
		case status.Exited() || status.Signaled():
			delete(p.mine, tid)
			delete(p.made, tid)
			if tid == p.pid {
				p.status = status
			}
		case status.Stopped():
			p.stopped(tid, status)
		}
	}
}

// stopped has a thread go on that was stopped. Errors mean that it was killed
// meanwhile.
func (p *Process) stopped(tid int, status unix.WaitStatus) {
	signal, event := status.StopSignal(), int(status)>>16
	switch {
	case event == unix.PTRACE_EVENT_SECCOMP:
		p.before(tid)
	case signal == unix.SIGTRAP|0x80:
		p.after(tid)
	case event == unix.PTRACE_EVENT_STOP && signal != unix.SIGTRAP:
		_, _, _ = unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_LISTEN, uintptr(tid), 0, 0, 0, 0)
	case event != 0:
		_ = unix.PtraceCont(tid, 0)
	default:
		_ = unix.PtraceCont(tid, int(signal))
	}
}

// own tells whether a thread is one of the program itself.
func (p *Process) own(tid int) bool {
	own, known := p.mine[tid]
	if !known {
		_, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", p.pid, tid))
		own = err == nil
		p.mine[tid] = own
	}
	return own
}

// before is a thread that is about to make a call.
func (p *Process) before(tid int) {
	if !p.own(tid) {
		_ = unix.PtraceCont(tid, 0)
		return
	}
	call, err := readCall(tid)
	if err != nil || call == nil {
		_ = unix.PtraceCont(tid, 0)
		return
	}
	switch act := p.observe(call); {
	case act.kill:
		p.Signal(unix.SIGKILL)
	case act.fail != 0:
		_ = failCall(tid, act.fail)
		_ = unix.PtraceCont(tid, 0)
	case act.after:
		p.made[tid] = call
		_ = unix.PtraceSyscall(tid, 0)
	default:
		_ = unix.PtraceCont(tid, 0)
	}
}

// after is a thread whose call was made.
func (p *Process) after(tid int) {
	if call := p.made[tid]; call != nil {
		delete(p.made, tid)
		call.Done = true
		call.Result, _ = result(tid)
		if p.observe(call).kill {
			p.Signal(unix.SIGKILL)
			return
		}
	}
	_ = unix.PtraceCont(tid, 0)
}

// Within waits for the program's end, at most so long.
func (p *Process) Within(d time.Duration) bool {
	select {
	case <-p.ended:
		return true
	case <-time.After(d):
		return false
	}
}
