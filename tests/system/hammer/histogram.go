package main

import (
	"math/bits"
	"time"
)

// A histogram counts durations in steps of about 6 %: sixteen steps to each
// power of two of microseconds.
type histogram struct {
	counts  [64 * 16]int64
	longest time.Duration
}

func (h *histogram) record(d time.Duration) {
	h.counts[step(uint64(d.Microseconds()))]++
	h.longest = max(h.longest, d)
}

// step is the index of the count for so many microseconds.
func step(us uint64) int {
	if us < 16 {
		return int(us)
	}
	shift := bits.Len64(us) - 5
	return shift*16 + int(us>>shift)
}

// least is the smallest number of microseconds in a step.
func least(step int) uint64 {
	if step < 32 {
		return uint64(step)
	}
	shift := step/16 - 1
	return uint64(step%16+16) << shift
}

func (h *histogram) add(other *histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.longest = max(h.longest, other.longest)
}

// max is the longest, in milliseconds.
func (h *histogram) max() float64 { return float64(h.longest.Microseconds()) / 1000 }

// quantile is the time, in milliseconds, that a share q of all stayed below.
func (h *histogram) quantile(q float64) float64 {
	var total, seen int64
	for _, n := range h.counts {
		total += n
	}
	for i, n := range h.counts {
		seen += n
		if float64(seen) >= q*float64(total) {
			return float64(least(i)) / 1000
		}
	}
	return 0
}
