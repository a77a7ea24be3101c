package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// newHistogram holds times from a microsecond's tenth to a minute, with three
// digits.  It counts nanoseconds.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(100, time.Minute.Nanoseconds(), 3)
}

// quantiles are those that are told of.
var quantiles = []float64{50, 90, 99, 99.9, 99.99}

// times is what --json prints of a histogram, in microseconds.
type times struct {
	Count int64   `json:"count"`
	Min   float64 `json:"min_us"`
	Mean  float64 `json:"mean_us"`
	P50   float64 `json:"p50_us"`
	P90   float64 `json:"p90_us"`
	P99   float64 `json:"p99_us"`
	P999  float64 `json:"p999_us"`
	P9999 float64 `json:"p9999_us"`
	Max   float64 `json:"max_us"`
}

// timesOf sums a histogram up.
func timesOf(h *hdrhistogram.Histogram) times {
	us := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1000 }
	return times{h.TotalCount(), float64(h.Min()) / 1000, float64(int64(h.Mean())) / 1000, us(50), us(90), us(99), us(99.9), us(99.99), float64(h.Max()) / 1000}
}

// short writes a time of nanoseconds in few characters.
func short(ns int64) string {
	switch {
	case ns < 10_000:
		return fmt.Sprintf("%.1f µs", float64(ns)/1e3)
	case ns < 1e6:
		return fmt.Sprintf("%d µs", ns/1000)
	case ns < 10e6:
		return fmt.Sprintf("%.2f ms", float64(ns)/1e6)
	case ns < 1e9:
		return fmt.Sprintf("%.0f ms", float64(ns)/1e6)
	}
	return fmt.Sprintf("%.2f s", float64(ns)/1e9)
}

// bucket counts the times from low to high.
type bucket struct{ low, high, n int64 }

// bucketsOf parts the times of h so that the slow ones show beside the fast:
// each bucket is a third longer than the one before, or more than that where
// there would be more than rows of them.
func bucketsOf(h *hdrhistogram.Histogram, rows int) []bucket {
	for growth := 4.0 / 3; ; growth *= 1.1 {
		var buckets []bucket
		for low := h.Min(); low <= h.Max() || len(buckets) == 0; {
			high := max(int64(float64(low)*growth), low+100)
			buckets = append(buckets, bucket{low, high, 0})
			low = high
		}
		if len(buckets) <= max(rows, 4) {
			return buckets
		}
	}
}

// drawHistogram draws how many times fell into each bucket, in as many rows as
// the terminal has to spare.
func (a *app) drawHistogram(h *hdrhistogram.Histogram) {
	width, rows := a.screen()
	buckets := bucketsOf(h, rows-8)
	var most int64
	at := 0
	for _, bar := range h.Distribution() {
		if bar.Count == 0 {
			continue
		}
		for at < len(buckets)-1 && bar.From >= buckets[at].high {
			at++
		}
		buckets[at].n += bar.Count
		most = max(most, buckets[at].n)
	}
	for len(buckets) > 1 && buckets[len(buckets)-1].n == 0 {
		buckets = buckets[:len(buckets)-1]
	}
	room := max(width-22, 6)
	for _, b := range buckets {
		share := float64(b.n) * 100 / float64(max(h.TotalCount(), 1))
		fmt.Fprintf(a.out, "%9s %s %s %6.2f%%\n", short(b.low), a.style(a.outTTY, "2", "│"), a.style(a.outTTY, "36", bar(b.n, most, room)), share)
	}
	fmt.Fprintf(a.out, "%9s\n", short(h.Max()))
}

// bar is a bar of n out of most in so many columns, in eighths; what is not
// nothing shows. It is padded to the width.
func bar(n, most int64, width int) string {
	if most == 0 || n == 0 {
		return strings.Repeat(" ", width)
	}
	eighths := max(n*int64(width)*8/most, 1)
	text := strings.Repeat("█", int(eighths/8))
	used := int(eighths / 8)
	if part := eighths % 8; part > 0 {
		text += string([]rune(" ▏▎▍▌▋▊▉")[part])
		used++
	}
	return text + strings.Repeat(" ", max(width-used, 0))
}

// quantileLines is the times of a histogram in a line, on a narrow terminal in
// several.
func (a *app) quantileLines(h *hdrhistogram.Histogram) string {
	parts := []string{"min " + short(h.Min())}
	for _, q := range quantiles {
		parts = append(parts, fmt.Sprintf("p%g %s", q, short(h.ValueAtQuantile(q))))
	}
	parts = append(parts, "max "+short(h.Max()))
	if !a.outTTY {
		return strings.Join(parts, "  ")
	}
	width, _ := a.screen()
	text, used := parts[0], len([]rune(parts[0]))
	for _, part := range parts[1:] {
		n := len([]rune(part))
		if used+2+n > width {
			text, used = text+"\n"+part, n
			continue
		}
		text, used = text+"  "+part, used+2+n
	}
	return text
}
