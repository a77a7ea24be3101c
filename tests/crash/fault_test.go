package crash

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kvstored/pkg/client"
	"kvstored/tests/trace"
)

// fault is a kind of call that fails for a while.
type fault struct {
	name  string
	calls []string
	errno unix.Errno
	times int
}

var (
	syncing = []string{"fdatasync", "fsync", "sync_file_range", "msync"}
	writing = []string{"write", "writev", "pwrite", "pwritev"}
	room    = []string{"fallocate", "ftruncate"}
	naming  = []string{"rename", "renameat", "renameat2", "unlink", "unlinkat"}
	opening = []string{"open", "openat"}
	mapping = []string{"mmap"}
)

var faults = []fault{
	{"a sync, once", syncing, unix.EIO, 1},
	{"syncs, for a while", syncing, unix.EIO, 12},
	{"a write, once", writing, unix.EIO, 1},
	{"writes, for a while", writing, unix.EIO, 25},
	{"no space to write", writing, unix.ENOSPC, 25},
	{"a read-only file system", slices.Concat(writing, room, naming, opening), unix.EROFS, 40},
	{"no space to reserve", room, unix.ENOSPC, 25},
	{"renames and removals", naming, unix.EIO, 3},
	{"too many open files", opening, unix.EMFILE, 3},
	{"no memory to map", mapping, unix.ENOMEM, 3},
	{"everything", slices.Concat(syncing, writing, room, naming, opening, mapping), unix.EIO, 60},
}

// faulty fails calls on the state directory.
type faulty struct {
	dir string

	lock sync.Mutex
	now  fault // guarded by lock
	left int   // guarded by lock; how often it still fails
	hits int   // guarded by lock
}

func (f *faulty) observe(c *trace.Call) trace.Action {
	if !strings.HasPrefix(c.Path, f.dir) || strings.HasPrefix(c.Name, "open") && !c.Creates {
		return trace.Go
	}
	f.lock.Lock()
	defer f.lock.Unlock()
	if f.left == 0 || !slices.Contains(f.now.calls, c.Name) {
		return trace.Go
	}
	f.left--
	f.hits++
	return trace.Fail(f.now.errno)
}

// begin has calls fail; end has none fail any more and says how many did.
func (f *faulty) begin(now fault) {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.now, f.left, f.hits = now, now.times, 0
}

func (f *faulty) end() int {
	f.lock.Lock()
	defer f.lock.Unlock()
	f.left = 0
	return f.hits
}

func (f *faulty) over() bool {
	f.lock.Lock()
	defer f.lock.Unlock()
	return f.left == 0
}

// TestFailingCalls has calls of the whole daemon fail under clients that verify:
// nothing acknowledged is lost, a write that is refused is not done, reads go on, and the daemon
// takes writes again by itself, or, where the manual says so, after a restart.
func TestFailingCalls(t *testing.T) {
	for _, engine := range []string{"hash", "lmdb"} {
		for _, mode := range []string{"always", "interval"} {
			t.Run(engine+" "+mode, func(t *testing.T) {
				t.Parallel()
				h := newHouse(t, engine, "Sync="+mode)
				f := &faulty{dir: h.path("state")}
				p := h.startInView(f.observe)
				h.answers()
				ls := newLedgers(h.path("s"), 4, 200)
				total := 0
				for _, kind := range faults {
					hits, restarts := failUnderLoad(h, f, p, ls, kind)
					t.Logf("%s: %d calls failed, %d restarts", kind.name, hits, restarts)
					total += hits
					if engine == "hash" && restarts > 0 {
						t.Errorf("%s: it needed a restart to take writes again", kind.name)
					}
					h.end(unix.SIGKILL)
					p = h.startInView(f.observe)
					h.answers()
					if err := ls.settle(); err != nil {
						t.Fatalf("%s: after a kill: %v\n%s", kind.name, err, h.log)
					}
				}
				t.Logf("%d calls failed; %s", total, ls)
				if total < 8 { // what there is to fail depends on how fast the machine is
					t.Error("hardly any call failed")
				}
			})
		}
	}
}

// failUnderLoad runs the clients through one kind of failure.
func failUnderLoad(h *house, f *faulty, p *trace.Process, ls *ledgers, kind fault) (hits, restarts int) {
	h.t.Helper()
	h.log.Reset()
	ls.begin()
	time.Sleep(50 * time.Millisecond)
	f.begin(kind)
	ask(h.path("s"), "BGSAVE")
	for end := time.Now().Add(time.Second); !f.over() && !p.Within(0) && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	hits = f.end()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err := ask(h.path("s"), "SET", "probe", kind.name)
		if err == nil {
			break
		}
		if !p.Within(0) && time.Now().Before(end) {
			continue
		}
		if restarts == 1 {
			h.t.Fatalf("%s: no writes are taken: %v\n%s", kind.name, err, h.log)
		}
		h.end(unix.SIGKILL)
		p = h.startInView(f.observe)
		h.answers()
		restarts, end = 1, time.Now().Add(5*time.Second)
	}
	time.Sleep(50 * time.Millisecond)
	err := ls.end()
	if err != nil && restarts == 1 && isReadRefused(err) && stoppedForGood(h.log.String()) {
		h.t.Logf("%s: reads were refused, too, until the restart", kind.name)
		err = nil
	}
	if err != nil {
		h.t.Fatalf("%s: %v\n%s", kind.name, err, h.log)
	}
	return hits, restarts
}

// stoppedForGood tells whether LMDB said that its root page could not be written or its file not
// be mapped again: then it refuses reads, too (docs/operations.md).
func stoppedForGood(log string) bool {
	return strings.Contains(log, "MDB_PANIC") || strings.Contains(log, "the data cannot be mapped")
}

// ask carries out a command; the error is its own or that of the connection.
func ask(socket string, args ...string) error {
	c, err := client.Dial(socket)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	reply, err := c.Do(args...)
	if err == nil {
		err = reply.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return nil
}

// TestFailingStarts has calls fail while the daemon starts: it says so and ends, or it
// does not matter; the next start has everything.
func TestFailingStarts(t *testing.T) {
	for _, engine := range []string{"hash", "lmdb"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, engine, "Sync=interval")
			f := &faulty{dir: h.path("state")}
			ls := newLedgers(h.path("s"), 2, 200)
			hits, refused := 0, 0
			for i, kind := range faults {
				h.startInView(f.observe)
				h.answers()
				ls.begin()
				time.Sleep(100 * time.Millisecond)
				if err := ls.end(); err != nil {
					t.Fatal(err)
				}
				h.end([]unix.Signal{unix.SIGKILL, unix.SIGTERM}[i%2])
				f.begin(kind)
				p := h.startInView(f.observe)
				if !h.answersOrEnds(p) {
					refused++
				}
				hits += f.end()
				h.end(unix.SIGKILL)
				h.startInView(f.observe)
				h.answers()
				if err := ls.settle(); err != nil {
					t.Fatalf("%s: %v\n%s", kind.name, err, h.log)
				}
				h.end(unix.SIGTERM)
			}
			t.Logf("%d calls failed in %d starts, %d were refused; %s", hits, len(faults), refused, ls)
			if hits < 10 || refused == 0 {
				t.Error("hardly any call failed")
			}
		})
	}
}

// answersOrEnds waits for one of them, and says whether it answers.
func (h *house) answersOrEnds(p *trace.Process) bool {
	h.t.Helper()
	answers := make(chan bool, 1)
	go func() { answers <- ask(h.path("s"), "PING") == nil }()
	select {
	case <-p.Ended():
	case ok := <-answers:
		if ok {
			return true
		}
		h.t.Fatalf("it neither answers nor ends\n%s", h.log)
	}
	if !strings.Contains(h.log.String(), "why:") {
		h.t.Errorf("it ended without a reason:\n%s", h.log)
	}
	return false
}
