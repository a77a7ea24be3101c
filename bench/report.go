package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Spread is the median of several measurements, and their extremes.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Result is one peer in one case.
type Result struct {
	CPU   Spread `json:"cpu_us"`     // server CPU per request
	Ratio Spread `json:"ratio"`      // of CPU to the reference's, round by round
	Rate  Spread `json:"rate"`       // requests per second
	Times Spread `json:"rate_ratio"` // of Rate to the reference's
	P50   Spread `json:"p50_us"`
	P99   Spread `json:"p99_us"`
	P999  Spread `json:"p999_us"`
	Max   Spread `json:"max_us"`
	Load  Spread `json:"load_share"` // of one processor that the generator took
	Late  uint64 `json:"late"`       // requests sent more than 1 ms after their time

	samples []sample
}

// Row is one case; its results are in the order of the peers.
type Row struct {
	Case
	Results []Result `json:"results"`
}

// Report is all of a run.
type Report struct {
	Date      string    `json:"date"`
	Machine   string    `json:"machine"`
	Peers     []string  `json:"peers"`
	Versions  []string  `json:"versions"`
	Reference int       `json:"reference"` // index of the peer that ratios are to; -1: none
	Subject   int       `json:"subject"`   // index of kvstored; -1: not here
	Keys      int       `json:"keys"`
	Value     int       `json:"value_bytes"`
	Rows      []Row     `json:"rows"`
	Idle      []float64 `json:"idle_wakeups,omitempty"` // a second, by peer
}

// limitShare is the part of a processor above which the generator may be what
// limits the throughput.
const limitShare = 0.9

func newReport(b *bench) *Report {
	r := &Report{Date: time.Now().UTC().Format("2006-01-02 15:04 UTC"), Machine: machine(),
		Keys: b.o.keys, Value: b.o.value}
	for _, p := range b.peers {
		r.Peers = append(r.Peers, p.name)
		r.Versions = append(r.Versions, p.version)
	}
	r.Reference = slices.Index(r.Peers, "redis")
	r.Subject = slices.Index(r.Peers, "kvstored")
	return r
}

// machine says in short where this ran.
func machine() string {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel := "?"
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = strings.TrimSpace(string(text))
	}
	return fmt.Sprintf("%d × %s, Linux %s", runtime.NumCPU(), model, kernel)
}

// spread summarises values, of which there is at least one.
func spread(values []float64) Spread {
	v := slices.Clone(values)
	slices.Sort(v)
	n := len(v)
	return Spread{Median: (v[(n-1)/2] + v[n/2]) / 2, Min: v[0], Max: v[n-1]}
}

func spreadOf(samples []sample, figure func(sample) float64) Spread {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = figure(s)
	}
	return spread(values)
}

// ratios compares samples of the same rounds.
func ratios(a, b []sample, figure func(sample) float64) Spread {
	values := make([]float64, len(a))
	for i := range a {
		values[i] = figure(a[i]) / figure(b[i])
	}
	return spread(values)
}

// add computes the figures of a case whose samples are complete.
func (r *Report) add(row Row) {
	for i := range row.Results {
		res := &row.Results[i]
		res.CPU = spreadOf(res.samples, sample.cpu)
		res.Rate = spreadOf(res.samples, sample.rate)
		res.Load = spreadOf(res.samples, sample.share)
		res.P50 = spreadOf(res.samples, func(s sample) float64 { return s.P50 })
		res.P99 = spreadOf(res.samples, func(s sample) float64 { return s.P99 })
		res.P999 = spreadOf(res.samples, func(s sample) float64 { return s.P999 })
		res.Max = spreadOf(res.samples, func(s sample) float64 { return s.Max })
		for _, s := range res.samples {
			res.Late += s.Late
		}
		if r.Reference >= 0 {
			ref := row.Results[r.Reference].samples
			res.Ratio = ratios(res.samples, ref, sample.cpu)
			res.Times = ratios(res.samples, ref, sample.rate)
		}
	}
	r.Rows = append(r.Rows, row)
}

// verdict says whether kvstored's ratio is within the mark; empty where there
// is nothing to compare.
func (r *Report) verdict(row *Row) string {
	if r.Subject < 0 || r.Reference < 0 || row.Mark == 0 {
		return ""
	}
	if row.Results[r.Subject].Ratio.Median <= row.Mark {
		return "met"
	}
	return "missed"
}

// idleVerdict is the same for wake-ups.
func (r *Report) idleVerdict() string {
	switch {
	case r.Subject < 0 || r.Idle == nil:
		return ""
	case r.Idle[r.Subject] <= idleMark:
		return "met"
	}
	return "missed"
}

// brief is row i in a line, for the terminal.
func (r *Report) brief(i int) string {
	row := &r.Rows[i]
	var parts []string
	for k := range row.Results {
		parts = append(parts, fmt.Sprintf("%s %s µs", r.Peers[k], figure(row.Results[k].CPU.Median)))
	}
	if v := r.verdict(row); v != "" {
		parts = append(parts, fmt.Sprintf("ratio %.2f, mark %.2f: %s", row.Results[r.Subject].Ratio.Median, row.Mark, v))
	}
	return strings.Join(parts, ", ")
}

// write puts bench.md and bench.json into dir.
func (r *Report) write(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "bench.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "bench.md"), []byte(r.markdown()), 0o644)
}
