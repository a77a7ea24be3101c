package conformance

import (
	"bytes"

	"kvstored/pkg/batch"
)

// fill sets n keys and returns them with their values.
func (t *trial) fill(space uint32, n int) map[string][]byte {
	want := map[string][]byte{}
	for i := range n {
		value := t.value(t.rng.IntN(60))
		want[t.key(i)] = value
		t.set(space, t.key(i), value, 0, 0)
	}
	return want
}

// checkMet ends the check unless the items are just what is wanted.
func (t *trial) checkMet(items []item, want map[string][]byte, values bool) {
	met := map[string]bool{}
	for _, it := range items {
		value, known := want[it.key]
		switch {
		case !known:
			t.failf("a walk met %s, which is not there", quote([]byte(it.key)))
		case it.length != uint64(len(value)):
			t.failf("a walk gives a length of %d, want %d", it.length, len(value))
		case values && !bytes.Equal(it.value, value):
			t.failf("a walk gives the value %s, want %s", brief(it.value), brief(value))
		case !values && it.value != nil:
			t.failf("a walk gives values that were not asked for")
		}
		met[it.key] = true
	}
	if len(met) != len(want) {
		t.failf("a walk met %d of %d entries", len(met), len(want))
	}
}

func checkWalk(t *trial) {
	t.open()
	t.checkMet(t.walk(0, 0, 10, nil), nil, false)
	want := t.fill(0, t.times(3000))
	t.checkMet(t.walk(0, 0, 1, nil), want, false)
	t.checkMet(t.walk(0, batch.ScanValues, 17, nil), want, true)
	items := t.walk(0, 0, 1_000_000, nil)
	t.checkMet(items, want, false)
	if t.has(capOrdered) {
		for i := 1; i < len(items); i++ {
			if items[i-1].key >= items[i].key {
				t.failf("a walk is not in key order, though the engine says ordered")
			}
		}
	}
	if t.has(capSpaces) {
		t.checkMet(t.walk(7, 0, 10, nil), nil, false)
	}
	if t.has(capExpiry) {
		t.set(0, "gone", nil, t.now-1, 0)
		t.checkMet(t.walk(0, 0, 10, nil), want, false)
	}
	t.scan.BudgetBytes = 100
	t.checkMet(t.walk(0, batch.ScanValues, 1_000_000, nil), want, true)
	t.scan.BudgetBytes = 0
}

// checkCursors tries cursors that no step gave: nothing may come to harm.
func checkCursors(t *trial) {
	t.open()
	t.step(0, 0, 12345, 10)
	want := t.fill(0, 200)
	for range t.times(2000) {
		_, items := t.step(0, batch.ScanValues, t.rng.Uint64()>>t.rng.IntN(64), 1+t.rng.Uint64N(5))
		for _, it := range items {
			if value, known := want[it.key]; !known || !bytes.Equal(it.value, value) {
				t.failf("a walk from an unknown cursor gives an entry that is not there")
			}
		}
	}
	op := t.one(func(b *batch.Batch) int { return b.Meta(0, t.in([]byte(t.key(0)))) })
	t.expect("META", op, batch.OK)
	t.scan.Flags, t.scan.Cursor = 1<<31, 0
	t.scan.Space, t.scan.Budget = 0, 1
	if st := t.store.Scan(t.scan); st != batch.Unsupported {
		t.failf("a walk with an unknown flag: %q, want %q", st, batch.Unsupported)
	}
}

func checkRandom(t *trial) {
	t.open()
	random := func() []item {
		t.scan.Seed = t.rng.Uint64()
		_, items := t.step(0, batch.ScanRandom, 0, 100)
		return items
	}
	if len(random()) != 0 {
		t.failf("an empty store gives an entry at random")
	}
	want := t.fill(0, 20)
	met := map[string]bool{}
	for range t.times(2000) {
		items := random()
		if len(items) != 1 {
			t.failf("one entry at random: got %d", len(items))
		}
		if _, known := want[items[0].key]; !known {
			t.failf("an entry at random is not there")
		}
		met[items[0].key] = true
	}
	if len(met) < 10 {
		t.failf("%d draws from 20 entries met only %d of them", t.times(2000), len(met))
	}
}

// checkWalkBesideWrites holds the walk to its promise: what is there from the
// first step to the last is met, while the store grows and shrinks.
func checkWalkBesideWrites(t *trial) {
	t.open()
	steady := t.fill(0, t.times(1000))
	for _, grow := range []bool{true, false, true} {
		next := 1_000_000
		if !grow {
			next += t.times(40_000)
			for i := 1_000_000; i < next; i++ {
				t.set(0, t.key(i), nil, 0, 0)
			}
		}
		met := map[string]bool{}
		for _, it := range t.walk(0, 0, 20, func() { next = t.disturb(next, grow) }) {
			met[it.key] = true
		}
		for key := range steady {
			if !met[key] {
				t.failf("a walk missed an entry that was there all the time, while the store %s",
					map[bool]string{true: "grew", false: "shrank"}[grow])
			}
		}
	}
}

// disturb adds (or removes) some of the keys from 1,000,000 on, up to a bound,
// and returns the number to go on with.
func (t *trial) disturb(next int, grow bool) int {
	t.b.Reset()
	for range 500 {
		if grow && next < 1_000_000+t.times(40_000) {
			t.b.Set(0, t.in([]byte(t.key(next))), nil, 0, 0, 0)
			next++
		} else if !grow && next > 1_000_000 && t.has(capDelete) {
			next--
			t.b.Delete(0, t.in([]byte(t.key(next))))
		}
	}
	t.run()
	return next
}
