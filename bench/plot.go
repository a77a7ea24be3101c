package main

import (
	"fmt"
	"os"
	"path/filepath"

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
	if err := r.memoryLine(filepath.Join(dir, "memory.svg")); err != nil {
		return err
	}
	return r.fragmentLine(dir)
}

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
	for _, peer := range []string{subject, reference, "valkey", "pogocache", "memcached", floorName} {
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

// memoryLine draws kvstored's memory for each key against the number of keys.
func (r *Report) memoryLine(file string) error {
	if len(r.Memory) < 2 {
		return nil
	}
	values, names := make([]float64, len(r.Memory)), make([]string, len(r.Memory))
	for i, m := range r.Memory {
		values[i], names[i] = m.Overhead, fmt.Sprintf("%.1f", float64(m.Keys)/1e6)
	}
	opt := charts.NewLineChartOptionWithData([][]float64{values})
	opt.Title.Text = "bytes per key over key and value, by millions of keys"
	opt.XAxis.Labels = names
	return draw(file, 900, 400, func(p *charts.Painter) error { return p.LineChart(opt) })
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
