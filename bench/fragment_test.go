package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// store carries the commands of a batch out, as a server does.
type store map[string]struct {
	size     int
	deadline int64
}

func (s store) take(batch []byte) {
	for _, command := range bytes.Split(batch, []byte("*"))[1:] {
		f := bytes.Split(command, []byte("\r\n"))
		key := string(f[4])
		if string(f[2]) == "DEL" {
			delete(s, key)
			continue
		}
		e := s[key]
		e.size, e.deadline = len(f[6]), 0
		if string(f[0]) == "5" {
			e.deadline, _ = strconv.ParseInt(string(f[10]), 10, 64)
		}
		s[key] = e
	}
}

// live is the bytes of keys and values, without what is over.
func (s store) live(now int64) (bytes, keys int) {
	for key, e := range s {
		if e.deadline == 0 || e.deadline > now {
			bytes += len(key) + e.size
			keys++
		}
	}
	return bytes, keys
}

// TestChurn: the model of what lives is what the commands come to, and that
// stays at the same size whatever the sizes of values are.
func TestChurn(t *testing.T) {
	const target = 4 << 20
	c, s, now := newChurn(target, 7), store{}, int64(1_000_000)
	for _, p := range fragmentPhases() {
		c.sizes = p.sizes
		for range 300 {
			now += 20
			c.next(now)
			s.take(c.batch)
		}
		c.expire(now)
		if live, keys := s.live(now); live != c.live || keys != len(c.alive) {
			t.Fatalf("%s: the commands leave %d bytes in %d keys, the model has %d in %d", p.name, live, keys, c.live, len(c.alive))
		}
		if c.live < target*9/10 || c.live > target {
			t.Errorf("%s: %d bytes live, want about %d", p.name, c.live, target)
		}
	}
	now += 10_000
	c.expire(now)
	if live, _ := s.live(now); live != c.live || len(c.due) != 0 {
		t.Errorf("after all expired the commands leave %d bytes, the model %d with %d deadlines", live, c.live, len(c.due))
	}
}

// TestFragmentation runs a server through one phase, which compares keys with
// the model, and draws what came of it.
func TestFragmentation(t *testing.T) {
	need(t, "gcc", "redis-server")
	ctx, dir := context.Background(), t.TempDir()
	tools, err := buildTools(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{o: options{redis: "redis-server"}, dir: dir, tools: tools, progress: io.Discard}
	peers, err := startAll(ctx, dir, recipes(tools, b.o, group{noFloor: true}))
	defer stopAll(peers)
	if err != nil {
		t.Fatal(err)
	}
	f := &fragmenter{peers: peers, c: newChurn(2<<20, 1)}
	defer f.close()
	if err := f.dial(); err != nil {
		t.Fatal(err)
	}
	if err := f.phase(ctx, fragmentPhases()[0]); err != nil {
		t.Fatal(err)
	}
	if len(f.out) != fragmentReads || f.out[0].Ratio["redis"] < 1 {
		t.Errorf("points %+v", f.out)
	}
	r := &Report{Versions: map[string]string{"redis": "7"}, Fragmentation: f.out}
	if text := r.markdown(); !strings.Contains(text, "| 16 B–64 KiB | ") {
		t.Errorf("no line for the phase in\n%s", text)
	}
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "fragmentation.svg")); err != nil {
		t.Error(err)
	}
	// A key that is not as the model says is found out.
	for id := range f.c.keys {
		f.c.keys[id].size++
	}
	if err := f.verify(); err == nil || !strings.Contains(err.Error(), "STRLEN") {
		t.Errorf("wrong sizes were taken: %v", err)
	}
}
