/* crash_fault.c - calls of the system that fail: while it runs, at its stop, at its start */
#include "crash.h"

#include <dirent.h>
#include <errno.h>

static bool refused(int status)
{
	return status == KV_IO || status == KV_NO_SPACE || status == KV_READ_ONLY || status == KV_NO_MEMORY;
}

/* One run in which calls of one kind fail for a while. */
static void fault_run(uint64_t *recovered)
{
	static const int errors[] = {ENOSPC, EIO, EROFS, EDQUOT};
	enum fault_kind kind = 1 + (enum fault_kind)shop_draw(&chance, FAULTS - 1);
	struct host h = {0};
	uint64_t number = 0, known = 0, digest;
	int64_t now = SHOP_NOW;
	bool was_bad = false, healthy;
	int status;
	kv_store *st;

	empty_directory(live);
	power_forget();
	past->count = past->promises = 0;
	power_record();
	st = shop_open(live, true, chance, &status);
	FAIL_IF(st == NULL);
	remember(st);
	fault_set(kind, shop_draw(&chance, 40), 1 + shop_draw(&chance, 6), errors[shop_draw(&chance, 4)]);
	for (uint64_t t = 0; t < 150; t++) {
		uint64_t before = past->state[past->count - 1];
		unsigned run;
		int rc = shop_op(st, &chance, number++, &run);

		FAIL_IF(rc != KV_OK && !refused(rc));
		remember(st);
		FAIL_IF(rc != KV_OK && run == 1 && past->state[past->count - 1] != before); /* refused is not done */
		keep_house(st, now += 300, 1 + shop_draw(&chance, 30));
		rc = commit(&h, st, true);
		FAIL_IF(rc != KV_OK && !refused(rc));
		if (h.running && shop_draw(&chance, 2) == 0)
			end_sync(&h, kind == FAULT_SYNC && shop_draw(&chance, 20) == 0 ? EIO : 0);
		healthy = st->disk->status == KV_OK && h.error == 0;
		known = healthy && rc == KV_OK ? past->count - 1 : known;
		*recovered += healthy && was_bad;
		was_bad = !healthy;
		if (shop_draw(&chance, 60) == 0) { /* a kill, here */
			kv_store *copy;

			fault_set(FAULT_NONE, 0, 0, 0);
			copy_directory(live, rebuilt);
			power_stop();
			copy = shop_open(rebuilt, false, chance, &status);
			if (copy == NULL)
				fprintf(stderr, "crash: fault %d, tick %llu: %s\n", kind, (unsigned long long)t, shop_error);
			FAIL_IF(copy == NULL);
			FAIL_IF(state_of(shop_digest(copy), healthy ? known : 0, past->count - 1) < 0);
			shop_close(copy);
			power_record();
		}
	}
	fault_set(FAULT_NONE, 0, 0, 0);
	for (int i = 0; i < 500 && (st->disk->status != KV_OK || h.running || h.error != 0); i++) {
		keep_house(st, now += 300, 100);
		commit(&h, st, false);
		if (h.running)
			end_sync(&h, 0);
	}
	FAIL_IF(st->disk->status != KV_OK);
	FAIL_IF(shop_op(st, &chance, number, &(unsigned){0}) != KV_OK); /* it takes writes again */
	FAIL_IF(commit(&h, st, false) != KV_OK);
	digest = shop_digest(st);
	if (h.running)
		end_sync(&h, 0);
	for (int i = 0; i < 2; i++) { /* a stop in which calls fail, then a whole one */
		if (i == 0)
			fault_set(1 + (enum fault_kind)shop_draw(&chance, FAULTS - 1), shop_draw(&chance, 12), 1,
				  errors[shop_draw(&chance, 4)]);
		else
			power_stop();
		shop_close(st);
		fault_set(FAULT_NONE, 0, 0, 0);
		st = shop_open(live, false, chance, &status);
		if (st == NULL)
			fprintf(stderr, "crash: fault %d: %s\n", kind, shop_error);
		FAIL_IF(st == NULL || shop_digest(st) != digest);
	}
	shop_close(st);
}

/* Calls that fail while a store is opened: it says so, or it does not matter. */
static void fault_opening(void)
{
	int status;
	kv_store *st;
	uint64_t digest;

	power_stop();
	image_later = image_threads = 0;
	image_map_least = PAGE;
	st = shop_open(live, false, 1, &status);
	FAIL_IF(st == NULL);
	digest = shop_digest(st);
	shop_close(st);
	for (int kind = 1; kind < FAULTS; kind++) {
		for (uint64_t n = 0; n < 12; n++) {
			copy_directory(live, rebuilt);
			power_forget();
			power_record();
			fault_set((enum fault_kind)kind, n, 1, EIO);
			st = shop_open(rebuilt, false, 1, &status);
			fault_set(FAULT_NONE, 0, 0, 0);
			power_stop();
			FAIL_IF(st == NULL && shop_error[0] == '\0');
			if (st != NULL) {
				images += st->disk->image;
				FAIL_IF(shop_digest(st) != digest);
				shop_close(st);
			}
		}
	}
}

static unsigned files_in(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;

	FAIL_IF(dir == NULL);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

/* While the disk refuses one call of each snapshot, attempts leave no file each and do not follow each
 * other faster than they should; then writes are taken again. */
static void fault_lasting(enum fault_kind kind, uint64_t n)
{
	struct host h = {0};
	int64_t now = SHOP_NOW;
	int status;
	uint64_t before = fault_hits();
	kv_store *st;

	empty_directory(live);
	power_forget();
	power_record();
	st = shop_open(live, true, chance, &status);
	FAIL_IF(st == NULL);
	for (uint64_t i = 0; i < 30; i++)
		FAIL_IF(shop_op(st, &chance, i, &(unsigned){0}) != KV_OK);
	FAIL_IF(commit(&h, st, false) != KV_OK || !h.running);
	end_sync(&h, EIO);
	commit(&h, st, false);
	FAIL_IF(st->disk->status == KV_OK);
	for (uint64_t i = 0; i < 1000; i++) {
		fault_set(kind, n, 1, ENOSPC);
		keep_house(st, now += 100, 100000);
		commit(&h, st, false);
		if (h.running)
			end_sync(&h, 0);
		FAIL_IF(st->disk->status == KV_OK);
	}
	fault_set(FAULT_NONE, 0, 0, 0);
	FAIL_IF(files_in(live) > 8); /* . and .. too */
	FAIL_IF(fault_hits() - before < 50 || fault_hits() - before > 110); /* in 100 seconds */
	now -= 86400000; /* a clock that is set back keeps nobody waiting */
	for (int i = 0; i < 100 && st->disk->status != KV_OK; i++) {
		keep_house(st, now += 100, 100000);
		commit(&h, st, false);
		if (h.running)
			end_sync(&h, 0);
	}
	FAIL_IF(st->disk->status != KV_OK || shop_op(st, &chance, 99, &(unsigned){0}) != KV_OK);
	shop_close(st);
	power_stop();
}

static int put(kv_store *st, unsigned k)
{
	static char memory[1 << 16], value[1000];
	struct kv_sink sink = {.next = memory, .end = memory + sizeof memory};
	struct kv_events events = {.sink = &sink};
	char key[32];
	struct kv_op op = {.code = KV_SET, .key = key, .value = value, .value_len = sizeof value};
	struct kv_batch batch = {.size = sizeof batch, .op_size = sizeof op, .count = 1, .ops = &op,
				 .now = SHOP_NOW, .reply = &sink, .events = &events};

	op.key_len = (uint64_t)snprintf(key, sizeof key, "entry-%u", k);
	FAIL_IF(hash_exec(st, &batch) != KV_OK);
	return op.status;
}

/* On a full disk nobody is evicted, since that could not be noted and would fail the log; when
 * there is room again it is made up for without a write. */
static void full_while_it_evicts(void)
{
	struct kv_limit limit = {.size = sizeof limit, .policy = KV_EVICT_USE, .max_memory = 16 * MIB};
	struct host h = {0};
	int64_t now = SHOP_NOW;
	unsigned k = 0;
	int status;
	kv_store *st;

	empty_directory(live);
	power_forget();
	power_record();
	disk_base_least = GIB;
	st = shop_open(live, true, chance, &status);
	FAIL_IF(st == NULL || hash_limit(st, &limit) != KV_OK);
	for (; k < 20000; k++) /* evicts in the end */
		FAIL_IF(put(st, k) != KV_OK || (k % 50 == 0 && commit(&h, st, false) != KV_OK));
	fault_set(FAULT_RESERVE, 0, UINT64_MAX, ENOSPC);
	while (put(st, k) == KV_OK)
		FAIL_IF(++k == 60000 || (k % 50 == 0 && commit(&h, st, false) != KV_OK));
	limit.max_memory = 8 * MIB;
	FAIL_IF(hash_limit(st, &limit) != KV_OK);
	for (int i = 0; i < 200; i++) {
		struct kv_maintain m = {.size = sizeof m, .budget = 1000, .now = now};

		FAIL_IF(hash_maintain(st, &m) != KV_OK || commit(&h, st, false) != KV_OK);
		FAIL_IF(m.next == 0 || st->disk->log.size > st->disk->reserved);
		now = m.next;
	}
	FAIL_IF(st->disk->status != KV_OK || st->h->committed <= limit.max_memory);
	FAIL_IF(now < SHOP_NOW + 100000); /* it is not asked all the time */
	fault_set(FAULT_NONE, 0, 0, 0);
	while (now != 0) {
		struct kv_maintain m = {.size = sizeof m, .budget = 1000, .now = now};

		FAIL_IF(hash_maintain(st, &m) != KV_OK || commit(&h, st, false) != KV_OK);
		now = m.next;
	}
	FAIL_IF(st->h->committed > limit.max_memory || put(st, k) != KV_OK);
	shop_close(st);
	power_stop();
}

int fault(uint64_t seed, uint64_t runs)
{
	uint64_t recovered = 0, hits;

	chance = seed;
	fault_lasting(FAULT_WRITE, 1);
	fault_lasting(FAULT_RENAME, 0);
	full_while_it_evicts();
	for (uint64_t i = 0; i < runs; i++) {
		chance = seed * 104729 + i;
		disk_base_least = 60000;
		choose_ways();
		fault_run(&recovered);
		if (i % 20 == 0)
			fault_opening();
	}
	hits = fault_hits();
	printf("crash: %llu calls failed in %llu runs; %llu times writes were refused and taken again\n",
	       (unsigned long long)hits, (unsigned long long)runs, (unsigned long long)recovered);
	FAIL_IF(hits == 0 || images == 0);
	return 0;
}
