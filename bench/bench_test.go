package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kvstored/pkg/client"
)

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want Spread
	}{
		{[]float64{3}, Spread{3, 3, 3}},
		{[]float64{4, 1}, Spread{2.5, 1, 4}},
		{[]float64{9, 1, 2}, Spread{2, 1, 9}},
		{[]float64{9, 1, 2, 3, 4, 5, 6, 7, 100}, Spread{5, 3, 7}}, // many: the quartiles
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

// measured is a report with one case, kvstored beside redis.
func measured(c Case, ours, theirs []sample) *Report {
	r := &Report{Versions: map[string]string{"kvstored": "0.1.0", "redis": "7.0"}}
	r.add(Row{Case: c, Peers: []string{"kvstored", "redis"}, Results: []Result{{samples: ours}, {samples: theirs}}})
	return r
}

func TestRatiosAreOfTheSameRound(t *testing.T) {
	// The machine is twice as slow in the second round: the ratio stays.
	for _, c := range []struct {
		mark Mark
		met  bool
	}{
		{Mark{Figure: figureCPU, Peer: "redis", Limit: 0.5}, true},
		{Mark{Figure: figureCPU, Peer: "redis", Limit: 0.49}, false},
		{Mark{Figure: figureCPU, Peer: "redis", Limit: 0.5, Least: true}, true},
		{Mark{Figure: figureCPU, Peer: "redis", Limit: 0.51, Least: true}, false},
	} {
		r := measured(Case{Name: "SET P=1", Marks: []Mark{c.mark}},
			[]sample{sampled(2), sampled(4)}, []sample{sampled(4), sampled(8)})
		v := r.Rows[0].Verdicts
		if want := (Spread{0.5, 0.5, 0.5}); len(v) != 1 || v[0].Ratio != want || v[0].Met != c.met {
			t.Errorf("%+v came to %+v", c.mark, v)
		}
	}
}

// TestMarksOfOneself: a mark that names another case is about kvstored alone,
// and one whose peer was not measured is not judged.
func TestMarksOfOneself(t *testing.T) {
	r := measured(Case{Name: "few"}, []sample{sampled(2)}, []sample{sampled(100)})
	r.add(Row{Case: Case{Name: "many", Marks: []Mark{{Figure: figureCPU, Case: "few", Limit: 1.5},
		{Figure: figureCPU, Peer: "pogocache", Limit: 1}, {Figure: figureCPU, Case: "none", Limit: 1}}},
		Peers: []string{"kvstored"}, Results: []Result{{samples: []sample{sampled(3.2)}}}})
	v := r.Rows[1].Verdicts
	if len(v) != 1 || v[0].Ratio.Median != 1.6 || v[0].Met {
		t.Errorf("verdicts %+v, want one, missed with 1.6", v)
	}
}

func TestTable(t *testing.T) {
	busy := sampled(4)
	busy.OwnCPU = 0.95
	r := measured(Case{Name: "SET P=1", Marks: cpuMarks(1, 0, 0)}, []sample{sampled(3)}, []sample{busy})
	r.Idle = map[string]float64{"kvstored": 2.5, "redis": 10}
	r.Memory = []MemoryPoint{{1000000, 20.5}, {1050000, 24.5}, {1100000, 19}}
	r.Exchanges = []Exchange{{Name: "hand-over", Keys: 5000000, Swaps: 50, With: 3000, Without: 900, LaneHeld: 150,
		Took: Spread{200, 190, 300}, MarkMore: 2000, MarkLane: 2000}}
	r.Starts = []Start{{Peer: "kvstored", Keys: 10000000, Ratio: Spread{0.01, 0.01, 0.01}}, {Peer: "redis", Keys: 10000000, Ratio: Spread{1, 1, 1}}}
	text := r.markdown()
	for _, want := range []string{
		"| SET P=1 | CPU per request | redis | 0.750 (0.750–0.750) | ≤ 1.00 | met |",
		"| idle | wake-ups a second | – | 2.5 (redis 10.0) | ≤ 2 | missed |",
		"| 1.05 M keys, the worst of 3 sizes | bytes for each over key and value | – | 24.5 | ≤ 24 | missed |",
		"| SET P=1 | kvstored 0.1.0 | 3.00 (3.00–3.00) | 0.75 | 1000 |",
		"| 95 % * |",
		"limits requests/s here",
		"| hand-over, 5 million keys, 50 swaps | p99.9 latency, µs | equal windows without | 3000 for 900 | ≤ 2000 more | missed |",
		"| hand-over, 5 million keys, 50 swaps | lane held at most, µs | – | 150 | ≤ 2000 | met |",
		"| hand-over, 5 million keys, 50 swaps | 3000 | 900 | 150 | 200 (190–300) |",
		"| start with 10 million keys, page cache warm | time to the first reply | redis | 0.010 (0.010–0.010) | ≤ 0.02 | met |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestMemoryIn(t *testing.T) {
	got, err := memoryIn("Rss: 900 kB\nPss_Anon:   100 kB\nPss_File: 7 kB\nPss_Shmem:      20 kB\n")
	if err != nil || got != 120<<10 {
		t.Errorf("%d bytes, %v; want %d", got, err, 120<<10)
	}
	if _, err := memoryIn("Pss_Anon: 1 kB\n"); err == nil {
		t.Error("a text without Pss_Shmem was taken")
	}
}

func TestQuantile(t *testing.T) {
	h := histogram{}
	h.add([][2]uint64{{1000, 900}, {5000, 99}})
	h.add([][2]uint64{{1000, 90}, {90000, 1}})
	for share, want := range map[float64]float64{0.5: 1, 0.95: 5, 1: 90} {
		if got := h.quantile(share); got != want {
			t.Errorf("quantile %g is %g us, want %g", share, got, want)
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
	groups := chooseGroups(options{keys: 1000, value: 16, conns: 50, only: "/s,one conn"})
	if len(groups) != 1 || len(groups[0].cases) != 4 || groups[0].idle {
		t.Errorf("chosen %+v, want four cases of one group", groups)
	}
}

// TestRun is a whole run, a second or two for each case: kvstored's place is
// taken by redis where there is one, since this room builds nothing.
func TestRun(t *testing.T) {
	need(t, "gcc")
	o := options{redis: present("redis-server"), floor: true, keys: 1000, value: 16, conns: 4, rounds: 1, quick: true}
	ctx, dir := context.Background(), t.TempDir()
	tools, err := buildTools(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	g := o.base()
	g.idle = false
	g.memory = true
	g.cases = g.cases[2:3]
	g.cases[0].seconds = 1.5 // long enough for an answer on a busy machine
	b := &bench{o: o, dir: dir, tools: tools, groups: []group{g}, progress: io.Discard}
	report, err := b.measure(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Rows) != 1 {
		t.Fatalf("%d rows, want 1", len(report.Rows))
	}
	out := filepath.Join(dir, "out")
	if err := report.write(out); err != nil {
		t.Fatal(err)
	}
	files := []string{"bench.md", "bench.json"}
	if o.redis != "" {
		files = append(files, "cpu.svg", "throughput.svg")
	}
	for _, name := range files {
		if st, err := os.Stat(filepath.Join(out, name)); err != nil || st.Size() == 0 {
			t.Errorf("%s was not written: %v", name, err)
		}
	}
}

// TestZipf: the skewed choice is skewed, and the even one is not.
func TestZipf(t *testing.T) {
	need(t, "gcc", "redis-server")
	o := options{redis: "redis-server", keys: 1000, value: 16, conns: 4}
	ctx, dir := context.Background(), t.TempDir()
	tools, err := buildTools(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]int{}
	for _, zipf := range []string{"0", "0.99"} {
		p, err := start(ctx, t.TempDir(), recipes(tools, o, group{})[0])
		if err != nil {
			t.Fatal(err)
		}
		_, err = tools.run(ctx, p, "--requests", "2000", "--keys", "100000", "--connections", "1", "--pipeline", "16", "--zipf", zipf)
		if err != nil {
			t.Fatal(err)
		}
		c, err := client.Dial(p.socket)
		if err != nil {
			t.Fatal(err)
		}
		size, err := c.Do("DBSIZE")
		if err != nil {
			t.Fatal(err)
		}
		kept[zipf] = int(size.Int)
		c.Close()
		p.stop()
	}
	if kept["0"] < 1900 || kept["0.99"] > 1500 || kept["0.99"] < 200 {
		t.Errorf("2000 SETs of 100000 keys made %v", kept)
	}
}

// need ends the test when a program that make test installs is not here.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if present(p) == "" {
			t.Fatalf("%s is not here; fix: make test, or tools/need.sh", p)
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
	need(t, "gcc")
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
