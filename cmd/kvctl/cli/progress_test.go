package cli

import (
	"strings"
	"testing"
)

// The line fits any width; the share and the time left stay longest.
func TestProgressLineFits(t *testing.T) {
	p := &progress{total: 1000}
	s := state{done: 250, keys: 1_234_567, bytes: 5 << 30, bad: 3}
	for width := 16; width <= 120; width++ {
		line := p.line(s, 30, width)
		if len(line) > width || !strings.HasPrefix(line, " 25% ") {
			t.Errorf("%d columns: %q", width, line)
		}
		if width >= 36 && !strings.HasSuffix(line, "3 failed, 1m30s left") {
			t.Errorf("%d columns: %q", width, line)
		}
	}
	if line := p.line(s, 30, 90); !strings.HasPrefix(line, " 25% [====") || !strings.Contains(line, "1,234,567 keys, 41,152/s, 5 GiB, 3 failed") {
		t.Errorf("the whole line: %q", line)
	}
	if line := (&progress{}).line(state{keys: 7, bytes: 9}, 0, 80); line != "7 keys, 7,000/s, 9 bytes" {
		t.Errorf("no total: %q", line)
	}
}

// A job that goes on where another broke off is as fast as it is itself.
func TestProgressOfWhatIsResumed(t *testing.T) {
	p := &progress{total: 1000, from: state{done: 800, keys: 800}}
	want := " 90% [===========================---] 900 keys, 50/s, 2s left"
	if line := p.line(state{done: 900, keys: 900}, 2, 100); line != want {
		t.Errorf("%q, not %q", line, want)
	}
}
