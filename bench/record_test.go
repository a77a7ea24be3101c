package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryMarkHasACase holds the bench to the record that the project has set
// itself: a figure that nobody measures is one that nobody keeps to.
func TestEveryMarkHasACase(t *testing.T) {
	set := map[string]bool{}
	for _, g := range allGroups(options{keys: 100000, value: 16, conns: 50, lmdb: "lmdb.so"}) {
		for _, c := range g.cases {
			for _, m := range c.Marks {
				set[fmt.Sprintf("%s: %s to %s %s %.2f", c.Name, m.Figure, m.to(), m.bound(), m.Limit)] = true
			}
		}
	}
	for _, want := range []string{
		"SET P=1: CPU per request to redis ≤ 0.85", "SET P=1: CPU per request to pogocache ≤ 0.95", "SET P=1: CPU per request to floor ≤ 1.20",
		"GET P=1: CPU per request to redis ≤ 0.85", "GET P=1: CPU per request to pogocache ≤ 0.95", "GET P=1: CPU per request to floor ≤ 1.20",
		"SET P=16: CPU per request to redis ≤ 0.40", "SET P=16: CPU per request to pogocache ≤ 0.60",
		"GET P=16: CPU per request to redis ≤ 0.40", "GET P=16: CPU per request to pogocache ≤ 0.60",
		"SET P=64: CPU per request to redis ≤ 0.20", "SET P=64: CPU per request to pogocache ≤ 0.33",
		"GET P=64: CPU per request to redis ≤ 0.20", "GET P=64: CPU per request to pogocache ≤ 0.33",
		"GET P=64, 5 million keys: CPU per request to redis ≤ 0.18", "GET P=64, 5 million keys: CPU per request to pogocache ≤ 0.30",
		"GET P=64, 10 million keys: CPU per request to GET P=64, 10 thousand keys ≤ 1.50",
		"Sync=interval SET P=16: CPU per request to redis ≤ 0.50", "Sync=interval SET P=16: throughput to redis ≥ 1.50",
		"Sync=always SET P=1: throughput to redis ≥ 1.00", "Sync=always SET P=1: syncs per request to redis < 1.00",
		"10000 connections: CPU per request to 50 connections ≤ 1.30",
		"one connection: p50 latency to redis ≤ 0.50", "one connection: throughput to redis ≥ 2.00",
		"one connection: p50 latency to pogocache ≤ 0.50", "one connection: throughput to pogocache ≥ 2.00",
		"one connection: CPU per request to redis ≤ 1.00",
		"200/s: CPU per request to redis ≤ 0.90", "2000/s: CPU per request to redis ≤ 0.90", "20000/s: CPU per request to redis ≤ 0.90",
		"lmdb GET P=64, 1 million keys: CPU per request to redis ≤ 1.00",
	} {
		if !set[want] {
			t.Errorf("no case has the mark %q", want)
		}
		delete(set, want)
	}
	for extra := range set {
		t.Errorf("a mark that the record does not have: %q", extra)
	}
	if idleMark != 2 || perClientMark != 1024 || memoryMark != 24 || startMark != 0.02 {
		t.Error("the marks for wake-ups, idle connections, memory or starts are not those of the record")
	}
}

// TestEveryCaseIsExplained: what stands in the tables stands in the README.
func TestEveryCaseIsExplained(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	explained := string(text)[:strings.Index(string(text), "## The last tables")]
	for _, name := range []string{memoryName, fragmentName, besideName, lightName, bulkName, startName, idleName, "idle connection",
		"Sync=interval", "Sync=always", "syncs per request", "lmdb", "swap", "floor", "90/10 Zipf", "P=1", "p50 … max", "load"} {
		if !strings.Contains(explained, name) {
			t.Errorf("bench/README.md does not explain %q", name)
		}
	}
}

// TestCurves: what is a curve is drawn, a line for each server.
func TestCurves(t *testing.T) {
	r := measured(Case{Name: oneName, Connections: 1}, []sample{sampled(2)}, []sample{sampled(4)})
	for _, c := range []Case{{Name: "50 connections", Connections: 50}, {Name: "10000 connections", Connections: 10000},
		{Name: "GET P=64, 10 thousand keys", Keys: 10_000}, {Name: "GET P=64, 1 million keys", Keys: 1_000_000},
		{Name: "200/s", Rate: 200}, {Name: "2000/s", Rate: 2000}} {
		s := sampled(3)
		s.Buckets = [][2]uint64{{1000, 900}, {5000, 99}, {90000, 1}}
		r.add(Row{Case: c, Peers: []string{"kvstored", "redis"}, Results: []Result{{samples: []sample{s}}, {samples: []sample{s}}}})
	}
	r.Memory = []MemoryPoint{{1000000, 20.5}, {1050000, 24.5}}
	dir := t.TempDir()
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cpu.svg", "throughput.svg", "p999.svg", "memory.svg", "connections.svg", "keys.svg", "rates.svg",
		"latency-200.svg", "latency-2000.svg"} {
		if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.Size() == 0 {
			t.Errorf("%s was not drawn: %v", name, err)
		}
	}
	c := r.over("", "", func(res *Result) float64 { return res.CPU.Median }, func(row *Row) (string, bool) { return row.Name, row.Connections > 0 })
	if want := "[[2 3 3] [4 3 3]]"; fmt.Sprint(c.lines) != want {
		t.Errorf("lines %v, want %s", c.lines, want)
	}
	if l := r.Rows[5].latencies(); l.lines[0][0] != 1 || l.lines[1][8] != 5 {
		t.Errorf("latencies %v", l.lines)
	}
}
