package server

import (
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"kvstored/pkg/reactor"
)

// someRequests are random requests of which many are like the one before, with
// neighbours that may not become part of their run.
func someRequests(rnd *rand.Rand, n int) (requests []string) {
	key := func() string {
		return [...]string{"k1", "k2", "k3", "", "n", strings.Repeat("long", 40)}[rnd.IntN(6)]
	}
	value := func() string { return [...]string{"1", "", "abc", strings.Repeat("v", 130)}[rnd.IntN(4)] }
	kinds := []func() string{
		func() string { return bulks("GET", key()) },
		func() string { return bulks("SET", key(), value()) },
		func() string { return bulks("INCR", key()) },
		func() string { return bulks("DECR", key()) },
		func() string { return bulks("DEL", key()) },
		func() string { return bulks("UNLINK", key()) },
		func() string { return bulks("EXISTS", key()) },
		func() string { return bulks("TTL", key()) },
		func() string { return bulks("STRLEN", key()) },
		func() string { return bulks("TYPE", key()) },
		func() string { return bulks("get", key()) },
		func() string { return "GET n\r\n" },
		func() string { return bulks("DEL", key(), key()) },
		func() string { return bulks("EXISTS", key(), key()) },
		func() string { return bulks("SET", key(), value(), "EX", "100000") },
		func() string { return bulks("SET", key(), value(), "NX") },
		func() string { return bulks("GET") },
		func() string { return bulks("SET", key()) },
		func() string { return bulks("GEX", key()) },
		func() string { return bulks("SELECT", fmt.Sprint(rnd.IntN(2))) },
		func() string { return bulks("HELLO", fmt.Sprint(2+rnd.IntN(2))) },
		func() string { return bulks("MULTI") },
		func() string { return bulks("EXEC") },
		func() string { return bulks("RENAME", key(), key()) },
		func() string { return bulks("MGET", key(), key()) },
		func() string { return bulks("PING") },
	}
	for len(requests) < n {
		kind := kinds[rnd.IntN(len(kinds))]
		for range 1 + rnd.IntN(2)*rnd.IntN(12) {
			requests = append(requests, kind())
		}
	}
	return append(requests, bulks("DISCARD"), bulks("EXEC"), bulks("ECHO", "the end"))
}

// counted is what the server has counted, without times.
func counted(a *asker) string {
	a.want("SELECT 0", "+OK")
	a.send("INFO")
	text := a.reply()
	var lines []string
	times := regexp.MustCompile(`usec=[^,]*,usec_per_call=[^,]*,`)
	for line := range strings.Lines(text) {
		for _, of := range []string{"cmdstat_", "errorstat_", "keyspace_", "total_commands", "total_error", "db"} {
			if strings.HasPrefix(line, of) {
				lines = append(lines, times.ReplaceAllString(line, ""))
			}
		}
	}
	return strings.Join(lines, "")
}

// avgTTL differs by the time that has passed.
var avgTTL = regexp.MustCompile(`avg_ttl=\d+`)

// The replies to requests that come all at once are those of one after the
// other, and so is what was counted.
func TestAgainIsAsOneByOne(t *testing.T) {
	_, together := start(t, "hash", reactor.Limits{})
	_, single := start(t, "hash", reactor.Limits{})
	for seed := range uint64(40) {
		requests := someRequests(rand.New(rand.NewPCG(seed, 7)), 200)
		a, b := newAsker(t, together), newAsker(t, single)
		go io.WriteString(a.c, strings.Join(requests, ""))
		for i, r := range requests {
			if _, err := io.WriteString(b.c, r); err != nil {
				t.Fatal(err)
			}
			want, got := b.whole(), a.whole()
			if strings.Contains(r, "HELLO") { // the connection's id is its own
				continue
			}
			if got != want {
				t.Fatalf("seed %d, request %d, %q: together %.200q, alone %.200q", seed, i, r, got, want)
			}
		}
		a.c.Close()
		b.c.Close()
	}
	got, want := counted(newAsker(t, together)), counted(newAsker(t, single))
	if got, want = avgTTL.ReplaceAllString(got, ""), avgTTL.ReplaceAllString(want, ""); got != want {
		t.Errorf("together counted\n%salone\n%s", got, want)
	}
}

// whole is the next reply in the bytes of the protocol, RESP2 or RESP3.
func (a *asker) whole() string {
	a.t.Helper()
	line, err := a.r.ReadString('\n')
	if err != nil {
		a.t.Fatal(err)
	}
	var n int
	fmt.Sscan(line[1:], &n)
	switch line[0] {
	case '%':
		n *= 2
		fallthrough
	case '*', '~':
		for range max(n, 0) {
			line += a.whole()
		}
	case '$', '=':
		if n >= 0 {
			text := make([]byte, n+2)
			if _, err := io.ReadFull(a.r, text); err != nil {
				a.t.Fatal(err)
			}
			line += string(text)
		}
	}
	return line
}

// Each request of a run stands in the slow log with its own arguments.
func TestSlowlogOfRun(t *testing.T) {
	srv, path := start(t, "hash", reactor.Limits{})
	a := newAsker(t, path)
	a.want("SET k4 four", "+OK")
	tune(t, srv, Thresholds{SlowlogSlowerThan: 0, SlowlogMaxLen: 100})
	var all strings.Builder
	for i := range 8 {
		all.WriteString(bulks("GET", fmt.Sprint("k", i)))
	}
	a.send(strings.TrimSuffix(all.String(), "\r\n"))
	for i := range 8 {
		want := map[bool]string{true: "four", false: "$-1"}[i == 4]
		if got := a.reply(); got != want {
			t.Errorf("k%d: %q, want %q", i, got, want)
		}
	}
	got := a.do("SLOWLOG GET 100")
	for i := range 8 {
		if strings.Count(got, fmt.Sprintf("GET k%d ", i)) != 1 {
			t.Errorf("GET k%d does not stand in the slow log once: %q", i, got)
		}
	}
}

// Who monitors sees each request of a run; who wants no replies gets none.
func TestNoRunWhereEachCounts(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	m, a := newAsker(t, path), newAsker(t, path)
	m.want("MONITOR", "+OK")
	run := bulks("SET", "a", "1") + bulks("SET", "b", "2") + bulks("SET", "c", "3")
	a.send(strings.TrimSuffix(run, "\r\n"))
	for _, key := range []string{"a", "b", "c"} {
		if got := a.reply(); got != "+OK" {
			t.Errorf("SET %s: %q", key, got)
		}
		if got := m.reply(); !strings.Contains(got, fmt.Sprintf(`"SET" "%s"`, key)) {
			t.Errorf("monitored %q instead of SET %s", got, key)
		}
	}
	a.send(bulks("CLIENT", "REPLY", "SKIP") + strings.TrimSuffix(run, "\r\n"))
	a.send("PING")
	for _, want := range []string{"+OK", "+OK", "+PONG"} {
		if got := a.reply(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
