package main

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// tuneRuntime fits Go's runtime to a small daemon whose data lies outside of
// its heap. GOMAXPROCS, GOGC and GOMEMLIMIT in the environment still win.
func tuneRuntime(reactors int) {
	if os.Getenv("GOMAXPROCS") == "" {
		// A reactor each, one for the engine's background work, one for the
		// rest: more only makes idle threads look for work.
		runtime.GOMAXPROCS(min(runtime.GOMAXPROCS(0), reactors+2))
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		if limit := cgroupMemory("/sys/fs/cgroup", "/proc/self/cgroup"); limit > 0 {
			// The heap collects harder before it takes what the data needs.
			debug.SetMemoryLimit(max(limit/4, 32<<20))
		}
	}
}

// heapKept is how much memory Go's heap may hold without being asked for it
// back.
const heapKept = 64 << 20

// giveBack returns what the heap holds needlessly. A large reply leaves garbage
// that the runtime of a process with nothing to do keeps for minutes.
func giveBack() {
	if heapHeld() > heapKept {
		debug.FreeOSMemory()
	}
}

// heapHeld is the bytes of the heap that the system has given to it.
func heapHeld() uint64 {
	held := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(held)
	var sum uint64
	for i := range held {
		sum += held[i].Value.Uint64()
	}
	return sum
}

// cgroupMemory is the lowest limit of memory from this process's control group
// upwards, or 0 when there is none.
func cgroupMemory(mount, self string) int64 {
	g, ok := memoryGroup(mount, self)
	if !ok {
		return 0
	}
	var lowest int64
	for dir := g.path; ; dir = filepath.Dir(dir) {
		for _, file := range g.limits {
			limit := readLimit(filepath.Join(g.mount, dir, file))
			if limit > 0 && limit < unlimited && (lowest == 0 || limit < lowest) {
				lowest = limit
			}
		}
		if dir == "/" {
			return lowest
		}
	}
}

// unlimited is from where on the old hierarchy means no limit: it has no word
// for it, but the largest number of whole pages.
const unlimited = 1 << 62

// group is a control group that counts memory: where its hierarchy is mounted,
// where in it this process is, and the files with limits.
type group struct {
	mount, path string
	limits      []string
}

// memoryGroup finds this process's. A machine with the old hierarchies of
// controllers has memory in one of its own.
func memoryGroup(mount, self string) (g group, ok bool) {
	text, err := os.ReadFile(self)
	if err != nil {
		return group{}, false
	}
	for line := range strings.Lines(string(text)) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(part) < 3:
		case slices.Contains(strings.Split(part[1], ","), "memory"):
			return group{filepath.Join(mount, "memory"), filepath.Clean("/" + part[2]), []string{"memory.limit_in_bytes"}}, true
		case part[0] == "0" && part[1] == "":
			g, ok = group{mount, filepath.Clean("/" + part[2]), []string{"memory.max", "memory.high"}}, true
		}
	}
	return g, ok
}

// readLimit reads a number from a file of a control group; "max" gives 0.
func readLimit(file string) int64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// spareDescriptors are those that are not clients: sockets, engines, epoll.
const spareDescriptors = 64

// clientLimit is how many clients the limit of open files allows, at most
// wanted.
func clientLimit(wanted int) int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return wanted
	}
	if limit.Cur < uint64(wanted)+spareDescriptors {
		return max(int(limit.Cur)-spareDescriptors, 1)
	}
	return wanted
}
