package server

import (
	"bytes"
	"fmt"
	"os"
	"testing"
)

// TestMain fails when a test has left the store of its engine open: each takes
// terabytes of addresses, and a process has room for about 26 of them.
func TestMain(m *testing.M) {
	code := m.Run()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if n := bytes.Count(maps, []byte("kv-hash-large")); n > 0 {
		fmt.Fprintf(os.Stderr, "%d stores were left open\n", n)
		code = 1
	}
	os.Exit(code)
}
