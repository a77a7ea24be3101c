/*
 * bench.c - nanoseconds per operation and bytes per key of the engine, by itself
 *
 *   bench [KEYS] [BATCH]     default 1000000 64; BATCH 0: only bytes per key
 *                            at 1 to 10 million keys in steps of 5 %
 */
#define _POSIX_C_SOURCE 200809L
#include "kvstore.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define KEY 16
#define VALUE 32
#define BATCH_MAX 1024

static char reply_space[BATCH_MAX * 64];

static int no_more(struct kv_sink *sink, uint64_t need)
{
	(void)sink;
	(void)need;
	return KV_NO_MEMORY;
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint64_t rnd(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

struct bench {
	const struct kvstore_engine *engine;
	kv_store *store;
	struct kv_op ops[BATCH_MAX];
	char keys[BATCH_MAX][KEY + 1];
	int dry; /* prepare batches, do not carry them out */
};

static void key_of(char *to, uint64_t n)
{
	static const char hex[] = "0123456789abcdef";

	for (int i = KEY - 1; i >= 0; i--, n >>= 4)
		to[i] = hex[n & 15];
}

/* n operations of one code, on keys first.. or random ones below `range`. */
static void run(struct bench *b, uint16_t code, uint64_t first, uint64_t range, uint64_t n,
		uint64_t *seed, int64_t expiry)
{
	static const char value[VALUE] = "thirty-two bytes of value, or so";
	struct kv_sink reply = {reply_space, reply_space + sizeof reply_space, no_more, NULL};
	struct kv_events events = {.sink = &reply};
	struct kv_batch batch = {.size = sizeof batch, .op_size = sizeof b->ops[0], .count = n,
				 .ops = b->ops, .now = 1000, .reply = &reply, .events = &events};

	for (uint64_t i = 0; i < n; i++) {
		key_of(b->keys[i], seed != NULL ? rnd(seed) % range : first + i);
		b->ops[i] = (struct kv_op){.code = code, .key = b->keys[i], .key_len = KEY,
					   .value = value, .value_len = VALUE, .expiry = expiry,
					   .length = UINT64_MAX};
	}
	if (b->dry)
		return;
	b->engine->exec(b->store, &batch);
	for (uint64_t i = 0; i < n; i++) {
		if (b->ops[i].status != KV_OK && !(code == KV_DELETE && b->ops[i].status == KV_NOT_FOUND)) {
			printf("status %d\n", b->ops[i].status);
			exit(1);
		}
	}
}

static void report(struct bench *b, const char *what)
{
	struct kv_stat s = {.size = sizeof s, .space = KV_SPACE_ALL};

	b->engine->stat(b->store, &s);
	printf("%-22s %9llu keys, over the payload: used %.2f, held %.2f bytes per key\n", what,
	       (unsigned long long)s.entries,
	       s.entries ? ((double)s.memory - (double)s.payload) / (double)s.entries : 0,
	       s.entries ? ((double)s.reserved_memory - (double)s.payload) / (double)s.entries : 0);
}

/* CPU time of `ops` operations in batches. */
static double loop(struct bench *b, uint16_t code, uint64_t keys, uint64_t ops, uint64_t batch,
		   int in_order)
{
	uint64_t seed = 88172645463325252ull;
	double start = now_ns();

	for (uint64_t i = 0; i < ops; i += batch)
		run(b, code, i, keys, batch, in_order ? NULL : &seed, 0);
	return now_ns() - start;
}

static void measure(struct bench *b, const char *what, uint16_t code, uint64_t keys, uint64_t ops,
		    uint64_t batch, int in_order)
{
	double dry;

	b->dry = 1;
	dry = loop(b, code, keys, ops, batch, in_order);
	b->dry = 0;
	printf("%-22s %6.1f ns/op\n", what,
	       (loop(b, code, keys, ops, batch, in_order) - dry) / (double)ops);
}

static void sizes(struct bench *b)
{
	uint64_t n = 0;
	double worst = 0;

	for (double next = 1e6; next <= 1.04e7; next *= 1.05) {
		struct kv_stat s = {.size = sizeof s, .space = KV_SPACE_ALL};
		double over;

		for (; n < (uint64_t)next; n += 500)
			run(b, KV_SET, n, 0, 500, NULL, 0);
		b->engine->stat(b->store, &s);
		over = ((double)s.reserved_memory - (double)s.payload) / (double)s.entries;
		printf("%9llu keys: %.2f\n", (unsigned long long)s.entries, over);
		worst = over > worst ? over : worst;
	}
	printf("worst: %.2f bytes per key over the payload\n", worst);
}

int main(int argc, char **argv)
{
	static struct bench b;
	char error[256] = "";
	struct kv_open open = {.size = sizeof open, .now = 1000, .seed = 5, .error = error,
			       .error_size = sizeof error};
	uint64_t keys = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	uint64_t batch = argc > 2 ? strtoull(argv[2], NULL, 10) : 64;

	b.engine = kvstore_engine();
	if (b.engine->open(&open, &b.store) != KV_OK || batch > BATCH_MAX) {
		printf("cannot open: %s\n", error);
		return 1;
	}
	if (batch == 0) {
		sizes(&b);
	} else {
		measure(&b, "SET, new", KV_SET, keys, keys, batch, 1);
		report(&b, "");
		measure(&b, "GET, random", KV_GET, keys, 4000000, batch, 0);
		measure(&b, "META, random", KV_META, keys, 4000000, batch, 0);
		measure(&b, "SET, random", KV_SET, keys, 4000000, batch, 0);
		report(&b, "");
		measure(&b, "DELETE, random", KV_DELETE, keys, keys, batch, 0);
		report(&b, "");
		measure(&b, "DELETE, in order", KV_DELETE, keys, keys, batch, 1);
		report(&b, "");
	}
	b.engine->close(b.store, 0);
	return 0;
}
