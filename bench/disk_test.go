package main

import (
	"context"
	"strings"
	"testing"
)

// TestSyncsAreCounted: with one connection that waits for each reply, redis
// with appendfsync always syncs once for each SET, with everysec hardly ever.
func TestSyncsAreCounted(t *testing.T) {
	need(t, "gcc", "redis-server")
	o := options{redis: "redis-server", keys: 1000, value: 16, conns: 4}
	ctx, dir := context.Background(), t.TempDir()
	tools, err := buildTools(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[string]float64{syncAlways: 1, syncInterval: 0} {
		g := o.synced(mode)
		p, err := start(ctx, t.TempDir(), recipes(tools, o, g)[0])
		if err != nil {
			t.Fatal(err)
		}
		s, err := tools.run(ctx, p, "--requests", "100", "--connections", "1")
		p.stop()
		if err != nil {
			t.Fatal(err)
		}
		if got := s.syncs(); got < want || got > want+0.1 {
			t.Errorf("appendfsync as with Sync=%s: %g syncs per request, want %g to %g", mode, got, want, want+0.1)
		}
	}
}

// TestSyncTable: what the servers came to, and a word where there was no disk.
func TestSyncTable(t *testing.T) {
	counted := func(syncs uint64) sample {
		s := sampled(4)
		s.Syncs = syncs
		return s
	}
	marks := []Mark{{Figure: figureSync, Peer: "redis", Limit: 1, Below: true}}
	r := measured(Case{Name: "Sync=always SET P=1", Marks: marks}, []sample{counted(20)}, []sample{counted(20)})
	r.NoDisk = "tmpfs"
	text := r.markdown()
	for _, want := range []string{
		"| Sync=always SET P=1 | syncs per request | redis | 1.00 (1.00–1.00) | < 1.00 | missed |",
		"| Sync=always SET P=1 | kvstored 0.1.0 | 0.02 (0.02–0.02) | 50.0 | 20.0 |",
		"The data lay on tmpfs",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestInMemoryOnly tells a disk from what is none.
func TestInMemoryOnly(t *testing.T) {
	if name, err := inMemoryOnly("/dev/shm"); err != nil || name != "tmpfs" {
		t.Errorf("/dev/shm is %q, %v; want tmpfs", name, err)
	}
	if name, err := inMemoryOnly("/proc"); err != nil || name != "" {
		t.Errorf("/proc is %q, %v; want nothing", name, err)
	}
}
