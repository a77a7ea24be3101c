package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kvstored/pkg/batch"
	"kvstored/pkg/engine/enginetest"
)

// flaky is the debug engine with one call gone wrong: FLAKY="what number how".
// The environment is read when the library is loaded.
const flaky = `
#include "kvstore.h"
#include <stdio.h>
#include <stdlib.h>
#undef kvstore_engine

static struct inner_engine engine, inner;
static char what[32], how[32];
static unsigned long at, calls;

/* Whether this call is the one that goes wrong; tell is set then. */
static int due(const char *call)
{
	if (strcmp(call, what) != 0 || ++calls < at)
		return 0;
	FILE *note = calls == at ? fopen(getenv("FLAKY_DONE"), "w") : NULL;

	if (note != NULL)
		fclose(note);
	return calls == at || strcmp(how, "ever") == 0;
}

static int flaky_open(const struct kv_open *open, kv_store **store)
{
	if (due("open")) {
		snprintf(open->error, open->error_size, "it was told to fail");
		return KV_IO;
	}
	return inner.open(open, store);
}

static int flaky_accept(const struct kv_open *open, const struct kv_offer *offer, kv_store **store)
{
	if (due("accept"))
		return KV_CORRUPT;
	return inner.accept(open, offer, store);
}

static int flaky_exec(kv_store *store, struct kv_batch *batch)
{
	if (due("exec"))
		return KV_IO;
	int status = inner.exec(store, batch);

	if (batch->count > 0 && due("status"))
		kv_op_at(batch, batch->count - 1)->status = 4711;
	if (batch->count > 0 && due("value")) {
		struct kv_op *op = kv_op_at(batch, 0);
		if (op->code == KV_GET)
			op->value_len /= 2;
	}
	return status;
}

static int flaky_scan(kv_store *store, struct kv_scan *scan)
{
	uint64_t cursor = scan->cursor;

	if (due("scan"))
		return KV_IO;
	int status = inner.scan(store, scan);

	if (due("circle"))
		scan->cursor = cursor != 0 ? cursor : 1;
	return status;
}

static int flaky_stat(kv_store *store, struct kv_stat *stat)
{
	if (due("stat"))
		return KV_IO;
	int status = inner.stat(store, stat);

	if (due("space") && stat->space != KV_SPACE_ALL)
		stat->next_space = stat->space;
	return status;
}

static int flaky_maintain(kv_store *store, struct kv_maintain *maintain)
{
	return due("maintain") ? KV_IO : inner.maintain(store, maintain);
}

static int flaky_offer(kv_store *store, struct kv_offer *offer)
{
	return due("offer") ? KV_IO : inner.offer(store, offer);
}

static int flaky_resume(kv_store *store)
{
	int status = inner.resume(store);

	return due("resume") ? KV_IO : status;
}

KVSTORE_EXPORT const struct inner_engine *kvstore_engine(void);
KVSTORE_EXPORT const struct inner_engine *kvstore_engine(void)
{
	const char *plan = getenv("FLAKY");

	engine = inner = *inner_engine();
	if (plan != NULL)
		sscanf(plan, "%31s %lu %31s", what, &at, how);
	engine.open = flaky_open;
	engine.accept = flaky_accept;
	engine.exec = flaky_exec;
	engine.scan = flaky_scan;
	engine.stat = flaky_stat;
	engine.maintain = flaky_maintain;
	engine.offer = flaky_offer;
	engine.resume = flaky_resume;
	return &engine;
}
`

func buildFlaky(t *testing.T) string {
	t.Helper()
	return buildAround(t, "flaky", flaky)
}

// buildAround builds the debug engine with text around it, as inner_engine.
func buildAround(t *testing.T, name, text string) string {
	t.Helper()
	sources, err := filepath.Glob(filepath.Join(enginetest.Root(), "libkvstore/engines/debug/*.c"))
	if err != nil {
		t.Fatal(err)
	}
	wrapper := filepath.Join(t.TempDir(), name+".c")
	if err := os.WriteFile(wrapper, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return enginetest.Compile(t, name, append(sources, wrapper), "_GNU_SOURCE", "kvstore_engine=inner_engine")
}

// plan has the next flaky library that is loaded fail; done tells whether it
// came to that.
func plan(t *testing.T, what string, at int, how string) (done func() bool) {
	t.Helper()
	note := filepath.Join(t.TempDir(), "done")
	t.Setenv("FLAKY", fmt.Sprint(what, " ", at, " ", how))
	t.Setenv("FLAKY_DONE", note)
	return func() bool {
		_, err := os.Stat(note)
		return err == nil
	}
}

// possessions are descriptors and mapped memfds.
type possessions struct{ files, maps int }

func owned(t *testing.T) possessions {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return possessions{openFiles(t), strings.Count(string(maps), "/memfd:k")}
}

// settled waits until this process owns no more than before.
func settled(t *testing.T, before possessions) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		now := owned(t)
		if now.files <= before.files && now.maps <= before.maps {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("before: %+v, now: %+v", before, now)
		}
	}
}

// Whichever call of a new engine fails, the old one serves on with everything
// in it, and nothing of the new one is left.
func TestEachCallOfANewEngineFails(t *testing.T) {
	defer func(n uint64) { walkSpare = n }(walkSpare)
	walkSpare = 1000
	bad := buildFlaky(t)
	for _, old := range []string{"hash", "debug"} {
		path := enginetest.Build(t, old)
		for _, what := range []string{"open", "accept", "exec", "status", "value", "scan", "stat", "circle", "space"} {
			for _, how := range []string{"once", "ever"} {
				t.Run(strings.Join([]string{old, what, how}, " "), func(t *testing.T) { eachCall(t, path, bad, what, how) })
			}
		}
	}
}

func eachCall(t *testing.T, old, bad, what, how string) {
	h := openHost(t, old, func(o *Options) { o.Check.Command = nil })
	c := newTab(t, h)
	for i := range 400 {
		c.set(uint32(i%3), fmt.Sprint("key ", i), strings.Repeat("v", i), 0)
	}
	c.set(0, "long", strings.Repeat("long", 50_000), 0)
	whole := func() {
		t.Helper()
		for i := range 400 {
			if got := c.get(uint32(i%3), fmt.Sprint("key ", i)); got != strings.Repeat("v", i) {
				t.Fatalf("key %d: %.60q", i, got)
			}
		}
		if got := c.get(0, "long"); got != strings.Repeat("long", 50_000) {
			t.Fatalf("long: %d bytes", len(got))
		}
	}
	whole()
	before := owned(t)
	refused := 0
	for at := 1; ; at++ {
		done := plan(t, what, at, how)
		_, err := h.Swap(Request{Path: bad})
		if !done() {
			if err != nil {
				t.Errorf("with nothing gone wrong: %v", err)
			}
			break // the flaky engine serves, and is as good as any until call at
		}
		if err == nil { // it did not matter
			whole()
			mustSwap(t, h, old)
			waitGone(t, h)
			continue
		}
		refused++
		if r := h.Status().LastError; r == nil || r.What == "" || r.Why == "" || r.Fix == "" {
			t.Errorf("call %d: the refusal %+v lacks a part", at, r)
		}
		settled(t, before)
		whole()
	}
	if n := h.Status().StillMapped; n != 0 {
		t.Errorf("%d generations stay mapped", n)
	}
	t.Logf("%d calls failed, %d swaps were refused", int(h.Status().Refused+h.Status().Swaps)-1, refused)
}

// Whichever call of the old engine fails, it serves on or is replaced, and
// what clients are still reading stays where it is.
func TestEachCallOfTheOldEngineFails(t *testing.T) {
	defer func(n uint64) { walkSpare = n }(walkSpare)
	walkSpare = 1000
	flaky, hash, debug := buildFlaky(t), enginetest.Build(t, "hash"), enginetest.Build(t, "debug")
	for what, next := range map[string]string{"scan": hash, "stat": hash, "circle": hash, "space": hash, "offer": debug} {
		t.Run(what, func(t *testing.T) {
			for at, hit := 1, true; hit; at++ {
				done := plan(t, what, at, "ever")
				h := openHost(t, flaky, func(o *Options) { o.Check.Command = nil })
				c := newTab(t, h)
				for i := range 100 {
					c.set(uint32(i%3), fmt.Sprint("key ", i), strings.Repeat("v", i), 0)
				}
				c.set(0, "long", strings.Repeat("long", 50_000), 0)
				view, pin := c.pin("long")
				_, err := h.Swap(Request{Path: next})
				if hit = done(); !hit && err != nil {
					t.Errorf("with nothing gone wrong: %v", err)
				}
				if r := h.Status().LastError; err != nil && (r.What == "" || r.Why == "" || r.Fix == "") {
					t.Errorf("call %d: the refusal %+v lacks a part", at, r)
				}
				time.Sleep(2 * retireWait)
				if string(view) != strings.Repeat("long", 50_000) {
					t.Errorf("call %d: a value changed while it was read", at)
				}
				for i := range 100 {
					if got := c.get(uint32(i%3), fmt.Sprint("key ", i)); got != strings.Repeat("v", i) {
						t.Fatalf("call %d, key %d: %.60q", at, i, got)
					}
				}
				h.Release(pin)
			}
		})
	}
}

// An old engine that neither hands its store over nor takes it back has lost
// it: that is said, and nobody is told that it serves on.
func TestResumeFails(t *testing.T) {
	plan(t, "resume", 1, "ever")
	var lost error
	h := openHost(t, buildFlaky(t), func(o *Options) {
		o.Check.Command = nil
		o.OnFatal = func(err error) { lost = err }
	})
	c := newTab(t, h)
	c.set(0, "name", "Rojalin", 0)
	_, err := h.Swap(Request{Path: enginetest.Build(t, "debug", "DEBUG_FAULT=refuse_accept")})
	if lost == nil || err == nil || !strings.Contains(err.Error(), "the store is lost") || strings.Contains(err.Error(), "still serving") {
		t.Errorf("lost: %v; the swap: %v", lost, err)
	}
	c.b.Reset()
	c.b.Get(0, c.in("name"))
	h.Lock()
	defer h.Unlock()
	if err := h.Exec(c.b, 0, 1, 0); err == nil || c.b.Op(0).Status != batch.Unknown {
		t.Errorf("GET of a lost store: %v, %v", err, c.b.Op(0).Status)
	}
}

// FLUSHALL empties databases that the next engine does not have: it holds
// nothing there, and the exchange goes on.
func TestFlushAllWhileCopyingToAnEngineWithoutSpaces(t *testing.T) {
	h := openHost(t, enginetest.Build(t, "hash"), func(o *Options) { o.Check.Command = nil })
	c := newTab(t, h)
	for i := range 20_000 {
		c.set(0, fmt.Sprint("key ", i), "value", 0)
	}
	flushed := make(chan bool)
	h.opts.OnState = func(s State) {
		if s != Copying {
			return
		}
		go func() {
			defer close(flushed)
			for h.Status().CopiedKeys == 0 && h.Status().State == Copying {
				time.Sleep(10 * time.Microsecond)
			}
			c.do(func() {
				for space := range uint32(16) {
					c.b.Clear(space)
				}
				c.b.Set(0, c.in("name"), c.in("Rojalin"), 0, 0, 0)
			})
		}()
	}
	mustSwap(t, h, enginetest.Build(t, "simple"))
	<-flushed
	if got := c.get(0, "key 1") + c.get(0, "name"); got != "-Rojalin" {
		t.Errorf("after FLUSHALL: %q", got)
	}
}

// strange takes over what it offered itself, and dies of another build's.
const strange = `
#include "kvstore.h"
#include <stdlib.h>
#undef kvstore_engine

static struct inner_engine engine, inner;
static int mine;

static int strange_offer(kv_store *store, struct kv_offer *offer)
{
	mine = 1;
	return inner.offer(store, offer);
}

static int strange_accept(const struct kv_open *open, const struct kv_offer *offer, kv_store **store)
{
	if (!mine)
		abort();
	mine = 0;
	return inner.accept(open, offer, store);
}

KVSTORE_EXPORT const struct inner_engine *kvstore_engine(void);
KVSTORE_EXPORT const struct inner_engine *kvstore_engine(void)
{
	engine = inner = *inner_engine();
	engine.offer = strange_offer;
	engine.accept = strange_accept;
	return &engine;
}
`

// A library that says it has the format of the one that serves, and crashes
// when it takes its store over, does so in the trial.
func TestTakeOverIsTried(t *testing.T) {
	h := openHost(t, enginetest.Build(t, "debug"))
	c := newTab(t, h)
	c.set(0, "name", "Rojalin", 0)
	mustRefuse(t, h, buildAround(t, "strange", strange), "crashes",
		"SIGABRT while taking a store over from debug 0.1.0: taking over from the engine that serves")
	if got := c.get(0, "name"); got != "Rojalin" {
		t.Errorf("afterwards: %q", got)
	}
	mustSwap(t, h, enginetest.Build(t, "debug", nextVersion))
	mustSwap(t, h, enginetest.Build(t, "hash"))
	mustSwap(t, h, enginetest.Build(t, "hash", nextVersion))
}
