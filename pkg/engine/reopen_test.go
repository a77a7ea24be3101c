package engine

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"kvstored/pkg/batch"
	"kvstored/pkg/engine/enginetest"
)

// onDisk has a host keep its data in a directory of the test's.
func onDisk(dir string) func(*Options) {
	return func(o *Options) { o.StateDir = dir }
}

// A store that only one can have open is closed and opened again by the new
// code, while clients go on: nothing is lost, and nothing was copied.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	h := openHost(t, enginetest.Build(t, "lmdb"), onDisk(dir))
	next := enginetest.Build(t, "lmdb", nextVersion)
	c := newTab(t, h)
	for i := range 500 {
		c.set(uint32(i%3), fmt.Sprint("key", i), fmt.Sprint("value", i), 0)
	}
	var counting sync.WaitGroup
	stop := make(chan bool)
	counting.Add(1)
	go func() {
		defer counting.Done()
		counter := newTab(t, h)
		for n := int64(1); ; n++ {
			if got := counter.incr("counter"); got != n {
				t.Errorf("counted %d, want %d", got, n)
				return
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for i := range 6 {
		path := next
		if i%2 == 1 {
			path = enginetest.Build(t, "lmdb")
		}
		if o := mustSwap(t, h, path); !o.HandedOver || o.Copied != 0 {
			t.Errorf("swap %d: %+v", i, o)
		}
	}
	close(stop)
	counting.Wait()
	for i := range 500 {
		if got, want := c.get(uint32(i%3), fmt.Sprint("key", i)), fmt.Sprint("value", i); got != want {
			t.Errorf("key%d is %q, want %q", i, got, want)
		}
	}
	h.Close()
	h = openHost(t, next, onDisk(dir))
	if got := newTab(t, h).get(1, "key1"); got != "value1" {
		t.Errorf("after a restart: %q", got)
	}
}

// While values are still being written to a client the store stays open.
func TestReopenWaitsForReaders(t *testing.T) {
	h := openHost(t, enginetest.Build(t, "lmdb"), onDisk(t.TempDir()))
	c := newTab(t, h)
	long := strings.Repeat("x", 100_000)
	c.set(0, "long", long, 0)
	c.do(func() { c.b.Get(0, c.in("long")) })
	op := c.b.Op(0)
	if op.Pin == 0 {
		t.Fatal("a long value was not pinned")
	}
	done := make(chan error)
	go func() {
		_, err := h.Swap(Request{Path: enginetest.Build(t, "lmdb", nextVersion)})
		done <- err
	}()
	for h.Status().State != Draining {
		time.Sleep(time.Millisecond)
	}
	if string(op.ValueBytes()) != long {
		t.Error("the pinned value changed")
	}
	h.Release(op.Pin)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if c.get(0, "long") != long {
		t.Error("the value is lost")
	}
}

// Code that cannot open the data is refused, and the old code has them again.
func TestReopenGoesBack(t *testing.T) {
	h := openHost(t, enginetest.Build(t, "lmdb"), onDisk(t.TempDir()))
	c := newTab(t, h)
	c.set(0, "name", "Rojalin", 0)
	bad := enginetest.Build(t, "lmdb", "INFO_VERSION=2u", nextVersion)
	for range 2 {
		mustRefuse(t, h, bad, "cannot open the data in", "MDB_VERSION_MISMATCH")
		if got := c.get(0, "name"); got != "Rojalin" {
			t.Errorf("after the refusal: %q", got)
		}
		if st := c.set(0, "more", "written", 0); st != batch.OK {
			t.Errorf("after the refusal a write: %v", st)
		}
	}
	mustSwap(t, h, enginetest.Build(t, "lmdb", nextVersion))
	if got := c.get(0, "more"); got != "written" {
		t.Errorf("after the exchange: %q", got)
	}
}

// thief is an engine that spoils the data which it is to open.
const thief = `
#include "kvstore.h"
#include <stdio.h>
#include <unistd.h>

static int bad_open(const struct kv_open *open, kv_store **store)
{
	char path[4096];

	(void)store;
	snprintf(path, sizeof path, "%s/data.mdb", open->state_dir);
	unlink(path);
	snprintf(open->error, open->error_size, "it took the data");
	return KV_IO;
}

static void bad_close(kv_store *store, uint32_t flags) { (void)store; (void)flags; }
static int bad_exec(kv_store *store, struct kv_batch *batch) { (void)store; (void)batch; return KV_IO; }
static int bad_commit(kv_store *store, struct kv_commit *commit) { (void)store; (void)commit; return KV_IO; }

static const struct kvstore_engine engine = {
	.size = sizeof engine, .abi = KVSTORE_ABI_VERSION, .name = "thief", .version = "1",
	.format = "lmdb-1", .capabilities = KV_CAP_DURABLE | KV_CAP_EXCLUSIVE,
	.thread_model = KV_THREADS_SERIAL,
	.open = bad_open, .close = bad_close, .exec = bad_exec, .commit = bad_commit,
};

KVSTORE_EXPORT const struct kvstore_engine *kvstore_engine(void) { return &engine; }
`

// When neither can open the data the host says that the process should end.
func TestReopenFatal(t *testing.T) {
	var fatal error
	h := openHost(t, enginetest.Build(t, "lmdb"), onDisk(t.TempDir()), func(o *Options) {
		o.Check = CheckOptions{}
		o.OnFatal = func(err error) { fatal = err }
	})
	c := newTab(t, h)
	c.set(0, "name", "Rojalin", 0)
	_, err := h.Swap(Request{Path: enginetest.Source(t, "thief", thief)})
	var r *Refusal
	if !errors.As(err, &r) || !strings.Contains(r.Error(), "the store is lost") {
		t.Errorf("the outcome: %v", err)
	}
	if fatal == nil || !strings.Contains(fatal.Error(), "it took the data") || !strings.Contains(fatal.Error(), "data.mdb") {
		t.Errorf("OnFatal: %v", fatal)
	}
	h.Lock()
	defer h.Unlock()
	if err := h.Exec(c.b, 0, c.b.Len(), time.Now().UnixMilli()); err == nil {
		t.Error("a batch was carried out without a store")
	}
}

// Between hash and lmdb data is copied, both ways, from disk to disk, while
// clients write; a start afterwards finds it.
func TestCopyToAndFromDisk(t *testing.T) {
	dir := t.TempDir()
	h := openHost(t, enginetest.Build(t, "hash"), onDisk(dir))
	c := newTab(t, h)
	far := time.Now().Add(time.Hour).UnixMilli()
	for i := range 3000 {
		c.set(uint32(i%2), fmt.Sprint("key", i), strings.Repeat("v", i%700), int64(i%3/2)*far)
	}
	for _, name := range []string{"lmdb", "hash", "lmdb"} {
		if o := mustSwap(t, h, enginetest.Build(t, name)); o.Copied < 3000 {
			t.Errorf("to %s: %+v", name, o)
		}
		if n := c.incr("counter"); n == 0 {
			t.Error("no count")
		}
	}
	h.Close()
	h = openHost(t, enginetest.Build(t, "lmdb"), onDisk(dir))
	c = newTab(t, h)
	if n := c.incr("counter"); n != 4 {
		t.Errorf("counted to %d, want 4", n)
	}
	for i := range 3000 {
		c.do(func() { c.b.Get(uint32(i%2), c.in(fmt.Sprint("key", i))) })
		op := c.b.Op(0)
		if op.Status != batch.OK || len(op.ValueBytes()) != i%700 || op.Expiry != int64(i%3/2)*far {
			t.Fatalf("key%d: %v, %d bytes, expiry %d", i, op.Status, len(op.ValueBytes()), op.Expiry)
		}
	}
}
