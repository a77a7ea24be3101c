package main

import "math/rand/v2"

// trace gives the number of the key that is asked for next.
type trace func() uint64

var traceNames = []string{"Zipf", "with scans", "shifting"}

// The popularity of keys, as found in caches of the web; more is steeper.
const skew = 1.05

// newTrace makes a trace by its name; the same options, the same trace.
func newTrace(name string, o options) trace {
	r := rand.New(rand.NewPCG(o.seed, 7))
	zipf := rand.NewZipf(r, skew, 1, uint64(o.keys-1))
	switch name {
	case "with scans":
		return withScans(zipf.Uint64, o)
	case "shifting":
		return shifting(zipf.Uint64, o)
	}
	return zipf.Uint64
}

// withScans has somebody read as many keys as fit, each once, again and again:
// a third of all requests.
func withScans(next trace, o options) trace {
	n, once := 0, uint64(o.keys)
	return func() uint64 {
		n++
		if n%(3*o.room) < 2*o.room {
			return next()
		}
		once++
		return once
	}
}

// shifting has other keys be the popular ones, six times.
func shifting(next trace, o options) trace {
	n := 0
	return func() uint64 {
		n++
		era := uint64(n * 6 / (o.requests + 1))
		return (next() + era*uint64(o.keys)/6) % uint64(o.keys)
	}
}
