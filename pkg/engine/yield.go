package engine

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A trial beside a daemon that serves gives way to it: clients would wait for
// the processor otherwise. In return the time in which it gets none does not
// count as the library's.

// trialNice is the priority of a trial beside a serving daemon: low enough that
// it is interrupted at once, and high enough that on a machine that has more
// to do than it can it ends within seconds.
const trialNice = 10

// giveWay lowers the priority of this process. It is the first of its group,
// and alone in it; all its threads have the group. Where it is not allowed the
// trial is made as it is.
func giveWay() {
	if unix.Getpgrp() == os.Getpid() {
		_ = unix.Setpriority(unix.PRIO_PGRP, 0, trialNice)
	}
}

// longestWait is how many times its limit a trial may take, if it waited for a
// processor in the rest.
const longestWait = 10

// deadline is the end of a process's time, not counting what it waited for a
// processor.
type deadline struct {
	pid     int
	limit   time.Duration
	began   time.Time
	expired func()

	mu    sync.Mutex
	timer *time.Timer // guarded by mu
	ended bool        // guarded by mu: the process has
	late  bool        // guarded by mu: expired was called
}

// newDeadline calls expired, once, when the process pid has had its time.
func newDeadline(pid int, limit time.Duration, expired func()) *deadline {
	d := &deadline{pid: pid, limit: limit, began: time.Now(), expired: expired}
	d.mu.Lock()
	d.timer = time.AfterFunc(limit, d.look)
	d.mu.Unlock()
	return d
}

// look ends the time or gives more of it.
func (d *deadline) look() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return
	}
	if left := timeLeft(d.limit, time.Since(d.began), starved(d.pid)); left > 0 {
		d.timer.Reset(left)
		return
	}
	d.late = true
	d.expired()
}

// timeLeft is what a process that took so long, of which it waited for a
// processor, has left of its limit; 0 for nothing.
func timeLeft(limit, took, waited time.Duration) time.Duration {
	left := limit - took + waited
	if left <= 0 || took >= longestWait*limit {
		return 0
	}
	return max(left, limit/20)
}

// stop is called when the process has ended, before it is reaped; whether it
// ended in time.
func (d *deadline) stop() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	d.timer.Stop()
	return !d.late
}

// starved is how long the thread of a process that waited longest for a
// processor did so; 0 where the kernel does not say.
func starved(pid int) (longest time.Duration) {
	files, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/schedstat")
	for _, f := range files {
		text, _ := os.ReadFile(f)
		if fields := strings.Fields(string(text)); len(fields) > 1 {
			nanos, _ := strconv.ParseInt(fields[1], 10, 64)
			longest = max(longest, time.Duration(nanos))
		}
	}
	return longest
}
