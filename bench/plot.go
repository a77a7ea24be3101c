package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/go-analyze/charts"
)

// plot draws the report into dir, as SVG.
func (r *Report) plot(dir string) error {
	ratio := func(res *Result) float64 { return res.Ratio.Median }
	for _, p := range []struct {
		file, title string
		want        func(*Row) bool
		figure      func(*Result) float64
	}{
		{"cpu.svg", "CPU per request, " + reference + " = 1", hasReference, ratio},
		{"throughput.svg", "requests per second, " + reference + " = 1", func(row *Row) bool { return hasReference(row) && row.Rate == 0 },
			func(res *Result) float64 { return res.Times.Median }},
		{"p999.svg", "p99.9 latency at fixed rates, µs", func(row *Row) bool { return row.Rate > 0 }, func(res *Result) float64 { return res.P999.Median }},
	} {
		if err := r.bars(filepath.Join(dir, p.file), p.title, p.want, p.figure); err != nil {
			return err
		}
	}
	for _, c := range r.curves() {
		if err := c.draw(dir); err != nil {
			return err
		}
	}
	return nil
}

// peerOrder is the order of servers in plots.
var peerOrder = []string{subject, reference, "valkey", "pogocache", "memcached", floorName, lmdbName}

func hasReference(row *Row) bool { return row.of(reference) != nil }

// bars draws a group of bars for each wanted case, one for each peer.
func (r *Report) bars(file, title string, want func(*Row) bool, value func(*Result) float64) error {
	var names []string
	var rows []*Row
	for i := range r.Rows {
		if want(&r.Rows[i]) {
			names = append(names, r.Rows[i].Name)
			rows = append(rows, &r.Rows[i])
		}
	}
	if len(rows) == 0 {
		return nil
	}
	var peers []string
	var series [][]float64
	for _, peer := range peerOrder {
		values, measured := make([]float64, len(rows)), false
		for i, row := range rows {
			values[i] = charts.GetNullValue()
			if res := row.of(peer); res != nil {
				values[i], measured = value(res), true
			}
		}
		if measured {
			peers = append(peers, peer)
			series = append(series, values)
		}
	}
	opt := charts.NewBarChartOptionWithData(series)
	opt.Horizontal = true
	opt.Title.Text = title
	opt.Legend.SeriesNames = peers
	opt.Legend.Offset = charts.OffsetRight
	opt.CategoryAxis.Labels = names
	return draw(file, 900, 120+len(names)*(12*len(peers)+14), func(p *charts.Painter) error { return p.BarChart(opt) })
}

// curve is lines over the same points.
type curve struct {
	file, title string
	points      []string
	names       []string // of the lines
	lines       [][]float64
}

// draw writes the curve into dir, if it has more than one point.
func (c curve) draw(dir string) error {
	if len(c.points) < 2 || len(c.lines) == 0 {
		return nil
	}
	opt := charts.NewLineChartOptionWithData(c.lines)
	opt.Title.Text = c.title
	opt.Legend.SeriesNames = c.names
	opt.Legend.Offset = charts.OffsetRight
	opt.XAxis.Labels = c.points
	return draw(filepath.Join(dir, c.file), 900, 400, func(p *charts.Painter) error { return p.LineChart(opt) })
}

// curves are all that the report has points of.
func (r *Report) curves() []curve {
	cpu := func(res *Result) float64 { return res.CPU.Median }
	all := []curve{
		r.memoryCurve(), r.fragmentCurve(),
		r.over("connections.svg", "CPU per request in µs, by connections", cpu,
			func(row *Row) (string, bool) {
				return strconv.Itoa(row.Connections), row.Name == oneName || strings.HasSuffix(row.Name, " connections")
			}),
		r.over("keys.svg", "CPU per request of GET P=64 in µs, by keys", cpu,
			func(row *Row) (string, bool) {
				return keysName(row.Keys), strings.HasPrefix(row.Name, "GET P=64, ")
			}),
		r.over("rates.svg", "CPU per request in µs, by requests per second", cpu,
			func(row *Row) (string, bool) { return fmt.Sprintf("%.0f", row.Rate), row.Rate > 0 }),
	}
	for i := range r.Rows {
		if row := &r.Rows[i]; row.Rate > 0 {
			all = append(all, row.latencies())
		}
	}
	return all
}

// over is a line for each server through the cases for which point is ok.
func (r *Report) over(file, title string, value func(*Result) float64, point func(*Row) (string, bool)) curve {
	c := curve{file: file, title: title}
	var rows []*Row
	for i := range r.Rows {
		if name, ok := point(&r.Rows[i]); ok {
			c.points = append(c.points, name)
			rows = append(rows, &r.Rows[i])
		}
	}
	for _, peer := range peerOrder {
		line, measured := make([]float64, len(rows)), false
		for i, row := range rows {
			line[i] = charts.GetNullValue()
			if res := row.of(peer); res != nil {
				line[i], measured = value(res), true
			}
		}
		if measured {
			c.names, c.lines = append(c.names, peer), append(c.lines, line)
		}
	}
	return c
}

// latencies is the distribution of a case, all rounds together, as far as the
// share of requests that the plot can tell apart.
func (row *Row) latencies() curve {
	shares := []float64{0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999}
	c := curve{file: fmt.Sprintf("latency-%.0f.svg", row.Rate), title: fmt.Sprintf("latency in µs at %.0f requests per second, by share of requests", row.Rate)}
	for _, share := range shares {
		c.points = append(c.points, fmt.Sprintf("%g %%", share*100))
	}
	for _, peer := range peerOrder {
		res := row.of(peer)
		if res == nil {
			continue
		}
		h := histogram{}
		for _, s := range res.samples {
			h.add(s.Buckets)
		}
		line := make([]float64, len(shares))
		for i, share := range shares {
			line[i] = h.quantile(share)
		}
		c.names, c.lines = append(c.names, peer), append(c.lines, line)
	}
	return c
}

// memoryCurve is kvstored's memory for each key against the number of keys.
func (r *Report) memoryCurve() curve {
	c := curve{file: "memory.svg", title: "bytes per key over key and value, by millions of keys", names: []string{subject}, lines: [][]float64{nil}}
	for _, m := range r.Memory {
		c.points = append(c.points, fmt.Sprintf("%.1f", float64(m.Keys)/1e6))
		c.lines[0] = append(c.lines[0], m.Overhead)
	}
	return c
}

// draw writes what paint paints.
func draw(file string, width, height int, paint func(*charts.Painter) error) error {
	p := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: width, Height: height})
	if err := paint(p); err != nil {
		return fmt.Errorf("draw %s: %w", filepath.Base(file), err)
	}
	text, err := p.Bytes()
	if err != nil {
		return fmt.Errorf("draw %s: %w", filepath.Base(file), err)
	}
	return os.WriteFile(file, text, 0o644)
}
