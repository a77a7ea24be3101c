package cli

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"kvstored/pkg/client"
)

// latency measures round trips.
func (a *app) latency() *cobra.Command {
	var span time.Duration
	var limit int
	var pause time.Duration
	cmd := &cobra.Command{
		Use:   "latency [OPTION...] [COMMAND [ARGUMENT...]]",
		Short: "measure how long answers take, and draw the distribution",
		Long: `Sends PING, or COMMAND, over one connection again and again, each after the
answer to the last, and draws how long the answers took: what one client sees,
the way through the kernel included.

LATENCY HISTOGRAM and the other commands of the server of that name are not
this one; what follows latency is sent as it is if it is one of them.`,
		Example: `  kvctl latency
  kvctl latency --for 10s GET name
  kvctl --json latency --count 1000`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeCommand,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && isRedisCall("latency", args) {
				return a.command(cmd, append([]string{"LATENCY"}, args...))
			}
			if len(args) == 0 {
				args = []string{"PING"}
			}
			return a.measure(args, span, limit, pause)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.SetInterspersed(false)
	f.DurationVar(&span, "for", 3*time.Second, "measure for TIME")
	f.IntVar(&limit, "count", 0, "end after N answers")
	f.DurationVar(&pause, "pause", 0, "wait for TIME between two")
	placeholder(f, "for", "TIME")
	placeholder(f, "count", "N")
	placeholder(f, "pause", "TIME")
	a.dbFlag(cmd)
	for _, name := range []string{"for", "count", "pause"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	return cmd
}

// measure times one command.
func (a *app) measure(args []string, span time.Duration, limit int, pause time.Duration) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	if r, err := c.Do(args...); err != nil {
		_ = r
		return explainServer(err, args)
	}
	wire := appendWords(nil, args)
	stop, done := a.signals()
	defer done()
	if a.errTTY && !a.json {
		fmt.Fprintln(a.err, a.style(true, "2", "measuring for "+span.String()+"; Ctrl-C ends"))
	}
	h := newHistogram()
	for end := time.Now().Add(span); time.Now().Before(end) && (limit == 0 || h.TotalCount() < int64(limit)); {
		begun := time.Now()
		if err := c.Exchange(wire, 1, func(int, client.Token) {}); err != nil {
			return failure{what: "connection lost while measuring: " + err.Error(), why: "the daemon went away", fix: "kvctl doctor", code: ExitConnect}
		}
		_ = h.RecordValue(max(time.Since(begun).Nanoseconds(), 100)) // above a minute it does not count
		select {
		case <-stop:
			end = begun
		default:
		}
		if pause > 0 {
			time.Sleep(pause)
		}
	}
	if a.json {
		return a.object(timesOf(h))
	}
	fmt.Fprintf(a.out, "%s of %s\n%s\n", counted(h.TotalCount(), "answer"), printable(args[0]), a.quantileLines(h))
	if a.outTTY {
		fmt.Fprintln(a.out)
		a.drawHistogram(h)
	}
	return nil
}

// appendWords is the wire form of a command in words.
func appendWords(b []byte, args []string) []byte {
	words := make([][]byte, len(args))
	for i, arg := range args {
		words[i] = []byte(arg)
	}
	return client.AppendCommand(b, words...)
}

// screen is the size of the terminal; no more than 120 columns are used.
func (a *app) screen() (columns, rows int) {
	columns, rows, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil || columns < 1 || rows < 1 {
		return 80, 24
	}
	return min(columns, 120), rows
}
