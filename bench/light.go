package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// lightName is the case that -only can choose.
const lightName = "generator"

// Light is what a load generator itself costs, against the same server.
type Light struct {
	Tool     string `json:"tool"`
	Pipeline int    `json:"pipeline"`
	CPU      Spread `json:"cpu_us"` // of the tool, per request
	Rate     Spread `json:"rate"`   // requests a second

	cpu, rate []float64
}

// add notes one run.
func (l *Light) add(requests, cpuSeconds, seconds float64) {
	l.cpu = append(l.cpu, cpuSeconds/requests*1e6)
	l.rate = append(l.rate, requests/seconds)
}

// The generators that are compared.
const (
	lightOurs  = "load"
	lightTheir = "redis-benchmark"
)

// light compares the generator with redis-benchmark, both with SET of the same
// keys and values against redis, turn and turn about.
func (b *bench) light(ctx context.Context, r *Report) error {
	their, err := exec.LookPath(lightTheir)
	rs := b.speaking()
	if len(rs) < 2 || rs[1].name != reference || err != nil {
		return nil // nothing to compare with
	}
	p, err := start(ctx, b.dir, rs[1])
	if err != nil {
		return err
	}
	defer p.stop()
	fmt.Fprintf(b.progress, "%-26s", lightName)
	for _, depth := range []int{1, 16, 64} {
		ours, theirs := Light{Tool: lightOurs, Pipeline: depth}, Light{Tool: lightTheir, Pipeline: depth}
		for range min(b.o.roundsWanted(), 3) {
			if err := b.lightRound(ctx, p, their, &ours, &theirs); err != nil {
				return err
			}
		}
		for _, l := range []*Light{&ours, &theirs} {
			l.CPU, l.Rate = spread(l.cpu), spread(l.rate)
			r.Light = append(r.Light, *l)
		}
		fmt.Fprintf(b.progress, " P=%d %s µs for %s,", depth, figure(ours.CPU.Median), figure(theirs.CPU.Median))
	}
	fmt.Fprintln(b.progress)
	return nil
}

// lightRound runs both once with as many requests as take about half a second.
func (b *bench) lightRound(ctx context.Context, p *peer, their string, ours, theirs *Light) error {
	requests := 80_000 * min(ours.Pipeline, 8)
	if b.o.quick {
		requests /= 4
	}
	depth := strconv.Itoa(ours.Pipeline)
	s, err := b.tools.run(ctx, p, "--requests", strconv.Itoa(requests), "--connections", strconv.Itoa(b.o.conns), "--pipeline", depth,
		"--keys", strconv.Itoa(b.o.keys), "--value", strconv.Itoa(b.o.value))
	if err != nil {
		return err
	}
	ours.add(float64(s.Requests), s.OwnCPU, s.Seconds)
	cmd := exec.CommandContext(ctx, their, "-s", p.socket, "-c", strconv.Itoa(b.o.conns), "-P", depth, "-n", strconv.Itoa(requests),
		"-t", "set", "-r", strconv.Itoa(b.o.keys), "-d", strconv.Itoa(b.o.value), "-q")
	began := time.Now()
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run %s: %w: %s", their, err, text)
	}
	theirs.add(float64(requests), (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), time.Since(began).Seconds())
	return nil
}

// lightTable has both generators.
func (r *Report) lightTable(b *strings.Builder) {
	if len(r.Light) == 0 {
		return
	}
	fmt.Fprintf(b, "\n| generator, SET, against %s | CPU of the generator, µs/request | requests/s |\n|---|---|---|\n", r.name(reference))
	for i := range r.Light {
		l := &r.Light[i]
		fmt.Fprintf(b, "| P=%d, %s | %s | %s |\n", l.Pipeline, l.Tool, l.CPU, l.Rate)
	}
}
