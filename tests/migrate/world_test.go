// Package migrate kills the daemon while its data moves from one engine to
// another on disk: whatever the moment, one whole owner is left.
package migrate

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kvstored/pkg/client"
	"kvstored/pkg/engine/enginetest"
	"kvstored/tests/daemontest"
	"kvstored/tests/trace"
)

func TestMain(m *testing.M) {
	code := m.Run()
	daemontest.Remove()
	os.Exit(code)
}

// world is a state directory and what is known of its data.
type world struct {
	t       *testing.T
	dir     string
	keys    int               // beside the counter
	engines map[string]string // library by name
	end     func()            // ends the daemon; nil: none runs
	said    string            // file with what it said
	counted int64             // acknowledged
	pause   time.Duration     // between two increments
}

// newWorld has an empty state directory and these engines: "hash", or "hash+" for its
// next release.
func newWorld(t *testing.T, keys int, engines ...string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), keys: keys, engines: map[string]string{}}
	w.said = filepath.Join(w.dir, "said")
	for _, name := range engines {
		engine, next := strings.CutSuffix(name, "+")
		defines := []string{`KV_ENGINE_VERSION="0.1.1"`}
		if !next {
			defines = nil
		}
		w.engines[name] = enginetest.Build(t, engine, defines...)
	}
	if err := os.Mkdir(w.state(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "kvstored.conf"), []byte("CheckTimeout=10min\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.kill)
	return w
}

func (w *world) socket() string { return filepath.Join(w.dir, "s") }
func (w *world) state() string  { return filepath.Join(w.dir, "state") }

// log is what the daemon said since it was started.
func (w *world) log() string {
	text, _ := os.ReadFile(w.said)
	return string(text)
}

// owner is what the owner file names: the engine, and the directory of its data.
func (w *world) owner() (engine, directory string) {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.state(), "owner"))
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "engine":
			engine = value
		case "directory":
			directory = value
		}
	}
	if engine == "" {
		w.t.Fatalf("the owner file names no engine:\n%s", text)
	}
	return engine, directory
}

// launch starts the daemon with an engine; with an observer, in its view.
func (w *world) launch(engine string, observe trace.Observer) *trace.Process {
	w.t.Helper()
	said, err := os.Create(w.said)
	if err != nil {
		w.t.Fatal(err)
	}
	defer said.Close()
	cmd := exec.Command(daemontest.Binary(w.t), "--listen", w.socket(), "--state-dir", w.state(),
		"--config", filepath.Join(w.dir, "kvstored.conf"), "--engine", w.engines[engine])
	cmd.Stderr = said
	if observe != nil {
		p, err := trace.Start(cmd, observe)
		if err != nil {
			w.t.Fatal(err)
		}
		w.end = p.Kill
		return p
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.end = func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
	}
	return nil
}

// start runs the daemon and waits until it answers.
func (w *world) start(engine string, observe trace.Observer) *trace.Process {
	w.t.Helper()
	p := w.launch(engine, observe)
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if c, err := client.Dial(w.socket()); err == nil {
			_, err = c.Do("PING")
			c.Close()
			if err == nil {
				return p
			}
		}
		if time.Now().After(end) {
			w.kill()
			w.t.Fatalf("kvstored does not answer:\n%s", w.log())
		}
	}
}

// kill ends the daemon at once.
func (w *world) kill() {
	if w.end != nil {
		w.end()
		w.end = nil
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
		w.t.Fatalf("%s: %v\n%s", args[0], err, w.log())
	}
	return r.Text()
}

func value(i int) string {
	switch {
	case i%60 == 59:
		return strings.Repeat(fmt.Sprint(i), 30_000) // one that is pinned while it is sent
	case i%17 == 16:
		return ""
	}
	return fmt.Sprintf("value %d %s", i, strings.Repeat("x", i%300))
}

// expiry is when a key ends, in milliseconds since 1970; -1: it stays.
func expiry(i int) int64 {
	if i%150 != 0 {
		return -1
	}
	return 4_102_444_800_123 + int64(i) // in the year 2100
}

const atOnce = 100

// fill writes the keys and the counter.
func (w *world) fill() {
	w.t.Helper()
	for from := 0; from < w.keys; from += atOnce {
		args := []string{"MSET"}
		for i := from; i < from+atOnce; i++ {
			args = append(args, fmt.Sprint("key", i), value(i))
		}
		w.do(args...)
	}
	for i := range w.keys {
		if at := expiry(i); at >= 0 {
			w.do("PEXPIREAT", fmt.Sprint("key", i), fmt.Sprint(at))
		}
	}
	w.counted = 0
	w.do("SET", "counter", "0")
}

// check compares everything. The counter may be one further than what was
// acknowledged.
func (w *world) check() {
	w.t.Helper()
	if n := w.do("DBSIZE"); n != fmt.Sprint(w.keys+1) {
		w.t.Fatalf("%s keys, want %d\n%s", n, w.keys+1, w.log())
	}
	c, err := client.Dial(w.socket())
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	for from := 0; from < w.keys; from += atOnce {
		args := []string{"MGET"}
		for i := from; i < from+atOnce; i++ {
			args = append(args, fmt.Sprint("key", i))
		}
		r, err := c.Do(args...)
		if err != nil || len(r.Items) != atOnce {
			w.t.Fatalf("MGET: %d values, %v", len(r.Items), err)
		}
		for i, item := range r.Items {
			if item.Text() != value(from+i) {
				w.t.Fatalf("key%d: %.80q", from+i, item.Text())
			}
		}
	}
	for i := 0; i < w.keys; i += 25 {
		if r, err := c.Do("PEXPIRETIME", fmt.Sprint("key", i)); err != nil || r.Text() != fmt.Sprint(expiry(i)) {
			w.t.Fatalf("PEXPIRETIME key%d: %q, want %d, %v", i, r.Text(), expiry(i), err)
		}
	}
	var n int64
	fmt.Sscan(w.do("GET", "counter"), &n)
	if n != w.counted && n != w.counted+1 {
		w.t.Fatalf("the counter is %d, %d were acknowledged\n%s", n, w.counted, w.log())
	}
	w.counted = n
}

// count increments the counter until the daemon is gone or it is told to stop,
// and returns when it has ended.
func (w *world) count() (stop func()) {
	done, told := make(chan bool), atomic.Bool{}
	go func() {
		defer close(done)
		c, err := client.Dial(w.socket())
		if err != nil {
			return
		}
		defer c.Close()
		for !told.Load() {
			r, err := c.Do("INCR", "counter")
			if err != nil {
				return
			}
			fmt.Sscan(r.Text(), &w.counted)
			time.Sleep(w.pause)
		}
	}()
	return func() {
		told.Store(true)
		<-done
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
	if r, err := c.Do("ENGINE", "LOAD", w.engines[engine]); err != nil || r.Err() != nil {
		return 0
	}
	return time.Since(began)
}

// alone fails unless no data is there but that of the owner.
func (w *world) alone(directory string) {
	w.t.Helper()
	dirs, _ := filepath.Glob(filepath.Join(w.state(), "data-*"))
	want := 1
	if directory == "" {
		want = 0
	}
	if len(dirs) != want || want == 1 && filepath.Base(dirs[0]) != directory {
		w.t.Errorf("the owner's data is in %q, and there is %q\n%s", directory, dirs, w.log())
	}
}

// onlyOwner waits until an exchange has removed the data of the engine before.
func (w *world) onlyOwner() {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		dirs, _ := filepath.Glob(filepath.Join(w.state(), "data-*"))
		if len(dirs) <= 1 {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("the exchange left %q\n%s", dirs, w.log())
		}
	}
}
