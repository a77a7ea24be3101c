package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
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
	out   io.Writer
	total int64 // 0: not known
	from  state // what was done before, by a job that is resumed
	bars  *mpb.Progress
	bar   *mpb.Bar // nil where nothing is shown
}

// progress starts the line for total, of which now tells how much is done; a
// total of 0 is not known. now is called from another goroutine.
func (a *app) progress(total int64, now func() state) *progress {
	p := &progress{out: a.err, total: total}
	if !a.errTTY || a.json && a.outTTY || dumbTerminal() {
		return p
	}
	begun := time.Now()
	p.from = now()
	p.bars = mpb.New(mpb.WithOutput(a.err), mpb.WithRefreshRate(drawEvery))
	line := func(w io.Writer, st decor.Statistics) error {
		// From the first column on, wherever what a person typed (^C) has put
		// the cursor, and not up to the last.
		_, err := io.WriteString(w, "\r"+p.line(now(), time.Since(begun).Seconds(), st.AvailableWidth-4))
		return err
	}
	p.bar = p.bars.MustAdd(0, mpb.BarFillerFunc(line), mpb.BarFillerTrim())
	return p
}

// Write prints lines where the progress stands, which is drawn below them
// again.
func (p *progress) Write(lines []byte) (int, error) {
	if p.bar == nil {
		return p.out.Write(lines)
	}
	return p.bars.Write(lines)
}

// end takes the line away.
func (p *progress) end() {
	if p.bar != nil {
		p.bar.Abort(true)
		p.bars.Wait()
		p.bar = nil
	}
}

// line is what is shown after some seconds in at most so many columns: what
// matters least drops out first.
func (p *progress) line(s state, seconds float64, width int) string {
	share, left := "", ""
	if p.total > 0 {
		share = fmt.Sprintf("%3d%%", min(100, s.done*100/p.total))
		if s.done > 0 && s.done < p.total && seconds > 1 {
			rest := seconds * float64(p.total-s.done) / float64(max(s.done-p.from.done, 1))
			left = time.Duration(rest*float64(time.Second)).Round(time.Second).String() + " left"
		}
	}
	bad := ""
	if s.bad > 0 {
		bad = grouped(s.bad) + " failed"
	}
	keys := grouped(s.keys) + " " + cmp.Or(s.noun, "keys")
	rate := grouped(int64(float64(s.keys-p.from.keys)/max(seconds, 0.001))) + "/s"
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
