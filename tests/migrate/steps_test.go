package migrate

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kvstored/tests/trace"
)

var every = flag.Bool("every", false, "interrupt what is repeated for each slice of data every time, too")

// A step is a call that changes the state directory, told by what it does and how often that
// was done before it in this migration: how many slices data is copied in differs from run to run.
type step struct {
	call  string // "writev new/log-1"
	nth   int
	after bool // killed when it was made, not before
}

func (s step) String() string {
	when := "before"
	if s.after {
		when = "after"
	}
	return fmt.Sprintf("%s %s #%d", when, s.call, s.nth)
}

// steps watches one migration.
type steps struct {
	dir string // the state directory

	lock     sync.Mutex     // guards all below
	counting bool           // a migration is under way
	old      string         // directory of the data that serves
	traffic  bool           // what is written there counts, too
	target   step           // where the daemon ends, or a call fails
	fail     unix.Errno     // with this
	lasting  bool           // and so do all after it
	seen     []step         // those before
	count    map[string]int // by call
	last     time.Time      // of the last one
	switched bool           // the owner file has changed
	reached  bool           // the target
}

// begin watches a migration from the data in the directory old, which is to end at
// a step.
func (s *steps) begin(old string, traffic bool, target step) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.counting, s.old, s.traffic, s.target = true, old, traffic, target
	s.seen, s.count, s.last, s.switched, s.reached = nil, map[string]int{}, time.Now(), false, false
}

// end ends that; what was seen can be read.
func (s *steps) end() {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.counting = false
}

// observe counts a step, and ends the daemon where it should.
func (s *steps) observe(c *trace.Call) trace.Action {
	if !strings.HasPrefix(c.Path, s.dir) || strings.HasPrefix(c.Name, "open") && !c.Creates {
		return trace.Go
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	if !s.counting || s.forClients(c) {
		return trace.Go
	}
	owner := c.To == filepath.Join(s.dir, "owner")
	if c.Done {
		s.switched = s.switched || owner && c.Result == 0
		return s.endAt(step{s.describe(c), s.count[s.describe(c)], true})
	}
	now := step{s.describe(c), s.count[s.describe(c)] + 1, false}
	s.count[now.call]++
	s.last = time.Now()
	s.seen = append(s.seen, now)
	if act := s.endAt(now); act != trace.Go {
		return act
	}
	if now.after = true; owner || now == s.target {
		return trace.After
	}
	return trace.Go
}

// endAt is what becomes of a step.
func (s *steps) endAt(now step) trace.Action {
	switch {
	case s.reached && s.lasting && !now.after:
		return trace.Fail(s.fail)
	case now != s.target:
		return trace.Go
	}
	s.reached = true
	if s.fail != 0 {
		return trace.Fail(s.fail)
	}
	return trace.Kill
}

// describe is the call with the directories' parts in it for their names.
func (s *steps) describe(c *trace.Call) string {
	text := strings.TrimPrefix(strings.TrimPrefix(c.Path, s.dir), "/")
	if dir, rest, _ := strings.Cut(text, "/"); strings.HasPrefix(dir, "data-") {
		part := "new"
		if dir == s.old {
			part = "old"
		}
		text = filepath.Join(part, rest)
	}
	if text == "" {
		text = "."
	}
	return strings.TrimSpace(c.Name + " " + text)
}

// forClients tells whether a call is for the clients of the engine that serves, not of the
// migration.
func (s *steps) forClients(c *trace.Call) bool {
	if s.traffic || s.switched || !strings.HasPrefix(c.Path, filepath.Join(s.dir, s.old)+"/") {
		return false
	}
	switch c.Name {
	case "write", "writev", "pwrite", "pwritev", "fdatasync", "msync", "fallocate", "sync_file_range":
		return true
	}
	return false
}

// quiet waits until the daemon has ended, or has made no step for a while.
func (s *steps) quiet(p *trace.Process) (ended bool) {
	for !p.Within(50 * time.Millisecond) {
		s.lock.Lock()
		idle := time.Since(s.last)
		s.lock.Unlock()
		if idle > 400*time.Millisecond {
			return false
		}
	}
	return true
}

// plan is what is left to be tried.
type plan struct {
	known map[step]bool
	left  []step
}

// add takes the steps of a run that are new. What is done again and again, as each
// slice of data is written, is interrupted before and after three times, and before or after nine more.
func (p *plan) add(seen []step) {
	for _, s := range seen {
		for _, s.after = range []bool{false, true} {
			if !p.known[s] && (*every || s.nth <= 3 || s.nth <= 12 && (s.nth%2 == 0) == s.after) {
				p.left = append(p.left, s)
			}
			p.known[s] = true
		}
	}
}

// route is a migration.
type route struct {
	name     string
	from, to string
	memory   bool // the new engine keeps nothing on disk
	traffic  bool // what is written for clients counts as a step
}

var routes = []route{
	{name: "hash to lmdb", from: "hash", to: "lmdb"},
	{name: "lmdb to hash", from: "lmdb", to: "hash"},
	{name: "hash to memory", from: "hash", to: "debug", memory: true},
	{name: "hash to its next release", from: "hash", to: "hash+", traffic: true},
	{name: "lmdb to its next release", from: "lmdb", to: "lmdb+", traffic: true},
}

// TestKilledAtEveryStep ends the daemon before and after each call that changes
// the state directory while data moves. Each next migration is of the store that the
// last crash left.
func TestKilledAtEveryStep(t *testing.T) {
	for _, r := range routes {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 100, r.from, r.to)
			w.pause = 15 * time.Millisecond
			s := &steps{dir: w.state()}
			p := w.start(r.from, s.observe)
			w.fill()
			kills, missed, owners := 0, 0, map[bool]int{}
			todo := plan{known: map[step]bool{}, left: []step{{}}} // the first run goes to its end
			for n := 0; n < len(todo.left); n++ {
				if w.migrate(p, r, s, todo.left[n]) {
					kills++
					owners[s.switched]++
					p = w.recover(r, s)
				} else {
					missed++
					w.goBack(r)
				}
				todo.add(s.seen)
			}
			t.Logf("killed %d times before and after %d different steps (%d came too seldom to be met again): before the owner changed %d, after it %d",
				kills, len(todo.known)/2, missed-1, owners[false], owners[true])
			if kills < 10 || kills < len(todo.left)/3 {
				t.Error("hardly any step was reached")
			}
		})
	}
}

// migrate runs a migration and ends the daemon at a step. false: there was no such step.
func (w *world) migrate(p *trace.Process, r route, s *steps, target step) bool {
	w.t.Helper()
	_, directory := w.owner()
	stop := w.count()
	s.begin(directory, r.traffic, target)
	took := w.load(r.to)
	stop()
	if took == 0 && !p.Within(20*time.Second) {
		w.t.Fatalf("%v: the migration was refused:\n%s", target, w.log())
	}
	ended := s.quiet(p)
	s.end()
	if !ended {
		return false
	}
	if status, _ := p.Wait(); status.Signal() != unix.SIGKILL || !s.reached {
		w.t.Fatalf("%v: the daemon ended by itself: %v\n%s", target, status, w.log())
	}
	w.end = nil
	return true
}

// recover starts what a crash left, with the engine that owns it, looks at everything, and
// has the old engine serve again.
func (w *world) recover(r route, s *steps) *trace.Process {
	w.t.Helper()
	engine, directory := w.owner()
	want := strings.TrimSuffix(r.from, "+")
	if s.switched {
		want = strings.TrimSuffix(r.to, "+")
	}
	if engine != want {
		w.t.Fatalf("%v: the owner is %s, want %s", s.target, engine, want)
	}
	p := w.start(engine, s.observe)
	w.alone(directory)
	if r.memory && s.switched { // it said that the data lies in memory only
		if n := w.do("DBSIZE"); n != "0" {
			w.t.Fatalf("%s keys in memory after a crash", n)
		}
		return w.refill(r, s)
	}
	w.check()
	if w.t.Failed() {
		w.t.Fatalf("%v: see above", s.target)
	}
	if engine != r.from && w.load(r.from) == 0 {
		w.t.Fatalf("%v: no way back from %s:\n%s", s.target, engine, w.log())
	}
	w.onlyOwner()
	return p
}

// refill begins anew with the old engine, after one that kept nothing.
func (w *world) refill(r route, s *steps) *trace.Process {
	w.kill()
	p := w.start(r.from, s.observe)
	w.fill()
	return p
}

// goBack has the old engine serve again after a migration that went to its end.
func (w *world) goBack(r route) {
	w.t.Helper()
	w.check()
	if w.load(r.from) == 0 {
		w.t.Fatalf("no way back from %s:\n%s", r.to, w.log())
	}
	w.check()
	w.onlyOwner()
}
