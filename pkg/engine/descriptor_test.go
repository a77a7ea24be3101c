package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kvstored/pkg/engine/enginetest"
)

// tweaked is the debug engine with another descriptor.
const tweaked = `
#include "kvstore.h"
#include <stddef.h>
#undef kvstore_engine

static struct inner_engine engine;

static inline int no_resume(kv_store *store)
{
	(void)store;
	return KV_IO;
}

static int (*inner_exec)(kv_store *store, struct kv_batch *batch);

/* Steps through a batch by sizeof. */
static inline int by_index(kv_store *store, struct kv_batch *batch)
{
	struct kv_batch mine = *batch;

	mine.op_size = sizeof(struct kv_op);
	return inner_exec(store, &mine);
}

KVSTORE_EXPORT const struct inner_engine *kvstore_engine(void);
KVSTORE_EXPORT const struct inner_engine *kvstore_engine(void)
{
	static char text[1 << 20];

	engine = *inner_engine();
	memset(text, 'a', sizeof text - 1);
	(void)no_resume;
	(void)by_index;
	TWEAK;
	return &engine;
}
`

// Each descriptor that is wrong is refused with what is wrong with it.
func TestDescriptors(t *testing.T) {
	h := openHost(t, enginetest.Build(t, "debug"))
	for name, test := range map[string][2]string{
		"a name of a mebibyte":     {"engine.name = text", "is not 1 to 32 of"}, // the trial hung on its own report
		"a size in half a pointer": {"engine.size = (uint32_t)((char *)&engine.limit - (char *)&engine) - 3", "it has no resume()"},
		"keys of a byte":           {"engine.max_key = 1", "its max_key is 1; keys of 64 bytes must fit"},
		"values of a byte":         {"engine.max_value = 1", "its max_value is 1; values of 1024 bytes must fit"},
		"steps of its own":         {"inner_exec = engine.exec; engine.exec = by_index", "order within a batch"},
		"a resume that fails":      {"engine.resume = no_resume", "an offer could not be taken back"},
	} {
		t.Run(name, func(t *testing.T) {
			mustRefuse(t, h, buildAround(t, "tweaked", strings.Replace(tweaked, "TWEAK", test[0], 1)), test[1])
		})
	}
}

// An engine that says how long keys and values may be, and keeps to it, passes.
func TestSmallLimits(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(enginetest.Root(), "libkvstore/engines/simple/simple.c"))
	if err != nil {
		t.Fatal(err)
	}
	for _, limits := range []string{".max_key = 64, .max_value = 1024", ".max_key = 250, .max_value = 1 << 20"} {
		limited := strings.Replace(string(text), ".each = each)", ".each = each, "+limits+")", 1)
		if limited == string(text) {
			t.Fatal("simple.c has changed: no place for limits")
		}
		r := CheckOptions{Command: SelfCheck, Timeout: fullTimeout, Full: true}.Report(enginetest.Source(t, "limited", limited), testTrust)
		if r.Refusal != nil {
			t.Errorf("%s: %v", limits, r.Refusal)
		}
	}
}
