// Package exercise builds and runs examples/exercise exactly as its readers do.
package exercise

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const dir = "../../examples/exercise"

// The commands that the exercise prescribes, word for word.
const commands = `gcc -fPIC -c kvstore.c -o kvstore.o
gcc -shared -o libkvstore.so kvstore.o
gcc main_dlopen.c -o dynamic_kvstore -ldl
export LD_LIBRARY_PATH=.
./dynamic_kvstore
`

// copied gives a temporary copy of the exercise, so that the tree stays clean.
func copied(t *testing.T) string {
	t.Helper()
	to := t.TempDir()
	for _, name := range []string{"kvstore.h", "kvstore.c", "main_dlopen.c"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestPrintsTheName(t *testing.T) {
	cmd := exec.Command("sh", "-e", "-c", commands)
	cmd.Dir = copied(t)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the five commands failed: %v\n%s", err, out)
	}
	if string(out) != "name:Rojalin\n" {
		t.Fatalf("the five commands printed %q, want only %q", out, "name:Rojalin\n")
	}
}

func TestReadmeShowsTheSameCommands(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	indented := "    " + strings.ReplaceAll(strings.TrimSpace(commands), "\n", "\n    ")
	if !strings.Contains(string(readme), indented) {
		t.Fatalf("examples/exercise/README.md does not show these commands:\n%s", commands)
	}
}

func TestSourcesAreCleanC17(t *testing.T) {
	for _, name := range []string{"kvstore.c", "main_dlopen.c"} {
		cmd := exec.Command("gcc", "-std=c17", "-D_DEFAULT_SOURCE", "-Wall", "-Wextra",
			"-Werror", "-fsyntax-only", name)
		cmd.Dir = copied(t)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
