package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kvstored/pkg/batch"
	"kvstored/pkg/engine/enginetest"
)

const nextVersion = `KV_ENGINE_VERSION="0.1.1"`

var testCheck = CheckOptions{Command: SelfCheck, Timeout: 60 * time.Second}

// openHost serves the library at path until the test ends.
func openHost(t *testing.T, path string, change ...func(*Options)) *Host {
	t.Helper()
	opts := Options{Trust: testTrust, Check: testCheck}
	opts.OnFatal = func(err error) { t.Errorf("the store is unusable: %v", err) }
	for _, c := range change {
		c(&opts)
	}
	h, err := Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// mustSwap swaps and fails the test when that is refused.
func mustSwap(t *testing.T, h *Host, path string) Outcome {
	t.Helper()
	o, err := h.Swap(Request{Path: path})
	if err != nil {
		t.Fatalf("swap to %s: %v", path, err)
	}
	return o
}

// mustRefuse swaps and wants a refusal that says all of the words.
func mustRefuse(t *testing.T, h *Host, path string, words ...string) *Refusal {
	t.Helper()
	before := h.Status()
	o, err := h.Swap(Request{Path: path})
	if err == nil {
		t.Fatalf("swap to %s: %v, want a refusal", path, o)
	}
	var r *Refusal
	if !errors.As(err, &r) {
		t.Fatalf("swap to %s: %T %v", path, err, err)
	}
	for _, w := range append(words, "still serving "+before.Info.Name) {
		if !strings.Contains(r.Error(), w) {
			t.Errorf("the refusal %q does not say %q", r.Error(), w)
		}
	}
	if r.What == "" || r.Why == "" || r.Fix == "" {
		t.Errorf("the refusal %+v lacks a part", *r)
	}
	after := h.Status()
	if after.Generation != before.Generation || after.Refused != before.Refused+1 || after.State != Idle ||
		after.LastError == nil || *after.LastError != *r {
		t.Errorf("status after a refusal: %+v", after)
	}
	return r
}

// tab is a batch with its host, for tests: one operation at a time.
type tab struct {
	t testing.TB
	h *Host
	b *batch.Batch
}

func newTab(t testing.TB, h *Host) *tab {
	b := batch.New()
	t.Cleanup(b.Close)
	return &tab{t, h, b}
}

func (c *tab) in(s string) []byte { return c.b.Scratch.Copy([]byte(s)) }

// do carries out what add puts into the emptied batch.
func (c *tab) do(add func()) {
	c.t.Helper()
	c.b.Reset()
	add()
	c.h.Lock()
	defer c.h.Unlock()
	if err := c.h.Exec(c.b, 0, c.b.Len(), time.Now().UnixMilli()); err != nil {
		c.t.Fatal(err)
	}
}

func (c *tab) set(space uint32, key, value string, expiry int64) batch.Status {
	c.t.Helper()
	c.do(func() { c.b.Set(space, c.in(key), c.in(value), expiry, 0, 0) })
	return c.b.Op(0).Status
}

// get is the value, "-" when there is none.
func (c *tab) get(space uint32, key string) string {
	c.t.Helper()
	c.do(func() { c.b.Get(space, c.in(key)) })
	op := c.b.Op(0)
	if op.Status == batch.NotFound {
		return "-"
	}
	if op.Status != batch.OK {
		return op.Status.String()
	}
	value := string(op.ValueBytes())
	if op.Pin != 0 {
		c.h.Release(op.Pin)
	}
	return value
}

func (c *tab) incr(key string) int64 {
	c.t.Helper()
	var a *batch.Arg
	c.do(func() {
		_, a = c.b.Update(0, c.in(key), batch.FuncIncr)
		a.Number = 1
	})
	if st := c.b.Op(0).Status; st != batch.OK || a.Outcome != batch.Done {
		c.t.Fatalf("incr %s: %v, outcome %d", key, st, a.Outcome)
	}
	return a.Result
}

func TestHandOverKeepsEverything(t *testing.T) {
	for _, name := range []string{"debug", "hash"} {
		t.Run(name, func(t *testing.T) {
			h := openHost(t, enginetest.Build(t, name))
			c := newTab(t, h)
			for i := range 1000 {
				c.set(uint32(i%3), fmt.Sprint("key ", i), fmt.Sprint("value ", i), int64(i%2)*4102444800000)
			}
			next := enginetest.Build(t, name, nextVersion)
			o := mustSwap(t, h, next)
			if !o.HandedOver || o.Copied != 0 || o.String() != "serving "+name+" 0.1.1 (generation 2)" {
				t.Errorf("outcome %+v, %s", o, o)
			}
			for i := range 1000 {
				if got := c.get(uint32(i%3), fmt.Sprint("key ", i)); got != fmt.Sprint("value ", i) {
					t.Fatalf("key %d: %q", i, got)
				}
			}
			if o := mustSwap(t, h, next); !o.Unchanged {
				t.Errorf("the same again: %s", o)
			}
			waitGone(t, h)
			if s := h.Status(); s.StillMapped != 0 || s.Swaps != 1 || s.Info.Version != "0.1.1" {
				t.Errorf("status %+v", s)
			}
		})
	}
}

// waitGone waits until no generation is retiring.
func waitGone(t *testing.T, h *Host) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); len(h.Status().Retiring) > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("still retiring: %+v", h.Status().Retiring)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestCopyBetweenFormats(t *testing.T) {
	h := openHost(t, enginetest.Build(t, "debug"))
	c := newTab(t, h)
	for i := range 3000 {
		c.set(uint32(i%3), fmt.Sprint("key ", i), strings.Repeat("v", i%500), int64(i%2)*4102444800000)
	}
	c.set(7, "long", strings.Repeat("long", 50000), 0)
	c.set(0, "", "", 0)
	o := mustSwap(t, h, enginetest.Build(t, "hash"))
	if o.HandedOver || o.Copied != 3002 {
		t.Errorf("outcome %+v", o)
	}
	for i := range 3000 {
		if got := c.get(uint32(i%3), fmt.Sprint("key ", i)); got != strings.Repeat("v", i%500) {
			t.Fatalf("key %d: %q", i, got)
		}
		if want := int64(i%2) * 4102444800000; c.b.Op(0).Expiry != want {
			t.Fatalf("key %d: expiry %d, want %d", i, c.b.Op(0).Expiry, want)
		}
	}
	if got := c.get(7, "long"); got != strings.Repeat("long", 50000) {
		t.Errorf("a long value has %d bytes", len(got))
	}
	if got := c.get(0, ""); got != "" {
		t.Errorf("empty key: %q", got)
	}
	waitGone(t, h)
	if s := h.Status(); s.StillMapped != 0 {
		t.Errorf("status %+v", s)
	}
}

// client works on keys of its own and knows what each must hold.
type client struct {
	*tab
	id     int
	rng    *rand.Rand
	model  map[string]string
	counts map[string]int64
	ops    int
}

func (c *client) step() {
	switch key := fmt.Sprintf("c%d:%d", c.id, c.rng.IntN(300)); c.rng.IntN(12) {
	case 0, 1, 2:
		value := fmt.Sprintf("%d of %s", c.ops, key)
		if c.rng.IntN(20) == 0 {
			value += strings.Repeat("x", 70000)
		}
		if st := c.set(0, key, value, 0); st != batch.OK {
			c.t.Errorf("set %s: %v", key, st)
		}
		c.model[key] = value
	case 3:
		c.do(func() { c.b.Delete(0, c.in(key)) })
		delete(c.model, key)
	case 4, 5, 6:
		counter := fmt.Sprintf("n%d:%d", c.id, c.rng.IntN(10))
		c.counts[counter]++
		if got := c.incr(counter); got != c.counts[counter] {
			c.t.Errorf("%s: %d, want %d", counter, got, c.counts[counter])
		}
	case 7:
		if c.rng.IntN(50) == 0 { // a space of its own, emptied now and then
			c.do(func() { c.b.Clear(uint32(c.id + 1)) })
			clear(c.counts)
			for k := range c.model {
				if strings.HasPrefix(k, "n") {
					delete(c.model, k)
				}
			}
			c.do(func() {
				for i := range 10 {
					c.b.Delete(0, c.in(fmt.Sprintf("n%d:%d", c.id, i)))
				}
			})
		}
	case 8: // gone after a moment
		c.set(0, key, "short-lived", time.Now().UnixMilli()+1)
		delete(c.model, key)
		time.Sleep(3 * time.Millisecond)
	default:
		want, ok := c.model[key]
		if !ok {
			want = "-"
		}
		if got := c.get(0, key); got != want {
			c.t.Errorf("%s: %.60q, want %.60q", key, got, want)
		}
	}
	c.ops++
}

// underLoad runs clients while change does what it does, then checks all of
// their keys.
func underLoad(t *testing.T, h *Host, change func()) {
	t.Helper()
	var stop atomic.Bool
	var wait sync.WaitGroup
	var clients []*client
	for id := range 4 {
		c := &client{newTab(t, h), id, rand.New(rand.NewPCG(1, uint64(id))), map[string]string{}, map[string]int64{}, 0}
		clients = append(clients, c)
		wait.Go(func() {
			for !stop.Load() && !t.Failed() {
				c.step()
			}
		})
	}
	wait.Go(func() { // housekeeping
		for !stop.Load() {
			h.Lock()
			h.Maintain(time.Now().UnixMilli(), 100)
			h.Unlock()
			time.Sleep(time.Millisecond)
		}
	})
	change()
	stop.Store(true)
	wait.Wait()
	ops := 0
	for _, c := range clients {
		ops += c.ops
		for key, want := range c.model {
			if got := c.get(0, key); got != want {
				t.Errorf("at the end %s: %.60q, want %.60q", key, got, want)
			}
		}
		for key, want := range c.counts {
			if got := c.get(0, key); got != fmt.Sprint(want) {
				t.Errorf("at the end %s: %s, want %d", key, got, want)
			}
		}
	}
	s := h.Status()
	t.Logf("%d operations, %d swaps, lane held %v at most, %d copied last", ops, s.Swaps, s.LaneHeldMax, s.CopiedKeys)
}

func TestSwapsUnderLoad(t *testing.T) {
	hash, next := enginetest.Build(t, "hash"), enginetest.Build(t, "hash", nextVersion)
	debug := enginetest.Build(t, "debug")
	h := openHost(t, hash, func(o *Options) { o.Check.Command = nil }) // tried elsewhere
	filler := newTab(t, h)
	for i := range 2000 {
		filler.set(5, fmt.Sprint("filler ", i), strings.Repeat("f", i%300), 0)
	}
	underLoad(t, h, func() {
		for i := range 6 {
			for _, path := range []string{next, debug, hash} {
				if _, err := h.Swap(Request{Path: path}); err != nil {
					t.Errorf("round %d, %s: %v", i, path, err)
					return
				}
			}
		}
	})
	for i := range 2000 {
		if got := filler.get(5, fmt.Sprint("filler ", i)); got != strings.Repeat("f", i%300) {
			t.Fatalf("filler %d: %q", i, got)
		}
	}
	waitGone(t, h)
	if s := h.Status(); s.StillMapped != 0 {
		t.Errorf("%d generations stay mapped", s.StillMapped)
	}
}

// A library may be overwritten, cut and removed while it serves.
func TestFileMayGo(t *testing.T) {
	path := enginetest.Build(t, "debug")
	h := openHost(t, path)
	c := newTab(t, h)
	c.set(0, "name", "Rojalin", 0)
	if d := h.Disk(); d != "same" {
		t.Errorf("on disk: %s", d)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flip(whole)
	for _, step := range []struct {
		what, disk string
		do         func() error
	}{
		{"overwritten in place", "changed", func() error { return os.WriteFile(path, whole, 0o755) }},
		{"put back", "same", func() error { flip(whole); return os.WriteFile(path, whole, 0o755) }},
		{"truncated", "changed", func() error { return os.Truncate(path, 100) }},
		{"removed", "missing", func() error { return os.Remove(path) }},
		{"a directory", "changed", func() error { return os.Mkdir(path, 0o755) }},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if got := c.get(0, "name"); got != "Rojalin" {
			t.Errorf("%s: %q", step.what, got)
		}
		if d := h.Disk(); d != step.disk {
			t.Errorf("%s: on disk %s", step.what, d)
		}
	}
	mustSwap(t, h, enginetest.Build(t, "debug", nextVersion))
	if got := c.get(0, "name"); got != "Rojalin" {
		t.Errorf("after a swap: %q", got)
	}
}

// flip inverts every byte.
func flip(data []byte) {
	for i := range data {
		data[i] ^= 0xff
	}
}

// openFiles counts this process's descriptors.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// Neither swaps nor refusals leave descriptors or mapped code behind.
func TestNothingLeftBehind(t *testing.T) {
	paths := []string{enginetest.Build(t, "hash"), enginetest.Build(t, "hash", nextVersion), enginetest.Build(t, "debug")}
	h := openHost(t, paths[0])
	bad := enginetest.Build(t, "debug", "DEBUG_FAULT=no_symbol")
	round := func() {
		for _, p := range append(paths[1:], paths[0]) {
			mustSwap(t, h, p)
		}
		mustRefuse(t, h, bad)
		waitGone(t, h)
	}
	round()
	time.Sleep(50 * time.Millisecond) // readers of log pipes end beside us
	before, mapped := openFiles(t), mappedLibraries(t)
	for range 3 {
		round()
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		files, maps := openFiles(t), mappedLibraries(t)
		if files <= before && maps <= mapped {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("before: %d descriptors, %d libraries mapped; after: %d and %d", before, mapped, files, maps)
		}
	}
}

// mappedLibraries counts the engine libraries that are mapped.
func mappedLibraries(t *testing.T) int {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	inodes := map[string]bool{}
	for line := range strings.Lines(string(maps)) {
		if f := strings.Fields(line); len(f) > 5 && strings.HasPrefix(f[5], "/memfd:kvstored-") {
			inodes[f[4]] = true
		}
	}
	return len(inodes)
}

// Requests that come while a swap runs are answered by a later run.
func TestQueue(t *testing.T) {
	a, b := enginetest.Build(t, "debug"), filepath.Join(t.TempDir(), "b.so")
	replaceFile(t, enginetest.Build(t, "debug", nextVersion), b)
	var hold sync.Mutex
	var checks atomic.Int32
	h := openHost(t, a, func(o *Options) {
		o.OnState = func(s State) {
			if s == Checking {
				checks.Add(1)
			}
			if s == Opening {
				hold.Lock() // until the test lets go
				hold.Unlock()
			}
		}
	})
	hold.Lock()
	results := make(chan string, 8)
	ask := func() {
		o, err := h.Swap(Request{Path: b})
		results <- fmt.Sprint(o, err)
	}
	go ask()
	for h.Status().State != Opening {
		time.Sleep(time.Millisecond)
	}
	replaceFile(t, enginetest.Build(t, "debug", `KV_ENGINE_VERSION="0.1.2"`), b)
	for range 3 {
		go ask()
	}
	for {
		h.swaps.mu.Lock()
		n := len(h.swaps.waiting)
		h.swaps.mu.Unlock()
		if n == 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	time.Sleep(20 * time.Millisecond) // for the other two; late ones are told "unchanged"
	hold.Unlock()
	seen := map[string]int{}
	for range 4 {
		seen[<-results]++
	}
	first := seen["serving debug 0.1.1 (generation 2) <nil>"]
	second := seen["serving debug 0.1.2 (generation 3) <nil>"] + seen["unchanged <nil>"]
	if first != 1 || second != 3 || h.Status().Info.Version != "0.1.2" {
		t.Errorf("answers: %v, serving %s", seen, h.Status().Info.Version)
	}
}

// replaceFile puts a copy of from at to, as install(1) does.
func replaceFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to+".new", data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(to+".new", to); err != nil {
		t.Fatal(err)
	}
}

// The states of both kinds of swap, in order.
func TestStates(t *testing.T) {
	var states []State
	h := openHost(t, enginetest.Build(t, "debug"), func(o *Options) {
		o.OnState = func(s State) { states = append(states, s) }
	})
	for _, swap := range []struct {
		path, want string
	}{
		{enginetest.Build(t, "debug", nextVersion), "[checking loading opening draining serving idle]"},
		{enginetest.Build(t, "hash"), "[checking loading opening copying draining serving idle]"},
	} {
		states = nil
		mustSwap(t, h, swap.path)
		if got := fmt.Sprint(states); got != swap.want {
			t.Errorf("states %s, want %s", got, swap.want)
		}
	}
	states = nil
	mustRefuse(t, h, enginetest.Build(t, "debug", "DEBUG_FAULT=fail_open"))
	if got := fmt.Sprint(states); got != "[checking idle]" {
		t.Errorf("states of a refusal: %s", got)
	}
}
