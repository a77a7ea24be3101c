package engine

/*
#cgo LDFLAGS: -lm
#include "host.h"
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// surroundings is what a library can change of the process and the thread it
// runs in, by name. An engine must leave all of it as it was: in the daemon it
// belongs to everybody.
type surroundings map[string]string

// lookAround takes the surroundings of the calling thread down.
func lookAround() surroundings {
	var p C.struct_kvh_process
	C.kvh_look_at_process(&p)
	s := surroundings{
		"the environment":             fmt.Sprintf("%x", uint64(p.environment)),
		"the modes of floating point": fmt.Sprintf("%x", uint64(p.float_modes)),
		"the locale":                  C.GoString(&p.locale[0]),
		"the blocked signals":         fmt.Sprintf("%x", uint64(p.blocked)),
		"whether it may be traced":    fmt.Sprint(p.dumpable),
	}
	for i, handler := range p.handlers {
		s["the handler of "+signalName(i)] = fmt.Sprintf("%x", uint64(handler))
	}
	s["the working directory"], _ = os.Readlink("/proc/self/cwd")
	if nice, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil {
		s["the priority"] = strconv.Itoa(nice)
	}
	s.addLines("/proc/thread-self/status", "the %s of its status", "Umask", "Uid", "Gid", "Groups", "CapEff", "NoNewPrivs", "Seccomp")
	s.addLimits()
	return s
}

func signalName(n int) string {
	if name := unix.SignalName(unix.Signal(n)); name != "" {
		return name
	}
	return "signal " + strconv.Itoa(n)
}

// addLines takes the named "Name: value" lines of a file down.
func (s surroundings) addLines(path, format string, names ...string) {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && slices.Contains(names, name) {
			s[fmt.Sprintf(format, name)] = strings.Join(strings.Fields(value), " ")
		}
	}
}

// addLimits takes the limits of resources down.
func (s surroundings) addLimits() {
	text, _ := os.ReadFile("/proc/self/limits")
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "Max ") && len(line) > 26 {
			s["the limit "+strings.TrimSpace(line[:26])] = strings.Join(strings.Fields(line[26:]), " ")
		}
	}
}

// changed lists what is not as it was before.
func (s surroundings) changed(before surroundings) (names []string) {
	for name, value := range s {
		if before[name] != value {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// endChildren ends the processes that this one has, and theirs, and tells how
// many there were. For a trial, where only the library can have started any.
func endChildren() (ended int) {
	for range 100 { // each may leave its own behind
		threads, _ := os.ReadDir("/proc/self/task")
		found := 0
		for _, thread := range threads {
			text, _ := os.ReadFile("/proc/self/task/" + thread.Name() + "/children")
			for _, field := range strings.Fields(string(text)) {
				pid, _ := strconv.Atoi(field)
				unix.Kill(pid, unix.SIGKILL)
				unix.Wait4(pid, nil, 0, nil)
				found++
			}
		}
		if found == 0 {
			return ended
		}
		ended += found
	}
	return ended
}

// onOwnThread runs fn on a thread that ends with it, so that what a library
// left to be done at a thread's end happens before this returns.
func onOwnThread(fn func() error) (err error) {
	thread := make(chan int)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if unix.Gettid() == os.Getpid() {
			err = onOwnThread(fn) // the first thread never ends; another one does
		} else {
			err = fn()
		}
		thread <- unix.Gettid()
	}()
	tid := <-thread
	for deadline := time.Now().Add(2 * time.Second); tid != os.Getpid() && time.Now().Before(deadline); {
		if _, gone := os.Stat(fmt.Sprintf("/proc/self/task/%d", tid)); gone != nil {
			break
		}
		time.Sleep(100 * time.Microsecond)
	}
	return err
}
