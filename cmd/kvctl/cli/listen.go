package cli

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kvstored/pkg/client"
)

// listener is a command that prints what the daemon sends until it is ended.
type listener struct {
	app   *app
	limit int
	seen  int
	stop  <-chan os.Signal
}

// errEnough ends a listener that has printed as much as it was asked for.
var errEnough = errors.New("enough")

// again is how long a listener tries to come back to a daemon that went away.
const again = 30 * time.Second

// run connects, lets begin ask for what is to come, and hands each reply to
// each. After a loss it connects anew and says so: what was sent meanwhile is
// missed.
func (l *listener) run(begin func(c *client.Conn) error, each func(r client.Reply) error) error {
	var done func()
	l.stop, done = l.app.signals()
	defer done()
	c, err := l.app.dial()
	for {
		if errors.Is(err, errEnough) {
			return nil
		} else if err != nil {
			return err
		}
		err = l.session(c, begin, each)
		_ = c.Close()
		_ = l.app.out.Flush()
		switch {
		case errors.Is(err, errEnough), errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case !client.IsLoss(err):
			return err
		}
		c, err = l.app.reconnect(l.stop, "what was sent meanwhile is missed")
	}
}

// session listens on one connection; Ctrl-C ends it.
func (l *listener) session(c *client.Conn, begin func(c *client.Conn) error, each func(r client.Reply) error) error {
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-l.stop:
			c.Interrupt()
		case <-done:
		}
	}()
	if err := begin(c); err != nil {
		return err
	}
	for {
		r, err := c.Next()
		if err != nil {
			return err
		}
		if err := each(r); err != nil {
			return err
		}
		if err := l.app.out.Flush(); err != nil {
			return errEnough // nobody reads any more
		}
	}
}

// reconnect says that the connection was lost and tries for a while to make
// another one; missed is what that means. What comes on stop ends it with
// errEnough.
func (a *app) reconnect(stop <-chan os.Signal, missed string) (*client.Conn, error) {
	fmt.Fprintln(a.err, "kvctl: connection lost; connecting again")
	for end := time.Now().Add(again); ; {
		c, err := a.dialWith(client.Options{Retry: -1})
		if err == nil {
			_, err = c.Do("PING") // a daemon that is about to end still takes connections
		}
		if err == nil {
			fmt.Fprintln(a.err, "kvctl: reconnected; "+missed)
			return c, nil
		} else if time.Now().After(end) {
			return nil, err
		}
		select {
		case <-stop:
			return nil, errEnough
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// count ends the listener after as many as were asked for.
func (l *listener) count() error {
	if l.seen++; l.limit > 0 && l.seen >= l.limit {
		_ = l.app.out.Flush()
		return errEnough
	}
	return nil
}

// subscribe prints the messages of channels.
func (a *app) subscribe() *cobra.Command {
	var patterns bool
	var limit int
	cmd := &cobra.Command{
		Use:   "subscribe [OPTION...] CHANNEL...",
		Short: "print the messages of channels while they come",
		Long: `Subscribes to channels and prints each message until Ctrl-C. On a pipe it is
the bare message; with several channels or patterns the channel and a tab stand
before it. --json prints an object a line, with the time.

When the daemon restarts, kvctl subscribes anew and says so on standard error;
messages published in between are missed.`,
		Example: `  kvctl subscribe news
  kvctl subscribe --pattern 'news.*' 'sport.*'
  kvctl subscribe --count 1 done && echo done
  kvctl --json subscribe news | jq .message`,
		Args:              atLeast(1, "a channel"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(_ *cobra.Command, args []string) error { return a.subscribeTo(args, patterns, limit) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVarP(&patterns, "pattern", "p", false, "the arguments are patterns (PSUBSCRIBE)")
	f.IntVar(&limit, "count", 0, "end after N messages")
	placeholder(f, "count", "N")
	_ = cmd.RegisterFlagCompletionFunc("count", cobra.NoFileCompletions)
	return cmd
}

// message is what --json prints of one.
type message struct {
	Time     string `json:"time"`
	Pattern  string `json:"pattern,omitempty"`
	Channel  string `json:"channel"`
	Message  string `json:"message"`
	Encoding string `json:"encoding"`
}

// subscribeTo listens to channels.
func (a *app) subscribeTo(channels []string, patterns bool, limit int) error {
	verb := "SUBSCRIBE"
	if patterns {
		verb = "PSUBSCRIBE"
	}
	l := &listener{app: a, limit: limit}
	many := patterns || len(channels) > 1
	return l.run(func(c *client.Conn) error { return c.Raw(append([]string{verb}, channels...)...) }, func(r client.Reply) error {
		if err := r.Err(); err != nil {
			return explainServer(err, append([]string{verb}, channels...))
		}
		if len(r.Items) < 3 {
			return nil
		}
		m := message{Time: stamp(time.Now())}
		var body []byte
		switch kind := r.Items[0].Text(); {
		case kind == "message":
			m.Channel, body = r.Items[1].Text(), r.Items[2].Bytes
		case kind == "pmessage" && len(r.Items) == 4:
			m.Pattern, m.Channel, body = r.Items[1].Text(), r.Items[2].Text(), r.Items[3].Bytes
		default:
			if a.outTTY && !a.json {
				fmt.Fprintln(a.out, a.style(true, "2", "subscribed to "+printable(r.Items[1].Text())+"; Ctrl-C ends"))
			}
			return nil
		}
		if err := a.printMessage(m, body, many); err != nil {
			return err
		}
		return l.count()
	})
}

// printMessage prints one message.
func (a *app) printMessage(m message, body []byte, many bool) error {
	switch {
	case a.json:
		m.Message, m.Encoding = textOf(body)
		if m.Encoding == "" {
			m.Encoding = "utf-8"
		}
		return a.line(m)
	case a.outTTY:
		fmt.Fprintf(a.out, "%s %s %s\n", a.style(true, "2", time.Now().Format("15:04:05.000")), a.style(true, "36", printable(m.Channel)), quote(body))
	case many:
		fmt.Fprintf(a.out, "%s\t%s\n", m.Channel, body)
	default:
		fmt.Fprintf(a.out, "%s\n", body)
	}
	return nil
}

// stamp is a moment as JSON has it.
func stamp(t time.Time) string { return t.Format("2006-01-02T15:04:05.000000Z07:00") }

// monitor prints the commands of all clients.
func (a *app) monitor() *cobra.Command {
	var limit int
	var only []string
	cmd := &cobra.Command{
		Use:   "monitor [OPTION...]",
		Short: "print the commands of all clients while they are carried out",
		Long: `Prints each command with its time, database and client until Ctrl-C. It costs
the daemon time for each command: not for long on a busy one.`,
		Example: `  kvctl monitor
  kvctl monitor --only SET,DEL
  kvctl --json monitor --count 100`,
		Args:              atMost(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(*cobra.Command, []string) error { return a.watchCommands(only, limit) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringSliceVar(&only, "only", nil, "only these COMMANDS, with commas between them")
	f.IntVar(&limit, "count", 0, "end after N commands")
	placeholder(f, "only", "COMMANDS")
	placeholder(f, "count", "N")
	_ = cmd.RegisterFlagCompletionFunc("only", completeCommand)
	_ = cmd.RegisterFlagCompletionFunc("count", cobra.NoFileCompletions)
	return cmd
}

// monitored is a command as MONITOR tells it.
type monitored struct {
	Time    string   `json:"time"`
	DB      int      `json:"db"`
	Client  string   `json:"client"`
	Command []string `json:"command"`
	at      time.Time
}

// watchCommands listens to MONITOR.
func (a *app) watchCommands(only []string, limit int) error {
	l := &listener{app: a, limit: limit}
	return l.run(func(c *client.Conn) error { return c.Raw("MONITOR") }, func(r client.Reply) error {
		if err := r.Err(); err != nil {
			return explainServer(err, []string{"MONITOR"})
		}
		text := r.Text()
		if text == "OK" {
			if a.outTTY && !a.json {
				fmt.Fprintln(a.out, a.style(true, "2", "Ctrl-C ends"))
			}
			return nil
		}
		m, ok := parseMonitored(text)
		if ok && len(only) > 0 && !holdsFold(only, m.Command[0]) {
			return nil
		}
		switch {
		case a.json && ok:
			if err := a.line(m); err != nil {
				return err
			}
		case a.outTTY && ok:
			_, words, _ := strings.Cut(text, "] ")
			fmt.Fprintf(a.out, "%s %s %s\n", a.style(true, "2", m.at.Format("15:04:05.000000")), a.style(true, "36", fmt.Sprintf("[%d %s]", m.DB, printable(m.Client))), printable(words))
		default:
			fmt.Fprintln(a.out, text)
		}
		return l.count()
	})
}

// holdsFold reports whether list has word in any case.
func holdsFold(list []string, word string) bool {
	for _, w := range list {
		if strings.EqualFold(strings.TrimSpace(w), word) {
			return true
		}
	}
	return false
}

// parseMonitored reads `1700000000.123456 [0 unix:/path] "SET" "a" "1"`.
func parseMonitored(text string) (m monitored, ok bool) {
	when, rest, ok := strings.Cut(text, " [")
	if !ok {
		return m, false
	}
	from, words, ok := strings.Cut(rest, "] ")
	if !ok {
		return m, false
	}
	whole, fraction, _ := strings.Cut(when, ".")
	secs, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return m, false
	}
	us, _ := strconv.ParseInt((fraction + "000000")[:6], 10, 64)
	m.at = time.Unix(secs, us*1000)
	m.Time = stamp(m.at)
	db, peer, _ := strings.Cut(from, " ")
	m.DB, _ = strconv.Atoi(db)
	m.Client = peer
	m.Command, err = split(words)
	for i, w := range m.Command {
		m.Command[i] = strings.ToValidUTF8(w, "\ufffd")
	}
	return m, err == nil && len(m.Command) > 0
}

// atLeast refuses fewer arguments.
func atLeast(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= n {
			return nil
		}
		return failure{what: cmd.CommandPath() + ": " + what + " is missing", fix: cmd.CommandPath() + " --help", code: ExitUsage}
	}
}
