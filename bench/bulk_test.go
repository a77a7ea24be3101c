package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
)

// TestBulkLoad has redis-cli load the file that all programs get, and finds
// out when keys are missing.
func TestBulkLoad(t *testing.T) {
	need(t, "gcc", "redis-server", "redis-cli")
	ctx, dir := context.Background(), t.TempDir()
	tools, err := buildTools(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	files, err := writeBulk(filepath.Join(dir, "bulk"), 1000)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{o: options{redis: "redis-server", redisCLI: "redis-cli"}, dir: dir, tools: tools}
	peers, err := startAll(ctx, dir, b.bulkServers())
	defer stopAll(peers)
	if err != nil {
		t.Fatal(err)
	}
	u := &Bulk{Tool: bulkTool, program: "redis-cli", peer: peers[0], input: files[".resp"],
		args: func(s string) []string { return []string{"-s", s, "--pipe"} }}
	if err := u.load(ctx, 1000); err != nil {
		t.Error(err)
	}
	if err := u.load(ctx, 1001); err == nil || !strings.Contains(err.Error(), "1000 keys are there") {
		t.Errorf("a missing key was not found out: %v", err)
	}
}

// TestBulkMarks: both readings, to redis-cli with each server.
func TestBulkMarks(t *testing.T) {
	tool := func(name, server string, marked bool, seconds ...float64) *Bulk {
		return &Bulk{Tool: name, Server: server, Keys: 1000000, marked: marked, seconds: seconds, cpu: seconds}
	}
	r := &Report{Versions: map[string]string{}}
	r.addBulk([]*Bulk{tool(bulkTool, "redis", false, 2, 4), tool(bulkTool, "kvstored", false, 1, 2), tool("kvctl --pipe", "kvstored", true, 0.8, 1.6)})
	text := r.markdown()
	for _, want := range []string{
		"| kvctl --pipe, 1 million keys | wall time, at least half as fast | redis-cli --pipe into redis | 0.400 (0.400–0.400) | ≤ 2.00 | met |",
		"| kvctl --pipe, 1 million keys | wall time, at most half the time | redis-cli --pipe into redis | 0.400 (0.400–0.400) | ≤ 0.50 | met |",
		"| kvctl --pipe, 1 million keys | wall time, at most half the time | redis-cli --pipe into the same server | 0.800 (0.800–0.800) | ≤ 0.50 | missed |",
		"| kvctl --pipe | kvstored | 1.20 (0.800–1.60) | 0.400 (0.400–0.400) | 0.800 (0.800–0.800) | 833 k |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
