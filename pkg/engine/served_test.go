package engine

import (
	"os"
	"path/filepath"
	"testing"

	"kvstored/pkg/engine/enginetest"
)

// TestServedIsNotTriedAgain: the library of a clean stop starts without a
// trial, once; one that was changed, or after a crash, is tried.
func TestServedIsNotTriedAgain(t *testing.T) {
	dir := t.TempDir()
	hash, other := enginetest.Build(t, "hash"), enginetest.Build(t, "lmdb")
	// A trial that fails at once: a start that succeeds made none.
	failing := CheckOptions{Command: []string{"/bin/false"}}
	open := func(path string, check CheckOptions) (*Host, error) {
		return Open(path, Options{StateDir: dir, Check: check})
	}
	h, err := open(hash, CheckOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, servedFile)); err == nil {
		t.Fatal("the file is there while it serves")
	}
	h.Close()
	if h, err = open(hash, failing); err != nil {
		t.Fatalf("tried again after a clean stop: %v", err)
	}
	h.Close()
	if _, err = open(other, failing); err == nil {
		t.Fatal("another library was not tried")
	}
	if _, err = open(hash, failing); err == nil {
		t.Fatal("no trial although the daemon did not stop in order")
	}
}
