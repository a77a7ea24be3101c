package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kvstored/pkg/client"
)

const (
	complaints = 10              // refused commands that are told of one by one
	markEvery  = 4096            // commands between two marks
	saveEvery  = 2 * time.Second // between two notes of how far a load came
)

// mark is a place in what is loaded, behind n commands.
type mark struct {
	n, offset, lines int64
	line             int64 // where the last of the n begins
	sum              sum
	cursor           string
	exports          int64 // see resumption
	claimed          *claim
}

// loader brings a source into the daemon.
type loader struct {
	app  *app
	src  source
	pipe *client.Pipe
	unit func() string // what is numbered: "line" or "command"; nil: nothing
	bar  *progress
	save func(m mark) error

	bytes atomic.Int64 // read of the source
	sent  atomic.Int64
	bad   atomic.Int64

	mu    sync.Mutex
	marks []mark // guarded by mu; the first is behind what is answered
}

// loadResult is what came of a load.
type loadResult struct {
	Commands int64   `json:"commands"`
	Failed   int64   `json:"failed"`
	Skipped  int64   `json:"skipped,omitempty"`
	Checksum string  `json:"checksum,omitempty"`
	Verified bool    `json:"verified"`
	Checked  string  `json:"checked"`
	Seconds  float64 `json:"seconds"`
}

// errInterrupted is Ctrl-C.
var errInterrupted = errors.New("interrupted")

// run loads everything; total is the size of the source, 0 if not known.
func (l *loader) run(c *client.Conn, total int64) (loadResult, error) {
	var err error
	begun := time.Now()
	if l.pipe, err = c.NewPipe(l.refused); err != nil {
		return loadResult{}, err // the connection was lost before anything was sent
	}
	offset, _ := l.src.place()
	l.bytes.Store(offset)
	l.note(0)
	l.bar = l.app.progress(total, func() state {
		return state{done: l.bytes.Load(), keys: l.pipe.Answered(), bytes: l.bytes.Load(), bad: l.bad.Load()}
	})
	stop, done := l.app.signals()
	err = l.feed(stop)
	done()
	if finish := l.pipe.Finish(); finish != nil {
		err = finish
	}
	l.bar.end()
	if err != nil {
		_ = l.keep()
	}
	got, _ := l.src.totals()
	result := loadResult{Commands: l.pipe.Sent(), Failed: l.bad.Load(), Seconds: time.Since(begun).Seconds()}
	if got.keys > 0 {
		result.Checksum = got.String()
	}
	return result, err
}

// begin saves the place where the load begins.
func (l *loader) begin() error {
	offset, lines := l.src.place()
	got, _ := l.src.totals()
	m := mark{offset: offset, lines: lines, sum: got}
	l.where(&m)
	return l.save(m)
}

// where notes of the source what only some have.
func (l *loader) where(m *mark) {
	if at, ok := l.src.(interface{ cursor() string }); ok {
		m.cursor = at.cursor()
	}
	if s, ok := l.src.(*respSource); ok {
		m.exports, m.claimed = s.open, s.want
	}
}

// interrupted is errInterrupted if a signal has come.
func interrupted(stop <-chan os.Signal) error {
	select {
	case <-stop:
		return errInterrupted
	default:
		return nil
	}
}

// answered is how many commands were carried out or refused.
func (l *loader) answered() int64 {
	if l.pipe == nil {
		return 0
	}
	return l.pipe.Answered()
}

// feed sends commands until the source ends.
func (l *loader) feed(stop <-chan os.Signal) error {
	buf := make([]byte, 0, 64<<10)
	saved := time.Now()
	idle, _ := l.src.(interface{ idle() bool })
	for turn := 0; ; turn++ {
		if idle != nil && idle.idle() { // reading on may take a while
			if err := l.pipe.Flush(); err != nil {
				return err
			}
		}
		wire, n, err := l.src.next(buf[:0])
		rest := l.src.rest()
		if sendErr := l.send(wire, n, rest); sendErr != nil {
			return sendErr
		}
		if cap(wire) <= 1<<20 {
			buf = wire
		}
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if turn%256 != 0 && rest == nil {
			continue
		}
		if err := interrupted(stop); err != nil {
			return err
		}
		if time.Since(saved) > saveEvery {
			saved = time.Now()
			if err := l.keep(); err != nil {
				return err
			}
		}
	}
}

// send sends n commands; what is left of the last one goes through in pieces.
func (l *loader) send(wire []byte, n int64, rest func(io.Writer) ([]byte, error)) error {
	if rest != nil {
		var end []byte
		if err := l.pipe.Part(func(w io.Writer) (err error) {
			if _, err = w.Write(wire); err == nil {
				end, err = rest(&counter{w, &l.bytes})
			}
			return err
		}); err != nil {
			return err
		}
		wire = end
	}
	l.step(n) // before it is sent, or its refusal may come first
	if n == 0 {
		return nil
	}
	return l.pipe.Send(wire, n)
}

// counter counts what passes through it.
type counter struct {
	w io.Writer
	n *atomic.Int64
}

// Write passes it on.
func (c *counter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return c.w.Write(b)
}

// step notes where the source is behind the n commands that are sent next, as
// often as numbering needs it.
func (l *loader) step(n int64) {
	offset, lines := l.src.place()
	l.bytes.Store(offset)
	sent := l.pipe.Sent() + n
	l.mu.Lock()
	last := l.marks[len(l.marks)-1]
	l.mu.Unlock()
	if n > 0 && (lines-last.lines != sent-last.n || sent-last.n >= markEvery || n > 1) {
		l.note(n)
	}
}

// note sets a mark behind the n commands that are sent next, and drops those
// behind which all is answered.
func (l *loader) note(n int64) {
	offset, lines := l.src.place()
	got, _ := l.src.totals()
	m := mark{n: l.pipe.Sent() + n, offset: offset, lines: lines, sum: got, line: l.src.began()}
	l.where(&m)
	answered := l.pipe.Answered()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.marks = append(l.marks, m)
	if len(l.marks) > 1024 && l.marks[512].n <= answered {
		l.marks = append([]mark{}, l.marks[512:]...)
	}
}

// line is where the command number n (from 0) stands.
func (l *loader) line(n int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := sort.Search(len(l.marks), func(i int) bool { return l.marks[i].n > n })
	switch {
	case i < len(l.marks) && l.marks[i].n == n+1: // there are lines without a command before it
		return l.marks[i].line
	case i == 0:
		return n + 1
	}
	return l.marks[i-1].lines + n - l.marks[i-1].n + 1
}

// refused tells of a command that the server did not carry out.
func (l *loader) refused(n int64, err *client.ServerError) {
	switch bad := l.bad.Add(1); {
	case bad <= complaints:
		place := ""
		if l.unit != nil {
			place = fmt.Sprintf("%s %d: ", l.unit(), l.line(n))
		}
		l.tell(place + strings.TrimPrefix(err.Error(), "ERR "))
	case bad == complaints+1:
		l.tell("further refused commands are only counted")
	}
}

// tell prints a line on standard error while the load goes on.
func (l *loader) tell(text string) {
	fmt.Fprintln(l.bar, "kvctl: "+printable(text))
}

// keep saves the last mark up to which everything is answered.
func (l *loader) keep() error {
	if l.save == nil {
		return nil
	}
	answered := l.pipe.Answered()
	l.mu.Lock()
	i := sort.Search(len(l.marks), func(i int) bool { return l.marks[i].n > answered })
	m := l.marks[max(i-1, 0)]
	l.mu.Unlock()
	return l.save(m)
}

// errText is the cause of a file's error without the path, in small letters.
func errText(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Path + ": " + path.Err.Error()
	}
	return err.Error()
}

// broke says what a load that did not end well has done.
func broke(err error, answered int64, fix string) error {
	var bad badInput
	var lost *client.PipeError
	code := ExitServer
	f := failure{what: err.Error(), code: code, fix: fix}
	switch {
	case errors.As(err, &bad):
		f.why = fmt.Sprintf("the input is not what its format says; %s commands before it were carried out", grouped(answered))
		f.code = ExitUsage
	case errors.As(err, &lost):
		f.why = fmt.Sprintf("of %s commands more the outcome is unknown", grouped(lost.Sent-lost.Answered))
		f.code = ExitConnect
	case errors.Is(err, errInterrupted):
		f.what = fmt.Sprintf("interrupted after %s commands", grouped(answered))
	default:
		return err
	}
	return f
}
