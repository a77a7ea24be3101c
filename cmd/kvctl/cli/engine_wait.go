package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kvstored/pkg/client"
)

// How often an exchange that is under way is looked at, and told of while
// nothing but the count of keys changes.
const (
	lookEvery = 100 * time.Millisecond
	tellEvery = 2 * time.Second
)

// engineWait follows an exchange to its end.
func (a *app) engineWait() *cobra.Command {
	timeout := time.Duration(0)
	cmd := &cobra.Command{
		Use:   "wait [--timeout TIME]",
		Short: "follow an exchange of the library until its end",
		Long: `Prints a line for each state of an exchange that is under way, whoever began
it, with the keys that were copied, the time, and the longest pause that clients
had; and what came of it. Where none is under way it tells what came of the last
one. If that was refused, the reason stands on standard error, and the exit
status is 3. Interrupting the command does not stop the exchange.

When the daemon restarts, kvctl connects anew and says so; an exchange that was
under way has then ended with the old daemon, and the exit status is 3.`,
		Example: `  sudo kvctl engine reload --wait=false && kvctl engine wait
  kvctl engine wait --timeout 10m
  kvctl --json engine wait`,
		Args:              exactly(0, ""),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			return a.wait(timeout)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "wait at most for TIME, as 30s or 10m; then the exit status is 1")
	placeholder(cmd.Flags(), "timeout", "TIME")
	return cmd
}

// wait follows what is under way.
func (a *app) wait(timeout time.Duration) error {
	if timeout < 0 {
		return usage("--timeout is a time from now on, as 30s or 10m")
	}
	f := follower{app: a, out: a.out, begun: time.Now()}
	late := make(chan os.Signal) // closed when the time is up
	if timeout > 0 {
		defer time.AfterFunc(timeout, func() { close(late) }).Stop()
	}
	c, err := a.dial()
	for {
		if err == nil {
			err = f.follow(c, late)
			_ = c.Close()
		}
		if !client.IsLoss(err) {
			break
		}
		c, err = a.reconnect(late, "an exchange that was under way ended with the old daemon")
		f.broken = f.state
	}
	if errors.Is(err, errEnough) {
		return f.late(timeout)
	}
	return err
}

// follow looks until the exchange ends, with what came of it, or the time is
// up, with errEnough.
func (f *follower) follow(c *client.Conn, late <-chan os.Signal) error {
	for {
		status, err := lookStatus(c)
		if err != nil {
			return err
		}
		switch {
		case ended(status) && f.broken != "":
			return f.interrupted(status)
		case ended(status) && f.looks > 0: // one that was just asked for may not have begun at the first look
			return f.app.outcome(status)
		}
		if err := f.look(status); err != nil {
			return err
		}
		_ = f.app.out.Flush() // a line for each state, when it comes
		select {
		case <-late:
			return errEnough
		case <-time.After(lookEvery):
		}
	}
}

// late says that the time is up.
func (f *follower) late(timeout time.Duration) error {
	what := "the exchange is still " + f.state + " after " + timeout.String()
	if f.state == "" {
		what = "no answer within " + timeout.String()
	}
	return failure{what: what, why: "it goes on", fix: "kvctl engine wait", code: ExitMissing}
}

// interrupted says that the daemon ended in the middle of the exchange.
func (f *follower) interrupted(status map[string]string) error {
	return failure{what: "the exchange ended while it was " + f.broken + ": the daemon restarted",
		why: status["engine"] + " " + status["version"] + " serves since", fix: "kvctl engine status, then decide", code: ExitServer}
}

// lookStatus asks for the status on a connection that is not replaced when it
// is lost.
func lookStatus(c *client.Conn) (map[string]string, error) {
	if err := c.Raw("ENGINE", "STATUS"); err != nil {
		return nil, err
	}
	r, err := c.Next()
	if err != nil {
		return nil, err
	}
	return readStatus(r, r.Err())
}

// askStatus is ENGINE STATUS as names and values.
func askStatus(c *client.Conn) (map[string]string, error) {
	return readStatus(c.Do("ENGINE", "STATUS"))
}

// readStatus reads the answer to ENGINE STATUS.
func readStatus(r client.Reply, err error) (map[string]string, error) {
	if err != nil {
		return nil, refusal(err)
	}
	fields, err := r.Fields()
	if err != nil {
		return nil, failure{what: "cannot read the status: " + err.Error(), code: ExitServer}
	}
	status := map[string]string{}
	for _, f := range fields {
		status[f.Name] = f.Value.Text()
	}
	return status, nil
}

// ended tells whether no exchange is under way.
func ended(status map[string]string) bool {
	return status["state"] == "idle" || status["state"] == "serving"
}

// outcome tells what came of the last exchange.
func (a *app) outcome(status map[string]string) error {
	if what := status["last_error"]; what != "" {
		return failure{what: what, why: status["last_error_why"], fix: status["last_error_fix"], code: ExitServer}
	}
	text := status["last_swap"]
	if text == "" {
		text = "no exchange so far: " + status["engine"] + " " + status["version"] + " serves since the start"
	}
	if a.json {
		return a.object(map[string]string{"state": status["state"], "last_swap": text})
	}
	fmt.Fprintln(a.out, printable(text))
	return nil
}

// follower tells of an exchange that is under way.
type follower struct {
	app   *app
	out   io.Writer
	begun time.Time
	looks int
	state string
	told  time.Time

	broken string // the state in which the daemon went away; "": it did not
}

// stage is what --json prints of an exchange that is under way.
type stage struct {
	State   string  `json:"state"`
	Copied  int64   `json:"copied_keys"`
	Keys    int64   `json:"keys"`
	Seconds float64 `json:"seconds"`
	PauseUS int64   `json:"longest_pause_us"`
}

// look tells of a status, where there is anything new.
func (f *follower) look(status map[string]string) error {
	f.looks++
	state, now := status["state"], time.Now()
	copying := state == "copying" && now.Sub(f.told) >= tellEvery
	if ended(status) || state == f.state && !copying {
		return nil
	}
	f.state, f.told = state, now
	p := stage{State: state, Seconds: now.Sub(f.begun).Seconds()}
	p.Copied, _ = strconv.ParseInt(status["copied_keys"], 10, 64)
	p.Keys, _ = strconv.ParseInt(status["keys"], 10, 64)
	p.PauseUS, _ = strconv.ParseInt(status["lane_held_last_us"], 10, 64)
	if f.app.json {
		return f.app.object(p)
	}
	_, err := fmt.Fprintln(f.out, p)
	return err
}

// String is the line for people.
func (p stage) String() string {
	parts := []string{fmt.Sprintf("%.1f s", p.Seconds)}
	if p.State == "copying" || p.State == "draining" {
		parts = append(parts, grouped(p.Copied)+" of about "+counted(p.Keys, "key")+" copied",
			fmt.Sprintf("longest pause %.1f ms", float64(p.PauseUS)/1000))
	}
	return p.State + ": " + strings.Join(parts, ", ")
}

// follow tells a person at a terminal of the exchange that the command waits
// for, from when it takes long on; the function that it returns ends that.
func (a *app) follow(text string) (done func()) {
	if !a.errTTY || a.json {
		return func() {}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		f := follower{app: a, out: a.err, begun: time.Now()}
		select {
		case <-stop:
			return
		case <-time.After(patience):
		}
		fmt.Fprintln(a.err, "kvctl: "+text)
		c, err := a.dial() // the other connection waits for its answer
		if err != nil {
			return
		}
		defer c.Close()
		for {
			if status, err := askStatus(c); err != nil || f.look(status) != nil {
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(lookEvery):
			}
		}
	}()
	return func() { close(stop); <-stopped }
}
