package engine

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"kvstored/libkvstore"
	"kvstored/pkg/engine/enginetest"
)

// check runs check-engine as a person does.
func check(args ...string) (code int, out, errs string) {
	var stdout, stderr bytes.Buffer
	code = CheckMain(args, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// check-engine says what a library is and what became of each check.
func TestCheckEngine(t *testing.T) {
	path := enginetest.Build(t, "debug")
	code, out, _ := check(path)
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{path + "\n", "engine        debug 0.1.0\n", "format        debug-1\n",
		"interface     1\n", "capabilities  delete expiry spaces tags scan", "sha256        ",
		"check         get what was set: ok\n", "check         unloading: ok\n", "result        ok\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("the report does not say %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "FAILED") || os.Geteuid() == 0 && strings.Contains(out, "note ") {
		t.Errorf("the report of a good library:\n%s", out)
	}
}

// What is wrong with it stands at the end, with why and fix.
func TestCheckEngineRefuses(t *testing.T) {
	code, out, _ := check(debugWith(t, "crash_in_constructor"))
	if code != 1 || !strings.Contains(out, "result        refused: ") || !strings.Contains(out, "SIGSEGV") ||
		!strings.Contains(out, "  fix  ") {
		t.Errorf("exit code %d, report\n%s", code, out)
	}
	code, out, _ = check("--json", debugWith(t, "wrong_answers"))
	var r Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 1 {
		t.Fatalf("exit code %d, %v:\n%s", code, err, out)
	}
	if r.Refusal == nil || r.Info == nil || r.Info.Name != "debug" || len(r.Checks) < 20 {
		t.Errorf("report %+v", r)
	}
	if code, _, errs := check(); code != 2 || !strings.HasPrefix(errs, "usage: ") {
		t.Errorf("without a path: exit code %d, %s", code, errs)
	}
}

// An author's own library may be checked where it is; the report says that the
// system's daemon would not take it from there.
func TestCheckEngineNotes(t *testing.T) {
	path := enginetest.Build(t, "debug")
	if err := os.Chmod(path, 0o777); err != nil {
		t.Fatal(err)
	}
	code, out, _ := check(path)
	want := "note          the system's daemon would not load it from here: "
	if os.Geteuid() == 0 { // else our own directories are named first
		want += path + " is writable by others"
	}
	if code != 0 || !strings.Contains(out, want) {
		t.Errorf("exit code %d, report\n%s", code, out)
	}
}

// A library that stays mapped is told of, and counted when it retires.
func TestNoUnload(t *testing.T) {
	path := debugWith(t, "no_unload")
	if code, out, _ := check(path); code != 0 || !strings.Contains(out, "its code stays mapped") {
		t.Errorf("exit code %d, report\n%s", code, out)
	}
	h := openHost(t, path)
	newTab(t, h).set(0, "name", "Rojalin", 0)
	mustSwap(t, h, enginetest.Build(t, "debug"))
	waitGone(t, h)
	if s := h.Status(); s.StillMapped != 1 {
		t.Errorf("status %+v", s)
	}
	runtime.GC() // finalizers close forgotten files
	runtime.GC()
	// The same code again, and a library that is refused after it was loaded,
	// in numbers that would meet a descriptor used before.
	for range 5 {
		mustSwap(t, h, path)
		mustSwap(t, h, enginetest.Build(t, "debug"))
		if got := newTab(t, h).get(0, "name"); got != "Rojalin" {
			t.Errorf("after another swap: %q", got)
		}
	}
	waitGone(t, h)
	if s := h.Status(); s.StillMapped != 6 || s.Info.Version != "0.1.0" {
		t.Errorf("status %+v", s)
	}
}

// The headers that C includes are the ones that Go embeds, so that a change of
// one rebuilds this package.
func TestEmbeddedHeaders(t *testing.T) {
	for name, embedded := range map[string]string{"kvstore.h": libkvstore.Header, "kvstore_simple.h": libkvstore.Simple} {
		text, err := os.ReadFile(filepath.Join(enginetest.Root(), "libkvstore", name))
		if err != nil || string(text) != embedded {
			t.Errorf("%s: %v, equal %v", name, err, string(text) == embedded)
		}
	}
}
