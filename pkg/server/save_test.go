package server

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kvstored/pkg/engine"
	"kvstored/pkg/engine/enginetest"
)

// bases are the snapshots in a state directory.
func bases(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "data-*", "base-*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// kept serves an engine with a state directory, whose path it returns.
func kept(t *testing.T, name string) (g *gated, path, dir string) {
	t.Helper()
	dir = t.TempDir()
	host, err := engine.Open(enginetest.Build(t, name), engine.Options{Trust: engine.Trust{AllowOwnUID: true}, StateDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Close)
	g = &gated{Hosted: Hosted{host}}
	g.open.Store(true)
	_, path = serve(t, g, DefaultLimits)
	return g, path, dir
}

// info is a field of INFO persistence.
func (c *caller) info(field string) string {
	c.t.Helper()
	n, _ := strconv.Atoi(strings.TrimPrefix(c.ask("INFO persistence"), "$"))
	text := make([]byte, n+2)
	if _, err := io.ReadFull(c.r, text); err != nil {
		c.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), field+":")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

// until waits for a field of INFO.
func (c *caller) until(field, want string) {
	c.t.Helper()
	for end := time.Now().Add(30 * time.Second); c.info(field) != want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("%s is %s, not %s", field, c.info(field), want)
		}
	}
}

// SAVE answers when a snapshot is on disk, and only its own client waits.
func TestSave(t *testing.T) {
	g, path, dir := kept(t, "hash")
	c, other := call(t, path), call(t, path)
	for i := range 100 {
		c.ask("SET key-%d %d", i, i)
	}
	if got := c.info("rdb_changes_since_last_save"); got != "100" {
		t.Errorf("%s changes before a save", got)
	}
	started := c.ask("LASTSAVE")
	if len(bases(t, dir)) != 0 {
		t.Fatal("there is a snapshot already")
	}
	time.Sleep(1100 * time.Millisecond) // LASTSAVE is in seconds
	g.open.Store(false)
	fmt.Fprint(c, "SAVE\r\nGET key-7\r\n")
	other.until("rdb_bgsave_in_progress", "1")
	for _, again := range []string{"SAVE", "BGSAVE", "BGSAVE SCHEDULE"} {
		if got := other.ask(again); got != "-ERR Background save already in progress" {
			t.Errorf("%s meanwhile: %s", again, got)
		}
	}
	if got := other.ask("SET key-7 later"); got != "+OK" {
		t.Error(got)
	}
	c.silent()
	g.open.Store(true)
	other.ask("SET another 1") // has a sync begin again
	if got := c.answer(); got != "+OK" {
		t.Errorf("SAVE: %s", got)
	}
	if a, b := c.answer(), c.answer(); a != "$5" || b != "later" {
		t.Errorf("what follows SAVE: %s %s", a, b)
	}
	if len(bases(t, dir)) != 1 {
		t.Errorf("the snapshots are %v", bases(t, dir))
	}
	if last := c.ask("LASTSAVE"); last <= started {
		t.Errorf("LASTSAVE is %s, was %s", last, started)
	}
	for field, want := range map[string]string{"rdb_changes_since_last_save": "2", "rdb_saves": "1",
		"rdb_last_bgsave_status": "ok", "rdb_bgsave_in_progress": "0", "rdb_current_bgsave_time_sec": "-1"} {
		if got := c.info(field); got != want {
			t.Errorf("%s is %s, not %s", field, got, want)
		}
	}
}

// BGSAVE answers at once; each makes a snapshot of its own.
func TestBgsave(t *testing.T) {
	_, path, dir := kept(t, "hash")
	c := call(t, path)
	before := ""
	for i := range 3 {
		c.ask("SET key %d", i)
		if got := c.ask("BGSAVE"); got != "+Background saving started" {
			t.Fatal(got)
		}
		c.until("rdb_saves", fmt.Sprint(i+1))
		now := strings.Join(bases(t, dir), " ")
		if now == before || strings.Contains(now, " ") {
			t.Errorf("snapshots are %q, were %q", now, before)
		}
		before = now
	}
	for _, wrong := range []string{"BGSAVE now", "BGSAVE SCHEDULE SCHEDULE"} {
		if got := c.ask(wrong); got != "-ERR syntax error" {
			t.Errorf("%s: %s", wrong, got)
		}
	}
}

// A snapshot that the disk does not take: SAVE says so, INFO says so, and a
// later one is made.
func TestSaveFails(t *testing.T) {
	g, path, dir := kept(t, "hash")
	c := call(t, path)
	c.ask("SET key 1")
	g.Lock()
	g.Hosted.Host.FailSync(unix.EIO)
	g.Unlock()
	if got := c.ask("SAVE"); !strings.HasPrefix(got, "-ERR the snapshot could not be written") {
		t.Errorf("SAVE on a failing disk: %s", got)
	}
	if got := c.info("rdb_last_bgsave_status"); got != "err" {
		t.Errorf("rdb_last_bgsave_status is %s", got)
	}
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		got := c.ask("SAVE")
		if got == "+OK" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it does not mend itself: %s", got)
		}
	}
	if len(bases(t, dir)) == 0 || c.info("rdb_last_bgsave_status") != "ok" {
		t.Errorf("after that: %v %s", bases(t, dir), c.info("rdb_last_bgsave_status"))
	}
}

// Where a sync is enough, that is what SAVE does; where nothing is kept it says so.
func TestSaveOfOtherEngines(t *testing.T) {
	_, path, _ := kept(t, "lmdb")
	c := call(t, path)
	c.ask("SET key 1")
	if got := c.ask("SAVE"); got != "+OK" {
		t.Errorf("SAVE of lmdb: %s", got)
	}
	if got := c.ask("BGSAVE"); got != "+Background saving started" {
		t.Errorf("BGSAVE of lmdb: %s", got)
	}
	c.until("rdb_saves", "2")
	host, err := engine.Open(enginetest.Build(t, "hash"), engine.Options{Trust: engine.Trust{AllowOwnUID: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(host.Close)
	_, path = serve(t, Hosted{host}, DefaultLimits)
	c = call(t, path)
	for _, command := range []string{"SAVE", "BGSAVE"} {
		got := c.ask(command)
		if !strings.Contains(got, "keeps its data in memory only") || !strings.Contains(got, "fix: ") {
			t.Errorf("%s of memory: %s", command, got)
		}
	}
	if got := c.ask("PING"); got != "+PONG" {
		t.Error(got)
	}
}
