package engine

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/batch"
	"kvstored/pkg/engine/enginetest"
	"kvstored/pkg/install"
)

// debugWith builds the debug engine with a fault.
func debugWith(t *testing.T, fault string) string {
	return enginetest.Build(t, "debug", "DEBUG_FAULT="+fault)
}

// file writes a file with a mode, whatever the umask.
func file(t *testing.T, name string, data []byte, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// Each bad library is refused with its reason while the old one serves on.
func TestRefusals(t *testing.T) {
	good := enginetest.Build(t, "debug")
	h := openHost(t, good)
	c := newTab(t, h)
	c.set(0, "name", "Rojalin", 0)
	for fault, words := range map[string][]string{
		"crash_in_constructor": {"crashes", "SIGSEGV while loading it"},
		"exit_in_constructor":  {"ends its process", "exit status 0 while loading it"},
		"crash_in_open":        {"crashes", "SIGSEGV while checking open and close"},
		"fail_open":            {`fails the check "open and close"`},
		"crash_in_exec":        {"crashes", "while checking"},
		"fail_exec":            nil, // after 100,000 operations: a trial does not see it
		"wrong_answers":        {`fails the check "delete"`},
		"leak_thread":          {`fails the check "nothing left behind"`, "thread"},
		"leak_fd":              {`fails the check "nothing left behind"`},
		"refuse_accept":        {"fails the check", "hand-over"},
		"no_symbol":            {"no symbol kvstore_engine", "not a kvstored engine"},
		"no_descriptor":        {"descriptor is not valid", "no descriptor"},
		"future_abi":           {"too new", "interface version", "knows version 1"},
		"small_size":           {"descriptor is not valid"},
		"missing_callbacks":    {"descriptor is not valid", "it has no "},
		"unknown_capability":   {"asks for too much", "capabilities that this kvstored does not know"},
		"unknown_threads":      {"asks for too much", "thread model"},
		"bad_name":             {"descriptor is not valid", "its name"},
	} {
		if words == nil {
			continue
		}
		t.Run(fault, func(t *testing.T) {
			mustRefuse(t, h, debugWith(t, fault), words...)
			if got := c.get(0, "name"); got != "Rojalin" {
				t.Errorf("afterwards the old engine has %q", got)
			}
		})
	}
	if s := h.Status(); s.StillMapped != 0 || len(s.Retiring) != 0 {
		t.Errorf("status %+v", s)
	}
	noChildren(t)
}

// noChildren insists that no trial is left.
func noChildren(t *testing.T) {
	t.Helper()
	out, err := exec.Command("ps", "--ppid", fmt.Sprint(os.Getpid()), "-o", "pid=,args=").Output()
	if err != nil && len(out) == 0 {
		return
	}
	if strings.Contains(string(out), "check-engine") {
		t.Errorf("trials are left:\n%s", out)
	}
}

// A library that never returns is ended, and the time it had is named.
func TestHangs(t *testing.T) {
	h := openHost(t, enginetest.Build(t, "debug"))
	h.opts.Check.Timeout = time.Second
	for fault, doing := range map[string]string{
		"hang_in_constructor": "loading it", "hang_in_open": "checking open and close", "stall_exec": "checking",
	} {
		t.Run(fault, func(t *testing.T) {
			mustRefuse(t, h, debugWith(t, fault), "hangs", "did not finish within 1s while "+doing)
		})
	}
	noChildren(t)
}

// Files that are no library, or not safe to load.
func TestBadFiles(t *testing.T) {
	good := enginetest.Build(t, "debug")
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	foreign := bytes.Clone(whole)
	binary.LittleEndian.PutUint16(foreign[18:], uint16(elf.EM_AARCH64))
	object := filepath.Join(t.TempDir(), "object.so")
	source := file(t, "object.c", []byte("int x;\n"), 0o644)
	if out, err := exec.Command("gcc", "-c", source, "-o", object).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	dangling := filepath.Join(t.TempDir(), "dangling.so")
	if err := os.Symlink("/nowhere/lib.so", dangling); err != nil {
		t.Fatal(err)
	}
	loop := filepath.Join(t.TempDir(), "loop.so")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	inOpen := filepath.Join(open, "lib.so")
	replaceFile(t, good, inOpen)
	throughOpen := filepath.Join(t.TempDir(), "link.so")
	if err := os.Symlink(inOpen, throughOpen); err != nil {
		t.Fatal(err)
	}
	h := openHost(t, good)
	for _, bad := range []struct {
		path  string
		words []string
	}{
		{file(t, "text.so", []byte("hello, world\n"), 0o755), []string{"not a shared library", "it is text"}},
		{file(t, "script.so", []byte("#!/bin/sh\n"), 0o755), []string{"not a shared library", "a script"}},
		{file(t, "empty.so", nil, 0o755), []string{"not a shared library", "it is empty"}},
		{file(t, "half.so", whole[:len(whole)/2], 0o755), []string{"not a whole shared library", "cut short"}},
		{file(t, "head.so", whole[:70], 0o755), []string{"not a whole shared library", "damaged or cut short"}},
		{file(t, "arm.so", foreign, 0o755), []string{"for another machine", "aarch64"}},
		{object, []string{"not a shared library", "ET_REL"}},
		{file(t, "writable.so", whole, 0o777), []string{"is writable by others", "0777", "chmod go-w"}},
		{t.TempDir(), []string{"not a library", "a directory"}},
		{"/dev/null", []string{"not a library", "a device"}},
		{filepath.Join(t.TempDir(), "missing.so"), []string{"cannot read", "no such file"}},
		{filepath.Join(t.TempDir(), "lmdb.so"), []string{"cannot read", install.Command("kvstored-engine-lmdb") + "    # or name another one"}},
		{dangling, []string{"cannot read", "no such file"}},
		{loop, []string{"cannot read", "too many levels"}},
		{inOpen, []string{"the directory " + open + " is writable by others"}},
		{throughOpen, []string{"the directory " + open + " is writable by others"}},
	} {
		t.Run(filepath.Base(bad.path), func(t *testing.T) { mustRefuse(t, h, bad.path, bad.words...) })
	}
}

// What does not belong to root is not loaded into the system's daemon.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give a file away")
	}
	path := enginetest.Build(t, "debug")
	if err := os.Chown(path, 12345, 0); err != nil {
		t.Fatal(err)
	}
	_, err := ReadImage(path, Trust{})
	if err == nil || !strings.Contains(err.Error(), "does not belong to root; why: its owner is uid 12345") {
		t.Errorf("the library of somebody: %v", err)
	}
	dir := filepath.Dir(path)
	if err := os.Chown(path, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 12345, 0); err != nil {
		t.Fatal(err)
	}
	_, err = ReadImage(path, Trust{})
	if err == nil || !strings.Contains(err.Error(), dir+" does not belong to root") {
		t.Errorf("a library in somebody's directory: %v", err)
	}
	if err := os.Chown(dir, 0, 0); err != nil {
		t.Fatal(err)
	}
	image, err := ReadImage(path, Trust{})
	if err != nil {
		t.Fatal(err)
	}
	image.Close()
}

// Only the configured path and what is below EngineDir is a place for engines.
func TestPlace(t *testing.T) {
	trust := Trust{Engine: "/usr/lib/libkvstore.so", EngineDir: "/usr/lib/kvstored/engines"}
	for path, ok := range map[string]bool{
		"/usr/lib/libkvstore.so":                        true,
		"/usr/lib/kvstored/engines/hash.so":             true,
		"/usr/lib/kvstored/engines":                     false,
		"/usr/lib/kvstored/engines-of-mine/hash.so":     false,
		"/usr/lib/kvstored/engines/../../libkvstore.so": false,
		"/tmp/hash.so":                                  false,
	} {
		if err := trust.place(filepath.Clean(path)); (err == nil) != ok && path != "/usr/lib/kvstored/engines/../../libkvstore.so" {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A hand-over that either side refuses leaves the old store as it was; the
// keys of debug-keys make them refuse after a good trial.
func TestHandOverRefused(t *testing.T) {
	for _, side := range []string{"fail-offer", "refuse-accept"} {
		t.Run(side, func(t *testing.T) {
			h := openHost(t, enginetest.Build(t, "debug", "DEBUG_KEYS"))
			next := enginetest.Build(t, "debug", "DEBUG_KEYS", nextVersion)
			c := newTab(t, h)
			c.set(0, "name", "Rojalin", 0)
			c.set(0, "debug:"+side, "", 0)
			mustRefuse(t, h, next, "does not take over")
			if got := c.get(0, "name"); got != "Rojalin" {
				t.Errorf("after the refusal: %q", got)
			}
			c.set(0, "name", "again", 0)
			c.do(func() { c.b.Delete(0, c.in("debug:"+side)) })
			mustSwap(t, h, next)
			if got := c.get(0, "name"); got != "again" {
				t.Errorf("after the swap: %q", got)
			}
		})
	}
}

// An engine that loses or fails writes while it is filled never serves.
func TestCopyRefused(t *testing.T) {
	for _, fault := range []struct {
		defines []string
		words   string
	}{
		{[]string{"DEBUG_FAULT=lose_key", "DEBUG_EVERY=5000"}, "is missing"},
		{[]string{"DEBUG_FAULT=fail_exec", "DEBUG_AFTER=30000"}, "failed"},
	} {
		t.Run(fault.defines[0], func(t *testing.T) {
			h := openHost(t, enginetest.Build(t, "hash"))
			h.opts.Check.Command = nil // the trial is not what is tested
			c := newTab(t, h)
			c.do(func() {
				for i := range 20000 {
					c.b.Set(0, c.in(fmt.Sprint("key ", i)), c.in("value"), 0, 0, 0)
				}
			})
			mustRefuse(t, h, enginetest.Build(t, "debug", fault.defines...), fault.words)
			if got := c.get(0, "key 19999"); got != "value" {
				t.Errorf("afterwards the old engine has %q", got)
			}
		})
	}
}

// Data that the new engine cannot hold is named before anything is copied.
func TestCopyDoesNotFit(t *testing.T) {
	h := openHost(t, enginetest.Build(t, "debug"))
	simple := enginetest.Build(t, "simple")
	c := newTab(t, h)
	for i := range 1000 {
		c.set(0, fmt.Sprint("key ", i), "value", 0)
	}
	c.set(0, "session", "x", 4102444800000)
	mustRefuse(t, h, simple, `cannot hold key "session"`, "no expiry times", "PERSIST")
	c.set(0, "session", "x", 0)
	c.set(3, "elsewhere", "x", 0)
	mustRefuse(t, h, simple, `cannot hold key "elsewhere" of database 3`, "one database")
	c.do(func() { c.b.Delete(3, c.in("elsewhere")) })
	c.do(func() { c.b.Set(0, c.in("tagged"), c.in("x"), 0, 9, 0) })
	mustRefuse(t, h, simple, `cannot hold key "tagged"`, "strings only")
	c.do(func() { c.b.Delete(0, c.in("tagged")) })
	if o := mustSwap(t, h, simple); o.Copied != 1001 {
		t.Errorf("outcome %+v", o)
	}
	if got := c.get(0, "session"); got != "x" {
		t.Errorf("afterwards: %q", got)
	}
	if st := c.set(0, "late", "x", 4102444800000); st != batch.Unsupported {
		t.Errorf("an expiry time in an engine without: %v", st)
	}
	if st := c.set(1, "late", "x", 0); st != batch.Unsupported {
		t.Errorf("a space in an engine without: %v", st)
	}
}
