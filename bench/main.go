// Bench measures kvstored beside its peers on Unix sockets, in one run.
//
//	go run ./bench -kvstored build/kvstored -engine build/libkvstore.so -out build/bench
//
// It starts every server itself, loads each with the generator in bench/load,
// turn and turn about, and compares the CPU time that a request costs. See
// bench/README.md for what the figures mean.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	kvstored, engine   string
	next, other, lmdb  string
	redis, valkey      string
	redisCLI, kvctl    string
	pogocache          string
	memcached          string
	floor              bool
	out                string
	quick              bool
	rounds             int
	only               string
	keys, value, conns int
	poisson, pin       bool
}

func main() {
	o := parseFlags()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench: "+err.Error())
		os.Exit(1)
	}
}

func parseFlags() options {
	var o options
	flag.StringVar(&o.kvstored, "kvstored", "", "`path` of kvstored")
	flag.StringVar(&o.engine, "engine", "", "`path` of its engine (its own default)")
	flag.StringVar(&o.next, "next", "", "`path` of another build of that engine, for hand-overs")
	flag.StringVar(&o.other, "other", "", "`path` of another engine, or of a build with another format in memory, for copies")
	flag.StringVar(&o.lmdb, "lmdb", "", "`path` of the engine lmdb; empty: without its cases")
	flag.StringVar(&o.redis, "redis", "redis-server", "`path` of redis-server, the measure of all; empty: none")
	flag.StringVar(&o.redisCLI, "redis-cli", "redis-cli", "`path` of redis-cli, whose bulk load is the measure; empty: none")
	flag.StringVar(&o.kvctl, "kvctl", "", "`path` of kvctl; empty: without its cases")
	flag.StringVar(&o.valkey, "valkey", "", "`path` of valkey-server")
	flag.StringVar(&o.pogocache, "pogocache", "", "`path` of pogocache")
	flag.StringVar(&o.memcached, "memcached", "", "`path` of memcached")
	flag.BoolVar(&o.floor, "floor", true, "measure the kernel alone, with a server that does not parse")
	flag.StringVar(&o.out, "out", "", "`directory` for bench.md, bench.json and plots")
	flag.BoolVar(&o.quick, "quick", false, "a minute or two, with wider spreads and smaller sizes")
	flag.IntVar(&o.rounds, "rounds", 0, "`rounds` of every case (5, quick 2)")
	flag.StringVar(&o.only, "only", "", "only cases whose name contains one of these `words`, comma between them")
	flag.IntVar(&o.keys, "keys", 100000, "`number` of keys where a case does not say")
	flag.IntVar(&o.value, "value", 16, "`bytes` of a value where a case does not say")
	flag.IntVar(&o.conns, "connections", 50, "`number` of connections")
	flag.BoolVar(&o.poisson, "poisson", false, "fixed rates with random gaps between requests, not even ones")
	flag.BoolVar(&o.pin, "pin", true, "P=1 with a processor for the server and one for the load, where there are two")
	flag.Parse()
	return o
}

// run measures everything and prints the report.
func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "kvbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tools, err := buildTools(ctx, dir)
	if err != nil {
		return err
	}
	b := &bench{o: o, dir: dir, tools: tools, groups: chooseGroups(o), progress: os.Stderr}
	if pins, ok, err := newPinning(); err != nil {
		return err
	} else if ok && o.pin {
		b.pins = &pins
	}
	report, err := b.measure(ctx)
	if err != nil {
		return err
	}
	fmt.Println(report.markdown())
	return nil
}

// wants tells whether -only lets a case through.
func (o options) wants(name string) bool {
	if o.only == "" {
		return true
	}
	for _, word := range strings.Split(o.only, ",") {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// explain is an error in the form that people are told things.
func explain(what, why, fix string) error {
	return errors.New(what + "\n  why: " + why + "\n  fix: " + fix)
}

// stopWithin is how long a server may take to end.
const stopWithin = 5 * time.Second
