package reactor

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stall keeps the reactor busy while do runs, so that everything that comes
// meanwhile is told of in one turn.
func stall(t *testing.T, r *Reactor, do func()) {
	t.Helper()
	busy, free := make(chan struct{}), make(chan struct{})
	if err := r.Post(func() { close(busy); <-free }); err != nil {
		t.Fatal(err)
	}
	<-busy
	defer close(free)
	do()
}

// greet makes sure that the reactor knows a connection.
func greet(t *testing.T, path string) (*net.UnixConn, *bufio.Reader) {
	t.Helper()
	c := dial(t, path).(*net.UnixConn)
	c.SetDeadline(time.Now().Add(30 * time.Second))
	r := bufio.NewReader(c)
	io.WriteString(c, "hello\n")
	expect(t, r, "hello")
	return c, r
}

// ends expects text, and then the end of the stream.
func ends(t *testing.T, what string, r io.Reader, text string) {
	t.Helper()
	got, err := io.ReadAll(r)
	if string(got) != text || err != nil {
		t.Errorf("%s: %d bytes of %d, %v", what, len(got), len(text), err)
	}
}

// Input of any length and the end of the stream may come together: all of it
// is served, though the epoll set tells of it once.
func TestInputAndItsEndTogether(t *testing.T) {
	for _, limit := range []int{0, 1000} {
		h := &lines{limit: limit}
		path := start(t, h, Limits{})
		for _, size := range []int{1, arenaRead - 1, arenaRead, arenaRead + 1, arenaRead * 5 / 4} {
			c, r := greet(t, path)
			text := strings.Repeat("k\n", size/2) + strings.Repeat("\n", size%2)
			stall(t, h.r, func() { io.WriteString(c, text); c.CloseWrite() })
			ends(t, fmt.Sprintf("%d bytes", size), r, text)
		}
	}
}

// A request with memory of its own may be completed and followed by the end.
func TestLargeInputAndItsEndTogether(t *testing.T) {
	h := &lines{}
	path := start(t, h, Limits{})
	c, r := greet(t, path)
	line := "need 200000 " + strings.Repeat("x", 200000-13) + "\n"
	io.WriteString(c, line[:arenaRead+9])
	for read := false; !read; { // the mapping is there, and what is left comes at once
		stall(t, h.r, func() {
			h.r.Conns(func(c *Conn) { read = c.bigN == arenaRead+9 })
			if read {
				io.WriteString(c, line[arenaRead+9:]+"after\n")
				c.CloseWrite()
			}
		})
	}
	ends(t, "a large line", r, line+"after\n")
}

// What comes for a connection that waits is served when it goes on.
func TestInputWhileBlocked(t *testing.T) {
	h := &lines{}
	path := start(t, h, Limits{})
	c, r := greet(t, path)
	io.WriteString(c, "wait\n")
	conn := <-h.waiting
	stall(t, h.r, func() { io.WriteString(c, "one\ntwo\n"); c.CloseWrite() })
	h.r.Post(func() { h.r.Resume(conn) })
	ends(t, "blocked", r, "one\ntwo\n")
}

// Input for which the tick has no room is taken in a later one.
func TestMoreInputThanATickHasRoomFor(t *testing.T) {
	const conns, half = 80, smallInput - 100
	h := &lines{}
	path := start(t, h, Limits{})
	var all []*net.UnixConn
	var readers []*bufio.Reader
	for range conns {
		c, r := greet(t, path)
		all, readers = append(all, c), append(readers, r)
		io.WriteString(c, strings.Repeat("x", half))
	}
	for kept := 0; kept < conns; {
		kept = 0
		stall(t, h.r, func() {
			h.r.Conns(func(c *Conn) {
				if len(c.in) == half {
					kept++
				}
			})
		})
	}
	stall(t, h.r, func() {
		for _, c := range all {
			io.WriteString(c, strings.Repeat("y", half)+"\n")
			c.CloseWrite()
		}
	})
	want := strings.Repeat("x", half) + strings.Repeat("y", half) + "\n"
	for i, r := range readers {
		ends(t, fmt.Sprint("connection ", i), r, want)
	}
}

// Output of which a tick writes a share goes on in the next, though the socket
// has had room all the time.
func TestOutputInShares(t *testing.T) {
	h := &lines{}
	path := start(t, h, Limits{})
	stall(t, h.r, func() { h.r.share = 4096 })
	c, r := greet(t, path)
	io.WriteString(c, "big 20000\n")
	var out uint64
	for end := time.Now().Add(30 * time.Second); out < 20000; { // nobody reads
		if time.Now().After(end) {
			t.Fatalf("%d bytes written, and no more", out)
		}
		stall(t, h.r, func() { out = h.r.traffic.BytesOut })
	}
	expect(t, r, strings.Repeat("x", 20000))
}

// TestNobodyRingsAfterTheEnd: the reactor does not end, and its descriptor is nobody else's, between what
// is posted and its ring, however long that takes.
func TestNobodyRingsAfterTheEnd(t *testing.T) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	size, err := unix.FcntlInt(uintptr(p[1]), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		t.Fatal(err)
	}
	full := make([]byte, size)
	if n, err := unix.Write(p[1], full); n != size {
		t.Fatal(n, err)
	}
	r, done := &Reactor{wake: p[1]}, make(chan error)
	go func() { done <- r.Post(func() {}) }()
	for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if r.mu.TryLock() {
			if len(r.posted) > 0 {
				t.Error("it was posted, and the reactor could end before the ring")
				end = time.Now()
			}
			r.mu.Unlock()
		}
	}
	if _, err := unix.Read(p[0], full); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
