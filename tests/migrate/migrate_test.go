// Package migrate kills the daemon while its data moves from one engine to
// another on disk: whatever the moment, one whole owner is left.
package migrate

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/client"
	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
)

var (
	rounds = flag.Int("rounds", 5, "how often the daemon is killed")
	seed   = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the moments")
)

const keys = 6000

func TestMain(m *testing.M) {
	code := m.Run()
	daemontest.Remove()
	os.Exit(code)
}

// world is a state directory and what is known of its data.
type world struct {
	t       *testing.T
	dir     string
	engines map[string]string // library by name
	cmd     *exec.Cmd
	said    bytes.Buffer
	counted int64 // acknowledged
}

func (w *world) socket() string { return filepath.Join(w.dir, "s") }

// owner is the engine that the owner file names.
func (w *world) owner() string {
	text, err := os.ReadFile(filepath.Join(w.dir, "state", "owner"))
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "engine="); ok {
			return strings.TrimSpace(name)
		}
	}
	w.t.Fatalf("the owner file names no engine:\n%s", text)
	return ""
}

// start runs the daemon with an engine and waits until it answers.
func (w *world) start(engine string) {
	w.t.Helper()
	w.said.Reset()
	w.cmd = exec.Command(daemontest.Binary(w.t), "--listen", w.socket(), "--state-dir", filepath.Join(w.dir, "state"),
		"--config", filepath.Join(w.dir, "kvstored.conf"), "--engine", w.engines[engine])
	w.cmd.Stderr = &w.said
	if err := w.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if c, err := client.Dial(w.socket()); err == nil {
			_, err = c.Do("PING")
			c.Close()
			if err == nil {
				return
			}
		}
		if time.Now().After(end) {
			w.kill()
			w.t.Fatalf("kvstored does not answer:\n%s", w.said.String())
		}
	}
}

// kill ends the daemon at once.
func (w *world) kill() {
	if w.cmd != nil {
		w.cmd.Process.Kill()
		w.cmd.Wait()
		w.cmd = nil
	}
}

func (w *world) do(args ...string) string {
	w.t.Helper()
	c, err := client.Dial(w.socket())
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	r, err := c.Do(args...)
	if err != nil {
		w.t.Fatalf("%s: %v", args[0], err)
	}
	return r.Text()
}

func value(i int) string { return fmt.Sprintf("value %d %s", i, strings.Repeat("x", i%300)) }

// fill writes the keys, every third with an expiry time far away.
func (w *world) fill() {
	for from := 0; from < keys; from += 500 {
		args := []string{"MSET"}
		for i := from; i < from+500; i++ {
			args = append(args, fmt.Sprint("key", i), value(i))
		}
		w.do(args...)
	}
	for i := 0; i < keys; i += 150 {
		w.do("EXPIRE", fmt.Sprint("key", i), "100000")
	}
}

// check compares everything.
func (w *world) check() {
	w.t.Helper()
	if n := w.do("DBSIZE"); n != fmt.Sprint(keys+1) {
		w.t.Fatalf("%s keys, want %d", n, keys+1)
	}
	c, err := client.Dial(w.socket())
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	for from := 0; from < keys; from += 500 {
		args := []string{"MGET"}
		for i := from; i < from+500; i++ {
			args = append(args, fmt.Sprint("key", i))
		}
		r, err := c.Do(args...)
		if err != nil || len(r.Items) != 500 {
			w.t.Fatalf("MGET: %d values, %v", len(r.Items), err)
		}
		for i, item := range r.Items {
			if item.Text() != value(from+i) {
				w.t.Fatalf("key%d: %q", from+i, item.Text())
			}
		}
	}
	for i := 0; i < keys; i += 150 {
		if r, err := c.Do("TTL", fmt.Sprint("key", i)); err != nil || len(r.Text()) != 5 {
			w.t.Fatalf("TTL key%d: %q, %v", i, r.Text(), err)
		}
	}
}

// count increments a counter until the daemon is gone.
func (w *world) count(done chan<- bool) {
	defer close(done)
	c, err := client.Dial(w.socket())
	if err != nil {
		return
	}
	defer c.Close()
	for {
		r, err := c.Do("INCR", "counter")
		if err != nil {
			return
		}
		fmt.Sscan(r.Text(), &w.counted)
	}
}

// load has the engine exchanged; its time, or 0 when the daemon went away.
func (w *world) load(engine string) time.Duration {
	c, err := client.Dial(w.socket())
	if err != nil {
		return 0
	}
	defer c.Close()
	began := time.Now()
	if _, err := c.Do("ENGINE", "LOAD", w.engines[engine]); err != nil {
		return 0
	}
	return time.Since(began)
}

func other(engine string) string { return map[string]string{"hash": "lmdb", "lmdb": "hash"}[engine] }

func TestKilledWhileDataMoves(t *testing.T) {
	w := &world{t: t, dir: t.TempDir(), engines: map[string]string{}}
	for _, name := range []string{"hash", "lmdb"} {
		w.engines[name] = enginetest.Build(t, name)
	}
	os.Mkdir(filepath.Join(w.dir, "state"), 0o700)
	os.WriteFile(filepath.Join(w.dir, "kvstored.conf"), nil, 0o644)
	defer w.kill()
	t.Logf("seed %d", *seed)
	rnd := rand.New(rand.NewPCG(*seed, 0))
	w.start("hash")
	w.fill()
	w.do("SET", "counter", "0")
	took := w.load("lmdb") // how long it takes: the moments lie within
	if took == 0 {
		t.Fatalf("the exchange failed:\n%s", w.said.String())
	}
	owners := map[string]int{}
	for range *rounds {
		before := w.owner()
		done, loaded := make(chan bool), make(chan time.Duration, 1)
		go w.count(done)
		go func() { loaded <- w.load(other(before)) }()
		time.Sleep(time.Duration(rnd.Int64N(int64(2 * took))))
		w.kill()
		<-done
		<-loaded
		after := w.owner()
		owners[before+" to "+after]++
		w.start(after)
		w.check()
		var n int64
		fmt.Sscan(w.do("GET", "counter"), &n)
		if n != w.counted && n != w.counted+1 {
			t.Fatalf("from %s, to %s: the counter is %d, %d were acknowledged", before, after, n, w.counted)
		}
		w.counted = n
		if dirs, _ := filepath.Glob(filepath.Join(w.dir, "state", "data-*")); len(dirs) != 1 {
			t.Errorf("beside the owner's there are other data: %q", dirs)
		}
	}
	t.Logf("killed %d times within %v: %v", *rounds, took, owners)
}
