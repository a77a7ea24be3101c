package cli

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// drawEvery is how often the line of a progress is drawn.
const drawEvery = 200 * time.Millisecond

// state is what a progress shows.
type state struct {
	done  int64 // of the total
	keys  int64
	noun  string // what keys counts, if not those
	bytes int64
	bad   int64
}

// progress shows on a terminal, in one line, how far a long job is; elsewhere
// nothing.
type progress struct {
	app   *app
	total int64 // 0: not known
	now   func() state
	begun time.Time

	stop, stopped chan struct{} // nil where nothing is shown

	mu    sync.Mutex
	drawn bool // guarded by mu: the line stands on the screen
}

// progress starts the line for total, of which now tells how much is done; a
// total of 0 is not known. now is called from another goroutine.
func (a *app) progress(total int64, now func() state) *progress {
	p := &progress{app: a, total: total, now: now}
	p.start()
	return p
}

// start begins to draw.
func (p *progress) start() {
	p.begun = time.Now()
	if !p.app.errTTY || p.app.json && p.app.outTTY || dumbTerminal() {
		return
	}
	p.stop, p.stopped = make(chan struct{}), make(chan struct{})
	go p.run()
}

// run draws until the end, and takes the line away then.
func (p *progress) run() {
	defer close(p.stopped)
	every := time.NewTicker(drawEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
			p.draw()
		case <-p.stop:
			p.above(func() {})
			return
		}
	}
}

// draw writes the line anew. It is shorter than the screen is wide, so that
// what a person types, such as ^C, does not break it.
func (p *progress) draw() {
	width, _, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil || width < 20 {
		width = 80
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprint(p.app.err, "\r\x1b[K"+p.line(p.now(), time.Since(p.begun).Seconds(), width-4))
	p.drawn = true
}

// above has say print lines of their own where the progress stands, which is
// drawn below them again.
func (p *progress) above(say func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		fmt.Fprint(p.app.err, "\r\x1b[K")
		p.drawn = false
	}
	say()
}

// end takes the line away.
func (p *progress) end() {
	if p.stop != nil {
		close(p.stop)
		<-p.stopped
		p.stop = nil
	}
}

// line is what is shown after some seconds in at most so many columns: what
// matters least drops out first.
func (p *progress) line(s state, seconds float64, width int) string {
	share, left := "", ""
	if p.total > 0 {
		share = fmt.Sprintf("%3d%%", min(100, s.done*100/p.total))
		if s.done > 0 && s.done < p.total && seconds > 1 {
			rest := seconds * float64(p.total-s.done) / float64(s.done)
			left = time.Duration(rest*float64(time.Second)).Round(time.Second).String() + " left"
		}
	}
	bad := ""
	if s.bad > 0 {
		bad = grouped(s.bad) + " failed"
	}
	keys := grouped(s.keys) + " " + cmp.Or(s.noun, "keys")
	rate := grouped(int64(float64(s.keys)/max(seconds, 0.001))) + "/s"
	bytes := ""
	if s.bytes > 0 {
		bytes = size(s.bytes)
	}
	for _, parts := range [][]string{{keys, rate, bytes, bad, left}, {keys, rate, bad, left}, {keys, bad, left}, {bad, left}, {bad}} {
		text := strings.Join(notEmpty(parts), ", ")
		if room := width - len(share) - len(text) - 4; p.total > 0 && room >= 8 {
			return share + " [" + filled(s.done, p.total, min(room, 30)) + "] " + text
		} else if room >= -3 {
			return strings.Join(notEmpty([]string{share, text}), " ")
		}
	}
	return clip(share, width)
}

// filled is a bar of done out of total.
func filled(done, total int64, width int) string {
	n := int(min(done, total) * int64(width) / total)
	return strings.Repeat("=", n) + strings.Repeat("-", width-n)
}

// notEmpty leaves out what is empty.
func notEmpty(parts []string) []string {
	var list []string
	for _, part := range parts {
		if part != "" {
			list = append(list, part)
		}
	}
	return list
}
