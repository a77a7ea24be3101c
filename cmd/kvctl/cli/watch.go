package cli

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"kvstored/pkg/client"
)

// pollEvery is how often a key is looked at where the server does not tell.
const pollEvery = 100 * time.Millisecond

// watch prints the values of a key while they change.
func (a *app) watch() *cobra.Command {
	w := &watcher{app: a}
	cmd := &cobra.Command{
		Use:   "watch [OPTION...] KEY | SECONDS COMMAND [ARGUMENT...]",
		Short: "print a key's value whenever it changes, or a command's answer again and again",
		Long: `With a KEY prints its value now and whenever it changes, with the time; the
daemon tells of changes (CLIENT TRACKING), nothing is asked in between. Where a
server cannot do that, kvctl looks ten times a second. When the daemon
restarts, kvctl connects anew and says so on standard error.

With SECONDS and a command carries that out every so often.`,
		Example: `  kvctl watch name
  kvctl watch --until ready state && echo go
  kvctl watch 2 DBSIZE`,
		Args:              atLeast(1, "a key"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if every, words, ok := watchWords(args); ok {
				return a.repeatCommand(every, words)
			}
			if len(args) > 1 {
				return usage("watch: one key, or seconds and a command")
			}
			w.hasUntil = cmd.Flags().Changed("until")
			return w.run(args[0])
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.SetInterspersed(false)
	f.StringVar(&w.until, "until", "", "end when the key has VALUE")
	f.IntVar(&w.limit, "count", 0, "end after N values")
	f.DurationVar(&w.patience, "timeout", 0, "end with exit status 1 after TIME, such as 30s")
	placeholder(f, "until", "VALUE")
	placeholder(f, "count", "N")
	placeholder(f, "timeout", "TIME")
	a.dbFlag(cmd)
	for _, name := range []string{"until", "count", "timeout"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	return cmd
}

// repeatCommand is watch SECONDS COMMAND outside the shell.
func (a *app) repeatCommand(every time.Duration, args []string) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	s := &shell{app: a, conn: c, keys: newKeyOffers(a)}
	defer c.Close()
	if err := s.repeat(every, args); err != nil {
		return err
	}
	return quiet(exitSignal + int(syscall.SIGINT)) // nothing else ends it
}

// watcher follows one key.
type watcher struct {
	app      *app
	until    string
	hasUntil bool
	limit    int
	patience time.Duration

	seen  int
	first bool
	last  client.Reply
	conn  atomic.Pointer[client.Conn] // the present one, to be interrupted
}

// run prints until it is ended. After a loss it connects anew: a change in
// between is seen then.
func (w *watcher) run(key string) error {
	c, err := w.app.dial()
	if err != nil {
		return err
	}
	w.first = true
	w.conn.Store(c)
	ended, late, done := w.endings()
	defer done()
	for {
		err = w.follow(c, key)
		_ = c.Close()
		_ = w.app.out.Flush()
		if !client.IsLoss(err) || isClosed(ended) {
			break
		}
		if c, err = w.app.reconnect(ended, "what changed meanwhile shows now"); errors.Is(err, errEnough) {
			err = os.ErrDeadlineExceeded // as when a connection is interrupted
			break
		} else if err != nil {
			break
		}
		if w.conn.Store(c); isClosed(ended) { // who interrupts may have seen the old one
			c.Interrupt()
		}
	}
	switch {
	case errors.Is(err, errEnough):
		return nil
	case isClosed(late):
		return w.tooLate(key)
	case isClosed(ended):
		return nil
	}
	return err
}

// endings are closed when a person or the time ends the watching, late in the
// second case only.
func (w *watcher) endings() (ended, late chan os.Signal, done func()) {
	stop, noMore := w.app.signals()
	ended, late = make(chan os.Signal), make(chan os.Signal)
	over := make(chan struct{})
	go func() {
		var timer <-chan time.Time
		if w.patience > 0 {
			timer = time.After(w.patience)
		}
		select {
		case <-stop:
		case <-timer:
			close(late)
		case <-over:
			return
		}
		close(ended)
		w.conn.Load().Interrupt()
	}()
	return ended, late, func() { noMore(); close(over) }
}

// isClosed reports whether a channel on which nothing is sent was closed.
func isClosed(c <-chan os.Signal) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// tooLate says that the value did not come in time, and what there is.
func (w *watcher) tooLate(key string) error {
	f := failure{what: "watch: " + key + " did not get there within " + w.patience.String(), code: ExitMissing}
	switch {
	case w.first:
		f.why = "its value was never read"
	case w.last.IsNil():
		f.why = "there is no such key"
	default:
		f.why = "its value is " + shorten(quote(w.last.Bytes))
	}
	return f
}

// follow asks to be told of changes, and looks whenever it is.
func (w *watcher) follow(c *client.Conn, key string) error {
	_, err := c.Do("CLIENT", "TRACKING", "ON")
	var refused *client.ServerError
	if errors.As(err, &refused) {
		return w.poll(c, key)
	} else if err != nil {
		return err
	}
	for {
		again, err := w.look(c, key)
		if err != nil {
			return err
		}
		for !again {
			r, err := c.Next()
			if err != nil {
				return err
			}
			again = isInvalidation(r)
		}
	}
}

// look asks for the value and shows it; again says that it changed meanwhile.
func (w *watcher) look(c *client.Conn, key string) (again bool, err error) {
	if err := c.Raw("GET", key); err != nil {
		return false, err
	}
	for {
		r, err := c.Next()
		switch {
		case err != nil:
			return false, err
		case r.Kind == client.Push:
			again = again || isInvalidation(r)
			continue
		case r.Err() != nil:
			return false, explainServer(r.Err(), []string{"GET", key})
		}
		return again, w.show(key, r)
	}
}

// isInvalidation reports whether the server tells of a change.
func isInvalidation(r client.Reply) bool {
	return r.Kind == client.Push && len(r.Items) > 0 && r.Items[0].Text() == "invalidate"
}

// poll looks again and again.
func (w *watcher) poll(c *client.Conn, key string) error {
	for {
		if _, err := w.look(c, key); err != nil {
			return err
		}
		time.Sleep(pollEvery)
	}
}

// change is what --json prints of one.
type change struct {
	Time     string  `json:"time"`
	Value    *string `json:"value"`
	Encoding string  `json:"encoding,omitempty"`
}

// show prints a value that differs from the one before.
func (w *watcher) show(key string, r client.Reply) error {
	a := w.app
	if !w.first && r.IsNil() == w.last.IsNil() && string(r.Bytes) == string(w.last.Bytes) {
		return nil
	}
	w.first, w.last = false, r
	now := time.Now()
	switch {
	case a.json:
		m := change{Time: stamp(now)}
		if !r.IsNil() {
			text, encoding := textOf(r.Bytes)
			m.Value, m.Encoding = &text, encoding
			if encoding == "" {
				m.Encoding = "utf-8"
			}
		}
		if err := a.line(m); err != nil {
			return err
		}
	case a.outTTY && r.IsNil():
		fmt.Fprintln(a.out, a.style(true, "2", now.Format("15:04:05.000")+" (nil)"))
	case a.outTTY:
		fmt.Fprintln(a.out, a.style(true, "2", now.Format("15:04:05.000")), a.abridged(r.Bytes))
	default:
		fmt.Fprintf(a.out, "%s\n", r.Bytes)
	}
	if err := a.out.Flush(); err != nil {
		return errEnough
	}
	w.seen++
	if w.hasUntil && !r.IsNil() && string(r.Bytes) == w.until || w.limit > 0 && w.seen >= w.limit {
		return errEnough
	}
	return nil
}
