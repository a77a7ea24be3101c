package kvctl

import (
	"fmt"
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
