// Package enginetest builds engine libraries for tests.
package enginetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// flags are those of the Makefile, with less optimisation.
var flags = []string{"-std=c17", "-O1", "-g", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra",
	"-Wpedantic", "-Werror", "-fno-gnu-unique", "-D_FORTIFY_SOURCE=2"}

var linking = []string{"-shared", "-Wl,-soname,libkvstore.so", "-Wl,-z,relro,-z,now,-z,defs"}

// built keeps the libraries of this test binary, so that each is compiled once.
var built struct {
	sync.Mutex
	files map[string][]byte // by command line
}

// Root is the top of the source tree.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}

// Build builds the engine libkvstore/engines/name, with macros such as
// `KV_ENGINE_VERSION="0.1.1"`, into a directory of the test's own.
func Build(t testing.TB, name string, defines ...string) string {
	t.Helper()
	sources, err := filepath.Glob(filepath.Join(Root(), "libkvstore/engines", name, "*.c"))
	if err != nil || len(sources) == 0 {
		t.Fatalf("no sources of engine %s: %v", name, err)
	}
	noteSources(filepath.Join(Root(), "libkvstore"), filepath.Join(Root(), "libkvstore/engines", name))
	return Compile(t, name, append(sources, needed(name)...), defines...)
}

// needed lists the libraries of the distribution that an engine of the tree asks for.
func needed(name string) []string {
	text, err := os.ReadFile(filepath.Join(Root(), "libkvstore/engines", name, "libs"))
	if err != nil {
		return nil
	}
	return strings.Fields(string(text))
}

// noteSources looks at the files in dirs: go test reuses a result while what
// the test itself looked at is unchanged, and does not see what gcc reads.
func noteSources(dirs ...string) {
	for _, dir := range dirs {
		files, _ := filepath.Glob(filepath.Join(dir, "*.[ch]"))
		for _, file := range files {
			os.Stat(file)
		}
	}
}

// Source builds an engine from the text of one C file.
func Source(t testing.TB, name, text string, defines ...string) string {
	t.Helper()
	source := filepath.Join(t.TempDir(), name+".c")
	if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return compile(t, name, text, []string{source}, defines)
}

// Compile builds a library from C files.
func Compile(t testing.TB, name string, sources []string, defines ...string) string {
	t.Helper()
	return compile(t, name, strings.Join(sources, " "), sources, defines)
}

// compile builds unless something with the same key and defines was built.
func compile(t testing.TB, name, key string, sources, defines []string) string {
	t.Helper()
	args := append([]string{}, flags...)
	for _, d := range defines {
		args = append(args, "-D"+d)
	}
	args = append(args, "-I"+filepath.Join(Root(), "libkvstore"))
	key += "\x00" + strings.Join(args, " ")
	out := filepath.Join(t.TempDir(), name+".so")
	built.Lock()
	defer built.Unlock()
	data, ok := built.files[key]
	if !ok {
		args = append(append(append(args, sources...), linking...), "-o", out)
		if text, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
			t.Fatalf("gcc %s: %v\n%s", strings.Join(args, " "), err, text)
		}
		var err error
		if data, err = os.ReadFile(out); err != nil {
			t.Fatal(err)
		}
		if built.files == nil {
			built.files = map[string][]byte{}
		}
		built.files[key] = data
		os.Remove(out)
	}
	if err := os.WriteFile(out, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(out, 0o755); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return out
}
