package main

import (
	"fmt"
	"strings"
)

// figure prints a number with three digits that count.
func figure(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 1:
		return fmt.Sprintf("%.3f", v)
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	case v < 1e4:
		return fmt.Sprintf("%.0f", v)
	case v < 1e6:
		return fmt.Sprintf("%.0f k", v/1e3)
	}
	return fmt.Sprintf("%.2f M", v/1e6)
}

// String is the median with its spread.
func (s Spread) String() string {
	return fmt.Sprintf("%s (%s–%s)", figure(s.Median), figure(s.Min), figure(s.Max))
}

// markdown is the report for people.
func (r *Report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; %s; %d keys of 16 bytes, values of %d bytes\n\n", r.Date, r.Machine, r.Keys, r.Value)
	r.summary(&b)
	r.details(&b)
	r.notes(&b)
	return b.String()
}

// summary is one line for each mark.
func (r *Report) summary(b *strings.Builder) {
	if r.Subject < 0 || r.Reference < 0 {
		return
	}
	fmt.Fprintf(b, "| case | CPU per request, kvstored to %s | mark | | throughput, ratio |\n|---|---|---|---|---|\n",
		r.Peers[r.Reference])
	for i := range r.Rows {
		row := &r.Rows[i]
		mark := "–"
		if row.Mark != 0 {
			mark = fmt.Sprintf("≤ %.2f", row.Mark)
		}
		res := &row.Results[r.Subject]
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", row.Name, res.Ratio, mark, r.verdict(row), throughput(row, res))
	}
	if r.Idle != nil {
		fmt.Fprintf(b, "| idle, wake-ups a second | %.1f (%s %.1f) | ≤ %.0f | %s | – |\n", r.Idle[r.Subject],
			r.Peers[r.Reference], r.Idle[r.Reference], idleMark, r.idleVerdict())
	}
	b.WriteString("\n")
}

// throughput is the ratio of rates, where the rate was not given.
func throughput(row *Row, res *Result) string {
	if row.Rate != 0 {
		return "–"
	}
	return res.Times.String()
}

// details is a line for each case and peer.
func (r *Report) details(b *strings.Builder) {
	b.WriteString("| case | server | CPU µs/request | ratio | requests/s | p50 µs | p99 µs | p99.9 µs | max µs | load |\n" +
		"|---|---|---|---|---|---|---|---|---|---|\n")
	for i := range r.Rows {
		row := &r.Rows[i]
		for k := range row.Results {
			res := &row.Results[k]
			ratio := "–"
			if r.Reference >= 0 {
				ratio = fmt.Sprintf("%.2f", res.Ratio.Median)
			}
			fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %.0f %%%s |\n", row.Name, r.name(k),
				res.CPU, ratio, figure(res.Rate.Median), figure(res.P50.Median), figure(res.P99.Median),
				figure(res.P999.Median), figure(res.Max.Median), res.Load.Median*100, res.remark())
		}
	}
	for k, rate := range r.Idle {
		fmt.Fprintf(b, "| idle | %s | %.1f wake-ups/s | | | | | | | |\n", r.name(k), rate)
	}
}

// remark flags a row whose throughput says more of the generator.
func (res *Result) remark() string {
	if res.Load.Median > limitShare {
		return " *"
	}
	return ""
}

func (r *Report) name(k int) string {
	return strings.TrimSpace(r.Peers[k] + " " + r.Versions[k])
}

// notes explains what needs it.
func (r *Report) notes(b *strings.Builder) {
	b.WriteString("\nMedians of all rounds, in brackets lowest and highest. CPU is that of all threads of the server." +
		" \"load\" is the part\nof one processor that the load generator took.\n")
	limited, late := false, uint64(0)
	for i := range r.Rows {
		for k := range r.Rows[i].Results {
			limited = limited || r.Rows[i].Results[k].remark() != ""
			late += r.Rows[i].Results[k].Late
		}
	}
	if limited {
		b.WriteString("\n\\* The generator was above 90 %: it, not the server, limits requests/s here.\n")
	}
	if late > 0 {
		fmt.Fprintf(b, "\n%d requests at fixed rates left more than 1 ms late: the machine had other work.\n", late)
	}
}
