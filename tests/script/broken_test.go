package script

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"kvstored/pkg/engine/enginetest"
)

// exitOf is the exit code of an ended daemon, -1 for a signal.
func (m *manager) exitOf() int {
	m.t.Helper()
	select {
	case err := <-m.done:
		m.done <- err
	case <-time.After(patience):
		m.t.Fatal("it does not end")
	}
	return m.cmd.ProcessState.ExitCode()
}

// sendOnly sends a line and does not wait for the reply.
func (m *manager) sendOnly(line string) net.Conn {
	m.t.Helper()
	c, err := net.Dial("unix", m.socket)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "%s\r\n", line)
	return c
}

// TestHungEngine: when the engine does not come back the watchdog is not fed,
// and a stop, at the latest the second one, does not wait for it.
func TestHungEngine(t *testing.T) {
	m := activate(t, "kvstored", enginetest.Build(t, "debug", "DEBUG_KEYS"), "WATCHDOG_USEC=400000")
	m.until("WATCHDOG=1")
	m.sendOnly("GET debug:hang")
	for fed := true; fed; {
		select {
		case report := <-m.told:
			fed = report != ""
		case <-time.After(2 * time.Second): // five times the interval
			fed = false
		}
	}
	m.cmd.Process.Signal(syscall.SIGTERM)
	m.until("STOPPING=1")
	m.cmd.Process.Signal(syscall.SIGTERM)
	if code := m.exitOf(); code != 1 {
		t.Errorf("it ended with %d", code)
	}
	for _, want := range []string{"the watchdog is not fed: no answer from the serving path", "ending: no answer from the serving path"} {
		if !strings.Contains(m.log.String(), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
}

// TestLostStore: an engine that fails a whole batch leaves nothing to serve,
// so the daemon ends and systemd starts it anew.
func TestLostStore(t *testing.T) {
	m := activate(t, "kvstored", enginetest.Build(t, "debug", "DEBUG_KEYS"))
	m.until("READY=1")
	m.sendOnly("GET debug:fail")
	if code := m.exitOf(); code != 1 {
		t.Errorf("it ended with %d", code)
	}
	if !strings.Contains(m.log.String(), "ending: the store became unusable\n  why: engine debug") {
		t.Error("the log does not say why")
	}
}
