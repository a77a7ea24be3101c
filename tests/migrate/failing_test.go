package migrate

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kvstored/pkg/client"
	"kvstored/tests/trace"
)

// TestFailingAtEveryStep has each call that changes the state directory while
// data moves fail: alone, or with all that come after it, by turns; with -every each in
// both ways. Whoever serves then has all data, and so has who is started after a kill.
func TestFailingAtEveryStep(t *testing.T) {
	ways := map[string]func(n int) bool{"by turns": func(n int) bool { return n%2 == 1 }}
	if *every {
		ways = map[string]func(n int) bool{
			"once":         func(int) bool { return false },
			"from then on": func(int) bool { return true },
		}
	}
	for _, r := range routes[:3] {
		for name, lasting := range ways {
			t.Run(r.name+", "+name, func(t *testing.T) {
				t.Parallel()
				failEverywhere(t, r, lasting)
			})
		}
	}
}

// failEverywhere has step n fail, with all that come after it where lasting says so.
func failEverywhere(t *testing.T, r route, lasting func(n int) bool) {
	w := newWorld(t, 100, r.from, r.to)
	w.pause = 15 * time.Millisecond
	s := &steps{dir: w.state()}
	p := w.start(r.from, s.observe)
	w.fill()
	refused, taken, ended := 0, 0, 0
	todo := plan{known: map[step]bool{}, left: []step{{}}}
	for n := 0; n < len(todo.left); n++ {
		target := todo.left[n]
		if target.after || target.nth > 3 {
			continue
		}
		s.fail, s.lasting = []unix.Errno{unix.EIO, unix.ENOSPC, unix.EROFS}[n%3], lasting(n)
		_, directory := w.owner()
		stop := w.count()
		s.begin(directory, r.traffic, target)
		took := w.load(r.to)
		stop()
		s.quiet(p)
		s.end()
		want := r.from
		over := w.ended(p)
		switch {
		case over:
			ended++
			want, _ = w.owner()
		case took == 0:
			refused++
		default:
			taken++
			want = r.to
		}
		if !over {
			counted := w.counted
			w.check()
			w.counted = counted // what is read while the disk fails may not be on it
			w.kill()
		}
		w.end = nil
		engine, directory := w.owner()
		if engine != strings.TrimSuffix(want, "+") {
			t.Fatalf("%v: %v: the owner is %s, want %s\n%s", target, s.fail, engine, want, w.log())
		}
		p = w.start(engine, s.observe)
		w.alone(directory)
		if over || directory != "" {
			w.check()
		}
		if t.Failed() {
			t.Fatalf("%v: %v: see above", target, s.fail)
		}
		switch {
		case directory == "": // it was in memory only, and is gone with it
			p = w.refill(r, s)
		case engine != r.from && w.load(r.from) == 0:
			t.Fatalf("%v: no way back from %s:\n%s", target, engine, w.log())
		}
		w.onlyOwner()
		todo.add(s.seen)
	}
	t.Logf("of %d steps each failed: the exchange was refused %d times, took place %d times, ended the daemon %d times",
		refused+taken+ended, refused, taken, ended)
	if refused == 0 || taken == 0 {
		t.Error("hardly any step failed")
	}
}

// ended tells whether the daemon has ended, or is about to.
func (w *world) ended(p *trace.Process) bool {
	w.t.Helper()
	if c, err := client.Dial(w.socket()); err == nil {
		_, err = c.Do("PING")
		c.Close()
		if err == nil {
			return false
		}
	}
	if !p.Within(20 * time.Second) {
		w.t.Fatalf("it neither answers nor ends:\n%s", w.log())
	}
	return true
}
