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
	"syscall"
	"testing"
	"time"

	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
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
	log    bytes.Buffer
	cmd    *exec.Cmd
}

func newHouse(t *testing.T, sync string) *house {
	h := &house{t: t, dir: t.TempDir(), engine: enginetest.Build(t, "hash")}
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
	if err := os.WriteFile(h.path("conf"), []byte("Sync="+sync+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) path(name string) string { return filepath.Join(h.dir, name) }

// start runs the daemon on the socket that is there, as systemd does.
func (h *house) start() {
	h.t.Helper()
	h.cmd = exec.Command("sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"`, "sh", daemontest.Binary(h.t),
		"--engine", h.engine, "--state-dir", h.path("state"), "--config", h.path("conf"))
	h.cmd.ExtraFiles = []*os.File{h.socket}
	h.cmd.Stdout, h.cmd.Stderr = &h.log, &h.log
	if err := h.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
}

// end ends it and waits.
func (h *house) end(signal os.Signal) {
	_ = h.cmd.Process.Signal(signal)
	_ = h.cmd.Wait()
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
		h.t.Fatalf("no answer: %v\n%s", err, &h.log)
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
			h := newHouse(t, sync)
			h.start()
			defer func() { h.end(syscall.SIGKILL) }()
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
				h.end(syscall.SIGKILL)
				h.start()
				h.answers()
			}
			t.Logf("the daemon killed %d times with Sync=%s", *kills, sync)
			stop.Close()
			if err := load.Wait(); err != nil {
				t.Errorf("%v\n%s\nthe daemon said:\n%s", err, &said, &h.log)
			}
			if !strings.Contains(said.String(), `"reconnects":`) {
				t.Errorf("the clients said:\n%s", &said)
			}
		})
	}
}
