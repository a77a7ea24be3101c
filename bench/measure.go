package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// bench is one run over all cases and peers.
type bench struct {
	o        options
	tools    tools
	peers    []*peer
	cases    []Case
	progress io.Writer
}

// measure runs every case, the peers turn and turn about, then watches them
// idle.
func (b *bench) measure(ctx context.Context) (*Report, error) {
	r := newReport(b)
	rounds := b.o.roundsWanted()
	for _, c := range b.cases {
		row := Row{Case: c}
		for range b.peers {
			row.Results = append(row.Results, Result{})
		}
		fmt.Fprintf(b.progress, "%-16s", c.Name)
		for round := 0; round < rounds; round++ {
			if err := b.round(ctx, c, round, row.Results); err != nil {
				return nil, err
			}
			fmt.Fprint(b.progress, ".")
		}
		r.add(row)
		fmt.Fprintln(b.progress, " "+r.brief(len(r.Rows)-1))
	}
	if b.o.wants(idleName) {
		fmt.Fprintln(b.progress, idleName)
		var err error
		if r.Idle, err = b.idle(ctx); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// round measures each peer once, every other round in the opposite order.
func (b *bench) round(ctx context.Context, c Case, round int, into []Result) error {
	for i := range b.peers {
		k := i
		if round%2 == 1 {
			k = len(b.peers) - 1 - i
		}
		args := c.args(b.o, round+1)
		if b.peers[k].name == "floor" && c.Get > 0 && c.Get < 100 {
			args = append(args, "--get", "0") // it cannot tell requests of a mixture apart
		}
		s, err := b.tools.run(ctx, b.peers[k], args...)
		if err != nil {
			return err
		}
		into[k].samples = append(into[k].samples, s)
	}
	return nil
}

// idle counts the wake-ups of servers that hold connections and have nothing
// to do, all at the same time.
func (b *bench) idle(ctx context.Context) ([]float64, error) {
	for _, p := range b.peers {
		for range b.o.conns {
			c, err := net.Dial("unix", p.socket)
			if err != nil {
				return nil, err
			}
			defer c.Close()
		}
	}
	if err := sleep(ctx, b.o.settleTime()); err != nil {
		return nil, err
	}
	before := make([]uint64, len(b.peers))
	var err error
	for i, p := range b.peers {
		if before[i], err = switches(p.pid()); err != nil {
			return nil, err
		}
	}
	begin := time.Now()
	if err := sleep(ctx, b.o.idleTime()); err != nil {
		return nil, err
	}
	rates := make([]float64, len(b.peers))
	for i, p := range b.peers {
		after, err := switches(p.pid())
		if err != nil {
			return nil, err
		}
		rates[i] = float64(after-before[i]) / time.Since(begin).Seconds()
	}
	return rates, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// switches is how often the threads of a process went to sleep or were
// interrupted, since each began.
func switches(pid int) (uint64, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return 0, err
	}
	var sum uint64
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // the thread has ended
		}
		sum += switchesIn(string(text))
	}
	if len(files) == 0 {
		return 0, fmt.Errorf("count the wake-ups of process %d: it is gone", pid)
	}
	return sum, nil
}

// switchesIn adds both kinds of switches in the text of a status file.
func switchesIn(text string) uint64 {
	var sum uint64
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		if !strings.HasSuffix(name, "voluntary_ctxt_switches") {
			continue
		}
		if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64); err == nil {
			sum += n
		}
	}
	return sum
}
