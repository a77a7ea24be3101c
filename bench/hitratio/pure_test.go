package main

import "testing"

// The caches hold as many as there is room for, and each evicts in its order.
func TestPure(t *testing.T) {
	l, s := newLRU(2), newSieve(2)
	for i, step := range []struct {
		key        uint64
		lru, sieve bool
	}{
		{1, false, false}, {2, false, false}, {1, true, true},
		{3, false, false}, // both take 2: sieve's hand spares 1, which was used
		{1, true, true},
		{2, false, false},
		{3, false, false},
	} {
		if got := l.ask(step.key); got != step.lru {
			t.Errorf("step %d: LRU says %v", i, got)
		}
		if got := s.ask(step.key); got != step.sieve {
			t.Errorf("step %d: SIEVE says %v", i, got)
		}
	}
}

// Every trace keeps to its keys and is the same each time.
func TestTraces(t *testing.T) {
	o := options{room: 100, keys: 1000, requests: 5000, seed: 3}
	for _, name := range traceNames {
		a, b := newTrace(name, o), newTrace(name, o)
		once := map[uint64]bool{}
		for range o.requests {
			key := a()
			if key != b() {
				t.Fatalf("%s is not the same twice", name)
			}
			if key >= uint64(o.keys) {
				if name != "with scans" || once[key] {
					t.Fatalf("%s asks for %d", name, key)
				}
				once[key] = true
			}
		}
		if name == "with scans" && (len(once) < o.requests/4 || len(once) > o.requests/2) {
			t.Errorf("%d of %d requests are of scans", len(once), o.requests)
		}
	}
}
