package command

import (
	"fmt"
	"strings"

	"kvstored/pkg/resp"
)

// SLOWLOG and LATENCY.

var slowlogHelp = []string{
	"GET [<count>]",
	"    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
	"    Entries are made of:",
	"    id, timestamp, time in microseconds, arguments array, client IP and port,",
	"    client name",
	"LEN",
	"    Return the length of the slowlog.",
	"RESET",
	"    Reset the slowlog.",
}

func planSlowlogGet(c *Call) {
	n := int64(10)
	switch len(c.Args) {
	case 2:
	case 3:
		var ok bool
		if n, ok = parseInt(c.Args[2]); !ok || n < -1 {
			c.Fail("ERR count should be greater than or equal to -1")
			return
		}
	default:
		c.wrongSubcommand()
		return
	}
	c.Reply.Step = func(x *Exec, _ *Reply) { writeSlowlog(x.W, x.Host.Slowlog(int(min(n, 1<<30)))) }
}

func writeSlowlog(w *resp.Writer, entries []SlowEntry) {
	w.Array(len(entries))
	for _, e := range entries {
		w.Array(6)
		w.Int(e.ID)
		w.Int(e.Time)
		w.Int(e.Micros)
		w.Array(len(e.Args))
		for _, a := range e.Args {
			w.BulkString(a)
		}
		w.BulkString(e.Addr)
		w.BulkString(e.Name)
	}
}

func planSlowlogLen(c *Call) {
	c.Reply.Step = func(x *Exec, _ *Reply) { x.W.Int(int64(x.Host.SlowlogLen())) }
}

func planSlowlogReset(c *Call) {
	c.Reply.Step = func(x *Exec, _ *Reply) {
		x.Host.SlowlogReset()
		x.W.Status("OK")
	}
}

var latencyHelp = []string{
	"DOCTOR",
	"    Return a human readable latency analysis report.",
	"HISTORY <event>",
	"    Return time-latency samples for the <event> class.",
	"LATEST",
	"    Return the latest latency samples for all events.",
	"RESET [<event> ...]",
	"    Reset latency data of one or more <event> classes.",
	"    (default: reset all data for all event classes)",
	"HISTOGRAM [COMMAND ...]",
	"    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.",
	"    If no commands are specified then all histograms are replied.",
}

func planLatencyLatest(c *Call) {
	c.Reply.Step = func(x *Exec, _ *Reply) {
		events := x.Host.LatencyEvents()
		x.W.Array(len(events))
		for _, e := range events {
			last := e.Samples[len(e.Samples)-1]
			x.W.Array(4)
			x.W.BulkString(e.Name)
			x.W.Int(last.Time)
			x.W.Int(last.Millis)
			x.W.Int(e.Max)
		}
	}
}

func planLatencyHistory(c *Call) {
	name := string(c.Args[2])
	c.Reply.Step = func(x *Exec, _ *Reply) {
		for _, e := range x.Host.LatencyEvents() {
			if e.Name != name {
				continue
			}
			x.W.Array(len(e.Samples))
			for _, s := range e.Samples {
				x.W.Array(2)
				x.W.Int(s.Time)
				x.W.Int(s.Millis)
			}
			return
		}
		x.W.Array(0)
	}
}

func planLatencyReset(c *Call) {
	var names []string
	for _, a := range c.Args[2:] {
		names = append(names, string(a))
	}
	c.Reply.Step = func(x *Exec, _ *Reply) { x.W.Int(int64(x.Host.LatencyReset(names))) }
}

// planLatencyHistogram answers for the commands named, a container standing
// for its subcommands, or for all.
func planLatencyHistogram(c *Call) {
	var cmds []*Command
	for _, cmd := range c.namedOrAll(2) {
		if cmd != nil {
			cmds = append(append(cmds, cmd), cmd.Subcommands...)
		}
	}
	c.Reply.Step = func(x *Exec, _ *Reply) {
		all := x.Host.Histograms(cmds)
		x.W.Map(len(all))
		for _, h := range all {
			x.W.BulkString(h.Name)
			x.W.Map(2)
			x.W.BulkString("calls")
			x.W.Int(h.Calls)
			x.W.BulkString("histogram_usec")
			x.W.Map(len(h.Buckets))
			for _, b := range h.Buckets {
				x.W.Int(b[0])
				x.W.Int(b[1])
			}
		}
	}
}

func planLatencyDoctor(c *Call) {
	c.Reply.Step = func(x *Exec, _ *Reply) {
		x.W.Verbatim(latencyReport(x.Host.LatencyThreshold(), x.Host.LatencyEvents()))
	}
}

// latencyReport says in words what the monitor has seen.
func latencyReport(threshold int64, events []LatencyEvent) string {
	if threshold == 0 && len(events) == 0 {
		return "The latency monitor is off: CONFIG SET latency-monitor-threshold MILLISECONDS turns it on.\n"
	}
	if len(events) == 0 {
		return fmt.Sprintf("Nothing has taken %d ms or more.\n", threshold)
	}
	var b strings.Builder
	for i, e := range events {
		sum := int64(0)
		for _, s := range e.Samples {
			sum += s.Millis
		}
		fmt.Fprintf(&b, "%d. %s: %d seconds in which it took long, %d ms on average, %d ms at most.\n", i+1, e.Name,
			len(e.Samples), sum/int64(len(e.Samples)), e.Max)
		b.WriteString("   " + latencyAdvice[e.Name] + "\n")
	}
	return b.String()
}

var latencyAdvice = map[string]string{
	"command":      "SLOWLOG GET shows which commands; KEYS and large values are the usual ones.",
	"fast-command": "A command that should be quick was not: the machine may lack memory or processor time.",
	"expire-cycle": "Housekeeping took long: many keys expire at the same time.",
}
