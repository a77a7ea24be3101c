// Package script runs the real kvstored through the scripts in testdata: each
// tells what a user does and sees. Beside the commands of testscript there are
//
//	start NAME ARGS...       run kvstored in the background
//	logs NAME REGEXP         wait until its standard error matches
//	ask SOCKET LINE REGEXP   send a line; the reply must match
//	signal NAME SIGNAL       TERM, HUP, INT, KILL, STOP, CONT
//	ended NAME CODE          wait for its end; -1 stands for a signal
//	exits CODE COMMAND...    run a command to its end; stderr is kept
//	corrupt FILE             overwrite a file in place, with nonsense
package script

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
)

// patience bounds every wait; nothing is asserted about shorter times.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	code := m.Run()
	daemontest.Remove()
	os.Exit(code)
}

func TestScripts(t *testing.T) {
	bin := filepath.Dir(daemontest.Binary(t))
	engines := map[string]string{
		"HASH":  enginetest.Build(t, "hash"),
		"NEXT":  enginetest.Build(t, "hash", `KV_ENGINE_VERSION="0.1.1"`),
		"DEBUG": enginetest.Build(t, "debug"),
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Values[running{}] = map[string]*background{}
			return copyEngines(env, engines)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"start": start, "logs": logs, "ask": ask, "signal": signal, "ended": ended, "exits": exits,
			"corrupt": corrupt,
		},
	})
}

// copyEngines gives each script engines of its own, in engines/, because some
// scripts spoil them, and a configuration that allows that directory.
func copyEngines(env *testscript.Env, engines map[string]string) error {
	dir := filepath.Join(env.WorkDir, "engines")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for name, path := range engines {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		own := filepath.Join(dir, strings.ToLower(name)+".so")
		if err := os.WriteFile(own, text, 0o755); err != nil {
			return err
		}
		env.Setenv(name, own)
	}
	return nil
}

// running is the key of a script's daemons, by name.
type running struct{}

// background is one daemon of a script.
type background struct {
	cmd  *exec.Cmd
	log  string
	done chan error
}

func daemons(ts *testscript.TestScript) map[string]*background {
	return ts.Value(running{}).(map[string]*background)
}

func daemon(ts *testscript.TestScript, name string) *background {
	b := daemons(ts)[name]
	if b == nil {
		ts.Fatalf("no daemon %s was started", name)
	}
	return b
}

func need(ts *testscript.TestScript, neg bool, args []string, n int, usage string) {
	if neg || len(args) < n {
		ts.Fatalf("usage: %s", usage)
	}
}

func start(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, "start NAME ARGS...")
	log, err := os.Create(ts.MkAbs(args[0] + ".log"))
	ts.Check(err)
	defer log.Close()
	b := &background{log: log.Name(), done: make(chan error, 1)}
	b.cmd = exec.Command("kvstored", args[1:]...)
	b.cmd.Path, err = exec.LookPath(filepath.Join(daemontestDir(ts), "kvstored"))
	ts.Check(err)
	b.cmd.Err = nil
	b.cmd.Dir = ts.MkAbs(".")
	b.cmd.Stderr = log
	b.cmd.Env = environment(ts)
	ts.Check(b.cmd.Start())
	go func() { b.done <- b.cmd.Wait() }()
	daemons(ts)[args[0]] = b
	ts.Defer(func() {
		b.cmd.Process.Kill()
		select {
		case <-b.done:
		case <-time.After(patience):
		}
	})
}

// daemontestDir is where the binaries are: the first entry of PATH.
func daemontestDir(ts *testscript.TestScript) string {
	return filepath.SplitList(ts.Getenv("PATH"))[0]
}

// environment is what a daemon of a script gets to see.
func environment(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "WORK", "NOTIFY_SOCKET", "STATE_DIRECTORY", "CONFIGURATION_DIRECTORY"} {
		if value := ts.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// await calls try until it succeeds.
func await(ts *testscript.TestScript, what string, try func() error) {
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	ts.Fatalf("%s: %v", what, err)
}

func logs(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "logs NAME REGEXP")
	b := daemon(ts, args[0])
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	var text []byte
	await(ts, "the log of "+args[0], func() error {
		if text, err = os.ReadFile(b.log); err == nil && !pattern.Match(text) {
			err = fmt.Errorf("%q does not match\n%s", args[1], text)
		}
		return err
	})
}

func ask(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 3, "ask SOCKET LINE REGEXP")
	pattern, err := regexp.Compile("(?m)" + args[2])
	ts.Check(err)
	var c net.Conn
	await(ts, "connecting", func() error {
		c, err = net.Dial("unix", ts.MkAbs(args[0]))
		return err
	})
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	_, err = c.Write([]byte(args[1] + "\r\n"))
	ts.Check(err)
	var got []byte
	for buffer := make([]byte, 4096); !pattern.Match(got); {
		n, err := c.Read(buffer)
		got = append(got, buffer[:n]...)
		if err != nil {
			ts.Fatalf("%q does not match the reply\n%s(%v)", args[2], got, err)
		}
	}
	ts.Logf("%s", bytes.TrimSpace(got))
}

func signal(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "signal NAME SIGNAL")
	number := map[string]syscall.Signal{
		"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "INT": syscall.SIGINT,
		"KILL": syscall.SIGKILL, "STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT,
	}[args[1]]
	if number == 0 {
		ts.Fatalf("no signal %s", args[1])
	}
	ts.Check(daemon(ts, args[0]).cmd.Process.Signal(number))
}

func ended(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "ended NAME CODE")
	b := daemon(ts, args[0])
	select {
	case err := <-b.done:
		b.done <- err
	case <-time.After(patience):
		ts.Fatalf("%s still runs", args[0])
	}
	if got := strconv.Itoa(b.cmd.ProcessState.ExitCode()); got != args[1] {
		text, _ := os.ReadFile(b.log)
		ts.Fatalf("%s ended with %s, want %s\n%s", args[0], got, args[1], text)
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "exits CODE COMMAND...")
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		code = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("%s ended with %d, want %s", args[1], code, args[0])
	}
}

func corrupt(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, "corrupt FILE")
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_WRONLY, 0)
	ts.Check(err)
	defer f.Close()
	info, err := f.Stat()
	ts.Check(err)
	_, err = f.Write(bytes.Repeat([]byte{0xcc}, int(info.Size())))
	ts.Check(err)
}
