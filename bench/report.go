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

// Spread is the median of several measurements, with the lowest and the
// highest, or with the quartiles where there are many.
type Spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// manyRounds are so many that the extremes say more of the machine's other
// work than of what is measured.
const manyRounds = 9

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
	Syncs Spread `json:"syncs"`      // per request, where they are counted
	Late  uint64 `json:"late"`       // requests sent more than 1 ms after their time

	samples []sample
}

// Row is one case; its results are in the order of its peers.
type Row struct {
	Case
	Peers    []string           `json:"peers"`
	Results  []Result           `json:"results"`
	Verdicts []Verdict          `json:"verdicts,omitempty"`
	Memory   map[string]float64 `json:"bytes_over_payload,omitempty"` // per key, by peer
}

// Verdict is a mark and what the ratio came to.
type Verdict struct {
	Mark
	Ratio Spread `json:"ratio"`
	Met   bool   `json:"met"`
}

// of is the result of a peer, or nil.
func (row *Row) of(peer string) *Result {
	if k := slices.Index(row.Peers, peer); k >= 0 {
		return &row.Results[k]
	}
	return nil
}

// Report is all of a run.
type Report struct {
	Date      string             `json:"date"`
	Machine   string             `json:"machine"`
	Versions  map[string]string  `json:"versions"` // by peer
	Rows      []Row              `json:"rows"`
	Idle      map[string]float64 `json:"idle_wakeups,omitempty"`     // a second, by peer
	PerClient float64            `json:"bytes_per_client,omitempty"` // of kvstored, idle connections
	Memory    []MemoryPoint      `json:"memory_curve,omitempty"`     // of kvstored
	Exchanges []Exchange         `json:"exchanges,omitempty"`
	Starts    []Start            `json:"starts,omitempty"`
	Light     []Light            `json:"generators,omitempty"`
	Beside    []Beside           `json:"beside_large,omitempty"`
	Bulk      []Bulk             `json:"bulk,omitempty"`
	// Fragmentation has the points of a run with changing sizes.
	Fragmentation []FragmentPoint `json:"fragmentation,omitempty"`
	NoDisk        string          `json:"no_disk,omitempty"` // the file system of the data, if it is memory
}

// The peer that marks are about, and the one that all are compared with.
const (
	subject   = "kvstored"
	reference = "redis"
)

// limitShare is the part of a processor above which the generator may be what
// limits the throughput.
const limitShare = 0.9

func newReport(rs []recipe) *Report {
	r := &Report{Date: time.Now().UTC().Format("2006-01-02 15:04 UTC"), Machine: machine(), Versions: map[string]string{}}
	for _, p := range rs {
		r.Versions[p.name] = p.version()
	}
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
	s := Spread{Median: (v[(n-1)/2] + v[n/2]) / 2, Low: v[0], High: v[n-1]}
	if n >= manyRounds {
		s.Low, s.High = v[n/4], v[n-1-n/4]
	}
	return s
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
		res.P50 = spreadOf(res.samples, sample.p50)
		res.P99 = spreadOf(res.samples, func(s sample) float64 { return s.P99 })
		res.P999 = spreadOf(res.samples, func(s sample) float64 { return s.P999 })
		res.Max = spreadOf(res.samples, func(s sample) float64 { return s.Max })
		res.Syncs = spreadOf(res.samples, sample.syncs)
		for _, s := range res.samples {
			res.Late += s.Late
		}
		if ref := row.of(reference); ref != nil {
			res.Ratio = ratios(res.samples, ref.samples, sample.cpu)
			res.Times = ratios(res.samples, ref.samples, sample.rate)
		}
	}
	for _, m := range row.Marks {
		if v, ok := r.judge(&row, m); ok {
			row.Verdicts = append(row.Verdicts, v)
		}
	}
	r.Rows = append(r.Rows, row)
}

// figures are what marks are about, by name.
var figures = map[string]func(sample) float64{figureCPU: sample.cpu, figureRate: sample.rate, figureP50: sample.p50, figureSync: sample.syncs}

// judge compares kvstored with what a mark names; not ok where that, or
// kvstored, was not measured.
func (r *Report) judge(row *Row, m Mark) (Verdict, bool) {
	v := Verdict{Mark: m}
	ours, theirs := row.of(subject), row.of(m.Peer)
	if m.Case != "" {
		theirs = nil
		for i := range r.Rows {
			if r.Rows[i].Name == m.Case {
				theirs = r.Rows[i].of(subject)
			}
		}
	}
	if ours == nil || theirs == nil {
		return v, false
	}
	v.Ratio = ratios(ours.samples, theirs.samples, figures[m.Figure])
	v.Met = m.holds(v.Ratio.Median)
	return v, true
}

// holds tells whether a ratio keeps to the mark.
func (m Mark) holds(ratio float64) bool {
	switch {
	case m.Least:
		return ratio >= m.Limit
	case m.Below:
		return ratio < m.Limit
	}
	return ratio <= m.Limit
}

// bound is the sign before the limit.
func (m Mark) bound() string {
	switch {
	case m.Least:
		return "≥"
	case m.Below:
		return "<"
	}
	return "≤"
}

// brief is row i in a line, for the terminal.
func (r *Report) brief(i int) string {
	row := &r.Rows[i]
	var parts []string
	for k := range row.Results {
		parts = append(parts, fmt.Sprintf("%s %s µs", row.Peers[k], figure(row.Results[k].CPU.Median)))
	}
	for _, v := range row.Verdicts {
		parts = append(parts, fmt.Sprintf("%s %.2f of %s, mark %s %.2f: %s", v.Figure, v.Ratio.Median, v.to(), v.bound(), v.Limit, met(v.Met)))
	}
	return strings.Join(parts, ", ")
}

// to names what a mark compares with.
func (m Mark) to() string {
	if m.Case != "" {
		return m.Case
	}
	return m.Peer
}

func met(yes bool) string {
	if yes {
		return "met"
	}
	return "missed"
}

// worstMemory is the point with the most memory for a key.
func (r *Report) worstMemory() MemoryPoint {
	return slices.MaxFunc(r.Memory, func(a, b MemoryPoint) int {
		if a.Overhead < b.Overhead {
			return -1
		}
		return 1
	})
}

// write puts bench.md, bench.json and the plots into dir.
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
	if err := os.WriteFile(filepath.Join(dir, "bench.md"), []byte(r.markdown()), 0o644); err != nil {
		return err
	}
	return r.plot(dir)
}
