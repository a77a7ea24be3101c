package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"kvstored/pkg/batch"
	"kvstored/pkg/engine/conformance"
	"kvstored/pkg/engine/enginetest"
)

// partial is the debug engine under a descriptor that claims less or more. It
// is built with kvstore_engine renamed to inner_engine.
const partial = `
#include "kvstore.h"
#include <stdio.h>
#undef kvstore_engine

static struct inner_engine engine;
static int (*inner_open)(const struct kv_open *open, kv_store **store);

static int open_and_tell(const struct kv_open *open, kv_store **store)
{
	open->log(open->log_host, KV_LOG_WARNING, "two\nlines");
	return inner_open(open, store);
}

KVSTORE_EXPORT const struct inner_engine *kvstore_engine(void);
KVSTORE_EXPORT const struct inner_engine *kvstore_engine(void)
{
	engine = *inner_engine();
	inner_open = engine.open;
	engine.open = open_and_tell;
	engine.capabilities &= ~(uint64_t)(WITHOUT);
	engine.capabilities |= WITH;
	return &engine;
}
`

// buildPartial builds the debug engine with other capabilities.
func buildPartial(t *testing.T, without, with string) string {
	t.Helper()
	sources, err := filepath.Glob(filepath.Join(enginetest.Root(), "libkvstore/engines/debug/*.c"))
	if err != nil {
		t.Fatal(err)
	}
	wrapper := filepath.Join(t.TempDir(), "partial.c")
	if err := os.WriteFile(wrapper, []byte(partial), 0o644); err != nil {
		t.Fatal(err)
	}
	return enginetest.Compile(t, "partial", append(sources, wrapper), "kvstore_engine=inner_engine",
		"WITHOUT="+without, "WITH="+with)
}

// Whatever an engine lacks, through the host it keeps the promises that are
// left: what it cannot do is refused, and updates are made of get and set.
func TestPartialEngines(t *testing.T) {
	for _, without := range []string{"KV_CAP_UPDATE", "(KV_CAP_UPDATE|KV_CAP_DELETE)", "KV_CAP_SPACES", "KV_CAP_SCAN",
		"(KV_CAP_UPDATE|KV_CAP_EXPIRY|KV_CAP_TAGS)"} {
		t.Run(without, func(t *testing.T) {
			lib := loadForTest(t, buildPartial(t, without, "0"))
			for _, r := range conformance.Run(conformable(lib, nil), conformance.Smoke, 1) {
				if !r.OK() {
					t.Errorf("%s", r)
				}
			}
		})
	}
}

// What the host cannot serve yet is refused by name.
func TestNotServedYet(t *testing.T) {
	h := openHost(t, enginetest.Build(t, "debug"))
	for with, word := range map[string]string{
		"KV_CAP_BLOCKING": "blocking",
		"(1ull<<31)":      "bit-31",
	} {
		mustRefuse(t, h, buildPartial(t, "0", with), "asks for too much", word)
	}
	mustSwap(t, h, buildPartial(t, "0", "(1ull<<40)")) // may be ignored
}

// What an engine logs arrives in the daemon's log, a line each.
func TestEngineLog(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	openHost(t, buildPartial(t, "0", "0"), func(o *Options) { o.Log = zap.New(core) })
	for deadline := time.Now().Add(10 * time.Second); logs.Len() == 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	entries := logs.All()
	if len(entries) != 1 || entries[0].Message != "two lines" || entries[0].Level != zap.WarnLevel ||
		entries[0].ContextMap()["engine"] != "debug" {
		t.Errorf("log: %+v", entries)
	}
}

// Without KV_CAP_UPDATE every answer of an update function is carried out.
func TestEmulatedUpdate(t *testing.T) {
	h := openHost(t, buildPartial(t, "KV_CAP_UPDATE", "0"))
	c := newTab(t, h)
	update := func(key string, fn batch.Func, fill func(a *batch.Arg)) *batch.Arg {
		var a *batch.Arg
		c.do(func() {
			_, a = c.b.Update(0, c.in(key), fn)
			a.Now = time.Now().UnixMilli()
			a.Limit = 1 << 30
			fill(a)
		})
		if st := c.b.Op(0).Status; st != batch.OK {
			t.Errorf("update %d of %s: %v", fn, key, st)
		}
		return a
	}
	long := strings.Repeat("long", 50_000)
	c.set(0, "k", long, 0)
	a := update("k", batch.FuncAppend, func(a *batch.Arg) { a.SetValue(c.in("!")) }) // patch
	if a.Result != int64(len(long)+1) || c.get(0, "k") != long+"!" {
		t.Errorf("append: %d", a.Result)
	}
	expiry := time.Now().UnixMilli() + 1_000_000
	update("k", batch.FuncExpire, func(a *batch.Arg) { a.Expiry = expiry }) // retag
	if got := c.get(0, "k"); got != long+"!" || c.b.Op(0).Expiry != expiry {
		t.Errorf("expire: %d bytes, expiry %d", len(got), c.b.Op(0).Expiry)
	}
	update("n", batch.FuncIncr, func(a *batch.Arg) { a.Number = 41 }) // replace
	update("none", batch.FuncExpire, func(a *batch.Arg) { a.Expiry = expiry })
	if got := c.get(0, "n") + c.get(0, "none"); got != "41-" {
		t.Errorf("incr, expire of nothing: %s", got)
	}
	a = update("k", batch.FuncGetDel, func(*batch.Arg) {}) // remove
	if string(a.OldBytes()) != long+"!" || c.get(0, "k") != "-" {
		t.Errorf("getdel: %d bytes", len(a.OldBytes()))
	}
	if n := pinsNow(t, h); n != 0 {
		t.Errorf("%d pins are left", n)
	}
}
