package engine

import (
	"os"
	"testing"
)

// TestMain makes the test binary its own check-engine.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "check-engine" {
		os.Exit(CheckMain(os.Args[2:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}
