package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/reactor"
)

// asker is a connection for tests: lines out, replies in.
type asker struct {
	t testing.TB
	c net.Conn
	r *bufio.Reader
}

func newAsker(t testing.TB, path string) *asker {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(60 * time.Second))
	return &asker{t, c, bufio.NewReader(c)}
}

func (a *asker) send(line string) {
	a.t.Helper()
	if _, err := io.WriteString(a.c, line+"\r\n"); err != nil {
		a.t.Fatal(err)
	}
}

// reply is the next reply: a line, or a bulk string's text, or all of an
// array's elements with blanks between.
func (a *asker) reply() string {
	a.t.Helper()
	line, err := a.r.ReadString('\n')
	if err != nil {
		return err.Error()
	}
	line = strings.TrimSuffix(line, "\r\n")
	n, _ := strconv.Atoi(line[1:])
	switch {
	case line[0] == '$' && n >= 0:
		b := make([]byte, n+2)
		if _, err := io.ReadFull(a.r, b); err != nil {
			a.t.Fatal(err)
		}
		return string(b[:n])
	case line[0] == '*':
		var all []string
		for range n {
			all = append(all, a.reply())
		}
		return strings.Join(all, " ")
	}
	return line
}

func (a *asker) do(line string) string {
	a.t.Helper()
	a.send(line)
	return a.reply()
}

func (a *asker) want(line, want string) {
	a.t.Helper()
	if got := a.do(line); got != want {
		a.t.Errorf("%s: got %.200q, want %q", line, got, want)
	}
}

// info is one field of INFO.
func (a *asker) info(section, name string) string {
	a.t.Helper()
	for line := range strings.Lines(a.do("INFO " + section)) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func TestClientKill(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	a, b, c := newAsker(t, path), newAsker(t, path), newAsker(t, path)
	id := strings.TrimPrefix(b.do("CLIENT ID"), ":")
	c.want("SUBSCRIBE news", "subscribe news :1")
	a.want("CLIENT KILL ID "+id, ":1")
	if got := b.reply(); got != "EOF" {
		t.Errorf("a killed connection got %q", got)
	}
	a.want("CLIENT KILL ID "+id, ":0")
	a.want("CLIENT KILL TYPE master", ":0")
	a.want("CLIENT KILL TYPE pubsub", ":1")
	if got := c.reply(); got != "EOF" {
		t.Errorf("a killed subscriber got %q", got)
	}
	if list := a.do("CLIENT LIST"); strings.Count(list, "\n") != 1 || !strings.Contains(list, "flags=U ") {
		t.Errorf("one connection should be left: %q", list)
	}
	a.want("CLIENT KILL nobody:0", "-ERR No such client")
	a.want("CLIENT KILL SKIPME yes", ":0")
	a.want("CLIENT KILL SKIPME no", ":1")
	if got := a.reply(); got != "EOF" {
		t.Errorf("it closed itself, and got %q", got)
	}
	newAsker(t, path).want("PING", "+PONG")
}

// TestKillWithinATick kills a connection whose requests are in the same tick,
// many times over.
func TestKillWithinATick(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	a := newAsker(t, path)
	for range 50 {
		b := newAsker(t, path)
		id := strings.TrimPrefix(b.do("CLIENT ID"), ":")
		b.send(strings.Repeat("SET k v\r\nGET k\r\n", 2000))
		a.want("CLIENT KILL ID "+id, ":1")
		io.Copy(io.Discard, b.r)
	}
	a.want("GET k", "v")
}

func TestClientPause(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	a, b, c := newAsker(t, path), newAsker(t, path), newAsker(t, path)
	for _, write := range []string{"SET k 2", "SET k \"2\"", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n2"} {
		a.want("SET k 1", "+OK")
		a.want("CLIENT PAUSE 100000 WRITE", "+OK")
		b.send("GET k\r\n" + write + "\r\nGET k")
		if got := b.reply(); got != "1" {
			t.Errorf("a read before the write: %q", got)
		}
		c.want("GET k", "1")
		a.want("CLIENT UNPAUSE", "+OK")
		if got := b.reply() + b.reply(); got != "+OK2" {
			t.Errorf("after the pause: %q", got)
		}
	}
	a.want("CLIENT PAUSE 300 ALL", "+OK") // ends by itself
	begin := time.Now()
	c.want("PING", "+PONG")
	if time.Since(begin) < 200*time.Millisecond {
		t.Error("a pause of all did not hold back PING")
	}
	a.want("CLIENT PAUSE 100000", "+OK")
	b.send("PING")
	a.want("*2\r\n$6\r\nCLIENT\r\n$7\r\nUNPAUSE", "+OK") // the daemon's own user may
	if got := b.reply(); got != "+PONG" {
		t.Errorf("after the pause: %q", got)
	}
}

// A pause ends when it should though the clock is set back meanwhile: here by an hour.
func TestPauseEndsWhenTheClockIsSetBack(t *testing.T) {
	srv, path := start(t, "hash", reactor.Limits{})
	a := newAsker(t, path)
	a.want("PING", "+PONG")
	begun := make(chan struct{})
	if err := srv.work.r.Post(func() {
		srv.work.now += 3600_000
		host{srv.work}.Pause(srv.work.now+50, true)
		close(begun)
	}); err != nil {
		t.Fatal(err)
	}
	<-begun
	a.want("PING", "+PONG")
}

// TestStopDuringPause: a pause does not keep the server from ending.
func TestStopDuringPause(t *testing.T) {
	srv, path := start(t, "hash", reactor.Limits{})
	a, b := newAsker(t, path), newAsker(t, path)
	a.want("CLIENT PAUSE 1000000 WRITE", "+OK")
	b.send("PING\r\nSET k v")
	if got := b.reply(); got != "+PONG" {
		t.Error(got)
	}
	begin := time.Now()
	if err := srv.Stop(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	if got := b.reply(); got != "+OK" {
		t.Errorf("what was received is not answered: %q", got)
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("the end took %s", took)
	}
}

func TestClientReply(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	a := newAsker(t, path)
	big := strings.Repeat("x", 40_000)
	a.want("SET k "+big, "+OK")
	a.send("CLIENT REPLY OFF\r\nPING\r\nGET k\r\nINFO\r\nNOSUCH\r\nCLIENT REPLY ON")
	if got := a.reply(); got != "+OK" {
		t.Errorf("after ON: %.100q", got)
	}
	a.send("CLIENT REPLY SKIP\r\nGET k\r\nPING one")
	if got := a.reply(); got != "one" {
		t.Errorf("after SKIP: %.100q", got)
	}
	a.send("CLIENT REPLY OFF\r\nCLIENT REPLY SKIP\r\nPING\r\nRESET\r\nPING")
	if got := a.reply(); got != "+RESET" {
		t.Errorf("after RESET: %.100q", got)
	}
	if got := a.reply(); got != "+PONG" {
		t.Errorf("after RESET: %.100q", got)
	}
	a.want("CLIENT REPLY maybe", "-ERR syntax error")
}

func TestReset(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	a, b := newAsker(t, path), newAsker(t, path)
	a.want("SELECT 3", "+OK")
	a.want("CLIENT SETNAME me", "+OK")
	a.want("CLIENT NO-EVICT on", "+OK")
	a.want("SUBSCRIBE news", "subscribe news :1")
	a.want("RESET", "+RESET")
	b.want("PUBLISH news x", ":0")
	if line := a.do("CLIENT INFO"); !strings.Contains(line, " db=0 sub=0 ") || !strings.Contains(line, " name= ") ||
		!strings.Contains(line, " flags=U ") {
		t.Errorf("after RESET: %s", line)
	}
}

func TestCommandFigures(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	a := newAsker(t, path)
	a.send(strings.Repeat("SET k v\r\n", 100) + strings.Repeat("GET k\r\nGET none\r\n", 50) +
		"GET\r\nINCR k\r\nMGET k none k\r\nnosuch\r\nCONFIG nosuch\r\nEXISTS k")
	for range 100 + 100 + 6 {
		a.reply()
	}
	for name, want := range map[string]string{
		"cmdstat_set":  "calls=100,rejected_calls=0,failed_calls=0",
		"cmdstat_get":  "calls=100,rejected_calls=1,failed_calls=0",
		"cmdstat_incr": "calls=1,rejected_calls=0,failed_calls=1",
		"cmdstat_mget": "calls=1,rejected_calls=0,failed_calls=0",
	} {
		var calls, usec, rejected, failed int
		var per float64
		got := a.info("commandstats", name)
		if _, err := fmt.Sscanf(got, "calls=%d,usec=%d,usec_per_call=%f,rejected_calls=%d,failed_calls=%d",
			&calls, &usec, &per, &rejected, &failed); err != nil {
			t.Errorf("%s: %q: %v", name, got, err)
		}
		if short := fmt.Sprintf("calls=%d,rejected_calls=%d,failed_calls=%d", calls, rejected, failed); short != want {
			t.Errorf("%s: %s, want %s", name, short, want)
		}
	}
	for _, f := range [][3]string{
		{"stats", "keyspace_hits", "53"}, {"stats", "keyspace_misses", "51"},
		{"stats", "total_error_replies", "4"}, {"errorstats", "errorstat_ERR", "count=4"},
	} {
		if got := a.info(f[0], f[1]); got != f[2] {
			t.Errorf("%s: %q, want %s", f[1], got, f[2])
		}
	}
	if got := a.info("latencystats", "latency_percentiles_usec_get"); !strings.HasPrefix(got, "p50=") {
		t.Errorf("latencystats of GET: %q", got)
	}
	if n, err := strconv.Atoi(a.info("stats", "total_net_input_bytes")); err != nil || n < 1500 {
		t.Errorf("total_net_input_bytes: %d, %v", n, err)
	}
	if got := a.do("INFO"); strings.Contains(got, "cmdstat_") || !strings.Contains(got, "# Errorstats") {
		t.Error("INFO without arguments has other sections than Redis's")
	}
}
