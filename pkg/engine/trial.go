package engine

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// SelfCheck runs this same program's check-engine, for CheckOptions.Command.
var SelfCheck = []string{"/proc/self/exe", "check-engine"}

// CheckOptions says how libraries are tried.
type CheckOptions struct {
	// Command is run with --image, --report and the path added and must call
	// [CheckMain]. Empty: libraries are not tried in a process of their own,
	// which is for tests only.
	Command []string
	// Timeout after which a trial is ended; 0: CheckTimeout.
	Timeout time.Duration
	// Full makes every check, at length.
	Full bool
	// serving is the library that serves now: whether the new one can take its
	// store over is tried, too. nil: there is none.
	serving *Image
}

// Report examines and tries the library at path in a child process.
func (o CheckOptions) Report(path string, trust Trust) *Report {
	image, err := ReadImage(path, trust)
	if err != nil {
		return &Report{Path: path, Refusal: asRefusal(err)}
	}
	defer image.Close()
	r, err := o.try(image)
	if err != nil {
		r.Refusal = asRefusal(err)
	}
	if trust.Anybody {
		if err := (Trust{}).examine(image.Path); err != nil {
			r.Place = asRefusal(err)
		}
	}
	return r
}

func asRefusal(err error) *Refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	return &Refusal{What: err.Error()}
}

// try has a child process load the image and make the checks. The report is
// there in any case; the error, a *Refusal, says why the library is not taken.
func (o CheckOptions) try(image *Image) (*Report, error) {
	t := &trial{
		image: image, doing: "starting the check",
		report: &Report{Path: image.Path, SHA256: image.SHA256, Size: image.Size},
	}
	if len(o.Command) == 0 {
		return t.report, nil
	}
	if o.Timeout == 0 {
		o.Timeout = CheckTimeout
	}
	return t.report, t.run(o)
}

// trial is one run of the child.
type trial struct {
	image   *Image
	report  *Report
	doing   string // what the child said it does
	refusal *Refusal
	done    bool
}

// run starts the child, listens to it and judges how it ended.
func (t *trial) run(o CheckOptions) error {
	read, write, err := os.Pipe()
	if err != nil {
		return refuse(err.Error(), "look at the limits of kvstored.service", "%s: cannot be checked", t.image.Path)
	}
	defer read.Close()
	args := append(append([]string{}, o.Command[1:]...), "--image=3", "--report=4")
	if o.Full {
		args = append(args, "--full")
	}
	files := []*os.File{t.image.file, write}
	if o.serving != nil {
		args, files = append(args, "--serving=5", "--yield"), append(files, o.serving.file)
	}
	cmd := exec.Command(o.Command[0], append(args, "--", t.image.Path)...)
	cmd.ExtraFiles = files
	cmd.Env = trialEnvironment()
	cmd.Stderr = &lastWords{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.WaitDelay = time.Second
	err = t.listen(cmd, read, write, o.Timeout)
	return t.judge(cmd, err, o.Timeout)
}

// longestMessage bounds a line that the child says.
const longestMessage = 1 << 20

var errTimeout = errors.New("time-out")

// listen runs the child to its end, or to the end of its time.
func (t *trial) listen(cmd *exec.Cmd, read, write *os.File, timeout time.Duration) error {
	// The child dies with the thread that started it: keep that thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Start()
	write.Close()
	if err != nil {
		return err
	}
	pid := cmd.Process.Pid
	limit := newDeadline(pid, timeout, func() {
		unix.Kill(-pid, unix.SIGKILL) // its group: what the library started too
		read.SetReadDeadline(time.Now())
	})
	lines := bufio.NewScanner(read)
	for lines.Buffer(nil, longestMessage); !t.done && t.refusal == nil && lines.Scan(); {
		t.hear(lines.Bytes())
	}
	if lines.Err() == bufio.ErrTooLong {
		unix.Kill(-pid, unix.SIGKILL) // it waits for somebody to read on
	}
	// Until it is reaped its number is nobody else's.
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	inTime := limit.stop()
	unix.Kill(-pid, unix.SIGKILL) // nothing is left, unless the library started it
	err = cmd.Wait()
	if !inTime {
		return errTimeout
	}
	return err
}

// hear takes one message of the child.
func (t *trial) hear(line []byte) {
	var m message
	if json.Unmarshal(line, &m) != nil {
		return
	}
	switch {
	case m.Doing != "":
		t.doing = m.Doing
	case m.Info != nil:
		t.report.Info = m.Info
	case m.Result != nil:
		t.report.Checks = append(t.report.Checks, *m.Result)
	case m.Refusal != nil:
		t.refusal = m.Refusal
	case m.Done:
		t.done = true
	}
}

// judge turns the child's end into a verdict.
func (t *trial) judge(cmd *exec.Cmd, err error, timeout time.Duration) error {
	if t.refusal != nil {
		return t.refusal
	}
	if t.done && err == nil {
		return nil
	}
	const fix = "tell the engine's author; it never reached the daemon"
	if err == errTimeout {
		return refuse(fmt.Sprintf("it did not finish within %s while %s", timeout, t.doing), fix,
			"%s hangs", t.image.Path)
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		return refuse("it started a process that did not end while "+t.doing, fix, "%s leaves something behind", t.image.Path)
	}
	if cmd.ProcessState == nil {
		return refuse(err.Error(), "look at the limits and the sandbox of kvstored.service", "%s: cannot be checked", t.image.Path)
	}
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
		return refuse(fmt.Sprintf("it died of %s while %s", unix.SignalName(status.Signal()), t.doing), fix,
			"%s crashes", t.image.Path)
	}
	why := fmt.Sprintf("it ended the process with exit status %d while %s", cmd.ProcessState.ExitCode(), t.doing)
	if said := cmd.Stderr.(*lastWords).String(); said != "" && cmd.ProcessState.ExitCode() != 0 {
		why += ", saying: " + said
	}
	return refuse(why, fix, "%s ends its process", t.image.Path)
}

// trialEnvironment is the child's: nothing of systemd's is for it.
func trialEnvironment() []string {
	env := []string{"GOTRACEBACK=none", "GOMAXPROCS=2"}
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		switch name {
		case "NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID",
			"GOTRACEBACK", "GOMAXPROCS":
		default:
			env = append(env, e)
		}
	}
	return env
}

// lastWords keeps the end of what the child wrote to standard error.
type lastWords struct{ text []byte }

func (l *lastWords) Write(p []byte) (int, error) {
	l.text = append(l.text, p...)
	if over := len(l.text) - 400; over > 0 {
		l.text = append(l.text[:0], l.text[over:]...)
	}
	return len(p), nil
}

func (l *lastWords) String() string { return strings.Join(strings.Fields(string(l.text)), " ") }
