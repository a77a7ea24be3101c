package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/reeflective/readline"
	"github.com/spf13/cobra"

	"kvstored/pkg/client"
)

// shell is kvctl without a command on a terminal: it reads lines, carries
// them out on one connection and shows the answers.
type shell struct {
	app    *app
	conn   *client.Conn
	edit   editor
	keys   *keyOffers
	db     int
	multi  bool // MULTI was answered, EXEC and DISCARD were not
	queued int  // commands since
	broken bool // an error spoilt the MULTI
	status int  // of the last command
}

// shell runs until the person leaves it.
func (a *app) shell() error {
	a.inShell = true
	s := &shell{app: a, db: a.db}
	conn, err := a.dialWith(client.Options{OnReconnect: s.reconnected})
	if err != nil {
		return err
	}
	s.conn = conn
	defer func() { _ = s.conn.Close() }()
	s.keys = newKeyOffers(a)
	defer s.keys.close()
	s.greet()
	if dumbTerminal() {
		s.edit = &plainEditor{in: bufio.NewReader(a.in), out: os.Stdout, prompt: s.prompt}
	} else {
		s.setUp()
	}
	for {
		_ = a.out.Flush()
		line, err := s.edit.Readline()
		switch {
		case errors.Is(err, readline.ErrInterrupt):
			continue
		case err == io.EOF:
			fmt.Fprintln(a.out)
			return nil
		case err != nil:
			return failure{what: "cannot read the terminal: " + err.Error(), code: ExitUsage}
		}
		for _, statement := range statements(line) {
			if s.line(statement) {
				return nil
			}
		}
	}
}

// greet says where this is and how to get help, in one line.
func (s *shell) greet() {
	info := s.conn.Path()
	if r, err := s.conn.Do("ENGINE", "STATUS"); err == nil {
		if fields, err := r.Fields(); err == nil {
			m := map[string]string{}
			for _, f := range fields {
				m[f.Name] = f.Value.Text()
			}
			info = m["engine"] + " " + m["version"] + ", keys: " + m["keys"]
		}
	}
	fmt.Fprintln(s.app.out, s.app.style(true, "2", info+"; help explains, TAB completes, Ctrl-D ends"))
}

// reconnected says that the connection is a new one.
func (s *shell) reconnected() {
	note := "reconnected to " + s.conn.Path()
	if s.multi {
		note += "; MULTI was lost with the old connection"
	}
	s.multi, s.queued, s.broken = false, 0, false
	_ = s.app.out.Flush()
	fmt.Fprintln(s.app.err, s.app.style(s.app.errTTY, "33", "kvctl: "+note))
}

// line carries out one line and reports whether it ends the shell.
func (s *shell) line(text string) (end bool) {
	args, err := split(text)
	if err != nil {
		s.say(badLine(err, "", ExitUsage))
		return false
	}
	if len(args) == 0 || strings.HasPrefix(strings.TrimSpace(text), "#") {
		return false
	}
	if strings.EqualFold(args[0], "kvctl") && len(args) > 1 { // as messages and the manual write it
		if strings.HasPrefix(args[1], "-") {
			s.say(s.withOptions(args[1:]))
			return false
		}
		args = args[1:]
	}
	switch strings.ToLower(args[0]) {
	case "quit", "exit":
		return true
	case "help", "?":
		s.say(s.paged(func() error { return s.explain(helpWords(args[1:])) }))
		return false
	case "clear":
		fmt.Fprint(s.app.out, "\x1b[H\x1b[2J")
		return false
	case "watch":
		if every, rest, ok := watchWords(args[1:]); ok {
			s.say(s.repeat(every, rest))
			return false
		}
	}
	if s.own(args) {
		return false
	}
	s.say(s.paged(func() error { return s.exchange(args) }))
	return false
}

// tree is the tree of commands, made of a copy: making it sets all options
// to their defaults.
func (s *shell) tree() *cobra.Command {
	child := *s.app
	child.ended = new(atomic.Int32) // what ends a command does not end the shell
	return child.root()
}

// explain prints a page of help.
func (s *shell) explain(words []string) error {
	child := *s.app
	child.ended = new(atomic.Int32) // what ends a command does not end the shell
	err := child.explain(child.root(), words)
	return err
}

// isRedisCall reports whether words behind the name of a command of kvctl
// make it the command of the server that has the same name.
func isRedisCall(name string, words []string) bool {
	switch name {
	case "keys":
		return !strings.HasPrefix(words[0], "-")
	case "latency":
		switch strings.ToUpper(words[0]) {
		case "HISTOGRAM", "LATEST", "HISTORY", "GRAPH", "RESET", "DOCTOR", "HELP":
			return true
		}
	}
	return false
}

// helpWords is what help was asked about; the shell has a page of its own.
func helpWords(args []string) []string {
	if len(args) == 0 {
		return []string{"shell"}
	}
	return args
}

// say reports what came of a line.
func (s *shell) say(err error) {
	_ = s.app.out.Flush()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		fmt.Fprintln(s.app.err, s.app.style(s.app.errTTY, "33", "kvctl: interrupted; the connection was closed, what the server began it may have finished"))
		s.multi, s.queued, s.broken = false, 0, false
		return
	}
	s.app.report(err)
}

// own runs a command of kvctl itself, such as top or engine status.
func (s *shell) own(args []string) bool {
	name := args[0]
	switch strings.ToUpper(name) {
	case "SUBSCRIBE", "PSUBSCRIBE", "MONITOR":
		name = strings.ToLower(name)
	}
	found, _, err := s.tree().Find([]string{name})
	if err != nil || !found.HasParent() || name == "watch" || len(args) > 1 && isRedisCall(found.Name(), args[1:]) {
		return false
	}
	words := append([]string{name}, args[1:]...)
	if found.Flags().Lookup("db") != nil {
		words = append([]string{"-n", strconv.Itoa(s.db)}, words...)
	}
	s.say(s.withOptions(words))
	return true
}

// withOptions runs kvctl as from the command line, on a connection of its own.
func (s *shell) withOptions(words []string) error {
	child := *s.app
	child.ended = new(atomic.Int32) // what ends a command does not end the shell
	root := child.root()
	root.SetArgs(append([]string{"--socket", s.conn.Path(), "--color", s.app.color}, words...))
	return child.filtered(root.Execute())
}

// exchange sends one command and prints its answer; Ctrl-C ends the waiting.
func (s *shell) exchange(args []string) error {
	defer s.interruptible()()
	begun := time.Now()
	if err := s.conn.Send(args...); err != nil {
		return err
	}
	if err := s.conn.Flush(); err != nil {
		return err
	}
	kind, err := s.app.receive(s.conn, args, false)
	s.track(args, err)
	if err != nil {
		return explainServer(err, args)
	}
	if took := time.Since(begun); took > 100*time.Millisecond && kind != client.Nil {
		fmt.Fprintln(s.app.out, s.app.style(true, "2", "("+took.Round(time.Millisecond).String()+")"))
	}
	return nil
}

// interruptible has Ctrl-C end what waits for the server; the function that it
// returns ends that.
func (s *shell) interruptible() (done func()) {
	signals := make(chan os.Signal, 1)
	stop := make(chan struct{})
	signal.Notify(signals, os.Interrupt)
	go func() {
		select {
		case <-signals:
			s.conn.Interrupt()
		case <-stop:
		}
	}()
	return func() {
		signal.Stop(signals)
		close(stop)
	}
}

// track follows what an answered command did to the connection.
func (s *shell) track(args []string, err error) {
	var server *client.ServerError
	refused := errors.As(err, &server)
	if err != nil && !refused {
		s.multi, s.queued, s.broken = false, 0, false
		return
	}
	name := strings.ToUpper(args[0])
	switch {
	case s.multi && (name == "EXEC" || name == "DISCARD" || name == "RESET"):
		s.multi, s.queued, s.broken = false, 0, false
	case s.multi && refused && name != "MULTI" && name != "WATCH":
		s.broken = true
	case s.multi && !refused:
		s.queued++
	case name == "MULTI" && !refused:
		s.multi, s.queued, s.broken = true, 0, false
	}
	if refused || s.multi {
		return
	}
	switch name {
	case "SELECT":
		s.db, _ = strconv.Atoi(args[len(args)-1])
	case "RESET":
		s.db = 0
	case "SET", "DEL", "MSET", "RENAME", "FLUSHDB", "FLUSHALL", "UNLINK":
		s.keys.forget()
	}
}

// watchWords reads the words behind "watch": N COMMAND ARG...
func watchWords(args []string) (time.Duration, []string, bool) {
	if len(args) < 2 {
		return 0, nil, false
	}
	every, err := strconv.ParseFloat(args[0], 64)
	if err != nil || every <= 0 || every > 1e6 {
		return 0, nil, false
	}
	return time.Duration(every * float64(time.Second)), args[1:], true
}

// repeat carries out a command every so often until Ctrl-C or an error.
func (s *shell) repeat(every time.Duration, args []string) error {
	if s.multi {
		return failure{what: "watch: not inside MULTI", why: "each run would only be queued", fix: "EXEC or DISCARD first", code: ExitUsage}
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt)
	defer signal.Stop(signals)
	fmt.Fprintln(s.app.out, s.app.style(true, "2", "every "+every.String()+"; Ctrl-C ends"))
	for {
		fmt.Fprint(s.app.out, s.app.style(true, "2", time.Now().Format("15:04:05.000"))+" ")
		err := s.exchange(args)
		_ = s.app.out.Flush()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		} else if err != nil {
			return err
		}
		select {
		case <-signals:
			fmt.Fprintln(s.app.out)
			return nil
		case <-time.After(every):
		}
	}
}
