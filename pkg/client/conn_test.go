package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/client"
	"kvstored/pkg/client/clienttest"
)

// start runs a server and connects to it.
func start(t *testing.T, opt client.Options) (*clienttest.Server, *client.Conn) {
	t.Helper()
	s := &clienttest.Server{RESP3: opt.RESP3}
	if err := s.Start(filepath.Join(t.TempDir(), "s.sock")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	c, err := client.DialOptions(context.Background(), s.Path, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return s, c
}

// do runs a command that must succeed.
func do(t *testing.T, c *client.Conn, args ...string) client.Reply {
	t.Helper()
	r, err := c.Do(args...)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return r
}

func TestDo(t *testing.T) {
	for _, resp3 := range []bool{false, true} {
		t.Run(fmt.Sprintf("RESP3=%v", resp3), func(t *testing.T) {
			_, c := start(t, client.Options{RESP3: resp3})
			if r := do(t, c, "SET", "name", "Rojalin"); r.Kind != client.Simple || r.Text() != "OK" {
				t.Errorf("SET answers %v %q", r.Kind, r.Text())
			}
			if r := do(t, c, "GET", "name"); r.Kind != client.Bulk || r.Text() != "Rojalin" {
				t.Errorf("GET answers %v %q", r.Kind, r.Text())
			}
			if r := do(t, c, "GET", "nobody"); !r.IsNil() {
				t.Errorf("a missing key answers %v", r.Kind)
			}
			if r := do(t, c, "INCRBY", "n", "-5"); r.Kind != client.Integer || r.Int != -5 {
				t.Errorf("INCRBY answers %v %d", r.Kind, r.Int)
			}
			if r := do(t, c, "INFO"); strings.HasPrefix(r.Text(), "txt:") {
				t.Error("the format of a verbatim string is part of its text")
			}
			fields, err := do(t, c, "ENGINE", "STATUS").Fields()
			if err != nil || fields[0].Name != "state" || fields[0].Value.Text() != "serving" {
				t.Errorf("ENGINE STATUS: %v %v", fields, err)
			}
		})
	}
}

func TestHelloRefusedFallsBack(t *testing.T) {
	s := &clienttest.Server{RESP3: false}
	if err := s.Start(filepath.Join(t.TempDir(), "s.sock")); err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	c, err := client.DialOptions(context.Background(), s.Path, client.Options{RESP3: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if r := do(t, c, "ENGINE", "STATUS"); r.Kind != client.Array {
		t.Errorf("answers %v, want the array of RESP2", r.Kind)
	}
}

func TestReplyKinds(t *testing.T) {
	_, c := start(t, client.Options{})
	for wire, want := range map[string]string{
		"+OK\r\n":                            "status OK",
		":-7\r\n":                            "integer -7",
		"$0\r\n\r\n":                         "string ",
		"$-1\r\n":                            "nil ",
		"*-1\r\n":                            "nil ",
		"_\r\n":                              "nil ",
		"#t\r\n":                             "boolean true",
		",1.5\r\n":                           "double 1.5",
		"(12345678901234567890123\r\n":       "big number 12345678901234567890123",
		"=6\r\ntxt:hi\r\n":                   "text hi",
		"*2\r\n:1\r\n*1\r\n$1\r\na\r\n":      "array [integer 1 array [string a]]",
		"%1\r\n+a\r\n:1\r\n":                 "map [status a integer 1]",
		"~1\r\n:1\r\n":                       "set [integer 1]",
		"|1\r\n+ttl\r\n:5\r\n$1\r\nx\r\n":    "string x",
		">2\r\n+message\r\n+hello\r\n:9\r\n": "integer 9",
	} {
		r, err := c.Do("RAW", wire)
		if got := show(r); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", wire, got, err, want)
		}
	}
	for wire, want := range map[string]client.ServerError{
		"-ERR no\r\n":         {Code: "ERR", Message: "no"},
		"!9\r\nWRONG no!\r\n": {Code: "WRONG", Message: "no!"},
		"-plain text\r\n":     {Message: "plain text"},
		"-ERR a; why: b; c; fix: d\r\n": {
			Code: "ERR", Message: "a", Why: "b; c", Fix: "d",
		},
	} {
		_, err := c.Do("RAW", wire)
		var got *client.ServerError
		if !errors.As(err, &got) || *got != want {
			t.Errorf("%q: %#v, want %#v", wire, err, want)
		}
	}
}

// show writes a reply out for comparison.
func show(r client.Reply) string {
	if r.Items == nil {
		return r.Kind.String() + " " + r.Text()
	}
	var items []string
	for _, i := range r.Items {
		items = append(items, show(i))
	}
	return r.Kind.String() + " [" + strings.Join(items, " ") + "]"
}

func TestNonsenseIsNamed(t *testing.T) {
	for _, wire := range []string{"hello\r\n", "\r\n", ":x\r\n", "$-5\r\n", "$3\r\nabcdef\r\n", "*99999999999999999999\r\n",
		strings.Repeat("*1\r\n", 100) + ":1\r\n"} {
		_, c := start(t, client.Options{})
		_, err := c.Do("RAW", wire)
		var protocol *client.ProtocolError
		if !errors.As(err, &protocol) {
			t.Errorf("%.20q: %v", wire, err)
		}
		if _, err := c.Do("PING"); err != nil {
			t.Errorf("after %.20q: %v", wire, err)
		}
	}
}

func TestReadsAreRepeated(t *testing.T) {
	s, c := start(t, client.Options{DB: 3})
	do(t, c, "SET", "a", "1")
	s.Drop("GET", 2)
	if r := do(t, c, "GET", "a"); r.Text() != "1" {
		t.Errorf("after two lost connections GET answers %q: is the database restored?", r.Text())
	}
	s.Drop("GET", 100)
	_, err := c.Do("GET", "a")
	var lost *client.LostError
	if !errors.As(err, &lost) {
		t.Errorf("a read that is never answered gives %v", err)
	}
}

func TestWritesAreNotRepeated(t *testing.T) {
	s, c := start(t, client.Options{})
	s.Drop("INCR", 1)
	_, err := c.Do("INCR", "hits")
	var lost *client.LostError
	if !errors.As(err, &lost) || err.Error() != "connection lost while INCR hits was in flight" {
		t.Fatalf("%v", err)
	}
	advice := lost.Explain()
	if want := "the daemon restarted; whether INCR happened is unknown, so it was not repeated"; advice.Why != want {
		t.Errorf("why: %s", advice.Why)
	}
	if want := "kvctl GET hits, then decide"; advice.Fix != want {
		t.Errorf("fix: %s", advice.Fix)
	}
	if s.Calls("INCR") != 0 {
		t.Error("it was repeated")
	}
	if r := do(t, c, "INCR", "hits"); r.Int != 1 {
		t.Errorf("the next command, on a new connection, answers %d", r.Int)
	}
}

// An idle connection that was closed is noticed while writing or while
// waiting; only in the first case is the command known not to have run.
func TestIdleConnectionClosed(t *testing.T) {
	s, c := start(t, client.Options{})
	do(t, c, "SET", "a", "1")
	s.CloseConnections()
	if r := do(t, c, "GET", "a"); r.Text() != "1" {
		t.Errorf("GET answers %q", r.Text())
	}
	s.CloseConnections()
	for s.Calls("SET") < 2 {
		_, err := c.Do("SET", "a", "2")
		var lost *client.LostError
		if err != nil && !errors.As(err, &lost) {
			t.Fatal(err)
		}
	}
}

// A daemon that fails while it starts closes its socket without having read
// the command: that it did not happen is certain, so it is sent again.
func TestUnreadWriteIsRepeated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.DialOptions(context.Background(), path, client.Options{Retry: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.Send("INCR", "hits")
	_ = c.Flush()
	_ = l.Close() // nobody accepted the connection
	s := &clienttest.Server{}
	if err := s.Start(path); err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	if r, err := c.Receive(); err != nil || r.Int != 1 {
		t.Errorf("INCR answers %d, %v", r.Int, err)
	}
}

func TestStateIsNotLostInSilence(t *testing.T) {
	s, c := start(t, client.Options{})
	do(t, c, "MULTI")
	s.Drop("GET", 1)
	_, err := c.Do("GET", "a")
	var lost *client.LostError
	if !errors.As(err, &lost) || !lost.Bound {
		t.Errorf("inside MULTI a lost connection gives %v", err)
	}
}

// What a lost MULTI or WATCH means is said; a MULTI that was refused or
// discarded means nothing any more, and reads are repeated again.
func TestLostTransaction(t *testing.T) {
	s, c := start(t, client.Options{})
	lose := func(args ...string) client.Advice {
		t.Helper()
		s.Drop(args[0], 1)
		_, err := c.Do(args...)
		var lost *client.LostError
		if !errors.As(err, &lost) {
			t.Fatalf("%q: %v", args, err)
		}
		return lost.Explain()
	}
	do(t, c, "MULTI")
	if a := lose("SET", "a", "1"); !strings.Contains(a.Why, "nothing of it was carried out") || a.Fix != "begin again with MULTI" {
		t.Errorf("a queued command: %+v", a)
	}
	do(t, c, "MULTI")
	if a := lose("EXEC"); !strings.Contains(a.Why, "whether EXEC happened is unknown") {
		t.Errorf("EXEC: %+v", a)
	}
	do(t, c, "WATCH", "a")
	if a := lose("GET", "a"); !strings.Contains(a.Why, "WATCH was lost with the connection") || a.Fix != "begin again with WATCH" {
		t.Errorf("a read behind WATCH: %+v", a)
	}
	do(t, c, "MULTI")
	if _, err := c.Do("EXEC"); err == nil {
		t.Fatal("EXEC was not refused")
	}
	s.Drop("GET", 1)
	do(t, c, "GET", "a")
}

func TestPipeline(t *testing.T) {
	s, c := start(t, client.Options{})
	const n = 1000
	for i := range n {
		if err := c.Send("SET", fmt.Sprint(i), strings.Repeat("x", i)); err != nil {
			t.Fatal(err)
		}
		if err := c.Send("GET", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		for _, want := range []string{"OK", strings.Repeat("x", i)} {
			if r, err := c.Receive(); err != nil || r.Text() != want {
				t.Fatalf("reply %d: %.20q %v", i, r.Text(), err)
			}
		}
	}
	_ = c.Send("GET", "1")
	_ = c.Send("INCR", "n")
	_ = c.Send("GET", "2")
	s.Drop("INCR", 1)
	_ = c.Flush()
	if r, err := c.Receive(); err != nil || r.Text() != "x" {
		t.Errorf("what was answered before the loss: %q %v", r.Text(), err)
	}
	_, err := c.Receive()
	if err == nil || err.Error() != "connection lost while INCR n was in flight" {
		t.Errorf("%v", err)
	}
}

// Neither side may wait for the other for ever when both have much to say.
func TestPipelineBothWays(t *testing.T) {
	_, c := start(t, client.Options{})
	big := strings.Repeat("y", 1<<20)
	do(t, c, "SET", "big", big)
	for range 20 {
		_ = c.Send("GET", "big")
		_ = c.Send("SET", "other", big)
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		if _, err := c.Receive(); err != nil {
			t.Fatalf("reply %d: %v", i, err)
		}
	}
}

func TestStreamNeedsNoMemory(t *testing.T) {
	_, c := start(t, client.Options{})
	const size = 300 << 20
	if err := c.Send("BIG", fmt.Sprint(size)); err != nil {
		t.Fatal(err)
	}
	_ = c.Flush()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := c.ReceiveStream(func(s *client.Stream) error {
		head, err := s.Next()
		if err != nil || head.Kind != client.Bulk || head.N != size {
			t.Errorf("head %v %d %v", head.Kind, head.N, err)
		}
		n, err := io.Copy(io.Discard, s)
		if n != size {
			t.Errorf("%d bytes", n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
		t.Errorf("%d bytes were allocated to stream %d", grown, size)
	}
	do(t, c, "PING")
}

func TestStreamLeftUnread(t *testing.T) {
	_, c := start(t, client.Options{})
	for _, wire := range []string{"*2\r\n$3\r\nabc\r\n*2\r\n:1\r\n:2\r\n", "$5\r\nabcde\r\n", ":1\r\n"} {
		_ = c.Send("RAW", wire)
		_ = c.Flush()
		if err := c.ReceiveStream(func(s *client.Stream) error { _, err := s.Next(); return err }); err != nil {
			t.Fatal(err)
		}
		do(t, c, "PING")
	}
	_ = c.Send("BIG", "100000000")
	_ = c.Flush()
	_ = c.ReceiveStream(func(s *client.Stream) error { c.Abandon(); return io.ErrClosedPipe })
	do(t, c, "PING")
}

func TestBigReplyWhole(t *testing.T) {
	_, c := start(t, client.Options{})
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	if r := do(t, c, "BIG", fmt.Sprint(len(want))); !bytes.Equal(r.Bytes, want) {
		t.Error("a reply of 4 MiB was mangled")
	}
}

func TestSelectFails(t *testing.T) {
	s, _ := start(t, client.Options{})
	_, err := client.DialOptions(context.Background(), s.Path, client.Options{DB: 99})
	var server *client.ServerError
	if !errors.As(err, &server) {
		t.Errorf("%v", err)
	}
}

// A daemon that stands alone is away for a moment while it restarts.
func TestWaitsForRestart(t *testing.T) {
	s, c := start(t, client.Options{Retry: 20 * time.Second})
	do(t, c, "PING")
	s.Stop()
	again := &clienttest.Server{}
	go func() {
		time.Sleep(100 * time.Millisecond)
		if err := again.Start(s.Path); err != nil {
			t.Error(err)
		}
	}()
	do(t, c, "GET", "a")
	again.Stop()
}

func TestDeadlineIsNotALoss(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := client.Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := c.Do("GET", "a"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// A string above the limit is read while it arrives, and what is left of it is
// passed over; a connection that breaks in its middle is told of.
func TestReceiveUpTo(t *testing.T) {
	s, c := start(t, client.Options{RESP3: true})
	for _, args := range [][]string{{"BIG", "100"}, {"BIG", "3000000"}, {"GET", "nobody"}, {"BIG", "3000000"}, {"PING"}} {
		if err := c.Send(args...); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	if r, body, err := c.ReceiveUpTo(100); err != nil || body != nil || len(r.Bytes) != 100 {
		t.Errorf("a short one: %d bytes, %v, %v", len(r.Bytes), body, err)
	}
	_, body, err := c.ReceiveUpTo(100)
	if err != nil || body == nil || body.N != 3_000_000 {
		t.Fatal(body, err)
	}
	if n, err := io.Copy(io.Discard, body); n != 3_000_000 || err != nil {
		t.Errorf("%d bytes: %v", n, err)
	}
	if r, body, err := c.ReceiveUpTo(100); err != nil || body != nil || !r.IsNil() {
		t.Errorf("nothing: %v, %v, %v", r, body, err)
	}
	if _, body, err = c.ReceiveUpTo(100); err != nil || body == nil {
		t.Fatal(body, err)
	}
	if _, err := io.ReadFull(body, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if r, err := c.Receive(); err != nil || r.Text() != "PONG" {
		t.Errorf("behind one that was left: %v, %v", r, err)
	}
	if err := errors.Join(c.Send("RAW", `$5000\nxxx`), c.Flush()); err != nil {
		t.Fatal(err)
	}
	if _, body, err = c.ReceiveUpTo(100); err != nil || body == nil {
		t.Fatal(body, err)
	}
	s.CloseConnections()
	var lost *client.LostError
	if _, err := io.Copy(io.Discard, body); !errors.As(err, &lost) || !lost.Midway {
		t.Errorf("a connection that broke: %v", err)
	}
}

// A bulk load gives up the command that is not whole, and knows what became of
// those before it.
func TestPipeGivesUp(t *testing.T) {
	_, c := start(t, client.Options{})
	p, err := c.NewPipe(func(int64, *client.ServerError) { t.Error("a refusal") })
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "b"} {
		if err := p.SendCommand([]byte("SET"), []byte(key), []byte("1")); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Part(func(w io.Writer) error {
		_, err := io.WriteString(w, "*3\r\n$3\r\nSET\r\n$1\r\nc\r\n$5000\r\nxxx")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := p.Finish(); err != nil || p.Answered() < 2 {
		t.Errorf("%d answered, %v", p.Answered(), err)
	}
	if r := do(t, c, "MGET", "a", "b", "c"); r.Items[1].Text() != "1" || !r.Items[2].IsNil() {
		t.Errorf("%v", r)
	}
}
