package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bench is one run over all groups.
type bench struct {
	o        options
	dir      string // for sockets and logs
	tools    tools
	groups   []group
	progress io.Writer
	pins     *pinning // nil: the machine has one processor
}

// measure runs all groups, each on servers of its own, and writes the report
// after each, such that a run that is ended leaves what it measured.
func (b *bench) measure(ctx context.Context) (*Report, error) {
	r := newReport(recipes(b.tools, b.o, group{}))
	var err error
	if r.NoDisk, err = inMemoryOnly(b.dir); err != nil {
		return nil, err
	}
	for _, g := range b.groups {
		if err := b.group(ctx, g, r); err != nil {
			return nil, err
		}
		if err := r.write(b.o.out); err != nil {
			return nil, err
		}
	}
	if b.o.kvstored == "" {
		return r, nil
	}
	for _, part := range []struct {
		name    string // that -only can choose; "": chooses itself
		measure func(context.Context, *Report) error
	}{
		{memoryName, b.memoryCurve}, {fragmentName, b.fragmentation}, {besideName, b.beside}, {lightName, b.light}, {bulkName, b.bulk}, {startName, b.starts}, {"", b.exchanges},
	} {
		if part.name != "" && !b.o.wants(part.name) {
			continue
		}
		if err := part.measure(ctx, r); err != nil {
			return nil, err
		}
		if err := r.write(b.o.out); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// group measures the cases of g.
func (b *bench) group(ctx context.Context, g group, r *Report) error {
	peers, err := startAll(ctx, b.dir, recipes(b.tools, b.o, g))
	defer removeState(g, peers)
	defer stopAll(peers)
	if err != nil {
		return err
	}
	if g.perClient && peers[0].name == subject {
		if r.PerClient, err = perClient(ctx, peers[0], g.clients); err != nil {
			return err
		}
	}
	filled := 0
	for _, c := range g.cases {
		if c.Keys > filled {
			if err := b.fill(ctx, peers, filled, c); err != nil {
				return err
			}
			filled = c.Keys
		}
		row, err := b.row(ctx, peers, c)
		if err != nil {
			return err
		}
		if g.memory {
			row.Memory = memoryOf(peers, c)
		}
		r.add(row)
		fmt.Fprintln(b.progress, " "+r.brief(len(r.Rows)-1))
	}
	if !g.idle {
		return nil
	}
	fmt.Fprintln(b.progress, idleName)
	r.Idle, err = b.idle(ctx, peers)
	return err
}

// removeState gives the disk back what the peers kept there.
func removeState(g group, peers []*peer) {
	for _, p := range peers {
		_ = os.RemoveAll(g.stateDir(p.socket)) // at the latest with all of the directory
	}
}

// fill sets the keys of c from the given one on everywhere.
func (b *bench) fill(ctx context.Context, peers []*peer, from int, c Case) error {
	for _, p := range peers {
		if p.name == floorName {
			continue
		}
		if _, err := b.tools.run(ctx, p, fillArgs(from, c.Keys, c.Value)...); err != nil {
			return err
		}
	}
	return nil
}

func fillArgs(from, to, value int) []string {
	pipeline := "64"
	if value > 1<<12 {
		pipeline = "4"
	}
	return []string{"--fill", "--pipeline", pipeline, "--connections", "8", "--from", strconv.Itoa(from),
		"--keys", strconv.Itoa(to), "--value", strconv.Itoa(value)}
}

// row measures one case in rounds, the peers turn and turn about.
func (b *bench) row(ctx context.Context, peers []*peer, c Case) (Row, error) {
	row := Row{Case: c, Results: make([]Result, len(peers))}
	for _, p := range peers {
		row.Peers = append(row.Peers, p.name)
	}
	fmt.Fprintf(b.progress, "%-26s", c.Name)
	rounds := b.o.roundsWanted()
	if c.steady {
		rounds *= steadyRounds
		if b.pins != nil {
			if err := b.pins.hold(peers); err != nil {
				return row, err
			}
			defer b.pins.let(peers) // one that has ended shows at once
		}
	}
	for round := range rounds {
		if err := b.round(ctx, peers, c, round, row.Results); err != nil {
			return row, err
		}
		fmt.Fprint(b.progress, ".")
	}
	return row, nil
}

// inTurn is the order of a round: the floor right beside kvstored, and every
// other round all in the opposite order.
func inTurn(peers []*peer, round int) []int {
	order := make([]int, 0, len(peers))
	for k, p := range peers {
		if p.name == floorName {
			order = slices.Insert(order, 0, k)
		} else {
			order = append(order, k)
		}
	}
	if round%2 == 1 {
		slices.Reverse(order)
	}
	return order
}

// round measures each peer once.
func (b *bench) round(ctx context.Context, peers []*peer, c Case, round int, into []Result) error {
	for _, k := range inTurn(peers, round) {
		args := c.args(round + 1)
		if c.steady && b.pins != nil {
			args = append(args, "--cpu", strconv.Itoa(b.pins.load))
		}
		if peers[k].name == floorName && c.Get > 0 && c.Get < 100 {
			args = append(args, "--get", "0") // it cannot tell requests of a mixture apart
		}
		s, err := b.tools.patient(ctx, peers[k], args...)
		if err != nil {
			return err
		}
		into[k].samples = append(into[k].samples, s)
		if err := peers[k].rest(ctx); err != nil {
			return err
		}
	}
	return nil
}

// idle counts the wake-ups of servers that hold connections and have nothing
// to do, all at the same time.
func (b *bench) idle(ctx context.Context, peers []*peer) (map[string]float64, error) {
	for _, p := range peers {
		for range b.o.conns {
			c, err := p.dial(ctx)
			if err != nil {
				return nil, err
			}
			defer c.Close()
		}
	}
	if err := sleep(ctx, b.o.settleTime()); err != nil {
		return nil, err
	}
	before := make([]uint64, len(peers))
	var err error
	for i, p := range peers {
		if before[i], err = switches(p.pid()); err != nil {
			return nil, err
		}
	}
	begin := time.Now()
	if err := sleep(ctx, b.o.idleTime()); err != nil {
		return nil, err
	}
	rates := map[string]float64{}
	for i, p := range peers {
		after, err := switches(p.pid())
		if err != nil {
			return nil, err
		}
		rates[p.name] = float64(after-before[i]) / time.Since(begin).Seconds()
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
