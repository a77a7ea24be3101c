package main

import "testing"

// TestSteps shows that a step begins no later than what is counted in it, and
// the next one after it.
func TestSteps(t *testing.T) {
	for us := uint64(0); us < 1<<20; us = us + 1 + us/50 {
		s := step(us)
		if least(s) > us || least(s+1) <= us {
			t.Fatalf("%d µs are counted in step %d, which is %d to %d", us, s, least(s), least(s+1))
		}
	}
}
