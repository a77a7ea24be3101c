package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestChoose: the generator is on another core than the server where it can be.
func TestChoose(t *testing.T) {
	pairs := func(cpu int) []int { return []int{cpu &^ 1, cpu | 1} }
	for _, c := range []struct {
		usable       []int
		server, load int
	}{
		{[]int{0, 1}, 1, 0},
		{[]int{0, 1, 2, 3}, 3, 1},
		{[]int{2, 3}, 3, 2},
		{[]int{0, 4, 6}, 6, 4},
	} {
		if server, load := choose(c.usable, pairs); server != c.server || load != c.load {
			t.Errorf("of %v: %d for the server, %d for the load; want %d and %d", c.usable, server, load, c.server, c.load)
		}
	}
}

// TestInTurn: the floor is measured right before or after kvstored.
func TestInTurn(t *testing.T) {
	peers := []*peer{{name: "kvstored"}, {name: "redis"}, {name: "memcached"}, {name: "floor"}}
	for round, want := range [][]int{{3, 0, 1, 2}, {2, 1, 0, 3}} {
		if got := inTurn(peers, round); !slices.Equal(got, want) {
			t.Errorf("round %d: %v, want %v", round, got, want)
		}
	}
}

// TestPinning: all threads of a server are held on one processor, and let go
// again.
func TestPinning(t *testing.T) {
	need(t, "redis-server")
	p, err := start(context.Background(), t.TempDir(), recipes(tools{}, options{redis: "redis-server", conns: 4}, group{noFloor: true})[0])
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	pins, ok, err := newPinning()
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		t.Logf("one processor: nothing to choose from, held on %d", pins.server)
	}
	allowed := func() (lists []string) {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.pid()))
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				continue // the thread has ended
			}
			_, list, _ := strings.Cut(string(text), "Cpus_allowed_list:\t")
			list, _, _ = strings.Cut(list, "\n")
			lists = append(lists, list)
		}
		return lists
	}
	before := allowed()
	if err := pins.hold([]*peer{p}); err != nil {
		t.Fatal(err)
	}
	for _, list := range allowed() {
		if list != fmt.Sprint(pins.server) {
			t.Errorf("a thread may run on %s, want %d", list, pins.server)
		}
	}
	if err := pins.let([]*peer{p}); err != nil {
		t.Fatal(err)
	}
	if after := allowed(); len(before) < 2 || !slices.Equal(after, before) {
		t.Errorf("the threads may run on %v, before on %v", after, before)
	}
}

// TestRest: the next load waits until the connections of the last are closed.
func TestRest(t *testing.T) {
	need(t, "redis-server")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p, err := start(ctx, t.TempDir(), recipes(tools{}, options{redis: "redis-server", conns: 2 * restFiles}, group{noFloor: true})[0])
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	var held []net.Conn
	for range restFiles {
		c, err := p.dial(ctx)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	for accepted := 0; accepted < restFiles; {
		files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.pid()))
		if err != nil {
			t.Fatal(err)
		}
		accepted = len(files)
	}
	short, end := context.WithTimeout(ctx, 100*time.Millisecond)
	defer end()
	if err := p.rest(short); err == nil {
		t.Error("it rests with its connections open")
	}
	for _, c := range held {
		c.Close()
	}
	if err := p.rest(ctx); err != nil {
		t.Error(err)
	}
}
