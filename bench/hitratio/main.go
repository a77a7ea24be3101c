// hitratio compares what stays in memory: kvstored, and Redis with allkeys-lru
// and allkeys-lfu, as caches in front of something slow, each with room for the
// same number of keys, on three traces. Two algorithms in their pure form stand
// beside them. See bench/README.md.
//
//	make bench-memory
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
)

// options are what the flags say.
type options struct {
	kvstored, engine, redis string
	room                    int // keys that fit
	keys                    int // keys that are asked for again
	requests                int
	value                   int // bytes
	seed                    uint64
}

func main() {
	var o options
	flag.StringVar(&o.kvstored, "kvstored", "build/kvstored", "the daemon")
	flag.StringVar(&o.engine, "engine", "build/libkvstore.so", "its engine")
	flag.StringVar(&o.redis, "redis", "redis-server", "redis-server")
	flag.IntVar(&o.room, "room", 50_000, "how many keys fit")
	flag.IntVar(&o.keys, "keys", 500_000, "how many keys are asked for")
	flag.IntVar(&o.requests, "requests", 600_000, "length of a trace")
	flag.IntVar(&o.value, "value", 100, "bytes of a value")
	flag.Uint64Var(&o.seed, "seed", 1, "of the traces")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "hitratio: "+err.Error())
		os.Exit(1)
	}
}

// run prints the table.
func run(o options) error {
	dir, err := os.MkdirTemp("", "kvstored-hitratio-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	out := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Printf("hit ratios: room for %d keys, %d keys asked for, %d requests, values of %d bytes\n\n",
		o.room, o.keys, o.requests, o.value)
	fmt.Fprint(out, "cache\tmemory\tkeys at the end")
	for _, name := range traceNames {
		fmt.Fprintf(out, "\t%s", name)
	}
	fmt.Fprintln(out)
	for _, s := range servers(o) {
		if err := s.row(o, filepath.Join(dir, s.slug()), out); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	for _, p := range []struct {
		name string
		make func(room int) cache
	}{{"LRU, pure", newLRU}, {"SIEVE, pure", newSieve}} {
		fmt.Fprintf(out, "%s\t\t%d", p.name, o.room)
		for _, name := range traceNames {
			fmt.Fprintf(out, "\t%.1f %%", 100*replay(p.make(o.room), newTrace(name, o), o.requests))
		}
		fmt.Fprintln(out)
	}
	return out.Flush()
}

// replay is the share of requests that a pure cache has.
func replay(c cache, next trace, n int) float64 {
	hits := 0
	for range n {
		if c.ask(next()) {
			hits++
		}
	}
	return float64(hits) / float64(n)
}
