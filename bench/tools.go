package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed load/*.c load/*.h
var sources embed.FS

// tools are the programs in C: the generator, the floor, and the library that
// counts syncs.
type tools struct{ load, floor, syncs string }

// buildTools compiles them into dir.
func buildTools(ctx context.Context, dir string) (tools, error) {
	t := tools{load: filepath.Join(dir, "load"), floor: filepath.Join(dir, "floor"), syncs: filepath.Join(dir, "syncs.so")}
	names, err := sources.ReadDir("load")
	if err != nil {
		return t, err
	}
	for _, n := range names {
		text, err := sources.ReadFile("load/" + n.Name())
		if err != nil {
			return t, err
		}
		if err := os.WriteFile(filepath.Join(dir, n.Name()), text, 0o644); err != nil {
			return t, err
		}
	}
	if err := compile(ctx, dir, t.load, "load.c", "keys.c", "wire.c", "report.c", "-lm"); err != nil {
		return t, err
	}
	if err := compile(ctx, dir, t.syncs, "-shared", "-fPIC", "syncs.c"); err != nil {
		return t, err
	}
	return t, compile(ctx, dir, t.floor, "floor.c")
}

func compile(ctx context.Context, dir, out string, what ...string) error {
	args := append([]string{"-std=c17", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o", out}, what...)
	cmd := exec.CommandContext(ctx, "gcc", args...)
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		return explain("cannot compile the load generator", fmt.Sprintf("%v %s", err, text),
			"sudo apt-get install gcc libc6-dev")
	}
	return nil
}

// sample is what one run of the generator came to.
type sample struct {
	Requests  uint64  `json:"requests"`
	Seconds   float64 `json:"seconds"`
	OwnCPU    float64 `json:"own_cpu_seconds"`
	ServerCPU float64 `json:"server_cpu_seconds"`
	Syncs     uint64  `json:"syncs"`
	Late      uint64  `json:"late"`
	Mean      float64 `json:"mean_us"`
	P50       float64 `json:"p50_us"`
	P99       float64 `json:"p99_us"`
	P999      float64 `json:"p999_us"`
	Max       float64 `json:"max_us"`
	// Buckets are latencies in nanoseconds and how many requests had them.
	Buckets [][2]uint64 `json:"buckets"`
}

// cpu is server CPU per request in microseconds.
func (s sample) cpu() float64 { return s.ServerCPU / float64(s.Requests) * 1e6 }

func (s sample) p50() float64 { return s.P50 }

// rate is requests per second.
func (s sample) rate() float64 { return float64(s.Requests) / s.Seconds }

// syncs is the server's syncs per request.
func (s sample) syncs() float64 { return float64(s.Syncs) / float64(s.Requests) }

// share is the part of one processor that the generator itself took.
func (s sample) share() float64 { return s.OwnCPU / s.Seconds }

// errUnanswered is that a window, on a machine with much other work, was too
// short for even one answer.
var errUnanswered = errors.New("not one request was answered")

// patient is run, again where a window was too short.
func (t tools) patient(ctx context.Context, p *peer, args ...string) (s sample, err error) {
	for range 5 {
		if s, err = t.run(ctx, p, args...); !errors.Is(err, errUnanswered) {
			break
		}
	}
	return s, err
}

// run runs the generator against p.
func (t tools) run(ctx context.Context, p *peer, args ...string) (sample, error) {
	all := append([]string{"--socket", p.socket, "--pid", fmt.Sprint(p.pid())}, args...)
	all = append(all, p.loadArgs...)
	if p.syncs != "" {
		all = append(all, "--syncs", p.syncs)
	}
	var s sample
	text, err := exec.CommandContext(ctx, t.load, all...).Output()
	if err != nil {
		why := err.Error()
		if e, ok := err.(*exec.ExitError); ok {
			why = strings.TrimSpace(string(e.Stderr)) + " (" + why + ")"
		}
		return s, fmt.Errorf("load %s with %s: %s; its log: %s", p.name, strings.Join(args, " "), why, p.lastWords())
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("read what the generator says of %s: %w", p.name, err)
	}
	if s.Requests == 0 {
		return s, fmt.Errorf("load %s with %s: %w", p.name, strings.Join(args, " "), errUnanswered)
	}
	return s, nil
}
