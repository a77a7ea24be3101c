package cli

import (
	"fmt"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows on a terminal how far a long job is; elsewhere nothing.
type progress struct {
	bars *mpb.Progress
	bar  *mpb.Bar
}

// state is what a bar shows.
type state struct {
	done  int64 // of the total
	keys  int64
	bytes int64
	bad   int64
}

// progress starts a bar for total, of which now tells how much is done; a
// total of 0 is not known. now is called from another goroutine.
func (a *app) progress(total int64, now func() state) *progress {
	if !a.errTTY || a.json && a.outTTY {
		return &progress{}
	}
	begun := time.Now()
	p := mpb.New(mpb.WithOutput(a.err), mpb.WithRefreshRate(200*time.Millisecond), mpb.WithWidth(30))
	text := decor.Any(func(decor.Statistics) string {
		s := now()
		took := max(time.Since(begun).Seconds(), 0.001)
		line := fmt.Sprintf(" %s keys, %s/s, %s", grouped(s.keys), grouped(int64(float64(s.keys)/took)), size(s.bytes))
		if s.bad > 0 {
			line += fmt.Sprintf(", %s failed", grouped(s.bad))
		}
		if total > 0 && s.done > 0 && s.done < total && took > 1 {
			left := time.Duration(took * float64(total-s.done) / float64(s.done) * float64(time.Second))
			line += ", " + left.Round(time.Second).String() + " left"
		}
		return line
	})
	bar := p.AddBar(total, mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string {
			s := now()
			if total <= 0 {
				return ""
			}
			return fmt.Sprintf("%3d%% ", min(100, s.done*100/total))
		})), mpb.AppendDecorators(text))
	go func() {
		for !bar.Completed() && !bar.Aborted() {
			bar.SetCurrent(min(now().done, max(total-1, 0)))
			time.Sleep(100 * time.Millisecond)
		}
	}()
	return &progress{p, bar}
}

// end takes the bar away.
func (p *progress) end() {
	if p.bar != nil {
		p.bar.Abort(true)
		p.bars.Wait()
	}
}
