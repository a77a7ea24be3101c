package engine

import "testing"

// Go and C must agree on every structure that both look into.
func TestLayout(t *testing.T) {
	for _, l := range layouts() {
		if l.inGo != l.inC {
			t.Errorf("%s: %d in Go, %d in C", l.what, l.inGo, l.inC)
		}
	}
}
