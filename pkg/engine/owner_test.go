package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kvstored/pkg/engine/enginetest"
)

// keeps is a host whose state directory is dir; close it before the next.
func keeps(t *testing.T, dir, library string, change ...func(*Options)) *Host {
	t.Helper()
	h, err := Open(library, keepOptions(dir, change...))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func keepOptions(dir string, change ...func(*Options)) Options {
	o := Options{Trust: testTrust, Check: testCheck, StateDir: dir}
	for _, c := range change {
		c(&o)
	}
	return o
}

// refusesToOpen wants a refusal with these words.
func refusesToOpen(t *testing.T, dir, library string, memoryOnly bool, words ...string) {
	t.Helper()
	h, err := Open(library, keepOptions(dir, func(o *Options) { o.MemoryOnly = memoryOnly }))
	if err == nil {
		h.Close()
		t.Fatalf("opened; want a refusal that says %q", words)
	}
	var r *Refusal
	if !errors.As(err, &r) || r.What == "" || r.Why == "" || r.Fix == "" {
		t.Fatalf("not a whole refusal: %#v", err)
	}
	for _, w := range words {
		if !strings.Contains(r.Error(), w) {
			t.Errorf("the refusal %q does not say %q", r.Error(), w)
		}
	}
}

// put writes a key and has it committed.
func put(t *testing.T, h *Host, key, value string) {
	t.Helper()
	c := newTab(t, h)
	c.set(0, key, value, 0)
	h.Lock()
	defer h.Unlock()
	if _, err := h.Commit(false); err != nil {
		t.Fatal(err)
	}
}

func wants(t *testing.T, h *Host, key, value string) {
	t.Helper()
	if got := newTab(t, h).get(0, key); got != value {
		t.Errorf("%s is %q, want %q", key, got, value)
	}
}

func TestStateOutlivesTheHost(t *testing.T) {
	dir, hash := t.TempDir(), enginetest.Build(t, "hash")
	h := keeps(t, dir, hash)
	put(t, h, "k", "v")
	refusesToOpen(t, dir, hash, false, "is in use", "process ")
	mustSwap(t, h, enginetest.Build(t, "hash", nextVersion)) // the files pass on
	put(t, h, "l", "w")
	h.Close()
	h = keeps(t, dir, hash)
	wants(t, h, "k", "v")
	wants(t, h, "l", "w")
	h.Close()
}

// The data of one engine is never left unread, and never replaced by an
// empty store.
func TestOwnerIsHeeded(t *testing.T) {
	dir, hash, debug := t.TempDir(), enginetest.Build(t, "hash"), enginetest.Build(t, "debug")
	h := keeps(t, dir, hash)
	put(t, h, "k", "v")
	h.Close()
	refusesToOpen(t, dir, debug, false, "holds hash data", "kvctl engine use hash")
	refusesToOpen(t, dir, hash, true, "holds hash data", "Sync=none")
	own := filepath.Join(dir, ownerFile)
	text, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	for _, broken := range []string{"", "engine=hash\n", strings.Replace(string(text), "data-1", "../data", 1), "engine=hash\nformat=hash-1\ndirectory=data-1\nstate=who\n"} {
		os.WriteFile(own, []byte(broken), 0o600)
		refusesToOpen(t, dir, hash, false, "cannot tell who owns the data")
	}
	os.Remove(own)
	refusesToOpen(t, dir, hash, false, "cannot tell who owns the data", "data-1")
	os.WriteFile(own, []byte(strings.Replace(string(text), "engine=hash", "engine=other", 1)), 0o600)
	refusesToOpen(t, dir, hash, false, "holds other data", "kvctl engine use other")
	os.WriteFile(own, text, 0o600)
	os.Rename(filepath.Join(dir, "data-1"), filepath.Join(dir, "elsewhere"))
	refusesToOpen(t, dir, hash, false, "data-1")
	os.Mkdir(filepath.Join(dir, "data-1"), 0o700)
	refusesToOpen(t, dir, hash, false, "lacks all of its files")
	os.Remove(filepath.Join(dir, "data-1"))
	os.Rename(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "data-1"))
	h = keeps(t, dir, hash)
	wants(t, h, "k", "v")
	h.Close()
}

// What a crash leaves in the middle of a first start, or of an exchange, was
// never served and goes.
func TestLeftoversAreSwept(t *testing.T) {
	dir, hash := t.TempDir(), enginetest.Build(t, "hash")
	making := owner{"hash", "hash-1", "data-1", true}
	os.WriteFile(filepath.Join(dir, ownerFile), []byte(making.text()), 0o600)
	os.Mkdir(filepath.Join(dir, "data-1"), 0o700)
	os.WriteFile(filepath.Join(dir, "data-1", "log-1"), []byte("half"), 0o600)
	h := keeps(t, dir, hash)
	put(t, h, "k", "v")
	h.Close()
	os.Mkdir(filepath.Join(dir, "data-7"), 0o700)
	os.WriteFile(filepath.Join(dir, ownerFile+".new"), nil, 0o600)
	h = keeps(t, dir, hash)
	wants(t, h, "k", "v")
	h.Close()
	for _, name := range []string{"data-7", ownerFile + ".new"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
}

// An exchange that copies ends with one whole owner: of files, of memory, and
// of files again.
func TestCopiesChangeTheOwner(t *testing.T) {
	dir, hash, debug := t.TempDir(), enginetest.Build(t, "hash"), enginetest.Build(t, "debug")
	h := keeps(t, dir, hash)
	put(t, h, "k", "v")
	mustSwap(t, h, debug)
	if o := h.state.own; o.Engine != "debug" || o.Directory != "" || o.Making {
		t.Errorf("the owner is %+v", o)
	}
	mustSwap(t, h, hash)
	if o := h.state.own; o.Engine != "hash" || o.Directory == "" || o.Making {
		t.Errorf("the owner is %+v", o)
	}
	put(t, h, "l", "w")
	o, err := h.Swap(Request{Path: hash, MemoryOnly: true}) // Sync=none
	if err != nil || o.Unchanged || h.state.own.Directory != "" {
		t.Errorf("to memory: %+v %v, owner %+v", o, err, h.state.own)
	}
	wants(t, h, "l", "w")
	mustSwap(t, h, hash)
	h.Close()
	h = keeps(t, dir, hash)
	wants(t, h, "k", "v")
	wants(t, h, "l", "w")
	h.Close()
}
