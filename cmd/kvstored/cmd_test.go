package main

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/zap"
)

var update = flag.Bool("update", false, "write the manual page anew")

// TestManualAgrees keeps the page in the package equal to the flags.
func TestManualAgrees(t *testing.T) {
	const path = "../../packaging/man/kvstored.8"
	want := manPage(newRoot(zap.NewAtomicLevel(), zap.NewNop()))
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s differs from the flags (%v): go test ./cmd/kvstored -run Manual -update", path, err)
	}
}
