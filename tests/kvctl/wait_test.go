package kvctl

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
)

// engine wait tells what came of an exchange, its own or another's, and of the
// last one when none is under way.
func TestEngineWait(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	if out := must(t, d.Socket, "", "engine", "wait"); !strings.HasPrefix(out, "no exchange so far: hash ") {
		t.Errorf("before any exchange: %q", out)
	}
	c := dial(t, d.Socket)
	const keys = 100_000
	for i := range keys {
		if err := c.Send("SET", fmt.Sprint("key-", i), "value"); err != nil {
			t.Fatal(err)
		}
		if i%1000 == 999 {
			if err := c.Flush(); err != nil {
				t.Fatal(err)
			}
			for range 1000 {
				if _, err := c.Receive(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	must(t, d.Socket, "", "engine", "reload", "--wait=false", enginetest.Build(t, "debug"))
	out := must(t, d.Socket, "", "engine", "wait", "--timeout", "2m")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, "debug") {
		t.Errorf("after an exchange: %q", out)
	}
	var status struct {
		State    string
		LastSwap string `json:"last_swap"`
	}
	object(t, d.Socket, &status, "engine", "wait")
	if !strings.Contains(status.LastSwap, "debug") {
		t.Errorf("--json: %+v", status)
	}
	_, _, _ = run(t, d.Socket, "", "engine", "reload", "/nonexistent/engine.so")
	stdout, stderr, code := run(t, d.Socket, "", "engine", "wait")
	if code != 3 || stdout != "" || !strings.Contains(stderr, "/nonexistent/engine.so") || !strings.Contains(stderr, "why:") {
		t.Errorf("after a refusal: exit status %d, %q, %q", code, stdout, stderr)
	}
	if _, stderr, code := run(t, d.Socket, "", "engine", "wait", "--timeout", "-1s"); code != 2 || !strings.Contains(stderr, "--timeout") {
		t.Errorf("a negative time: exit status %d, %q", code, stderr)
	}
}

// engine wait goes on when the daemon restarts, says so once, and tells that
// what it waited for has ended.
func TestEngineWaitReconnects(t *testing.T) {
	server, path := standIn(t)
	must(t, path, "", "TEST", "STATE", "copying")
	p := onTerminal(t, nil, "--socket", path, "engine", "wait")
	p.expect("copying: ")
	server.Stop()
	p.expect("kvctl: connection lost; connecting again")
	if err := server.Start(path); err != nil {
		t.Fatal(err)
	}
	p.expect("kvctl: reconnected; an exchange that was under way ended with the old daemon")
	must(t, path, "", "TEST", "STATE", "serving")
	p.expect("kvctl: the exchange ended while it was copying: the daemon restarted")
	p.expect("why: hash 0.1.0 serves since")
	if code := p.ends(); code != 3 {
		t.Errorf("exit status %d", code)
	}
	if n := strings.Count(p.text(), "connection lost"); n != 1 {
		t.Errorf("it said so %d times", n)
	}
}

// The time of engine wait ends also where no daemon comes back.
func TestEngineWaitEndsWithoutADaemon(t *testing.T) {
	server, path := standIn(t)
	must(t, path, "", "TEST", "STATE", "copying")
	p := onTerminal(t, nil, "--socket", path, "engine", "wait", "--timeout", "2s")
	p.expect("copying: ")
	server.Stop()
	p.expect("the exchange is still copying after 2s")
	if code := p.ends(); code != 1 {
		t.Errorf("exit status %d", code)
	}
}

// A choice that a flag of the daemon overrules is refused before anything is
// written, whether there is such an engine or not.
func TestEngineUseUnderAFlag(t *testing.T) {
	d := daemontest.Start(t, enginetest.Build(t, "hash"))
	conf := filepath.Join(filepath.Dir(d.Socket), "kvstored.conf")
	for _, engine := range []string{"nosuch", "lmdb"} {
		stdout, stderr, code := run(t, d.Socket, "", "engine", "use", "--config", conf, engine)
		if code != 3 || stdout != "" || !strings.Contains(stderr, "kvctl: cannot use "+engine+": another rule wins\n  why: kvstored was started with --engine ") ||
			!strings.Contains(stderr, "\n  fix: start it again without --engine; or, until it ends: ") {
			t.Errorf("%s: exit status %d, %s%s", engine, code, stdout, stderr)
		}
		if _, err := os.Stat(filepath.Join(conf+".d", "50-engine.conf")); err == nil {
			t.Errorf("%s: a drop-in was written", engine)
		}
	}
}
