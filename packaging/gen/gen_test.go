package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The files in the tree are those that the commands of today make.
func TestFilesAreUpToDate(t *testing.T) {
	all, err := files()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range all {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("packaging/%s is out of date: run go run ./packaging/gen packaging", name)
		}
	}
	kept, _ := filepath.Glob("../man/kvctl*.1")
	for _, path := range kept {
		if _, ok := all["man/"+filepath.Base(path)]; !ok {
			t.Errorf("%s belongs to no command any more", path)
		}
	}
}

// A shell accepts the completions, and the manual's formatter the pages.
func TestToolsAcceptThem(t *testing.T) {
	all, err := files()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range all {
		path := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		var check *exec.Cmd
		switch {
		case strings.HasSuffix(name, ".bash"):
			check = exec.Command("bash", "-n", path)
		case strings.HasSuffix(name, "_kvctl"):
			check = exec.Command("zsh", "-n", path)
		case strings.HasSuffix(name, ".fish"):
			check = exec.Command("fish", "-n", path)
		default:
			check = exec.Command("groff", "-man", "-Tutf8", "-ww", path)
		}
		if _, err := exec.LookPath(check.Args[0]); err != nil {
			t.Logf("%s is not checked: %v", name, err)
			continue
		}
		var complaints bytes.Buffer
		check.Stderr = &complaints
		if err := check.Run(); err != nil || complaints.Len() > 0 {
			t.Errorf("%s: %v\n%s", name, err, complaints.String())
		}
	}
}
