// Package crash kills the real daemon under verifying clients: nothing that was
// answered may be lost.
package crash

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
	"kvstored/tests/trace"
)

func TestMain(m *testing.M) {
	code := m.Run()
	daemontest.Remove()
	os.Exit(code)
}

var kills = flag.Int("kills", 50, "how often each mode is killed")

// house is what outlives the daemon: the socket and the state directory.
type house struct {
	t      *testing.T
	dir    string
	engine string
	socket *os.File
	log    saying
	stop   func(unix.Signal) // ends the daemon and waits
}

// saying is what the daemon said.
type saying struct{ *os.File }

func (s saying) Bytes() []byte {
	text, _ := os.ReadFile(s.Name())
	return text
}

func (s saying) String() string { return string(s.Bytes()) }
func (s saying) Reset()         { _ = s.Truncate(0) }

func newHouse(t *testing.T, engine string, settings ...string) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir(), engine: enginetest.Build(t, engine)}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: h.path("s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if h.socket, err = l.File(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.socket.Close() })
	if err := os.Mkdir(h.path("state"), 0o700); err != nil {
		t.Fatal(err)
	}
	if h.log.File, err = os.OpenFile(h.path("log"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.end(unix.SIGKILL)
		h.log.Close()
	})
	h.configure(settings...)
	return h
}

// configure writes the configuration for the next start. The trial of an engine has time,
// however busy the machine is.
func (h *house) configure(settings ...string) {
	h.t.Helper()
	settings = append([]string{"CheckTimeout=10min"}, settings...)
	if err := os.WriteFile(h.path("conf"), []byte(strings.Join(settings, "\n")+"\n"), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) path(name string) string { return filepath.Join(h.dir, name) }

// command is the daemon on the socket that is there, as systemd runs it.
func (h *house) command() *exec.Cmd {
	cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"`, "sh", daemontest.Binary(h.t),
		"--engine", h.engine, "--state-dir", h.path("state"), "--config", h.path("conf"))
	cmd.ExtraFiles = []*os.File{h.socket}
	cmd.Stdout, cmd.Stderr = h.log.File, h.log.File
	return cmd
}

// start runs the daemon.
func (h *house) start() {
	h.t.Helper()
	cmd := h.command()
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.stop = func(signal unix.Signal) {
		_ = cmd.Process.Signal(signal)
		_ = cmd.Wait()
	}
}

// startInView runs it with its calls in view.
func (h *house) startInView(observe trace.Observer) *trace.Process {
	h.t.Helper()
	p, err := trace.Start(h.command(), observe)
	if err != nil {
		h.t.Fatal(err)
	}
	h.stop = func(signal unix.Signal) {
		p.Signal(signal)
		_, _ = p.Wait()
	}
	return p
}

// end ends it and waits.
func (h *house) end(signal unix.Signal) {
	if h.stop != nil {
		h.stop(signal)
		h.stop = nil
	}
}

// answers waits until a request is answered.
func (h *house) answers() {
	h.t.Helper()
	c, err := net.Dial("unix", h.path("s"))
	if err != nil {
		h.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(60 * time.Second))
	c.Write([]byte("PING\r\n"))
	if _, err := c.Read(make([]byte, 16)); err != nil {
		h.t.Fatalf("no answer: %v\n%s", err, h.log)
	}
}

// hammer builds the verifying clients.
func hammer(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "hammer")
	cmd := exec.Command("go", "build", "-o", out, "./tests/system/hammer")
	cmd.Dir = enginetest.Root()
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return out
}

func TestKilledUnderLoad(t *testing.T) {
	clients := hammer(t)
	for _, sync := range []string{"always", "interval"} {
		t.Run(sync, func(t *testing.T) {
			h := newHouse(t, "hash", "Sync="+sync)
			h.start()
			h.answers()
			load := exec.Command(clients, "-socket", h.path("s"), "-clients", "4", "-restarts")
			stop, err := load.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			load.Stdout, load.Stderr = &said, &said
			if err := load.Start(); err != nil {
				t.Fatal(err)
			}
			for range *kills {
				time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
				h.end(unix.SIGKILL)
				h.start()
				h.answers()
			}
			t.Logf("the daemon killed %d times with Sync=%s", *kills, sync)
			stop.Close()
			if err := load.Wait(); err != nil {
				t.Errorf("%v\n%s\nthe daemon said:\n%s", err, &said, h.log)
			}
			if !strings.Contains(said.String(), `"reconnects":`) {
				t.Errorf("the clients said:\n%s", &said)
			}
		})
	}
}
