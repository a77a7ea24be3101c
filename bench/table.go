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
	return fmt.Sprintf("%s (%s–%s)", figure(s.Median), figure(s.Min), figure(s.Max))
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
	r.exchangeTable(&b)
	r.startTable(&b)
	r.notes(&b)
	return b.String()
}

// summary is one line for each mark.
func (r *Report) summary(b *strings.Builder) {
	b.WriteString("| case | figure | to | ratio | mark | |\n|---|---|---|---|---|---|\n")
	for i := range r.Rows {
		for _, v := range r.Rows[i].Verdicts {
			fmt.Fprintf(b, "| %s | %s | %s | %s | %s %.2f | %s |\n", r.Rows[i].Name, v.Figure, v.to(), v.Ratio, v.bound(), v.Limit, met(v.Met))
		}
	}
	if rate, ok := r.Idle[subject]; ok {
		fmt.Fprintf(b, "| %s | wake-ups a second | – | %.1f (%s %.1f) | ≤ %.0f | %s |\n", idleName, rate, reference, r.Idle[reference], idleMark, met(rate <= idleMark))
	}
	if r.PerClient > 0 {
		fmt.Fprintf(b, "| idle connections | bytes for each | – | %s | ≤ %d | %s |\n", figure(r.PerClient), perClientMark, met(r.PerClient <= perClientMark))
	}
	if len(r.Memory) > 0 {
		worst := r.worstMemory()
		fmt.Fprintf(b, "| %s keys, the worst of %d sizes | bytes for each over key and value | – | %.1f | ≤ %.0f | %s |\n",
			figure(float64(worst.Keys)), len(r.Memory), worst.Overhead, memoryMark, met(worst.Overhead <= memoryMark))
	}
	b.WriteString("\n")
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

// exchangeTable is what clients saw of swaps.
func (r *Report) exchangeTable(b *strings.Builder) {
	if len(r.Exchanges) == 0 {
		return
	}
	fmt.Fprintf(b, "\n| swap at %d requests/s | keys | swaps | p99.9 µs with | without | mark | | lane held at most µs | mark | | ms a swap |\n|---|---|---|---|---|---|---|---|---|---|---|\n", exchangeRate)
	for _, e := range r.Exchanges {
		lane, verdict := "–", ""
		if e.MarkLane > 0 {
			lane, verdict = "≤ "+figure(e.MarkLane), met(e.LaneHeld <= e.MarkLane)
		}
		fmt.Fprintf(b, "| %s | %s | %d | %s | %s | ≤ %s more | %s | %s | %s | %s | %s |\n", e.Name, figure(float64(e.Keys)), e.Swaps, figure(e.With), figure(e.Without),
			figure(e.MarkMore), met(e.With <= e.Without+e.MarkMore), figure(e.LaneHeld), lane, verdict, e.Took)
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
