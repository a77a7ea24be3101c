package server

import (
	"math"
	"strings"
	"testing"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"kvstored/pkg/command"
	"kvstored/pkg/reactor"
)

// tune sets the thresholds of a running server.
func tune(t *testing.T, srv *Server, th Thresholds) {
	t.Helper()
	done := make(chan struct{})
	if err := srv.Tune(DefaultLimits, th); err != nil {
		t.Fatal(err)
	}
	if err := srv.work.r.Post(func() { close(done) }); err != nil {
		t.Fatal(err)
	}
	<-done
}

func TestSlowlog(t *testing.T) {
	srv, path := start(t, "hash", reactor.Limits{})
	a := newAsker(t, path)
	tune(t, srv, Thresholds{SlowlogSlowerThan: 0, SlowlogMaxLen: 3})
	a.want("CLIENT SETNAME me", "+OK")
	long := strings.Repeat("v", 200)
	a.want("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$200\r\n"+long, "+OK")
	a.want("GET \"k\\x31\"", "$-1")
	a.want("AUTH default secret", "+OK")
	got := a.do("SLOWLOG GET")
	for _, want := range []string{"SET k " + strings.Repeat("v", 128) + "... (72 more bytes) ", " GET k1 ", " AUTH (redacted) (redacted) ", " " + path + ":0 me"} {
		if !strings.Contains(got, want) {
			t.Errorf("the slow log lacks %q: %q", want, got)
		}
	}
	if strings.Contains(got, "SETNAME") {
		t.Errorf("more than SlowlogMaxLen entries: %q", got)
	}
	a.want("SLOWLOG GET -2", "-ERR count should be greater than or equal to -1")
	tune(t, srv, Thresholds{SlowlogSlowerThan: -1, SlowlogMaxLen: 3})
	a.want("SLOWLOG RESET", "+OK")
	a.want("SLOWLOG LEN", ":0")
	many := "*40\r\n$3\r\nDEL\r\n" + strings.Repeat("$1\r\nk\r\n", 39)
	tune(t, srv, Thresholds{SlowlogSlowerThan: 0, SlowlogMaxLen: 3})
	a.want(strings.TrimSuffix(many, "\r\n"), ":1")
	if got := a.do("SLOWLOG GET 1"); !strings.Contains(got, "k ... (9 more arguments) ") {
		t.Errorf("many arguments: %q", got)
	}
	tune(t, srv, Thresholds{SlowlogMaxLen: 0})
	a.want("SLOWLOG LEN", ":0")
}

func TestSlowlogOfTransaction(t *testing.T) {
	srv, path := start(t, "hash", reactor.Limits{})
	a := newAsker(t, path)
	tune(t, srv, Thresholds{SlowlogSlowerThan: -1, SlowlogMaxLen: 10})
	a.want("MULTI", "+OK")
	a.want("SET k v", "+QUEUED")
	a.want("INCR k", "+QUEUED")
	a.want("GET k", "+QUEUED")
	a.want("EXEC", "+OK -ERR value is not an integer or out of range v")
	for name, want := range map[string]string{"cmdstat_set": "calls=1,", "cmdstat_incr": "calls=1,", "cmdstat_get": "calls=1,",
		"cmdstat_exec": "calls=1,"} {
		if got := a.info("commandstats", name); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := a.info("commandstats", "cmdstat_incr"); !strings.HasSuffix(got, "failed_calls=1") {
		t.Errorf("the failed INCR: %q", got)
	}
	if got := a.info("stats", "keyspace_hits"); got != "1" {
		t.Errorf("hits: %s", got)
	}
}

func TestLatencyMonitor(t *testing.T) {
	srv, path := start(t, "hash", reactor.Limits{})
	a := newAsker(t, path)
	a.want("LATENCY LATEST", "")
	a.want("DEBUG SLEEP 0.02", "+OK") // off: not noted
	tune(t, srv, Thresholds{LatencyMonitor: 10})
	a.want("LATENCY LATEST", "")
	a.want("DEBUG SLEEP 0.02", "+OK")
	if got := strings.Fields(a.do("LATENCY LATEST")); len(got) < 4 || got[0] != "command" {
		t.Errorf("LATENCY LATEST: %q", got)
	}
	if got := strings.Fields(a.do("LATENCY HISTORY command")); len(got) != 2 {
		t.Errorf("LATENCY HISTORY: %q", got)
	}
	a.want("LATENCY HISTORY nosuch", "")
	if got := a.do("LATENCY DOCTOR"); !strings.Contains(got, "1. command: ") {
		t.Errorf("LATENCY DOCTOR: %q", got)
	}
	a.want("LATENCY RESET nosuch", ":0")
	a.want("LATENCY RESET", ":1")
	if got := a.do("LATENCY HISTOGRAM debug"); !strings.HasPrefix(got, "debug calls :2 histogram_usec :") {
		t.Errorf("LATENCY HISTOGRAM: %q", got)
	}
	a.want("CONFIG RESETSTAT", "+OK")
	a.want("LATENCY HISTOGRAM debug", "")
}

// TestHistogramBuckets: each bucket counts all that took at most its end.
func TestHistogramBuckets(t *testing.T) {
	w := &worker{stats: newStatistics()}
	cmd := command.Lookup([]byte("get"))
	values := []int64{1, 900, 1500, 3000, 3000, 40_000, 999_000_000}
	for _, v := range values {
		w.stats.cmds[cmd.Index].add(1, uint64(v))
	}
	got := host{w}.Histograms([]*command.Command{cmd})
	if len(got) != 1 || got[0].Calls != int64(len(values)) {
		t.Fatalf("got %+v", got)
	}
	last := int64(0)
	for _, b := range got[0].Buckets {
		end := int64(1024)
		for end*1007/1000/1000 < b[0] { // the buckets end at powers of two nanoseconds
			end *= 2
		}
		n := int64(0)
		for _, v := range values {
			if v <= end {
				n++
			}
		}
		if n != b[1] || b[1] <= last {
			t.Errorf("bucket %d µs: %d, want %d", b[0], b[1], n)
		}
		last = b[1]
	}
	if last != int64(len(values)) {
		t.Errorf("the last bucket has %d of %d", last, len(values))
	}
	if h := hdr.New(histogramLeast, histogramMost, histogramDigits); h.RecordValue(math.MaxInt64) == nil {
		t.Error("the histogram takes what add must cut")
	}
}

func TestActiveExpire(t *testing.T) {
	_, path := start(t, "hash", reactor.Limits{})
	a := newAsker(t, path)
	a.want("DEBUG SET-ACTIVE-EXPIRE 0", "+OK")
	a.want("SET k v PX 1", "+OK")
	a.want("DEBUG SLEEP 0.3", "+OK")
	a.want("DBSIZE", ":1")
	a.want("DEBUG SET-ACTIVE-EXPIRE 1", "+OK")
	for range 1000 {
		if a.do("DBSIZE") == ":0" {
			return
		}
		a.want("DEBUG SLEEP 0.01", "+OK")
	}
	t.Error("the key is still there")
}

// TestNotAdmin: what is for root and the daemon's user says so to others.
func TestNotAdmin(t *testing.T) {
	srv, path := start(t, "hash", reactor.Limits{})
	a := newAsker(t, path)
	a.want("PING", "+PONG") // it is accepted
	done := make(chan struct{})
	if err := srv.work.r.Post(func() {
		for _, cl := range (host{srv.work}).clients() {
			cl.MayLoad, cl.UID = false, 1234
		}
		close(done)
	}); err != nil {
		t.Fatal(err)
	}
	<-done
	for _, line := range []string{"SHUTDOWN", "DEBUG SLEEP 0", "CONFIG SET maxclients 1", "CONFIG REWRITE", "CONFIG RESETSTAT"} {
		got := a.do(line)
		if !strings.HasPrefix(got, "-NOPERM ") || !strings.Contains(got, "you are uid 1234") {
			t.Errorf("%s: %q", line, got)
		}
	}
	a.want("MULTI", "+OK")
	if got := a.do("CONFIG RESETSTAT"); !strings.HasPrefix(got, "-NOPERM ") {
		t.Errorf("in MULTI: %q", got)
	}
}
