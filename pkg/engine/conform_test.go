package engine

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kvstored/pkg/engine/conformance"
	"kvstored/pkg/engine/enginetest"
)

// loadForTest loads a library and unloads it at the end.
func loadForTest(t *testing.T, path string) *library {
	t.Helper()
	lib, err := loadLibrary(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := lib.info.check(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lib.unload(); err != nil {
			t.Error(err)
		}
	})
	return lib
}

// conform runs the suite on a library; hand-overs go between two builds of it.
func conform(t *testing.T, name string, size conformance.Size, defines ...string) []conformance.Result {
	t.Helper()
	lib := loadForTest(t, enginetest.Build(t, name, defines...))
	next := loadForTest(t, enginetest.Build(t, name, append(defines, `KV_ENGINE_VERSION="0.1.1"`)...))
	return conformance.Run(conformable(lib, next), size, 1)
}

// TestConformance holds every engine of the tree to kvstore.h.
func TestConformance(t *testing.T) {
	sources, err := filepath.Glob(filepath.Join(enginetest.Root(), "libkvstore/engines/*/*.c"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, source := range sources {
		names[filepath.Base(filepath.Dir(source))] = true
	}
	for name := range names {
		t.Run(name, func(t *testing.T) {
			for _, r := range conform(t, name, conformance.Full) {
				if !r.OK() {
					t.Errorf("%s", r)
				} else {
					t.Logf("%s", r)
				}
			}
		})
	}
}

// TestConformanceLegacy holds the adapter of plain set and get to it, too.
func TestConformanceLegacy(t *testing.T) {
	source := filepath.Join(enginetest.Root(), "examples/exercise/kvstore.c")
	out := filepath.Join(t.TempDir(), "libkvstore.so")
	if text, err := exec.Command("gcc", "-shared", "-fPIC", "-o", out, source).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, text)
	}
	lib := loadForTest(t, out)
	for _, r := range conformance.Run(conformable(lib, nil), conformance.Smoke, 1) {
		if !r.OK() {
			t.Errorf("%s", r)
		}
	}
}

// TestConformanceFinds has the suite find what is wrong with bad engines.
func TestConformanceFinds(t *testing.T) {
	for fault, c := range map[string]struct {
		size conformance.Size
		want string
	}{
		"wrong_answers": {conformance.Smoke, "delete: FAILED"},
		"leak_thread":   {conformance.Smoke, "nothing left behind: FAILED"},
		"leak_fd":       {conformance.Smoke, "nothing left behind: FAILED"},
		"fail_offer":    {conformance.Smoke, "hand-over: FAILED"},
		"refuse_accept": {conformance.Smoke, "hand-over: FAILED"},
		"fail_open":     {conformance.Smoke, "open and close: FAILED: open failed: "},
		"lose_key":      {conformance.Full, "get what was set: FAILED"},
	} {
		t.Run(fault, func(t *testing.T) {
			var found []string
			for _, r := range conformance.Failures(conform(t, "debug", c.size, "DEBUG_FAULT="+fault)) {
				found = append(found, r.String())
			}
			if !strings.Contains(strings.Join(found, "\n"), c.want) {
				t.Errorf("the suite found\n%s\nwant %q", strings.Join(found, "\n"), c.want)
			}
		})
	}
}
