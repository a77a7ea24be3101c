package cli

import (
	"bufio"
	"bytes"
	"testing"
	"time"
)

// The columns of stat fit the terminal; the time and the rate stay longest.
func TestStatFits(t *testing.T) {
	for width := 18; width < 120; width++ {
		used := -1
		names := map[string]bool{}
		for _, c := range fitting(statColumns, width) {
			used += c.width + 1
			names[c.name] = true
		}
		if used > width || !names["time"] || !names["cmds/s"] || width >= 106 && len(names) != len(statColumns) {
			t.Errorf("%d columns: %d are used by %v", width, used, names)
		}
	}
	if n := len(fitting(statColumns, 0)); n != len(statColumns) {
		t.Errorf("on a pipe: %d columns", n)
	}
}

// The buckets cover every time, in no more rows than there are.
func TestBucketsFit(t *testing.T) {
	h := newHistogram()
	for _, d := range []time.Duration{5 * time.Microsecond, 80 * time.Microsecond, time.Millisecond, 3 * time.Second} {
		_ = h.RecordValue(d.Nanoseconds())
	}
	for _, rows := range []int{0, 4, 10, 16, 60} {
		buckets := bucketsOf(h, rows)
		if len(buckets) > max(rows, 4) || buckets[0].low > h.Min() || buckets[len(buckets)-1].high <= h.Max() {
			t.Errorf("%d rows: %v", rows, buckets)
		}
		for i := range buckets[1:] {
			if buckets[i].high != buckets[i+1].low {
				t.Errorf("%d rows: a gap behind %v", rows, buckets[i])
			}
		}
	}
	empty := bucketsOf(newHistogram(), 10)
	if len(empty) == 0 {
		t.Error("no bucket for no time")
	}
}

// A long finding goes on below itself on a terminal, and is one line on a pipe.
func TestFindingsAreWrapped(t *testing.T) {
	var out bytes.Buffer
	a := &app{out: bufio.NewWriter(&out), outTTY: true, color: "never"}
	p := &patient{app: a}
	long := finding{"limits", statusWarning, "aaaa bbbb cccc dddd eeee ffff gggg hhhh iiii jjjj kkkk llll mmmm", "one reason", "first\nsecond"}
	p.printFinding(long, "33")
	_ = a.out.Flush()
	want := "warning limits       aaaa bbbb cccc dddd eeee ffff gggg hhhh iiii jjjj kkkk\n" +
		"                     llll mmmm\n" +
		"                     why: one reason\n" +
		"                     fix: first\n" +
		"                          second\n"
	if out.String() != want {
		t.Errorf("%s, not\n%s", out.String(), want)
	}
}
