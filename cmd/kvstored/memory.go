package main

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"kvstored/pkg/config"
	"kvstored/pkg/engine"
	"kvstored/pkg/logging"
)

// A control group's memory is looked at every memoryLook while there is a
// limit for the data: what others than the data take of it, buffers of
// clients first of all, is taken off the limit.
const (
	memoryLook  = time.Second
	memorySpare = 16 << 20 // of the control group, for what comes between two looks
	othersFirst = 32 << 20 // what is taken to be no data before the first look
	othersStep  = 4 << 20  // smaller changes are not worth a new limit
)

// memoryLimit is the limit of the data under conf, when the control group
// holds so many bytes of other things (0: not known yet).
func (d *daemon) memoryLimit(conf *config.Config, others int64) engine.Limit {
	policy, _ := engine.ParsePolicy(conf.MaxMemoryPolicy) // a choice that was checked
	group := cgroupMemory(cgroupMount, cgroupSelf)
	most := conf.MaxMemory.Of(lowest(group, machineMemory()))
	if most == 0 {
		return engine.Limit{Policy: policy}
	}
	return engine.Limit{MaxMemory: uint64(below(most, group, others)), Policy: policy}
}

const (
	cgroupMount = "/sys/fs/cgroup"
	cgroupSelf  = "/proc/self/cgroup"
)

// lowest is the lower of two limits of which 0 is none.
func lowest(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// below lowers a limit of the data to what a control group of so many bytes
// leaves beside others; a sixteenth stays free, or memorySpare where that is
// less. Half of the group is the least, since others give way, too.
func below(most, group, others int64) int64 {
	if group == 0 {
		return most
	}
	if others == 0 {
		others = min(othersFirst, group/4)
	}
	return max(min(most, group-others-min(memorySpare, group/16)), min(most, group/2))
}

// machineMemory is the memory of the machine.
func machineMemory() int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}

// limitInLane has the engine keep to the limit of memory of conf, for who holds
// the lane. A refusal says that the engine cannot, and the old limit stays.
func (d *daemon) limitInLane(conf *config.Config) error {
	err := d.host.SetLimitInLane(d.memoryLimit(conf, d.others.Load()))
	d.noteLimit()
	return err
}

// noteLimit has watchMemory look whether there is a limit, and the housekeeping
// whether the data is above it: nobody may write for a long time.
func (d *daemon) noteLimit() {
	d.srv.KeepHouse()
	select {
	case d.limited <- struct{}{}:
	default:
	}
}

// watchMemory keeps the limit of the data below what the control group leaves,
// until the end. It sleeps while one of the two has no limit.
func (d *daemon) watchMemory(ctx context.Context) {
	for {
		var look <-chan time.Time
		if d.host.Limit().MaxMemory != 0 && cgroupMemory(cgroupMount, cgroupSelf) != 0 {
			look = time.After(memoryLook)
		}
		select {
		case <-ctx.Done():
			return
		case <-d.limited:
		case <-look:
			d.lookAtMemory()
		}
	}
}

// lookAtMemory sets the limit anew where others take more or less than before.
func (d *daemon) lookAtMemory() {
	held, ok := unreclaimable(groupDir(cgroupMount, cgroupSelf))
	if !ok {
		return
	}
	others := max(held-int64(d.host.Reserved()), 1)
	if was := d.others.Load(); was != 0 && abs(was-others) < othersStep {
		return
	}
	if !d.reloadMu.TryLock() { // not between a reload's choice of a limit and its use
		return
	}
	defer d.reloadMu.Unlock()
	d.others.Store(others)
	limit := d.memoryLimit(d.conf.Load(), others)
	old := d.host.Limit()
	if limit == old {
		return
	}
	if err := d.host.SetLimit(limit); err != nil {
		d.log.Warn("the limit of memory stays: "+err.Error(), zap.Uint64("bytes", old.MaxMemory))
		return
	}
	if limit.MaxMemory < old.MaxMemory {
		d.srv.KeepHouse()
		d.log.Info("the data is kept below "+config.FormatSize(int64(limit.MaxMemory>>20)<<20),
			logging.Why("the control group has a limit, and other things than the data take "+
				config.FormatSize(others>>20<<20)+" of it"))
	}
}

func abs(n int64) int64 { return max(n, -n) }

// groupDir is the directory of this process's control group, or "".
func groupDir(mount, self string) string {
	g, ok := memoryGroup(mount, self)
	if !ok {
		return ""
	}
	return filepath.Join(g.mount, g.path)
}

// unreclaimable is the bytes of a control group that the kernel cannot take
// back by itself: memory of processes, shared memory and the kernel's own. The
// old hierarchy calls the first rss and has the last in a file of its own.
func unreclaimable(dir string) (int64, bool) {
	text, err := os.ReadFile(filepath.Join(dir, "memory.stat"))
	if dir == "" || err != nil {
		return 0, false
	}
	sum := readLimit(filepath.Join(dir, "memory.kmem.usage_in_bytes"))
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		name, number, _ := strings.Cut(lines.Text(), " ")
		switch name {
		case "anon", "rss", "shmem", "kernel_stack", "pagetables", "sock", "percpu", "slab_unreclaimable":
			n, err := strconv.ParseInt(number, 10, 64)
			if err != nil {
				return 0, false
			}
			sum += n
		}
	}
	return sum, true
}
