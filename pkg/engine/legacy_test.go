package engine

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kvstored/pkg/batch"
	"kvstored/pkg/engine/enginetest"
)

// exercise builds the library of the original exercise by its own commands.
func exercise(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(enginetest.Root(), "examples/exercise/kvstore.c")
	for _, args := range [][]string{
		{"-fPIC", "-c", source, "-o", filepath.Join(dir, "kvstore.o")},
		{"-shared", "-o", filepath.Join(dir, "libkvstore.so"), filepath.Join(dir, "kvstore.o")},
	} {
		if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
			t.Fatalf("gcc %v: %v\n%s", args, err, out)
		}
	}
	return filepath.Join(dir, "libkvstore.so")
}

// The library of the exercise serves, with what it can do.
func TestLegacy(t *testing.T) {
	h := openHost(t, exercise(t))
	if s := h.Status(); s.Info.Name != "legacy" || s.Info.Capabilities != 0 || !s.Info.Legacy {
		t.Errorf("info %+v", s.Info)
	}
	c := newTab(t, h)
	if st := c.set(0, "name", "Rojalin", 0); st != batch.OK {
		t.Fatalf("set: %v", st)
	}
	for what, want := range map[string]string{"name": "Rojalin", "none": "-", "": "-", "na\x00me": "-"} {
		if got := c.get(0, what); got != want {
			t.Errorf("get %q: %q, want %q", what, got, want)
		}
	}
	if n := c.incr("hits"); n != 1 {
		t.Errorf("incr: %d", n)
	}
	if n := c.incr("hits"); n != 2 || c.get(0, "hits") != "2" {
		t.Errorf("incr: %d, then %q", n, c.get(0, "hits"))
	}
	for what, st := range map[string]batch.Status{
		"NUL in a key":   c.set(0, "na\x00me", "x", 0),
		"NUL in a value": c.set(0, "name", "x\x00y", 0),
	} {
		if st != batch.Refused {
			t.Errorf("%s: %v", what, st)
		}
	}
	if st := c.set(1, "name", "x", 0); st != batch.Unsupported {
		t.Errorf("another space: %v", st)
	}
	if st := c.set(0, "name", "x", 4102444800000); st != batch.Unsupported {
		t.Errorf("an expiry time: %v", st)
	}
	c.do(func() {
		c.b.Set(0, c.in("a"), c.in("1"), 0, 0, 0)
		c.b.Delete(0, c.in("a"))
		c.b.Get(0, c.in("a"))
		c.b.Clear(0)
		_, a := c.b.Update(0, c.in("a"), batch.FuncAppend)
		a.SetValue(c.in("2"))
		a.Limit = 100
		c.b.Get(0, c.in("a"))
	})
	for i, want := range []batch.Status{batch.OK, batch.Unsupported, batch.OK, batch.Unsupported, batch.OK, batch.OK} {
		if got := c.b.Op(i).Status; got != want {
			t.Errorf("operation %d: %v, want %v", i, got, want)
		}
	}
	if got := string(c.b.Op(5).ValueBytes()); got != "12" {
		t.Errorf("after an append: %q", got)
	}
}

// Into a legacy library everything that fits can be copied; out of one that
// was written to nothing can.
func TestLegacySwap(t *testing.T) {
	h := openHost(t, exercise(t))
	mustSwap(t, h, enginetest.Build(t, "debug")) // nothing was written
	c := newTab(t, h)
	c.set(0, "name", "Rojalin", 0)
	c.set(0, "bytes", "a\x00b", 0)
	legacy := exercise(t)
	mustRefuse(t, h, legacy, `cannot hold key "bytes"`, "NUL")
	c.do(func() { c.b.Delete(0, c.in("bytes")) })
	if o := mustSwap(t, h, legacy); o.Copied != 1 || c.get(0, "name") != "Rojalin" {
		t.Errorf("outcome %+v, name %q", o, c.get(0, "name"))
	}
	mustRefuse(t, h, enginetest.Build(t, "hash"), "cannot list its entries")
	waitGone(t, h)
}

// A batch that fails as a whole makes the store unusable, which is said once.
func TestFatal(t *testing.T) {
	var told []error
	h := openHost(t, enginetest.Build(t, "debug", "DEBUG_KEYS"), func(o *Options) {
		o.OnFatal = func(err error) { told = append(told, err) }
	})
	c := newTab(t, h)
	for range 2 {
		c.b.Reset()
		c.b.Set(0, c.in("name"), c.in("x"), 0, 0, 0)
		c.b.Get(0, c.in("debug:fail"))
		h.Lock()
		err := h.Exec(c.b, 0, 2, 1)
		h.Unlock()
		if err == nil || c.b.Op(0).Status != batch.Unknown || c.b.Op(1).Status != batch.Unknown {
			t.Errorf("error %v, statuses %v, %v", err, c.b.Op(0).Status, c.b.Op(1).Status)
		}
	}
	if len(told) != 1 || !strings.Contains(told[0].Error(), "engine debug failed") {
		t.Errorf("told: %v", told)
	}
	if _, err := h.Stat(batch.SpaceAll); err == nil {
		t.Error("an unusable store gives figures")
	}
}
