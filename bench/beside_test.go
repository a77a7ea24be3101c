package main

import (
	"context"
	"io"
	"strings"
	"testing"

	"kvstored/pkg/client"
)

// TestLargeValues has a server take and give a large value, and finds out when
// it gives another.
func TestLargeValues(t *testing.T) {
	need(t, "gcc", "redis-server")
	ctx, dir := context.Background(), t.TempDir()
	p, err := start(ctx, dir, recipes(tools{}, options{redis: "redis-server", conns: 4}, group{noFloor: true})[0])
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	var took largeTimes
	if err := took.trade(ctx, p, 1); err != nil {
		t.Fatal(err)
	}
	if len(took.set) != 1 || len(took.get) != 1 || took.set[0] <= 0 {
		t.Errorf("took %+v, want one SET and one GET", took)
	}
	c, err := client.Dial(p.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Do("SET", "large", "small"); err != nil {
		t.Fatal(err)
	}
	get := client.AppendCommand(nil, []byte("GET"), []byte("large"))
	if err := exchangeLarge(c, get, client.Bulk, besideSize, &took.get); err == nil {
		t.Error("a value of another length was taken")
	}
}

// TestBesideTable has two lines for each server.
func TestBesideTable(t *testing.T) {
	r := &Report{Versions: map[string]string{"redis": "7"}, Beside: []Beside{{Peer: "redis", Without: Quantiles{50, 60, 70, 80},
		With: Quantiles{100, 200, 300, 400}, Set: Spread{30, 20, 40}, Get: Spread{10, 5, 15}}}}
	text := r.markdown()
	for _, want := range []string{
		"| redis 7, by themselves | 50.0 | 60.0 | 70.0 | 80.0 |  |  |",
		"| redis 7, beside 64 MiB | 100 | 200 | 300 | 400 | 30.0 (20.0–40.0) | 10.0 (5.00–15.0) |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestLight runs both generators against redis: both cost something, and the
// table has both.
func TestLight(t *testing.T) {
	need(t, "gcc", "redis-server", "redis-benchmark")
	ctx, dir := context.Background(), t.TempDir()
	tools, err := buildTools(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	// Anything that may stand in kvstored's place: it is not started.
	o := options{kvstored: "true", redis: "redis-server", keys: 1000, value: 16, conns: 4, quick: true, rounds: 1}
	b := &bench{o: o, dir: dir, tools: tools, progress: io.Discard}
	r := &Report{Versions: map[string]string{}}
	if err := b.light(ctx, r); err != nil {
		t.Fatal(err)
	}
	if len(r.Light) != 6 || r.Light[0].CPU.Low <= 0 || r.Light[1].Rate.Low <= 0 {
		t.Errorf("figures %+v", r.Light)
	}
	if text := r.markdown(); !strings.Contains(text, "| P=64, redis-benchmark | ") {
		t.Errorf("no line for redis-benchmark in\n%s", text)
	}
}
