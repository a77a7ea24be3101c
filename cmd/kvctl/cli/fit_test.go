package cli

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"kvstored/pkg/client"
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

// The status fits the terminal, and is broken between words, or behind the
// slash of a path.
func TestStatusFits(t *testing.T) {
	var fields []client.Field
	text := func(name, value string) {
		fields = append(fields, client.Field{Name: name, Value: client.Reply{Kind: client.Bulk, Bytes: []byte(value)}})
	}
	text("engine", "hash")
	text("path", "/usr/lib/kvstored/engines/a-directory/hash.so")
	text("rule", "Engine=hash (/etc/kvstored/kvstored.conf.d/50-engine.conf:2)")
	text("sha256", strings.Repeat("0123456789abcdef", 4))
	text("capabilities", "delete expiry spaces scan update handover prompt durable")
	text("last_error", "reload refused: /usr/lib/libkvstore.so: no symbol kvstore_engine")
	text("unknown", "a word of a later daemon that this kvctl has never heard of, at some length")
	for _, width := range []int{20, 40, 63, 64, 80, 120} {
		var out bytes.Buffer
		a := &app{out: bufio.NewWriter(&out), color: "never"}
		a.statusRows(fields, time.Now(), width)
		_ = a.out.Flush()
		for line := range strings.Lines(out.String()) {
			line = strings.TrimRight(line, "\n")
			if n := utf8.RuneCountInString(line); n > width {
				t.Errorf("%d columns: a line has %d: %s", width, n, line)
			}
		}
		for _, f := range fields {
			for word := range strings.FieldsSeq(f.Value.Text()) {
				if f.Name != "sha256" && !strings.ContainsAny(word, "/") && !strings.Contains(out.String(), word) {
					t.Errorf("%d columns: %q is not in one piece in\n%s", width, word, &out)
				}
			}
		}
		if width >= 80 && !strings.Contains(out.String(), "       sha256 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n") {
			t.Errorf("%d columns: no checksum in\n%s", width, &out)
		}
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
