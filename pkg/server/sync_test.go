package server

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kvstored/pkg/engine"
	"kvstored/pkg/engine/enginetest"
)

// gated is a durable engine whose syncs begin only while the gate is open.
type gated struct {
	Hosted
	open atomic.Bool
}

func (g *gated) BeginSync() {
	if g.open.Load() {
		g.Hosted.BeginSync()
	}
}

// durable serves hash with a state directory of its own.
func durable(t *testing.T) (*gated, *Server, string) {
	t.Helper()
	host, err := engine.Open(enginetest.Build(t, "hash"), engine.Options{Trust: engine.Trust{AllowOwnUID: true}, StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Close)
	g := &gated{Hosted: Hosted{host}}
	g.open.Store(true)
	srv, path := serve(t, g, DefaultLimits)
	return g, srv, path
}

// answer is the next line, which comes however long it takes.
func (c *caller) answer() string {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(30 * time.Second))
	text, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.TrimSpace(text)
}

func (c *caller) ask(format string, args ...any) string {
	c.t.Helper()
	fmt.Fprintf(c, format+"\r\n", args...)
	return c.answer()
}

// silent wants no answer for a moment.
func (c *caller) silent() {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if b, err := c.r.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("answered before the disk had it: %q %v", b, err)
	}
}

// Under always no reply, of a read neither, leaves before the sync that covers
// what it could have seen.
func TestAnswersWaitForTheDisk(t *testing.T) {
	g, srv, path := durable(t)
	srv.SetSync(SyncAlways)
	writer, reader, closing := call(t, path), call(t, path), call(t, path)
	if got := reader.ask("GET k"); got != "$-1" {
		t.Fatalf("a read with nothing to wait for: %s", got)
	}
	g.open.Store(false)
	fmt.Fprint(writer, "SET k v\r\n")
	writer.silent()
	fmt.Fprint(reader, "EXISTS k\r\nPING\r\n")
	fmt.Fprint(closing, "APPEND k w\r\nQUIT\r\n")
	reader.silent()
	writer.silent()
	closing.silent()
	g.open.Store(true)
	srv.SetSync(SyncAlways)
	for _, want := range []struct {
		from *caller
		text string
	}{{writer, "+OK"}, {reader, ":1"}, {reader, "+PONG"}, {closing, ":2"}, {closing, "+OK"}} {
		if got := want.from.answer(); got != want.text {
			t.Errorf("got %s, want %s", got, want.text)
		}
	}
	if _, err := closing.r.ReadByte(); err == nil {
		t.Error("the connection stays open after QUIT")
	}
}

// Under interval nobody waits.
func TestIntervalDoesNotWait(t *testing.T) {
	g, _, path := durable(t)
	g.open.Store(false)
	c := call(t, path)
	for i := range 20 {
		if got := c.ask("SET k %d", i); got != "+OK" {
			t.Fatal(got)
		}
	}
}

// A sync that fails: who waits for it hears that the outcome is unknown, no
// write is taken, reads go on, and it mends itself.
func TestFailedSync(t *testing.T) {
	g, srv, path := durable(t)
	srv.SetSync(SyncAlways)
	c, other := call(t, path), call(t, path)
	if got := c.ask("SET before 1"); got != "+OK" {
		t.Fatal(got)
	}
	g.Lock()
	g.FailSync(unix.EIO)
	g.Unlock()
	fmt.Fprint(c, "SET a 1\r\nSET b 2\r\nPING\r\n")
	for range 3 {
		if got := c.answer(); !strings.HasPrefix(got, "-ERR outcome unknown") {
			t.Errorf("got %s", got)
		}
	}
	if got := other.ask("GET before"); got != "$1" || other.answer() != "1" {
		t.Errorf("a read: %s", got)
	}
	refused := 0
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		got := other.ask("SET after 1")
		if got == "+OK" {
			break
		}
		if !strings.HasPrefix(got, "-ERR input/output error in the engine 'hash'") || time.Now().After(deadline) {
			t.Fatalf("while it mends: %s", got)
		}
		refused++
	}
	if refused == 0 {
		t.Error("no write was refused")
	}
}

// inside has fn called by the reactor's goroutine with the lane held, since an
// answer to a client may itself wait for the disk.
func inside(t *testing.T, g *gated, srv *Server, fn func()) {
	t.Helper()
	done := make(chan struct{})
	if err := srv.work.r.Post(func() {
		g.Lock()
		defer g.Unlock()
		fn()
		close(done)
	}); err != nil {
		t.Fatal(err)
	}
	<-done
}

// says waits until INFO persistence has the line.
func says(t *testing.T, g *gated, srv *Server, line string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var b strings.Builder
		inside(t, g, srv, func() { infoPersistence(srv.work, &b) })
		if strings.Contains(b.String(), line+"\r\n") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("INFO persistence never has %s:\n%s", line, b.String())
		}
	}
}

// INFO says whether data is kept, whether some waits for the disk, and that the disk failed.
func TestInfoTellsOfTheDisk(t *testing.T) {
	g, srv, path := durable(t)
	c := call(t, path)
	says(t, g, srv, "aof_enabled:1")
	says(t, g, srv, "aof_last_write_status:ok")
	g.open.Store(false)
	if got := c.ask("SET k 1"); got != "+OK" {
		t.Fatal(got)
	}
	says(t, g, srv, "aof_pending_bio_fsync:1")
	g.Lock()
	g.FailSync(unix.EIO)
	g.Hosted.BeginSync()
	g.Unlock()
	says(t, g, srv, "aof_last_write_status:err")
	g.open.Store(true)
	srv.SetSync(SyncAlways)
	eventually(t, "a write that is taken", func() bool { return c.ask("SET k 2") == "+OK" })
	says(t, g, srv, "aof_last_write_status:ok")
	says(t, g, srv, "aof_pending_bio_fsync:0")
}

// eventually waits for done, however slow the machine is.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never came: " + what)
		}
	}
}

// While the disk refuses writes ENGINE STATUS, INFO and the figures of STATUS=
// say so, and the daemon is told when that begins and ends.
func TestTellsThatWritesAreRefused(t *testing.T) {
	g, srv, path := durable(t)
	changes := make(chan struct{}, 8)
	srv.o.OnRefusing = func() { changes <- struct{}{} }
	c := call(t, path)
	if got := c.ask("SET k 1"); got != "+OK" {
		t.Fatal(got)
	}
	refused := func() (text string) {
		inside(t, g, srv, func() {
			for _, p := range srv.work.engineStatus() {
				if p.Name == "writes" {
					text = p.Value.(string)
				}
			}
		})
		return text
	}
	if got := refused(); got != "taken" {
		t.Errorf("writes=%s before anything happened", got)
	}
	g.Lock()
	g.FailSync(unix.EIO)
	g.Hosted.BeginSync()
	g.Unlock()
	eventually(t, "a refusal", func() bool { return strings.HasPrefix(c.ask("SET other 2"), "-ERR input/output error") })
	<-changes
	if got := refused(); got != "refused" {
		t.Errorf("writes=%s after a refusal", got)
	}
	if f, err := srv.Ping(t.Context()); err != nil || f.Refusing == "" {
		t.Errorf("figures %+v %v", f, err)
	}
	if got := c.ask("GET k"); got != "$1" || c.answer() != "1" {
		t.Errorf("a read beside: %s", got)
	}
	eventually(t, "writes to be taken again", func() bool { return c.ask("SET k 3") == "+OK" })
	<-changes
	if got := refused(); got != "taken" {
		t.Errorf("writes=%s after a write", got)
	}
}

// A reply that comes later or is not wanted is not told of in advance: what
// follows would be taken for its own.
func TestFailedSyncBesideWhatIsAnsweredLater(t *testing.T) {
	g, srv, path := durable(t)
	fill := call(t, path)
	for i := range 6 {
		var all strings.Builder
		all.WriteString("MSET")
		for k := range 1000 {
			fmt.Fprintf(&all, " k%d v", i*1000+k)
		}
		if got := fill.ask("%s", all.String()); got != "+OK" {
			t.Fatal(got)
		}
	}
	srv.SetSync(SyncAlways)
	c := call(t, path)
	if got := c.ask("SET before 1"); got != "+OK" {
		t.Fatal(got)
	}
	g.Lock()
	g.FailSync(unix.EIO)
	g.Unlock()
	fmt.Fprint(c, "CLIENT REPLY SKIP\r\nSET mute 1\r\nSET a 1\r\nKEYS *\r\nECHO end\r\n")
	if got := c.answer(); !strings.HasPrefix(got, "-ERR outcome unknown") {
		t.Fatalf("SET a: %q", got)
	}
	// What follows may have been held for that sync, too, but each is answered once.
	const unknown = "-ERR outcome unknown"
	if got := c.answer(); got == "*6003" {
		for range 2 * 6003 {
			c.answer()
		}
	} else if !strings.HasPrefix(got, unknown) {
		t.Fatalf("KEYS: %q", got)
	}
	if got := c.answer(); got == "$3" {
		c.answer()
	} else if !strings.HasPrefix(got, unknown) {
		t.Errorf("ECHO: %q", got)
	}
	eventually(t, "recovery", func() bool { return c.ask("SET after 1") == "+OK" })
	if got := c.ask("ECHO marker") + " " + c.answer(); got != "$6 marker" {
		t.Errorf("answered with what was for another request: %q", got)
	}
}
