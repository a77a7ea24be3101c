package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/command"
	"kvstored/pkg/reactor"
)

// TestSlicesAreCounted: what goes on after its tick is counted once, when it has
// ended, with the time of all slices, and so is the error of a later one.
func TestSlicesAreCounted(t *testing.T) {
	srv, path := start(t, "hash", reactor.Limits{})
	a := newAsker(t, path)
	tune(t, srv, Thresholds{SlowlogSlowerThan: 25_000, SlowlogMaxLen: 10, LatencyMonitor: 25})
	const nap, naps = 10 * time.Millisecond, 4
	w := srv.work
	if err := w.r.Post(func() {
		cl := host{w}.clients()[0]
		left := naps
		slice := func(x *command.Exec) bool {
			time.Sleep(nap)
			if left--; left == 0 {
				x.W.Error("BROKEN in the last slice")
			}
			return left == 0
		}
		r := command.Reply{Cmd: command.Lookup([]byte("keys")), Session: &cl.Session, Raw: []byte("KEYS x*\r\n"), Sliced: true,
			Step: func(x *command.Exec, r *command.Reply) { slice(x); x.Continue(r, slice) }}
		w.step(&r, cl)
		w.renderOne(&r)
		clear(r.Raw) // as the next tick does
	}); err != nil {
		t.Fatal(err)
	}
	line, err := a.r.ReadString('\n')
	if err != nil || line != "-BROKEN in the last slice\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	var calls, usec int
	stat := a.info("commandstats", "cmdstat_keys")
	if _, err := fmt.Sscanf(stat, "calls=%d,usec=%d,", &calls, &usec); err != nil || calls != 1 || usec < int(naps*nap/time.Microsecond) {
		t.Errorf("commandstats: %s", stat)
	}
	if !strings.HasSuffix(stat, "failed_calls=1") || a.info("errorstats", "errorstat_BROKEN") != "count=1" {
		t.Errorf("the error of a later slice is not counted: %s", stat)
	}
	if got := a.do("SLOWLOG GET"); strings.Count(got, "KEYS x*") != 1 {
		t.Errorf("SLOWLOG GET: %q", got)
	}
	if got := strings.Fields(a.do("LATENCY LATEST")); len(got) < 4 || got[0] != "command" {
		t.Errorf("LATENCY LATEST: %q", got)
	}
	if got := a.do("LATENCY HISTOGRAM keys"); !strings.HasPrefix(got, "keys calls :1 ") {
		t.Errorf("LATENCY HISTOGRAM: %q", got)
	}
}
