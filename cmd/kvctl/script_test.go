package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"kvstored/pkg/client/clienttest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"kvctl":    main,
		"kvstored": fakeDaemon,
		"as":       asUser,
	})
}

// fakeDaemon stands for kvstored check-engine: a library is a file that begins
// with "engine NAME VERSION".
func fakeDaemon() {
	f, err := os.Open(os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "kvstored: "+err.Error())
		os.Exit(3)
	}
	first, _ := bufio.NewReader(f).ReadString('\n')
	words := strings.Fields(first)
	if len(words) < 3 || words[0] != "engine" {
		fmt.Fprintln(os.Stderr, "kvstored: no symbol kvstore_engine in "+os.Args[2])
		os.Exit(3)
	}
	fmt.Println("engine", words[1], words[2])
	os.Exit(0)
}

// asUser runs a program as a user without any rights: as UID PROGRAM ARG...
func asUser() {
	c := exec.Command(os.Args[2], os.Args[3:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.SysProcAttr = credential(os.Args[1])
	if err := c.Run(); err != nil && c.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(125)
	}
	os.Exit(c.ProcessState.ExitCode())
}

// TestScripts runs the real command against a server of its own in each script.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		Setup:         setup,
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "socket": socket, "envfile": envFile},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
	})
}

// setup starts the server and opens the way to it for other users.
func setup(env *testscript.Env) error {
	s := &clienttest.Server{RESP3: true}
	path := filepath.Join(env.WorkDir, "s.sock")
	if err := s.Start(path); err != nil {
		return err
	}
	env.Defer(s.Stop)
	env.Setenv("KVSTORE_SOCKET", path)
	env.Setenv("NO_COLOR", "")
	if os.Geteuid() != 0 {
		env.Setenv("SUDO", "sudo ") // how the ways out begin for who is not root
	} else {
		env.Setenv("SUDO", "")
	}
	env.Setenv("XDG_RUNTIME_DIR", "")
	program, err := exec.LookPath("kvctl")
	if err != nil {
		return err
	}
	for _, dir := range []string{env.WorkDir, filepath.Dir(env.WorkDir), filepath.Dir(program), filepath.Dir(filepath.Dir(program))} {
		if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o055 != 0o055 {
			if err := os.Chmod(dir, 0o755); err != nil {
				return err
			}
		}
	}
	return nil
}

// exits runs a program and compares its exit status: exits STATUS PROGRAM ARG...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS PROGRAM ARG...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if exit, ok := err.(*exec.ExitError); ok {
		got = fmt.Sprint(exit.ExitCode())
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != args[0] {
		ts.Fatalf("exit status %s, not %s", got, args[0])
	}
}

// socket makes a socket that nobody listens on: socket PATH
func socket(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(abandonedSocket(ts.MkAbs(args[0])))
}

// envFile puts the values of variables into a file: envfile PATH
func envFile(ts *testscript.TestScript, neg bool, args []string) {
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}
