package main

import (
	"fmt"
	"maps"
	"slices"
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
	return fmt.Sprintf("%s (%s–%s)", figure(s.Median), figure(s.Low), figure(s.High))
}

// markdown is the report for people.
func (r *Report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; %s\n\n", r.Date, r.Machine)
	r.summary(&b)
	r.details(&b)
	r.syncTable(&b)
	r.memoryTable(&b)
	r.fragmentTable(&b)
	r.besideTable(&b)
	r.lightTable(&b)
	r.exchangeTable(&b)
	r.startTable(&b)
	r.bulkTable(&b)
	r.notes(&b)
	return b.String()
}

// markLine is a mark, what was measured, and whether that keeps to it.
type markLine struct {
	name, figure, to, value, mark string
	met                           bool
}

// summary is one line for each mark.
func (r *Report) summary(b *strings.Builder) {
	lines := r.markLines()
	if len(lines) == 0 {
		return
	}
	b.WriteString("| case | figure | to | measured | mark | |\n|---|---|---|---|---|---|\n")
	for _, l := range lines {
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", l.name, l.figure, l.to, l.value, l.mark, met(l.met))
	}
	b.WriteString("\n")
}

// markLines are the marks of all that was measured.
func (r *Report) markLines() []markLine {
	var lines []markLine
	for i := range r.Rows {
		for _, v := range r.Rows[i].Verdicts {
			lines = append(lines, markLine{r.Rows[i].Name, v.Figure, v.to(), v.Ratio.String(), fmt.Sprintf("%s %.2f", v.bound(), v.Limit), v.Met})
		}
	}
	if rate, ok := r.Idle[subject]; ok {
		lines = append(lines, markLine{idleName, "wake-ups a second", "–", fmt.Sprintf("%.1f (%s %.1f)", rate, reference, r.Idle[reference]),
			fmt.Sprintf("≤ %.0f", idleMark), rate <= idleMark})
	}
	if r.PerClient > 0 {
		lines = append(lines, markLine{idleClientsName, "bytes for each", "–", figure(r.PerClient), fmt.Sprintf("≤ %d", perClientMark), r.PerClient <= perClientMark})
	}
	if len(r.Memory) > 0 {
		worst := r.worstMemory()
		lines = append(lines, markLine{fmt.Sprintf("%s keys, the worst of %d sizes", figure(float64(worst.Keys)), len(r.Memory)),
			"bytes for each over key and value", "–", fmt.Sprintf("%.1f", worst.Overhead), fmt.Sprintf("≤ %.0f", memoryMark), worst.Overhead <= memoryMark})
	}
	for i := range r.Exchanges {
		lines = append(lines, r.Exchanges[i].markLines()...)
	}
	for i := range r.Starts {
		if s := &r.Starts[i]; s.Peer == subject && s.Ratio.Median > 0 {
			lines = append(lines, markLine{s.name(), "time to the first reply", reference, s.Ratio.String(), fmt.Sprintf("≤ %.2f", startMark), s.Ratio.Median <= startMark})
		}
	}
	for i := range r.Bulk {
		lines = append(lines, r.Bulk[i].markLines()...)
	}
	return lines
}

// details is a line for each case and peer.
func (r *Report) details(b *strings.Builder) {
	if len(r.Rows) == 0 && len(r.Idle) == 0 {
		return
	}
	b.WriteString("| case | server | CPU µs/request | to " + reference + " | requests/s | p50 µs | p99 µs | p99.9 µs | max µs | load |\n" +
		"|---|---|---|---|---|---|---|---|---|---|\n")
	for i := range r.Rows {
		row := &r.Rows[i]
		for k := range row.Results {
			res := &row.Results[k]
			ratio := "–"
			if row.of(reference) != nil {
				ratio = fmt.Sprintf("%.2f", res.Ratio.Median)
			}
			fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %.0f %%%s |\n", row.Name, r.name(row.Peers[k]),
				res.CPU, ratio, figure(res.Rate.Median), figure(res.P50.Median), figure(res.P99.Median),
				figure(res.P999.Median), figure(res.Max.Median), res.Load.Median*100, res.remark())
		}
	}
	for _, peer := range slices.Sorted(maps.Keys(r.Idle)) {
		fmt.Fprintf(b, "| %s | %s | %.1f wake-ups/s | | | | | | | |\n", idleName, r.name(peer), r.Idle[peer])
	}
}

// memoryTable is the bytes per key over key and value, where they were read.
func (r *Report) memoryTable(b *strings.Builder) {
	first := true
	for i := range r.Rows {
		row := &r.Rows[i]
		for _, peer := range slices.Sorted(maps.Keys(row.Memory)) {
			if first {
				fmt.Fprintf(b, "\n| keys | server | bytes for each over key and value |\n|---|---|---|\n")
				first = false
			}
			fmt.Fprintf(b, "| %s | %s | %.1f |\n", figure(float64(row.Keys)), r.name(peer), row.Memory[peer])
		}
	}
}

// remark flags a row whose throughput says more of the generator.
func (res *Result) remark() string {
	if res.Load.Median > limitShare {
		return " *"
	}
	return ""
}

func (r *Report) name(peer string) string {
	return strings.TrimSpace(peer + " " + r.Versions[peer])
}

// notes explains what needs it.
func (r *Report) notes(b *strings.Builder) {
	b.WriteString("\nMedians of all rounds, in brackets lowest and highest, or the quartiles of nine rounds and more. CPU is that of all threads of the server." +
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
