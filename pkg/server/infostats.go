package server

import (
	"fmt"
	"sort"
	"strings"

	"kvstored/pkg/command"
)

// everyCommand calls fn for all commands and subcommands, in table order.
func everyCommand(fn func(*command.Command)) {
	for _, cmd := range command.Table() {
		fn(cmd)
		for _, sub := range cmd.Subcommands {
			fn(sub)
		}
	}
}

func infoCommandstats(w *worker, b *strings.Builder) {
	everyCommand(func(cmd *command.Command) {
		c := &w.stats.cmds[cmd.Index]
		if c.calls == 0 && c.rejected == 0 && c.failed == 0 {
			return
		}
		micros := float64(c.nanos) / 1000
		field(b, "cmdstat_"+cmd.FullName(), fmt.Sprintf("calls=%d,usec=%d,usec_per_call=%.2f,rejected_calls=%d,failed_calls=%d",
			c.calls, c.nanos/1000, micros/float64(max(c.calls, 1)), c.rejected, c.failed))
	})
}

func infoErrorstats(w *worker, b *strings.Builder) {
	var codes []string
	for code := range w.stats.errors {
		codes = append(codes, code)
	}
	sort.Strings(codes)
	for _, code := range codes {
		field(b, "errorstat_"+code, fmt.Sprintf("count=%d", w.stats.errors[code]))
	}
}

func infoLatencystats(w *worker, b *strings.Builder) {
	everyCommand(func(cmd *command.Command) {
		h := w.stats.cmds[cmd.Index].took
		if h == nil {
			return
		}
		micros := func(percentile float64) float64 { return float64(h.ValueAtPercentile(percentile)) / 1000 }
		field(b, "latency_percentiles_usec_"+cmd.FullName(),
			fmt.Sprintf("p50=%.3f,p99=%.3f,p99.9=%.3f", micros(50), micros(99), micros(99.9)))
	})
}
