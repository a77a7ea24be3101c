/*
 * evict.c - the limit of memory: what goes, what stays, what is said about it
 *
 * Linked with the engine directly.  Every key is known here with the version of its
 * value; each batch is followed by a look at all keys that it, or an event, named.
 *
 *   evict [SEED] [BATCHES]
 */
#include "verify.h"

#include <stdio.h>
#include <stdlib.h>

#define MUST(cond)                                                                  \
	do {                                                                        \
		if (!(cond)) {                                                      \
			fprintf(stderr, "evict: %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                    \
		}                                                                   \
	} while (0)

#define NOW 1700000000000
#define KEYS 30000u
#define BATCH 64u
#define LONGEST 300000u

/* What is known of one key. */
struct fact {
	uint32_t version; /* 0: not there */
	uint32_t length;
	bool expires;
	bool named;   /* by the batch at hand */
	bool evicted; /* by an event of it */
	bool dropped; /* by an operation of it */
};

static struct fact facts[KEYS];
static char value[LONGEST];
static uint64_t chance;
static int64_t now = NOW;
static uint64_t evicted, refused, hits;

struct piece {
	struct piece *next;
};
static struct piece *pieces;

static uint64_t draw(uint64_t below)
{
	return hash_step(&chance) % below;
}

static int more(struct kv_sink *sink, uint64_t need)
{
	uint64_t n = need < 65536 ? 65536 : need;
	struct piece *p = malloc(sizeof *p + n);

	MUST(p != NULL);
	p->next = pieces;
	pieces = p;
	sink->next = (char *)(p + 1);
	sink->end = sink->next + n;
	return KV_OK;
}

static void sink_free(void)
{
	while (pieces != NULL) {
		struct piece *p = pieces;

		pieces = p->next;
		free(p);
	}
}

static kv_store *store_open(void)
{
	char error[256] = "";
	struct kv_open open = {.size = sizeof open, .now = NOW, .seed = chance, .error = error,
			       .error_size = sizeof error};
	kv_store *st = NULL;

	memset(facts, 0, sizeof facts);
	MUST(hash_open(&open, &st) == KV_OK);
	return st;
}

static int limit(kv_store *st, uint64_t bytes, uint32_t policy, uint32_t flags)
{
	struct kv_limit l = {.size = sizeof l, .policy = policy, .flags = flags, .max_memory = bytes};

	return hash_limit(st, &l);
}

/* The first bytes of a value say whose and which it is. */
static void fill(uint32_t k, uint32_t version)
{
	memcpy(value, &k, sizeof k);
	memcpy(value + 4, &version, sizeof version);
}

/* Takes the events of one call: only KV_EVICTED, only of keys that may go. */
static void note_events(const struct kv_events *events, bool only_volatile)
{
	for (const struct kv_event *e = events->first; e != NULL; e = e->next) {
		uint32_t k;

		MUST(e->key_len == sizeof k && (e->space == 0 || e->space == 5));
		memcpy(&k, e->key, sizeof k);
		MUST(k < KEYS && e->space == (k % 7 == 0 ? 5u : 0u));
		if (e->reason == KV_EXPIRED)
			MUST(facts[k].expires);
		else
			MUST(e->reason == KV_EVICTED && (!only_volatile || facts[k].expires));
		evicted += e->reason == KV_EVICTED;
		facts[k].evicted = true;
	}
}

static struct kv_op on(uint16_t code, uint32_t *k)
{
	return (struct kv_op){.code = code, .space = *k % 7 == 0 ? 5 : 0, .key = k,
			      .key_len = sizeof *k, .length = UINT64_MAX};
}

static void exec(kv_store *st, struct kv_op *ops, uint64_t n, bool only_volatile)
{
	struct kv_sink sink = {NULL, NULL, more, NULL};
	struct kv_events events = {.sink = &sink};
	struct kv_batch batch = {.size = sizeof batch, .op_size = sizeof *ops, .count = n, .ops = ops,
				 .now = now, .reply = &sink, .events = &events};

	MUST(hash_exec(st, &batch) == KV_OK);
	note_events(&events, only_volatile);
	if (st->h->max_memory != 0)
		MUST(st->h->committed <= st->h->max_memory || n == 0);
}

/* Whether a key is there as it should be, or gone for a reason. */
static void check_key(kv_store *st, uint32_t k)
{
	struct space *sp = space_find(st, k % 7 == 0 ? 5 : 0);
	uint64_t *slot = sp == NULL ? NULL
		: index_find(st, sp, hash_key(st->h->seed, &k, sizeof k), &k, sizeof k);
	struct fact *f = &facts[k];
	struct entry e;

	if (slot == NULL) {
		MUST(f->version == 0 || f->evicted || f->dropped);
		f->version = 0;
	} else {
		MUST(f->version != 0);
		entry_read(st, *slot, &e);
		MUST(e.value_len == f->length && load32(e.value) == k &&
		     load32(e.value + 4) == f->version && (e.expiry != 0) == f->expires);
	}
	f->named = f->evicted = f->dropped = false;
}

static void check_all(kv_store *st)
{
	for (uint32_t k = 0; k < KEYS; k++)
		check_key(st, k);
	verify_store(st);
}

static uint32_t draw_length(unsigned shape)
{
	uint64_t kind = draw(1000);

	if (shape == 0)
		return 40;
	return 8 + (uint32_t)(kind < 700 ? draw(100) : kind < 950 ? draw(2000)
			      : kind < 997 ? draw(30000) : draw(LONGEST - 8));
}

/* One batch: sets, some gets and deletes, of keys that it names once each. */
static void random_batch(kv_store *st, unsigned shape, bool only_volatile)
{
	static struct kv_op ops[BATCH];
	static uint32_t keys[BATCH];
	static char values[BATCH][16];
	static uint32_t version;
	uint64_t n = 0;

	for (unsigned i = 0; i < BATCH; i++) {
		uint32_t k = (uint32_t)(draw(2) ? draw(KEYS) : draw(KEYS / 20));
		struct fact *f = &facts[k];
		uint64_t kind = draw(10);

		if (f->named)
			continue;
		f->named = true;
		keys[n] = k;
		ops[n] = on(kind < 5 ? KV_SET : kind < 9 ? KV_GET : KV_DELETE, &keys[n]);
		if (ops[n].code == KV_SET) {
			uint32_t length = draw_length(shape);

			ops[n].value_len = length;
			ops[n].expiry = draw(3) == 0 ? now + 1000000 + (int64_t)draw(1000000) : 0;
			ops[n].tag = ++version;
			ops[n].value = values[n];
			if (length > sizeof values[n]) {
				char *v = malloc(length);

				MUST(v != NULL);
				memcpy(v, value, length);
				ops[n].value = v;
			}
			memcpy((char *)(uintptr_t)ops[n].value, &k, 4);
			memcpy((char *)(uintptr_t)ops[n].value + 4, &version, 4);
		}
		n++;
	}
	exec(st, ops, n, only_volatile && false);
	for (uint64_t i = 0; i < n; i++) {
		struct fact *f = &facts[keys[i]];

		if (ops[i].code == KV_SET) {
			MUST(ops[i].status == KV_OK || ops[i].status == KV_NO_MEMORY);
			refused += ops[i].status != KV_OK;
			if (ops[i].status == KV_OK) {
				f->version = ops[i].tag;
				f->length = (uint32_t)ops[i].value_len;
				f->expires = ops[i].expiry != 0;
			}
			if (ops[i].value != values[i])
				free((void *)(uintptr_t)ops[i].value);
		} else if (ops[i].code == KV_DELETE) {
			MUST(ops[i].status == KV_OK ? f->version != 0 : f->version == 0 || f->evicted);
			f->dropped = true;
		} else {
			hits += ops[i].status == KV_OK;
			if (ops[i].pin != 0)
				hash_release(st, &ops[i].pin, 1);
		}
	}
	sink_free();
}

static void maintain(kv_store *st, uint64_t budget)
{
	struct kv_sink sink = {NULL, NULL, more, NULL};
	struct kv_events events = {.sink = &sink};
	struct kv_maintain m = {.size = sizeof m, .budget = budget, .now = now, .events = &events};

	MUST(hash_maintain(st, &m) == KV_OK && m.used < budget + 40000);
	note_events(&events, false);
	sink_free();
}

static void settle_by(kv_store *st, uint64_t budget)
{
	struct kv_maintain m = {.size = sizeof m, .budget = budget, .now = now, .more = 1};

	for (unsigned i = 0; m.more; i++) {
		struct kv_sink sink = {NULL, NULL, more, NULL};
		struct kv_events events = {.sink = &sink};

		m.events = &events;
		MUST(hash_maintain(st, &m) == KV_OK && i < 1000000);
		note_events(&events, false);
		sink_free();
	}
}

static void settle(kv_store *st)
{
	settle_by(st, 5000);
}

static const struct {
	const char *name;
	uint32_t policy;
	uint32_t flags;
} policies[] = {
	{"use", KV_EVICT_USE, 0},
	{"use, volatile", KV_EVICT_USE, KV_LIMIT_VOLATILE},
	{"random", KV_EVICT_RANDOM, 0},
	{"random, volatile", KV_EVICT_RANDOM, KV_LIMIT_VOLATILE},
	{"soonest", KV_EVICT_SOONEST, KV_LIMIT_VOLATILE},
};
#define POLICIES (sizeof policies / sizeof policies[0])

/* Random work under each policy; the limit holds, and nothing goes unsaid. */
static void random_work(unsigned p, unsigned shape, uint64_t batches, uint64_t bytes)
{
	kv_store *st = store_open();

	evicted = refused = hits = 0;
	MUST(limit(st, bytes, policies[p].policy, policies[p].flags) == KV_OK);
	for (uint64_t i = 0; i < batches; i++) {
		random_batch(st, shape, policies[p].flags != 0);
		if (i % 10 == 0)
			maintain(st, 1 + draw(3000));
		if (i % 200 == 199)
			check_all(st);
		else
			for (uint32_t k = 0; k < KEYS; k++)
				if (facts[k].named || facts[k].evicted)
					check_key(st, k);
	}
	check_all(st);
	printf("evict: %s, %s: %llu evicted, %llu refused, %llu hits, payload %llu of %llu held\n",
	       policies[p].name, shape == 0 ? "equal" : "mixed", (unsigned long long)evicted,
	       (unsigned long long)refused, (unsigned long long)hits,
	       (unsigned long long)st->h->payload, (unsigned long long)st->h->committed);
	MUST(evicted != 0 || batches < 400);
	if (!policies[p].flags)
		MUST(refused == 0 && st->h->payload > bytes / 3);
	hash_close(st, 0);
}

/* Changing limits and policies all the time harms nothing. */
static void changes(void)
{
	kv_store *st = store_open();

	for (unsigned i = 0; i < 300; i++) {
		unsigned p = (unsigned)draw(POLICIES + 1);
		uint64_t bytes = draw(4) == 0 ? 0 : (2 + draw(20)) * MIB;

		if (p == POLICIES)
			MUST(limit(st, bytes, KV_KEEP_ALL, 0) == KV_OK);
		else
			MUST(limit(st, bytes, policies[p].policy, policies[p].flags) == KV_OK);
		for (unsigned j = 0; j < 6; j++) {
			static struct kv_op none;
			uint64_t max = st->h->max_memory;

			st->h->max_memory = max;
			if (max != 0 && st->h->committed > max) {
				exec(st, &none, 0, false);
				maintain(st, 4000);
				check_all(st);
				if (st->h->committed > max)
					continue;
			}
			random_batch(st, 1, false);
			for (uint32_t k = 0; k < KEYS; k++)
				check_key(st, k);
		}
		maintain(st, 2000);
		check_all(st);
	}
	hash_close(st, 0);
}

static int set(kv_store *st, uint32_t k, uint32_t length, int64_t expiry)
{
	struct kv_op op = on(KV_SET, &k);

	fill(k, 1);
	op.value = value;
	op.value_len = length;
	op.expiry = expiry;
	exec(st, &op, 1, false);
	sink_free();
	return op.status;
}

static int get(kv_store *st, uint32_t k)
{
	struct kv_op op = on(KV_GET, &k);

	exec(st, &op, 1, false);
	sink_free();
	return op.status;
}

/* The same question, which is no use. */
static bool there(kv_store *st, uint32_t k)
{
	struct kv_op op = on(KV_META, &k);

	exec(st, &op, 1, false);
	sink_free();
	return op.status == KV_OK;
}

/* What is used all the time survives a scan over ten times as many keys as fit. */
static void scan_resists(void)
{
	kv_store *st = store_open();
	unsigned kept = 0;

	MUST(limit(st, 4 * MIB, KV_EVICT_USE, 0) == KV_OK);
	for (unsigned round = 0; round < 3; round++)
		for (uint32_t k = 1; k <= 2000; k++)
			if (get(st, k) != KV_OK)
				MUST(set(st, k, 400, 0) == KV_OK);
	for (uint32_t k = 3000; k < KEYS; k++) {
		MUST(set(st, k, 400, 0) == KV_OK);
		if (k % 4 == 0)
			(void)get(st, 1 + k / 4 % 2000);
	}
	for (uint32_t k = 1; k <= 2000; k++)
		kept += get(st, k) == KV_OK;
	printf("evict: %u of 2000 used keys are there after a scan\n", kept);
	MUST(kept > 1900);
	hash_close(st, 0);
}

/* Those that expire soonest go first, more or less. */
static void soonest_first(void)
{
	kv_store *st = store_open();
	unsigned early = 0, late = 0;

	MUST(limit(st, 8 * MIB, KV_EVICT_SOONEST, KV_LIMIT_VOLATILE) == KV_OK);
	for (uint32_t k = 0; k < 30000; k++)
		MUST(set(st, k, 400, now + 1000000 + (int64_t)(k * 7919 % 30000) * 1000) == KV_OK);
	for (uint32_t k = 0; k < 30000; k++) {
		bool there = get(st, k) == KV_OK;

		early += there && k * 7919 % 30000 < 8000;
		late += there && k * 7919 % 30000 >= 22000;
	}
	printf("evict: of 8000 each, %u that expire early are left, %u that expire late\n", early, late);
	MUST(late > 7900 && early < 400);
	hash_close(st, 0);
}

/* A pinned value stays as it is; a value of most of the limit finds room. */
static void long_values(void)
{
	static char big[16 * MIB];
	kv_store *st = store_open();
	uint32_t key = 1, other = 2;
	struct kv_op op = on(KV_SET, &key);

	memset(big, 'b', sizeof big);
	MUST(limit(st, 16 * MIB, KV_EVICT_USE, 0) == KV_OK);
	op.value = big;
	op.value_len = 3 * MIB;
	exec(st, &op, 1, false);
	MUST(op.status == KV_OK);
	op = on(KV_GET, &key);
	exec(st, &op, 1, false);
	MUST(op.status == KV_OK && op.pin != 0);
	for (uint32_t k = 10; k < KEYS; k++)
		MUST(set(st, k, 500, 0) == KV_OK);
	struct kv_op huge = on(KV_SET, &other);
	uint64_t before = st->h->entries;

	huge.value = big;
	huge.value_len = 15 * MIB + 512 * KIB;
	exec(st, &huge, 1, false);
	MUST(huge.status == KV_NO_MEMORY && st->h->entries + 2000 > before);
	MUST(get(st, key) == KV_OK && ((const char *)op.value)[100] == 'b');
	verify_store(st);
	struct kv_op second = on(KV_SET, &other);

	second.value = big;
	second.value_len = 6 * MIB;
	exec(st, &second, 1, false);
	MUST(second.status == KV_OK);
	verify_store(st);
	hash_release(st, &op.pin, 1);
	for (int i = 0; i < 3; i++) { /* the pin of get() above, too */
		uint64_t pin = op.pin;

		if (st->h->pins != 0)
			hash_release(st, &pin, 1);
	}
	MUST(st->h->pins == 0);
	for (uint32_t i = 0; there(st, key); i++)
		MUST(i < 40 * KEYS && set(st, 10 + i % (KEYS - 10), 900, 0) == KV_OK);
	verify_store(st);
	sink_free();
	hash_close(st, 0);
}

/* Where nothing may go, that is said, and reads and removals go on. */
static void nothing_to_evict(void)
{
	kv_store *st = store_open();
	uint32_t k = 0;

	MUST(limit(st, 4 * MIB, KV_EVICT_USE, KV_LIMIT_VOLATILE) == KV_OK);
	while (set(st, k, 1000, 0) == KV_OK)
		MUST(++k < KEYS);
	MUST(k > 3000 && get(st, 0) == KV_OK && st->h->entries == k);
	MUST(limit(st, 4 * MIB, KV_EVICT_USE, 0) == KV_OK);
	MUST(set(st, k, 1000, 0) == KV_OK);
	MUST(limit(st, 0, 77, 0) == KV_UNSUPPORTED && limit(st, 0, KV_EVICT_SOONEST, 0) == KV_UNSUPPORTED);
	MUST(limit(st, 0, KV_EVICT_USE, 8) == KV_UNSUPPORTED);
	verify_store(st);
	hash_close(st, 0);
}

/* A lowered limit is reached by housekeeping alone; a lifted one costs no key. */
static void lowered(void)
{
	kv_store *st = store_open();
	uint64_t left;

	for (uint32_t k = 0; k < KEYS; k++)
		MUST(set(st, k, 200 + k % 300, 0) == KV_OK);
	MUST(limit(st, 6 * MIB, KV_EVICT_USE, 0) == KV_OK);
	settle(st);
	verify_store(st);
	printf("evict: under 6 MiB: payload %llu, used %llu, held %llu, gaps %llu\n",
	       (unsigned long long)st->h->payload, (unsigned long long)st->h->used,
	       (unsigned long long)st->h->committed, (unsigned long long)st->h->free_granules * GRANULE);
	MUST(st->h->committed <= 6 * MIB && st->h->payload > 4 * MIB);
	left = st->h->entries;
	MUST(limit(st, 0, KV_EVICT_USE, 0) == KV_OK);
	for (uint32_t k = 0; k < KEYS; k++)
		(void)set(st, k, 100, 0);
	settle(st);
	MUST(st->h->entries == KEYS && left < KEYS);
	verify_store(st);
	hash_close(st, 0);
}

/* Gaps that no entry fits into do not keep a lowered limit from being reached, however
 * little is done at a time; not much more goes than has to. */
static void lowered_over_gaps(uint32_t policy, uint32_t flags, uint64_t budget)
{
	kv_store *st = store_open();

	for (uint32_t k = 0; k < 6000; k++)
		MUST(set(st, k, k % 2 == 0 ? 950 : 850, now + 1000000 + k) == KV_OK);
	for (uint32_t k = 1; k < 6000; k += 2) {
		struct kv_op op = on(KV_DELETE, &k);

		exec(st, &op, 1, false);
	}
	sink_free();
	MUST(limit(st, 4 * MIB, policy, flags) == KV_OK);
	settle_by(st, budget);
	printf("evict: gaps that are too small, by %llu: used %llu, held %llu\n", (unsigned long long)budget,
	       (unsigned long long)st->h->used, (unsigned long long)st->h->committed);
	MUST(st->h->committed <= 4 * MIB && st->h->payload > 7 * MIB / 4);
	verify_store(st);
	hash_close(st, 0);
}

/* Short-lived keys that never come under the limit leave no trail in the queue. */
static void no_trail(void)
{
	kv_store *st = store_open();

	MUST(limit(st, 64 * MIB, KV_EVICT_USE, 0) == KV_OK);
	for (uint32_t i = 0; i < 400000; i++) {
		uint32_t k = i % KEYS;
		struct kv_op op = on(KV_DELETE, &k);

		MUST(set(st, k, 20, 0) == KV_OK);
		exec(st, &op, 1, false);
	}
	sink_free();
	MUST(st->h->entries == 0 && st->h->queue_length < 2000 && st->h->used < MIB);
	verify_store(st);
	hash_close(st, 0);
}

int main(int argc, char **argv)
{
	uint64_t batches = argc > 2 ? strtoull(argv[2], NULL, 10) : 600;

	setvbuf(stdout, NULL, _IOLBF, 0);
	chance = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	for (unsigned p = 0; p < POLICIES; p++) {
		random_work(p, 0, batches, 256 * KIB);
		random_work(p, 1, batches, 8 * MIB);
	}
	changes();
	scan_resists();
	soonest_first();
	long_values();
	nothing_to_evict();
	lowered();
	for (unsigned p = 0; p < POLICIES; p++)
		for (uint64_t budget = 16; budget <= 65536; budget *= 16)
			lowered_over_gaps(policies[p].policy, policies[p].flags, budget);
	no_trail();
	printf("evict: ok\n");
	return 0;
}
