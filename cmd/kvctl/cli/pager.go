package cli

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/term"
)

// pager takes what is written to a terminal: as long as it fits the screen it
// is kept, and what is longer goes through the pager while it arrives.
type pager struct {
	app   *app
	rows  int
	width int

	held  bytes.Buffer // until the screen is full
	lines int
	to    io.WriteCloser
	run   *exec.Cmd
	gone  bool // the person left the pager; the rest is dropped
}

// paged runs fn with its output shown through a pager if that is long.
func (s *shell) paged(fn func() error) error { return s.app.paged(fn) }

// paged is for terminals only; elsewhere it just runs fn.
func (a *app) paged(fn func() error) error {
	width, rows, err := term.GetSize(int(os.Stdout.Fd()))
	if !a.outTTY || a.noPager || err != nil || rows < 5 || dumbTerminal() || pagerCommand() == "cat" {
		return fn()
	}
	_ = a.out.Flush()
	p := &pager{app: a, rows: rows - 1, width: max(width, 20)}
	terminal := a.out
	a.out = bufio.NewWriterSize(p, 4<<10)
	err = fn()
	_ = a.out.Flush()
	a.out = terminal
	p.end()
	return err
}

// pagerCommand is what shows long replies: KVCTL_PAGER, PAGER, less if it is
// there; empty means our own.
func pagerCommand() string {
	for _, name := range []string{"KVCTL_PAGER", "PAGER"} {
		if command, set := os.LookupEnv(name); set && strings.TrimSpace(command) != "" {
			return strings.TrimSpace(command)
		}
	}
	if path, err := exec.LookPath("less"); err == nil {
		return path
	}
	return ""
}

// Write keeps or passes on; it never fails, since who leaves the pager wants
// no more.
func (p *pager) Write(b []byte) (int, error) {
	switch {
	case p.gone:
	case p.to != nil:
		if _, err := p.to.Write(b); err != nil {
			p.gone = true
		}
	default:
		p.held.Write(b)
		p.lines += countRows(b, p.width)
		if p.lines > p.rows {
			p.start()
		}
	}
	return len(b), nil
}

// countRows is how many rows of the screen text takes, more or less.
func countRows(b []byte, width int) int {
	rows := 0
	for line := range bytes.Lines(b) {
		rows += 1 + len(line)/(width+1)
	}
	return rows
}

// start runs the pager and hands it what was kept.
func (p *pager) start() {
	command := pagerCommand()
	if command == "" {
		p.to = &ownPager{rows: p.rows, width: p.width, out: os.Stdout, keys: os.Stdin}
	} else {
		p.run = exec.Command("/bin/sh", "-c", command)
		p.run.Stdout, p.run.Stderr = os.Stdout, os.Stderr
		p.run.Env = append(os.Environ(), "LESS=FRSXMK", "LESSCHARSET=utf-8")
		to, err := p.run.StdinPipe()
		if err == nil {
			err = p.run.Start()
		}
		if err != nil {
			p.run, p.to = nil, nopCloser{os.Stdout}
		} else {
			p.to = to
		}
	}
	if _, err := p.held.WriteTo(p.to); err != nil {
		p.gone = true
	}
}

// end shows what was kept, or waits until the person has read.
func (p *pager) end() {
	if p.to == nil {
		_, _ = p.held.WriteTo(os.Stdout)
		return
	}
	_ = p.to.Close()
	if p.run != nil {
		_ = p.run.Wait()
	}
}

// nopCloser is a writer that stays open.
type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// ownPager shows a screen at a time where there is no other pager.
type ownPager struct {
	rows, width int
	shown       int
	out         io.Writer
	keys        *os.File
}

// Write shows lines and asks after each screen.
func (o *ownPager) Write(b []byte) (int, error) {
	for line := range bytes.Lines(b) {
		if o.shown >= o.rows {
			if !o.more() {
				return 0, io.ErrClosedPipe
			}
		}
		if _, err := o.out.Write(line); err != nil {
			return 0, err
		}
		o.shown += countRows(line, o.width)
	}
	return len(b), nil
}

// more asks whether to go on: space for a screen, enter for a line, q to end.
func (o *ownPager) more() bool {
	fmt.Fprint(o.out, "\x1b[7m-- more: space, enter, q --\x1b[0m")
	defer fmt.Fprint(o.out, "\r\x1b[K")
	state, err := term.MakeRaw(int(o.keys.Fd()))
	if err != nil {
		return true
	}
	defer func() { _ = term.Restore(int(o.keys.Fd()), state) }()
	var key [1]byte
	for {
		if n, err := o.keys.Read(key[:]); n == 0 || err != nil {
			return false
		}
		switch key[0] {
		case ' ':
			o.shown = 0
			return true
		case '\r', '\n', 'j':
			o.shown = o.rows - 1
			return true
		case 'q', 'Q', 3, 4:
			return false
		}
	}
}

// Close ends nothing.
func (o *ownPager) Close() error { return nil }
