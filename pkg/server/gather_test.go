package server

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"kvstored/pkg/engine"
	"kvstored/pkg/engine/enginetest"
)

// slowDisk is a durable engine whose syncs end when the test says so, and are
// counted.
type slowDisk struct {
	Hosted
	busy  atomic.Bool // syncs do not end
	begun atomic.Int32
}

func (d *slowDisk) BeginSync() {
	if was := d.Syncing(); !was {
		if d.Hosted.BeginSync(); d.Syncing() {
			d.begun.Add(1)
		}
	}
}

func (d *slowDisk) EndSync() {
	if !d.busy.Load() {
		d.Hosted.EndSync()
	}
}

func (d *slowDisk) wantBegun(t *testing.T, want int32) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); d.begun.Load() != want; time.Sleep(time.Millisecond) {
		if d.begun.Load() > want || time.Now().After(deadline) {
			t.Fatalf("%d syncs were begun, want %d", d.begun.Load(), want)
		}
	}
}

// pausing serves an engine with a slow disk whose pauses are as long as given.
func pausing(t *testing.T, pause time.Duration) (*slowDisk, *Server, string) {
	t.Helper()
	was := gatherFor
	gatherFor = func(time.Duration) time.Duration { return pause }
	t.Cleanup(func() { gatherFor = was }) // after the server's end
	host, err := engine.Open(enginetest.Build(t, "hash"), engine.Options{Trust: engine.Trust{AllowOwnUID: true}, StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Close)
	d := &slowDisk{Hosted: Hosted{host}}
	srv, path := serve(t, d, DefaultLimits)
	srv.SetSync(SyncAlways)
	return d, srv, path
}

// halves has one client be answered while another, whose write came during its
// sync, waits for the next.
func halves(t *testing.T, d *slowDisk, path string) (answered, waiting *caller) {
	t.Helper()
	answered, waiting = call(t, path), call(t, path)
	d.busy.Store(true)
	fmt.Fprint(answered, "SET a 1\r\n")
	d.wantBegun(t, 1)
	fmt.Fprint(waiting, "SET b 1\r\n")
	waiting.silent()    // its write is with the engine by now
	d.busy.Store(false) // the bell rings until its end is taken
	if got := answered.answer(); got != "+OK" {
		t.Fatal(got)
	}
	return answered, waiting
}

// A sync waits for those who were just answered: two clients that write again
// and again share every sync, and do not have one each.
func TestSyncsGather(t *testing.T) {
	d, _, path := pausing(t, time.Minute)
	answered, waiting := halves(t, d, path)
	waiting.silent()
	d.wantBegun(t, 1)
	fmt.Fprint(answered, "SET a 2\r\n")
	answers := func() {
		t.Helper()
		for _, c := range []*caller{answered, waiting} {
			if got := c.answer(); got != "+OK" {
				t.Error(got)
			}
		}
	}
	answers()
	d.wantBegun(t, 2)
	// Both were answered: the first to come back waits for the other.
	fmt.Fprint(answered, "SET a 3\r\n")
	answered.silent()
	fmt.Fprint(waiting, "GET a\r\nSET b 2\r\n")
	if got := waiting.answer(); got != "$1" || waiting.answer() != "3" {
		t.Error(got)
	}
	answers()
	d.wantBegun(t, 3)
}

// One client by itself waits for nobody.
func TestOneClientDoesNotGather(t *testing.T) {
	d, _, path := pausing(t, time.Minute)
	c := call(t, path)
	for i := range 5 {
		if got := c.ask("SET k %d", i); got != "+OK" {
			t.Fatal(got)
		}
	}
	d.wantBegun(t, 5)
}

// Who was answered and asks no more keeps nobody waiting for longer than the
// pause, and the next syncs have none.
func TestSyncsGatherForAMoment(t *testing.T) {
	d, srv, path := pausing(t, time.Millisecond)
	_, waiting := halves(t, d, path)
	if got := waiting.answer(); got != "+OK" {
		t.Error(got)
	}
	d.wantBegun(t, 2)
	skip := make(chan int)
	_ = srv.work.r.Post(func() { skip <- srv.work.sync.gathering.skip })
	if got := <-skip; got != gatherSkip-1 { // the first after that sync
		t.Errorf("%d more pauses are left out, want %d", got, gatherSkip-1)
	}
}

// What an exchange of the engine synced in the pause is answered after it.
func TestSyncedInThePause(t *testing.T) {
	d, _, path := pausing(t, 300*time.Millisecond)
	_, waiting := halves(t, d, path)
	d.Lock()
	d.Hosted.BeginSync() // as the exchange does: to its end
	for d.Hosted.Syncing() {
		d.Hosted.EndSync()
	}
	d.Unlock()
	if got := waiting.answer(); got != "+OK" {
		t.Error(got)
	}
	d.wantBegun(t, 1)
}

// An exchange of the engine may take the end of a sync that ran. Who waited for
// that is answered when the configuration that came with it is in force.
func TestSyncEndedByAnExchange(t *testing.T) {
	d, srv, path := pausing(t, time.Millisecond)
	c := call(t, path)
	d.busy.Store(true)
	fmt.Fprint(c, "SET a 1\r\n")
	d.wantBegun(t, 1)
	// Between two ticks, so that the bell is silent again before it is heard.
	_ = srv.work.r.Post(func() {
		d.Lock()
		defer d.Unlock()
		for d.Hosted.Syncing() {
			d.Hosted.EndSync()
		}
	})
	c.silent()
	srv.SetSync(SyncAlways)
	if got := c.answer(); got != "+OK" {
		t.Error(got)
	}
}
