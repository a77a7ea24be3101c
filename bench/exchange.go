package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"kvstored/pkg/client"
)

// Exchange is what clients saw of swaps of the engine, beside equal windows
// without any.
type Exchange struct {
	Name     string  `json:"name"`
	Keys     int     `json:"keys"`
	Swaps    int     `json:"swaps"`
	With     float64 `json:"p999_us_with"` // of all windows together
	Without  float64 `json:"p999_us_without"`
	LaneHeld float64 `json:"lane_held_max_us"`
	Took     Spread  `json:"swap_ms"`
	MarkMore float64 `json:"mark_more_us"` // With may be so much above Without
	MarkLane float64 `json:"mark_lane_us,omitempty"`
}

// exchangeRate is requests a second while engines are exchanged.
const exchangeRate = 20000

// exchanges measures a hand-over between two builds of the same engine and a
// copy between two engines, as far as their libraries were given.
func (b *bench) exchanges(ctx context.Context, r *Report) error {
	keys := []int{5_000_000, 1_000_000}
	rounds, perRound := 5, 10
	if b.o.quick {
		keys, rounds, perRound = []int{100_000, 20_000}, 2, 3
	}
	for _, x := range []struct {
		name, other string
		swaps       int
		e           Exchange
	}{
		{"hand-over", b.o.next, perRound, Exchange{Keys: keys[0], MarkMore: 2000, MarkLane: 2000}},
		{"copy", b.o.other, 2, Exchange{Keys: keys[1], MarkMore: 3000}},
	} {
		if x.other == "" || !b.o.wants(x.name) {
			continue
		}
		x.e.Name = x.name
		if err := b.exchange(ctx, &x.e, x.other, rounds, x.swaps); err != nil {
			return err
		}
		r.Exchanges = append(r.Exchanges, x.e)
		fmt.Fprintf(b.progress, "%-26s p99.9 %s µs with, %s µs without; lane held %s µs\n", x.name,
			figure(x.e.With), figure(x.e.Without), figure(x.e.LaneHeld))
	}
	return nil
}

func (e *Exchange) title() string {
	return fmt.Sprintf("%s, %s, %d swaps", e.Name, keysName(e.Keys), e.Swaps)
}

func (e *Exchange) markLines() []markLine {
	lines := []markLine{{e.title(), "p99.9 latency, µs", "equal windows without", fmt.Sprintf("%s for %s", figure(e.With), figure(e.Without)),
		"≤ " + figure(e.MarkMore) + " more", e.With <= e.Without+e.MarkMore}}
	if e.MarkLane > 0 {
		lines = append(lines, markLine{e.title(), "lane held at most, µs", "–", figure(e.LaneHeld), "≤ " + figure(e.MarkLane), e.LaneHeld <= e.MarkLane})
	}
	return lines
}

// exchangeTable is what clients saw of swaps.
func (r *Report) exchangeTable(b *strings.Builder) {
	if len(r.Exchanges) == 0 {
		return
	}
	fmt.Fprintf(b, "\n| swap at %d requests/s | p99.9 µs with | without | lane held at most µs | ms a swap |\n|---|---|---|---|---|\n", exchangeRate)
	for i := range r.Exchanges {
		e := &r.Exchanges[i]
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", e.title(), figure(e.With), figure(e.Without), figure(e.LaneHeld), e.Took)
	}
}

// exchange measures one kind: rounds of a window with swaps and an equally long
// one without.
func (b *bench) exchange(ctx context.Context, e *Exchange, other string, rounds, swaps int) error {
	p, err := start(ctx, b.dir, recipes(b.tools, b.o, group{})[0])
	if err != nil {
		return err
	}
	defer p.stop()
	c := Case{Connections: b.o.conns, Pipeline: 1, Get: 50, Rate: exchangeRate, Keys: e.Keys, Value: 32}
	if _, err := b.tools.run(ctx, p, fillArgs(0, c.Keys, c.Value)...); err != nil {
		return err
	}
	control, err := client.Dial(p.socket)
	if err != nil {
		return err
	}
	defer control.Close()
	libraries := [2]string{other, b.o.engine}
	for i := range libraries {
		if libraries[i], err = filepath.Abs(libraries[i]); err != nil {
			return err
		}
	}
	var took []float64
	with, without := histogram{}, histogram{}
	for round := range rounds {
		w := window{b: b, p: p, c: c, seed: round + 1}
		began := time.Now()
		err := w.measure(ctx, with, func() error {
			for i := range swaps {
				before := time.Now()
				if err := loadEngine(control, libraries[(round*swaps+i)%2]); err != nil {
					return err
				}
				took = append(took, float64(time.Since(before).Microseconds())/1000)
				e.Swaps++
			}
			return nil
		})
		lasted := time.Since(began)
		if err != nil {
			return err
		}
		if err := w.measure(ctx, without, func() error { return sleep(ctx, lasted) }); err != nil {
			return err
		}
	}
	e.With, e.Without, e.Took = with.quantile(0.999), without.quantile(0.999), spread(took)
	e.LaneHeld, err = laneHeld(control)
	return err
}

// histogram is latencies in nanoseconds and how often each was seen.
type histogram map[uint64]uint64

func (h histogram) add(buckets [][2]uint64) {
	for _, b := range buckets {
		h[b[0]] += b[1]
	}
}

// quantile is the latency in microseconds that a share of 0...1 did not exceed.
func (h histogram) quantile(share float64) float64 {
	var all, seen uint64
	for _, n := range h {
		all += n
	}
	for _, ns := range slices.Sorted(maps.Keys(h)) {
		if seen += h[ns]; float64(seen) >= share*float64(all) {
			return float64(ns) / 1000
		}
	}
	return 0
}

// window is a load that runs while something else is done.
type window struct {
	b    *bench
	p    *peer
	c    Case
	seed int
}

// measure loads in pieces of a second until meanwhile returns, at least once,
// and adds the latencies to into.
func (w window) measure(ctx context.Context, into histogram, meanwhile func() error) error {
	var done sync.WaitGroup
	var failed error
	stop := make(chan struct{})
	w.c.seconds = 1
	done.Go(func() {
		for {
			s, err := w.b.tools.run(ctx, w.p, w.c.args(w.seed)...)
			if err != nil {
				failed = err
				return
			}
			into.add(s.Buckets)
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	err := meanwhile()
	close(stop)
	done.Wait()
	return errors.Join(err, failed)
}

// loadEngine exchanges the engine and waits for the outcome.
func loadEngine(c *client.Conn, path string) error {
	reply, err := c.Do("ENGINE", "LOAD", path)
	if err != nil {
		return err
	}
	if err := reply.Err(); err != nil {
		return fmt.Errorf("exchange the engine: %w", err)
	}
	return nil
}

// laneHeld is the longest that any swap held the lane, in microseconds.
func laneHeld(c *client.Conn) (float64, error) {
	reply, err := c.Do("ENGINE", "STATUS")
	if err != nil {
		return 0, err
	}
	fields, err := reply.Fields()
	if err != nil {
		return 0, err
	}
	for _, f := range fields {
		if f.Name == "lane_held_max_us" {
			return strconv.ParseFloat(f.Value.Text(), 64)
		}
	}
	return 0, fmt.Errorf("ENGINE STATUS does not say how long the lane was held")
}
