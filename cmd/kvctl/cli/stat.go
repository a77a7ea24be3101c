package cli

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// stat prints a line of figures per interval.
func (a *app) stat() *cobra.Command {
	var every time.Duration
	var limit int
	cmd := &cobra.Command{
		Use:   "stat [OPTION...]",
		Short: "print a line of figures every second: keys, rates, memory, clients",
		Long: `Prints keys, commands a second, CPU, memory and clients of the daemon, a line
per interval, until Ctrl-C. What asking costs itself is among the commands.`,
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

// statHead names the columns.
const statHead = "    time       keys    cmds/s   cpu%  µs/cmd  clients  conns/s     memory        rss  expired/s  evicted/s"

// statLines prints until it is ended.
func (a *app) statLines(every time.Duration, limit int) error {
	if every <= 0 {
		return usage("stat: --interval must be above 0")
	}
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(stop)
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
		if err != nil {
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

// statLine prints one line, the head again with each screen.
func (a *app) statLine(s sample, n int) error {
	if a.json {
		if err := a.line(s); err != nil {
			return err
		}
		return a.out.Flush()
	}
	if n == 0 || a.outTTY && n%20 == 0 {
		fmt.Fprintln(a.out, a.style(a.outTTY, "1", statHead))
	}
	fmt.Fprintf(a.out, "%s %10s %9s %6.1f %7.1f %8d %8.1f %10s %10s %10.1f %10.1f\n", time.Now().Format("15:04:05"),
		grouped(s.Keys), grouped(int64(s.Commands+0.5)), s.CPU, s.CPUCommand, s.Clients, s.Connections, size(s.Memory), size(s.RSS), s.Expired, s.Evicted)
	return a.out.Flush()
}
