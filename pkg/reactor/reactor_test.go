package reactor

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// lines is a handler whose requests are lines, echoed in the order they came.
// "wait" blocks the connection, "big N" is answered by N bytes, "bye" closes.
type lines struct {
	r       *Reactor
	replies map[*Conn][]byte
	refs    map[*Conn][]Ref
	limit   int // requests of a connection per tick, 0: any
	waiting chan *Conn
	refused chan Reason
	unpins  atomic.Int64
	ticks   int
	lender  func(s *Stage, total, filled, want int) bool // nil: nothing is lent
}

func (h *lines) Open(*Conn) bool { return true }
func (h *lines) Closed(*Conn)    {}
func (h *lines) Execute()        { h.ticks++ }
func (h *lines) Done()           {}
func (h *lines) Unpin(uint64)    { h.unpins.Add(1) }
func (h *lines) Stage(s *Stage, total, filled, want int) bool {
	return h.lender != nil && h.lender(s, total, filled, want)
}
func (h *lines) Answer(c *Conn) {
	out, refs := h.replies[c], h.refs[c]
	delete(h.replies, c)
	delete(h.refs, c)
	h.r.Send(c, out, refs)
}

func (h *lines) Refuse(c *Conn, why Reason, _ int) {
	switch why {
	case TooManyClients:
		h.r.SendOnce(c.FD, []byte("full\n"))
	case TooMuchInput, NoMemory:
		h.r.Send(c, []byte("refused\n"), nil)
	}
	h.refused <- why
}

func (h *lines) Parse(c *Conn, data []byte) (taken, need int, v Verdict) {
	for n := 0; ; n++ {
		if h.limit > 0 && n == h.limit {
			return taken, 0, Full
		}
		i := bytes.IndexByte(data[taken:], '\n')
		if i < 0 {
			return taken, announced(data[taken:]), NeedMore
		}
		line := data[taken : taken+i]
		taken += i + 1
		var size int
		switch {
		case bytes.Equal(line, []byte("wait")):
			h.waiting <- c
			return taken, 0, Blocked
		case bytes.Equal(line, []byte("bye")):
			return taken, 0, Broken
		case scan(line, "big %d", &size):
			h.refs[c] = append(h.refs[c], Ref{At: len(h.replies[c]), Data: bytes.Repeat([]byte("x"), size), Pin: 7})
			h.replies[c] = append(h.replies[c], '\n')
		default:
			h.replies[c] = append(append(h.replies[c], line...), '\n')
		}
	}
}

// announced is the length that an unfinished line "need N ..." gives itself.
func announced(rest []byte) int {
	var n int
	if scan(rest, "need %d", &n) {
		return n
	}
	return 0
}

func scan(line []byte, format string, n *int) bool {
	_, err := fmt.Sscanf(string(line[:min(len(line), 32)]), format, n)
	return err == nil
}

// start runs a reactor on a socket of its own until the test ends.
func start(t *testing.T, h *lines, limits Limits) string {
	t.Helper()
	h.replies, h.refs = map[*Conn][]byte{}, map[*Conn][]Ref{}
	h.waiting, h.refused = make(chan *Conn, 16), make(chan Reason, 16)
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	if limits == (Limits{}) {
		limits = Limits{Clients: 100, Input: 64 << 20, Output: 64 << 20, Pause: 1 << 20}
	}
	var id atomic.Uint64
	h.r, err = New(h, limits, func() uint64 { return id.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	if err := h.r.Listen(int(file.Fd())); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { h.r.Run(); close(done) }()
	t.Cleanup(func() {
		_ = h.r.Stop(time.Second) // ended already in some tests
		<-done
		file.Close()
		l.Close()
	})
	return path
}

func dial(t *testing.T, path string) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func expect(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil || line != want+"\n" {
		t.Fatalf("got %.60q, %v; want %.60q", line, err, want)
	}
}

func TestOrderInPieces(t *testing.T) {
	path := start(t, &lines{limit: 3}, Limits{})
	c := dial(t, path)
	go func() {
		for i := range 1000 {
			text := fmt.Sprintf("line %d\n", i)
			io.WriteString(c, text[:3])
			io.WriteString(c, text[3:])
		}
	}()
	r := bufio.NewReader(c)
	for i := range 1000 {
		expect(t, r, fmt.Sprintf("line %d", i))
	}
}

func TestManyConnections(t *testing.T) {
	path := start(t, &lines{limit: 2}, Limits{})
	var wg sync.WaitGroup
	for n := range 50 {
		c := dial(t, path)
		wg.Go(func() {
			r := bufio.NewReader(c)
			for i := range 200 {
				fmt.Fprintf(c, "%d a %d\n%d b %d\n%d c %d\n", n, i, n, i, n, i)
				for _, x := range "abc" {
					line, err := r.ReadString('\n')
					if want := fmt.Sprintf("%d %c %d\n", n, x, i); line != want {
						t.Errorf("got %q, %v; want %q", line, err, want)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestLargeRequest(t *testing.T) {
	path := start(t, &lines{}, Limits{})
	for _, announce := range []string{"", "need 3000000 "} {
		c := dial(t, path)
		long := announce + strings.Repeat("y", 3_000_000)
		go io.WriteString(c, "first\n"+long+"\nlast\n")
		r := bufio.NewReaderSize(c, 1<<16)
		expect(t, r, "first")
		expect(t, r, long)
		expect(t, r, "last")
	}
}

func TestInputLimit(t *testing.T) {
	h := &lines{}
	path := start(t, h, Limits{Clients: 10, Input: 100_000, Output: 1 << 20, Pause: 1 << 20})
	c := dial(t, path)
	go io.WriteString(c, strings.Repeat("z", 1_000_000))
	if why := <-h.refused; why != TooMuchInput {
		t.Errorf("refused for %v", why)
	}
	if _, err := io.ReadAll(c); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
}

func TestPinnedOutput(t *testing.T) {
	h := &lines{}
	path := start(t, h, Limits{})
	c := dial(t, path)
	io.WriteString(c, "a\nbig 5000000\nb\nbig 10\n")
	time.Sleep(10 * time.Millisecond) // the socket fills before anything is read
	r := bufio.NewReader(c)
	expect(t, r, "a")
	expect(t, r, strings.Repeat("x", 5_000_000))
	expect(t, r, "b")
	expect(t, r, strings.Repeat("x", 10))
	io.WriteString(c, "end\n")
	expect(t, r, "end")
	if n := h.unpins.Load(); n != 2 {
		t.Errorf("%d pins given back, want 2", n)
	}
}

func TestOutputLimit(t *testing.T) {
	h := &lines{}
	path := start(t, h, Limits{Clients: 10, Input: 8 << 20, Output: 2 << 20, Pause: 1 << 20})
	c := dial(t, path)
	go io.WriteString(c, strings.Repeat("q", 4_000_000)+"\n")
	if why := <-h.refused; why != TooMuchOutput {
		t.Errorf("refused for %v", why)
	}
	if n, _ := io.Copy(io.Discard, c); n >= 4_000_000 {
		t.Errorf("%d bytes came", n)
	}
}

// TestPinsOfClosedConnections: what was not written is given back.
func TestPinsOfClosedConnections(t *testing.T) {
	h := &lines{}
	path := start(t, h, Limits{})
	c := dial(t, path)
	io.WriteString(c, "big 4000000\nbig 4000000\n")
	io.ReadFull(c, make([]byte, 10))
	c.Close()
	for deadline := time.Now().Add(10 * time.Second); h.unpins.Load() != 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d pins given back, want 2", h.unpins.Load())
		}
	}
}

func TestSlowReaderIsPaused(t *testing.T) {
	h := &lines{}
	path := start(t, h, Limits{Clients: 10, Input: 1 << 20, Output: 1 << 30, Pause: 1 << 20})
	c := dial(t, path)
	sent := make(chan int, 1)
	go func() {
		n := 0
		for range 3000 {
			k, _ := io.WriteString(c, strings.Repeat("q", 9999)+"\n")
			n += k
		}
		sent <- n
	}()
	select {
	case n := <-sent:
		t.Fatalf("%d bytes were taken from a client that reads nothing", n)
	case <-time.After(200 * time.Millisecond):
	}
	r := bufio.NewReader(c)
	for range 3000 {
		expect(t, r, strings.Repeat("q", 9999))
	}
}

func TestBlockedConnectionWaits(t *testing.T) {
	h := &lines{}
	path := start(t, h, Limits{})
	c := dial(t, path)
	io.WriteString(c, "one\nwait\ntwo\n")
	r := bufio.NewReader(c)
	expect(t, r, "one")
	conn := <-h.waiting
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if line, err := r.ReadString('\n'); err == nil {
		t.Fatalf("got %q while blocked", line)
	}
	c.SetReadDeadline(time.Time{})
	h.r.Post(func() {
		h.r.Send(conn, []byte("waited\n"), nil)
		h.r.Resume(conn)
	})
	expect(t, r, "waited")
	expect(t, r, "two")
}

func TestClientsLimit(t *testing.T) {
	h := &lines{}
	path := start(t, h, Limits{Clients: 1, Input: 1 << 20, Output: 1 << 20, Pause: 1 << 20})
	a := dial(t, path)
	io.WriteString(a, "in\n")
	expect(t, bufio.NewReader(a), "in")
	b := dial(t, path)
	if text, _ := io.ReadAll(b); string(text) != "full\n" {
		t.Errorf("got %q", text)
	}
	if why := <-h.refused; why != TooManyClients {
		t.Errorf("refused for %v", why)
	}
}

func TestCloseAfterAnswer(t *testing.T) {
	path := start(t, &lines{}, Limits{})
	c := dial(t, path)
	io.WriteString(c, "x\nbye\nnever\n")
	if text, err := io.ReadAll(c); string(text) != "x\n" || err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestEndOfInputStillAnswers(t *testing.T) {
	path := start(t, &lines{limit: 1}, Limits{})
	c := dial(t, path).(*net.UnixConn)
	io.WriteString(c, strings.Repeat("k\n", 100))
	c.CloseWrite()
	if text, err := io.ReadAll(c); len(text) != 200 || err != nil {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

func TestStopAnswersWhatWasReceived(t *testing.T) {
	h := &lines{limit: 10}
	path := start(t, h, Limits{})
	c := dial(t, path)
	io.WriteString(c, strings.Repeat("m\n", 5000))
	h.r.Stop(5 * time.Second)
	if text, err := io.ReadAll(c); len(text) != 10000 || err != nil {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

// TestCollectorStops holds the reactor to being stoppable: a loop of system
// calls that the runtime does not know of once kept collections waiting for
// seconds. Nine of ten stops are below 5 ms, busy, at an ordinary pace and idle.
func TestCollectorStops(t *testing.T) {
	path := start(t, &lines{}, Limits{})
	for name, pause := range map[string]time.Duration{"busy": 0, "paced": 500 * time.Microsecond,
		"sparse": 10 * time.Millisecond, "idle": -1} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, path)
			stop := make(chan struct{})
			var wg sync.WaitGroup
			if pause >= 0 {
				wg.Go(func() { converse(c, pause, stop) })
			}
			time.Sleep(20 * time.Millisecond)
			before := stops()
			for range 40 {
				runtime.GC()
				time.Sleep(time.Millisecond)
			}
			slow, all := above(stops(), before, 0.005)
			close(stop)
			wg.Wait()
			t.Logf("%d of %d stops took 5 ms or more", slow, all)
			if slow*10 > all {
				t.Errorf("%d of %d stops took 5 ms or more", slow, all)
			}
		})
	}
}

func converse(c net.Conn, pause time.Duration, stop chan struct{}) {
	r := bufio.NewReader(c)
	for {
		select {
		case <-stop:
			return
		default:
		}
		io.WriteString(c, "x\n")
		if _, err := r.ReadString('\n'); err != nil {
			return
		}
		time.Sleep(pause)
	}
}

func stops() *metrics.Float64Histogram {
	s := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(s)
	return s[0].Value.Float64Histogram()
}

func above(after, before *metrics.Float64Histogram, limit float64) (slow, all uint64) {
	for i, n := range after.Counts {
		n -= before.Counts[i]
		all += n
		if after.Buckets[i] >= limit {
			slow += n
		}
	}
	return slow, all
}

// TestSpares: mappings are used again, and not kept beyond a bound.
func TestSpares(t *testing.T) {
	var s spares
	defer s.drop()
	first, err := s.take(100 << 10)
	if err != nil {
		t.Fatal(err)
	}
	s.give(first)
	if again, err := s.take(64 << 10); err != nil || &again[0] != &first[0] {
		t.Errorf("a mapping given back was not used again: %v", err)
	}
	if larger, err := s.take(200 << 10); err != nil || len(larger) < 200<<10 {
		t.Errorf("%d bytes, %v", len(larger), err)
	} else {
		s.give(larger)
	}
	s.give(first)
	var out [][]byte
	for range 100 {
		m, err := s.take(spareEach)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	huge, err := s.take(spareEach + 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range append(out, huge) {
		s.give(m)
	}
	if s.bytes > spareAll {
		t.Errorf("%d bytes are kept", s.bytes)
	}
	for _, m := range s.free {
		if len(m) > spareEach {
			t.Errorf("a mapping of %d bytes is kept", len(m))
		}
	}
}

// TestSparesAge: of the mappings that are kept those go that nobody needed since they were last looked at.
func TestSparesAge(t *testing.T) {
	var s spares
	defer s.drop()
	var out [][]byte
	for range 4 {
		m, err := s.take(100 << 10)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	each := len(out[0])
	for _, m := range out {
		s.give(m)
	}
	s.age()       // begins to look
	for range 3 { // two of four are needed
		a, _ := s.take(each)
		b, _ := s.take(each)
		s.give(b)
		s.give(a)
	}
	if s.bytes != 4*each {
		t.Errorf("%d bytes are kept, not %d", s.bytes, 4*each)
	}
	s.age()
	if s.bytes != 2*each || len(s.free) != 2 {
		t.Errorf("two of four were needed, and %d bytes in %d mappings are kept, not %d", s.bytes, len(s.free), 2*each)
	}
	s.age()
	if s.bytes != 0 || len(s.free) != 0 {
		t.Errorf("none was needed, and %d bytes are kept", s.bytes)
	}
}
