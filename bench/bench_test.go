package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want Spread
	}{
		{[]float64{3}, Spread{3, 3, 3}},
		{[]float64{4, 1}, Spread{2.5, 1, 4}},
		{[]float64{9, 1, 2}, Spread{2, 1, 9}},
	} {
		if got := spread(c.in); got != c.want {
			t.Errorf("spread(%v) = %+v, want %+v", c.in, got, c.want)
		}
	}
}

// sampled is a sample with so much CPU per request, at 1000 requests a second.
func sampled(us float64) sample {
	return sample{Requests: 1000, Seconds: 1, ServerCPU: us / 1000, OwnCPU: 0.5}
}

func TestRatiosAreOfTheSameRound(t *testing.T) {
	// The machine is twice as slow in the second round: the ratio stays.
	r := &Report{Peers: []string{"kvstored", "redis"}, Versions: []string{"0.1.0", "7"}, Reference: 1, Subject: 0}
	r.add(Row{Case: Case{Name: "SET P=1", Mark: 0.5}, Results: []Result{
		{samples: []sample{sampled(2), sampled(4)}},
		{samples: []sample{sampled(4), sampled(8)}},
	}})
	want := Spread{0.5, 0.5, 0.5}
	if got := r.Rows[0].Results[0].Ratio; got != want {
		t.Errorf("ratio %+v, want %+v", got, want)
	}
	if got := r.verdict(&r.Rows[0]); got != "met" {
		t.Errorf("a ratio equal to the mark is %q, want met", got)
	}
	r.Rows[0].Mark = 0.49
	if got := r.verdict(&r.Rows[0]); got != "missed" {
		t.Errorf("a ratio above the mark is %q, want missed", got)
	}
}

func TestTable(t *testing.T) {
	r := &Report{Peers: []string{"kvstored", "redis"}, Versions: []string{"0.1.0", "7.0"}, Reference: 1, Subject: 0,
		Idle: []float64{2.5, 10}}
	busy := sampled(4)
	busy.OwnCPU = 0.95
	r.add(Row{Case: Case{Name: "SET P=1", Mark: 1}, Results: []Result{
		{samples: []sample{sampled(3)}}, {samples: []sample{busy}},
	}})
	text := r.markdown()
	for _, want := range []string{
		"| SET P=1 | 0.750 (0.750–0.750) | ≤ 1.00 | met | 1.00 (1.00–1.00) |",
		"| idle, wake-ups a second | 2.5 (redis 10.0) | ≤ 2 | missed | – |",
		"| SET P=1 | kvstored 0.1.0 | 3.00 (3.00–3.00) | 0.75 | 1000 |",
		"| 95 % * |",
		"limits requests/s here",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.1234: "0.123", 1.234: "1.23", 12.34: "12.3", 1234: "1234",
		12345: "12 k", 4.1e6: "4.10 M"} {
		if got := figure(v); got != want {
			t.Errorf("figure(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestSwitches(t *testing.T) {
	text := "Name:\tx\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t5\n"
	if got := switchesIn(text); got != 12 {
		t.Errorf("%d switches, want 12", got)
	}
}

func TestOnly(t *testing.T) {
	cases := chooseCases(options{only: "P=16,one"})
	if len(cases) != 3 {
		t.Errorf("%d cases chosen, want 3: %+v", len(cases), cases)
	}
}

// TestRun is a whole run, a fraction of a second for each case: against the
// floor, and redis where there is one.
func TestRun(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("gcc is not here: the load generator is in C")
	}
	o := options{redis: present("redis-server"), floor: true, keys: 1000, value: 16, conns: 4, rounds: 1, quick: true}
	ctx, dir := context.Background(), t.TempDir()
	tools, err := buildTools(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	peers, err := startAll(ctx, dir, tools, o)
	defer stopAll(peers)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{o: o, tools: tools, peers: peers, progress: io.Discard}
	for _, c := range chooseCases(o) {
		c.seconds = 1.5 // long enough for an answer on a busy machine
		b.cases = append(b.cases, c)
	}
	b.o.only = "P=16" // two cases are enough, and not the idle seconds
	report, err := b.measure(ctx)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	if err := report.write(out); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bench.md", "bench.json"} {
		if st, err := os.Stat(filepath.Join(out, name)); err != nil || st.Size() == 0 {
			t.Errorf("%s was not written: %v", name, err)
		}
	}
}

// present is program if it is installed, else empty.
func present(program string) string {
	if _, err := exec.LookPath(program); err != nil {
		return ""
	}
	return program
}

// TestWrongRepliesAreFoundOut has the generator expect the right values from
// the floor, which does not have them.
func TestWrongRepliesAreFoundOut(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("gcc is not here: the load generator is in C")
	}
	ctx, dir := context.Background(), t.TempDir()
	o := options{floor: true, keys: 1000, value: 16}
	tools, err := buildTools(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := start(ctx, dir, floorRecipe(tools, o))
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	p.loadArgs = nil
	_, err = tools.run(ctx, p, "--get", "100", "--requests", "10", "--connections", "1")
	if err == nil || !strings.Contains(err.Error(), "wrong reply to GET key:") {
		t.Errorf("a wrong value was taken: %v", err)
	}
}
