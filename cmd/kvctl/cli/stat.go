package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kvstored/pkg/client"
)

// stat prints a line of figures per interval.
func (a *app) stat() *cobra.Command {
	var every time.Duration
	var limit int
	cmd := &cobra.Command{
		Use:   "stat [OPTION...]",
		Short: "print a line of figures every second: keys, rates, memory, clients",
		Long: `Prints keys, commands a second, CPU, memory and clients of the daemon, a line
per interval, until Ctrl-C. What asking costs itself is among the commands. When
the daemon restarts, kvctl connects anew and says so on standard error.`,
		Example: `  kvctl stat
  kvctl stat --interval 10s --count 6
  kvctl --json stat >> figures.jsonl`,
		Args:              atMost(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(*cobra.Command, []string) error { return a.statLines(every, limit) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.DurationVar(&every, "interval", time.Second, "a line every TIME, such as 500ms or 10s")
	f.IntVar(&limit, "count", 0, "end after N lines")
	placeholder(f, "interval", "TIME")
	placeholder(f, "count", "N")
	_ = cmd.RegisterFlagCompletionFunc("interval", cobra.NoFileCompletions)
	_ = cmd.RegisterFlagCompletionFunc("count", cobra.NoFileCompletions)
	return cmd
}

// statColumn is a column of kvctl stat.
type statColumn struct {
	name  string
	width int
	rank  int // on a narrow terminal the highest drop out first
	value func(s sample) string
}

// statColumns are all of them.
var statColumns = []statColumn{
	{"time", 8, 0, func(sample) string { return time.Now().Format("15:04:05") }},
	{"keys", 10, 1, func(s sample) string { return grouped(s.Keys) }},
	{"cmds/s", 9, 0, func(s sample) string { return grouped(int64(s.Commands + 0.5)) }},
	{"cpu%", 6, 2, func(s sample) string { return tenths(s.CPU) }},
	{"µs/cmd", 7, 5, func(s sample) string { return tenths(s.CPUCommand) }},
	{"clients", 8, 4, func(s sample) string { return grouped(s.Clients) }},
	{"conns/s", 8, 7, func(s sample) string { return tenths(s.Connections) }},
	{"memory", 10, 3, func(s sample) string { return size(s.Memory) }},
	{"rss", 10, 6, func(s sample) string { return size(s.RSS) }},
	{"expired/s", 10, 8, func(s sample) string { return tenths(s.Expired) }},
	{"evicted/s", 10, 9, func(s sample) string { return tenths(s.Evicted) }},
}

// tenths is a number with one digit behind its point.
func tenths(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }

// fitting are the columns that go into a width; 0 takes all.
func fitting(columns []statColumn, width int) []statColumn {
	for {
		used, worst := -1, 0
		for i, c := range columns {
			used += c.width + 1
			if c.rank > columns[worst].rank {
				worst = i
			}
		}
		if width == 0 || used <= width || len(columns) == 1 {
			return columns
		}
		columns = slices.Delete(slices.Clone(columns), worst, worst+1)
	}
}

// statLines prints until it is ended.
func (a *app) statLines(every time.Duration, limit int) error {
	if every <= 0 {
		return usage("stat: --interval must be above 0")
	}
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	stop, done := a.signals()
	defer done()
	before, err := readInfo(c)
	if err != nil {
		return err
	}
	for n, last := 0, time.Now(); limit == 0 || n < limit; n++ {
		select {
		case <-stop:
			return nil
		case <-time.After(every):
		}
		now, err := readInfo(c)
		if isAway(err) {
			_ = c.Close()
			next, err := a.reconnect(stop, "the rates begin anew")
			if errors.Is(err, errEnough) {
				return nil
			} else if err != nil {
				return err
			}
			c = next
			if before, err = readInfo(c); err != nil {
				return err
			}
			last = time.Now()
			n--
			continue
		} else if err != nil {
			return err
		}
		s := between(before, now, time.Since(last).Seconds())
		before, last = now, time.Now()
		s.Time = stamp(last)
		if err := a.statLine(s, n); err != nil {
			return err
		}
	}
	return nil
}

// isAway reports whether the daemon went away, perhaps to come back.
func isAway(err error) bool {
	var connect *client.ConnectError
	return errors.As(err, &connect) || client.IsLoss(err)
}

// statLine prints one line, the head again with each screen.
func (a *app) statLine(s sample, n int) error {
	if a.json {
		if err := a.line(s); err != nil {
			return err
		}
		return a.out.Flush()
	}
	width, rows := 0, 0
	if a.outTTY {
		width, rows = a.screen()
	}
	columns := fitting(statColumns, width)
	head, line := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		head[i], line[i] = fmt.Sprintf("%*s", c.width, c.name), fmt.Sprintf("%*s", c.width, c.value(s))
	}
	if n == 0 || a.outTTY && n%max(rows-2, 5) == 0 {
		fmt.Fprintln(a.out, a.style(a.outTTY, "1", strings.Join(head, " ")))
	}
	fmt.Fprintln(a.out, strings.Join(line, " "))
	return a.out.Flush()
}
