// Package large holds the daemon to its promise that large values are neither
// copied more often than they must be nor keep the small requests of others
// waiting. What is measured is memory and order, never time.
package large

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
)

const (
	large = 64 << 20
	slack = 16 << 20 // memory that may come and go beside a large value
)

func TestMain(m *testing.M) {
	code := m.Run()
	daemontest.Remove()
	os.Exit(code)
}

// world is a daemon and a connection for the large requests.
type world struct {
	t *testing.T
	d *daemontest.Daemon
	c *conn
}

func start(t *testing.T, flags ...string) *world {
	t.Helper()
	d := daemontest.Start(t, enginetest.Build(t, "hash"), flags...)
	return &world{t, d, dial(t, d.Socket)}
}

// conn speaks RESP2; replies are read piece by piece.
type conn struct {
	t   *testing.T
	net net.Conn
	in  *bufio.Reader
}

func dial(t *testing.T, socket string) *conn {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &conn{t, c, bufio.NewReaderSize(c, 64<<10)}
}

// send sends a request; a []byte among the words is taken as it is.
func (c *conn) send(words ...any) {
	c.t.Helper()
	wire := net.Buffers{fmt.Appendf(nil, "*%d\r\n", len(words))} // a large value is not copied here either
	for _, w := range words {
		b, ok := w.([]byte)
		if !ok {
			b = fmt.Append(nil, w)
		}
		wire = append(wire, fmt.Appendf(nil, "$%d\r\n", len(b)), b, []byte("\r\n"))
	}
	if _, err := wire.WriteTo(c.net); err != nil {
		c.t.Fatal(err)
	}
}

// line reads a line of a reply.
func (c *conn) line() string {
	c.t.Helper()
	line, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.TrimSuffix(line, "\r\n")
}

// bulk reads the head of a bulk string, whose length must be n, then the rest of
// it, which must be what want tells of every piece.
func (c *conn) bulk(want []byte) {
	c.t.Helper()
	if head := c.line(); head != "$"+strconv.Itoa(len(want)) {
		c.t.Fatalf("the reply begins with %.200s, want a string of %d bytes", head, len(want))
	}
	piece := make([]byte, 1<<20)
	for at := 0; at < len(want); {
		n := min(len(piece), len(want)-at)
		if _, err := io.ReadFull(c.in, piece[:n]); err != nil {
			c.t.Fatal(err)
		}
		if !bytes.Equal(piece[:n], want[at:at+n]) {
			c.t.Fatalf("the reply differs between byte %d and %d", at, at+n)
		}
		at += n
	}
	if end := c.line(); end != "" {
		c.t.Fatalf("the string is followed by %q", end)
	}
}

// do sends a request and wants a reply of one line.
func (c *conn) do(want string, words ...any) {
	c.t.Helper()
	c.send(words...)
	if got := c.line(); got != want {
		c.t.Fatalf("%.60v: %.200s, want %s", words, got, want)
	}
}

// answered tells whether a reply has begun to arrive.
func (c *conn) answered() bool {
	c.t.Helper()
	if c.in.Buffered() > 0 {
		return true
	}
	raw, err := c.net.(*net.UnixConn).SyscallConn()
	if err != nil {
		c.t.Fatal(err)
	}
	ready := false
	err = raw.Control(func(fd uintptr) {
		n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		ready = n > 0
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return ready
}

// beside sends small requests until the large one that c has sent is answered,
// and returns how many were answered before. One more may be on its way
// when the large one is carried out, and one is answered after it.
func (w *world) beside() (n int) {
	w.t.Helper()
	other := dial(w.t, w.d.Socket)
	for !w.c.answered() {
		other.do("+PONG", "PING")
		n++
	}
	return n
}

// mustLetPass fails the test when no small requests of others are answered while
// the one with these words is carried out.
func (w *world) mustLetPass(words ...any) {
	w.t.Helper()
	w.c.send(words...)
	if n := w.beside(); n < 5 {
		w.t.Errorf("%v: %d small requests were answered beside it, want some", words, n)
	}
}

// value is n bytes that differ from place to place.
func value(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16 ^ i>>24)
	}
	return b
}

// status is a field of the daemon's /proc/PID/status, in bytes.
func (w *world) status(field string) int64 {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(w.d.PID()), "status"))
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err != nil {
				w.t.Fatal(err)
			}
			return n << 10
		}
	}
	w.t.Fatalf("no %s in the status of a process", field)
	return 0
}

// grows is by how much the memory of the daemon grows at most while fn runs.
func (w *world) grows(fn func()) int64 {
	w.t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", w.d.PID()), []byte("5"), 0); err != nil {
		w.t.Fatal(err)
	}
	before := w.status("VmRSS")
	fn()
	return w.status("VmHWM") - before
}

// mayGrow fails the test when fn takes more memory than most.
func (w *world) mayGrow(most int64, what string, fn func()) {
	w.t.Helper()
	if n := w.grows(fn); n > most {
		w.t.Errorf("%s: memory grew by %d MiB, want at most %d", what, n>>20, most>>20)
	}
}
