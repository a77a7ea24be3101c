package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// pinning is which processors a server and the generator have for themselves
// in cases that ask for it.
type pinning struct {
	server, load int
	all          unix.CPUSet // that this process may use
}

// newPinning chooses two processors of different cores as far as there are
// any; not ok on a machine with one.
func newPinning() (p pinning, ok bool, err error) {
	if err := unix.SchedGetaffinity(0, &p.all); err != nil {
		return p, false, os.NewSyscallError("sched_getaffinity", err)
	}
	if p.all.Count() < 2 {
		return p, false, nil
	}
	var usable []int
	for cpu := range 1024 {
		if p.all.IsSet(cpu) {
			usable = append(usable, cpu)
		}
	}
	p.server, p.load = choose(usable, siblings)
	return p, true, nil
}

// choose takes the last processor for the server, and for the generator the
// last that is no sibling of it, else the one before.
func choose(usable []int, siblings func(cpu int) []int) (server, load int) {
	last := len(usable) - 1
	server, load = usable[last], usable[last-1]
	same := siblings(server)
	for _, cpu := range slices.Backward(usable[:last]) {
		if !slices.Contains(same, cpu) {
			return server, cpu
		}
	}
	return server, load
}

// siblings are the processors of the same core, as far as the system says.
func siblings(cpu int) []int {
	text, err := os.ReadFile(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu))
	if err != nil {
		return nil // taken for none
	}
	var all []int
	for part := range strings.SplitSeq(strings.TrimSpace(string(text)), ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		if err != nil {
			return nil
		}
		last := first
		if isRange {
			if last, err = strconv.Atoi(to); err != nil {
				return nil
			}
		}
		for n := first; n <= last; n++ {
			all = append(all, n)
		}
	}
	return all
}

// hold has all threads of the servers run on one processor; let undoes it.
func (p pinning) hold(peers []*peer) error {
	var one unix.CPUSet
	one.Set(p.server)
	return place(peers, &one)
}

func (p pinning) let(peers []*peer) error { return place(peers, &p.all) }

// place moves all threads; those they make later have the same place.
func place(peers []*peer, to *unix.CPUSet) error {
	for _, peer := range peers {
		for range 2 { // a thread that was being made is there the second time
			tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", peer.pid()))
			if err != nil || len(tasks) == 0 {
				return fmt.Errorf("find the threads of %s: it is gone", peer.name)
			}
			for _, task := range tasks {
				tid, err := strconv.Atoi(filepath.Base(task))
				if err != nil {
					return err
				}
				if err := unix.SchedSetaffinity(tid, to); err != nil && !errors.Is(err, unix.ESRCH) {
					return fmt.Errorf("place a thread of %s: %w", peer.name, err)
				}
			}
		}
	}
	return nil
}
