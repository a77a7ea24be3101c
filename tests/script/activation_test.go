package script

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
)

// manager plays systemd for one daemon: it owns the socket, passes it, and
// hears what the daemon reports.
type manager struct {
	t      *testing.T
	socket string
	cmd    *exec.Cmd
	log    bytes.Buffer
	told   chan string
	done   chan error
}

// activate starts kvstored as systemd does, with a listening socket of the
// name, and a memfd that nobody asked for.
func activate(t *testing.T, name, engine string, env ...string) *manager {
	t.Helper()
	dir := t.TempDir()
	m := &manager{t: t, socket: filepath.Join(dir, "s"), told: make(chan string, 1000), done: make(chan error, 1)}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: m.socket})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	defer file.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	m.hear(filepath.Join(dir, "notify"))
	config := filepath.Join(dir, "kvstored.conf")
	text := "EngineDir=" + filepath.Dir(engine) + "\nEngine=" + engine + "\n"
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	// The shell becomes the daemon, so that LISTEN_PID is right.
	m.cmd = exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, daemontest.Binary(t), "--config", config)
	m.cmd.Env = append(append(os.Environ(), "NOTIFY_SOCKET="+filepath.Join(dir, "notify"),
		"LISTEN_FDS=2", "LISTEN_FDNAMES=junk:"+name), env...)
	m.cmd.ExtraFiles = []*os.File{null, file}
	m.cmd.Stderr = &m.log
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { m.done <- m.cmd.Wait() }()
	t.Cleanup(func() {
		m.cmd.Process.Kill()
		<-m.done
		if t.Failed() {
			t.Logf("kvstored said:\n%s", m.log.String())
		}
	})
	return m
}

// hear gathers what is sent to a notification socket.
func (m *manager) hear(path string) {
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path})
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { c.Close() })
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := c.Read(buffer)
			if err != nil {
				return
			}
			m.told <- string(buffer[:n])
		}
	}()
}

// until waits for a report that begins with text and gives all up to it.
func (m *manager) until(text string) []string {
	m.t.Helper()
	var all []string
	for deadline := time.After(patience); ; {
		select {
		case report := <-m.told:
			all = append(all, report)
			if strings.HasPrefix(report, text) {
				return all
			}
		case <-deadline:
			m.t.Fatalf("no report %s, only %q", text, all)
		}
	}
}

// say sends a line on a connection of its own and gives the reply's first.
func (m *manager) say(line string) string {
	m.t.Helper()
	c, err := net.Dial("unix", m.socket)
	if err != nil {
		m.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "%s\r\n", line)
	reply, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		m.t.Fatal(err)
	}
	return strings.TrimSpace(reply)
}

// end sends a signal and gives how the daemon ended.
func (m *manager) end(s os.Signal) error {
	m.t.Helper()
	m.cmd.Process.Signal(s)
	select {
	case err := <-m.done:
		m.done <- err
		return err
	case <-time.After(patience):
		m.t.Fatal("it does not end")
		return nil
	}
}

func TestActivationAndReports(t *testing.T) {
	hash, next := enginetest.Build(t, "hash"), enginetest.Build(t, "hash", `KV_ENGINE_VERSION="0.1.1"`)
	for _, name := range []string{"kvstored", "other"} {
		m := activate(t, name, hash)
		if first := m.until("READY=1"); !strings.HasPrefix(first[0], "STATUS=loading the engine ") {
			t.Errorf("the first reports are %q", first)
		}
		if got := m.say("PING"); got != "+PONG" {
			t.Errorf("PING on socket %q: %q", name, got)
		}
		if name != "kvstored" {
			continue
		}

		// READY=1 is there before the requester has its answer, on every path.
		for path, want := range map[string]string{
			next: "-ERR reload refused", // not below EngineDir=
			hash: "+unchanged", "": "+unchanged",
			"/etc/passwd": "-ERR reload refused",
		} {
			if got := m.say("ENGINE LOAD " + path); !strings.HasPrefix(got, want) {
				t.Errorf("ENGINE LOAD %s: %q, want %s", path, got, want)
			}
			m.expectReload()
		}
		m.cmd.Process.Signal(syscall.SIGHUP)
		m.until("RELOADING=1")
		m.until("READY=1")

		if err := m.end(syscall.SIGTERM); err != nil {
			t.Errorf("it ended with %v", err)
		}
		m.until("STOPPING=1")
		if !strings.Contains(m.log.String(), "not used: a descriptor from systemd that is no listening socket name=junk") {
			t.Error("the odd descriptor is not mentioned")
		}
		if _, err := os.Stat(m.socket); err != nil {
			t.Error("systemd's socket was removed")
		}
	}
}

// expectReload wants a whole reload among the reports that are there already.
func (m *manager) expectReload() {
	m.t.Helper()
	var kinds []string
	for deadline := time.After(patience); len(kinds) == 0 || kinds[len(kinds)-1] != "READY=1"; {
		select {
		case report := <-m.told:
			kind, _, _ := strings.Cut(report, "\n")
			kind, _, _ = strings.Cut(kind, "_USEC=")
			if !strings.HasPrefix(kind, "STATUS=") {
				kinds = append(kinds, kind)
			}
		case <-deadline:
			m.t.Fatalf("only %q was reported", kinds)
		}
	}
	if want := []string{"RELOADING=1", "EXTEND_TIMEOUT", "READY=1"}; !slices.Equal(kinds, want) {
		m.t.Errorf("reported %q, want %q", kinds, want)
	}
}

func TestWatchdogIsFed(t *testing.T) {
	m := activate(t, "kvstored", enginetest.Build(t, "hash"), "WATCHDOG_USEC=200000")
	m.until("READY=1")
	m.until("WATCHDOG=1")
	m.until("WATCHDOG=1")
	if err := m.end(syscall.SIGTERM); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// TestQueuedHangup sends a second SIGHUP while the first reload runs: both
// are carried out.
func TestQueuedHangup(t *testing.T) {
	m := activate(t, "kvstored", enginetest.Build(t, "hash"))
	m.until("READY=1")
	m.cmd.Process.Signal(syscall.SIGHUP)
	m.until("RELOADING=1")
	m.cmd.Process.Signal(syscall.SIGHUP)
	m.until("READY=1")
	m.until("RELOADING=1")
	m.until("READY=1")
}

// TestPipelineBeforeTermination sends many requests and SIGTERM at once: what
// was received is answered before it exits with 0.
func TestPipelineBeforeTermination(t *testing.T) {
	m := activate(t, "kvstored", enginetest.Build(t, "hash"))
	m.until("READY=1")
	c, err := net.Dial("unix", m.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	const requests = 1000
	if _, err := c.Write(bytes.Repeat([]byte("INCR n\r\n"), requests)); err != nil {
		t.Fatal(err)
	}
	if err := m.end(syscall.SIGTERM); err != nil {
		t.Errorf("it ended with %v", err)
	}
	var last string
	for lines := bufio.NewScanner(c); lines.Scan(); {
		last = lines.Text()
	}
	if want := fmt.Sprintf(":%d", requests); last != want {
		t.Errorf("the last reply is %q, want %q", last, want)
	}
}
