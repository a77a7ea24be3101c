package main

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
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

// cgroupMemory is the lowest memory.max or memory.high from this process's
// control group upwards, or 0 when there is none.
func cgroupMemory(mount, self string) int64 {
	text, err := os.ReadFile(self)
	if err != nil {
		return 0
	}
	group, ok := strings.CutPrefix(strings.TrimSpace(string(text)), "0::")
	if !ok || strings.Contains(group, "\n") {
		return 0
	}
	var lowest int64
	for dir := filepath.Clean("/" + group); ; dir = filepath.Dir(dir) {
		for _, file := range []string{"memory.max", "memory.high"} {
			limit := readLimit(filepath.Join(mount, dir, file))
			if limit > 0 && (lowest == 0 || limit < lowest) {
				lowest = limit
			}
		}
		if dir == "/" {
			return lowest
		}
	}
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
