/* crash_clock.c - what has expired does not come back, though the clock is set back between starts */
#include "crash.h"
#include "verify.h"

#define LASTS 1000        /* ms that the keys that expire have */
#define STAYS 10000000    /* and those that do not */
#define BACK 3600000      /* how far the clock is behind at the next start */
#define CLOCK_KEYS 40u

static char memory[1 << 16];

/* One operation on key `k` of those that expire ("gone") or stay ("here") at a time. */
static int at(kv_store *st, int64_t now, uint32_t code, const char *kind, unsigned k, int64_t *expiry)
{
	struct kv_sink sink = {.next = memory, .end = memory + sizeof memory};
	struct kv_events events = {.sink = &sink};
	char key[32];
	struct kv_op op = {.code = code, .key = key, .value = "value", .value_len = 5, .length = UINT64_MAX};
	struct kv_batch batch = {.size = sizeof batch, .op_size = sizeof op, .count = 1, .ops = &op,
				 .now = now, .reply = &sink, .events = &events};

	op.key_len = (uint64_t)snprintf(key, sizeof key, "%s-%u", kind, k);
	if (code == KV_SET)
		op.expiry = *expiry;
	FAIL_IF(hash_exec(st, &batch) != KV_OK);
	if (code == KV_GET && op.status == KV_OK)
		*expiry = op.expiry;
	return op.status;
}

static kv_store *open_at(const char *dir, bool fresh, int64_t now)
{
	struct kv_open open = {.size = sizeof open, .flags = fresh ? KV_OPEN_NEW : 0, .state_dir = dir, .now = now,
			       .seed = chance, .error = shop_error, .error_size = sizeof shop_error};
	kv_store *st = NULL;

	FAIL_IF(hash_open(&open, &st) != KV_OK);
	return st;
}

/* Every key is as it was, with the clock set back. */
static void look_back(kv_store *st, int64_t now)
{
	for (unsigned k = 0; k < CLOCK_KEYS; k++) {
		int64_t expiry = 0;

		FAIL_IF(at(st, now, KV_GET, "gone", k, &expiry) != KV_NOT_FOUND);
		FAIL_IF(at(st, now, KV_GET, "here", k, &expiry) != KV_OK || expiry != SHOP_NOW + STAYS + k);
	}
}

static int persist(void *arg, const struct kv_entry *entry, struct kv_change *change)
{
	(void)arg;
	change->expiry = 0;
	return entry->present ? KV_RETAG : KV_KEEP;
}

/* A key whose time has just passed is in a snapshot: where the clock is then set back, it can be
 * made to stay, and does. */
static void walked_over(void)
{
	struct kv_op op = {.code = KV_UPDATE, .key = "gone-0", .key_len = 6, .update = persist};
	struct kv_batch batch = {.size = sizeof batch, .op_size = sizeof op, .count = 1, .ops = &op, .now = SHOP_NOW};
	struct host h = {.save = true};
	kv_store *st;

	empty_directory(live);
	st = open_at(live, true, SHOP_NOW);
	FAIL_IF(at(st, SHOP_NOW, KV_SET, "gone", 0, &(int64_t){SHOP_NOW + LASTS}) != KV_OK);
	for (int i = 0; st->disk->oldest == 1; i++) {
		FAIL_IF(i == 100 || commit(&h, st, false) != KV_OK);
		if (h.running)
			end_sync(&h, 0);
		keep_house(st, SHOP_NOW + LASTS + 1, 1000);
	}
	FAIL_IF(hash_exec(st, &batch) != KV_OK || op.status != KV_OK);
	FAIL_IF(commit(&h, st, false) != KV_OK);
	copy_directory(live, rebuilt); /* a kill, here */
	shop_close(st);
	st = open_at(rebuilt, false, SHOP_NOW + 2 * LASTS);
	FAIL_IF(at(st, SHOP_NOW + 2 * LASTS, KV_GET, "gone", 0, &(int64_t){0}) != KV_OK);
	shop_close(st);
}

/* A store that was made while the clock was ahead gives memory back in time all the same. */
static void made_ahead(void)
{
	kv_store *st;

	empty_directory(live);
	st = open_at(live, true, SHOP_NOW + BACK);
	for (unsigned k = 0; k < CLOCK_KEYS; k++)
		FAIL_IF(at(st, SHOP_NOW, KV_SET, "gone", k, &(int64_t){SHOP_NOW + LASTS}) != KV_OK);
	FAIL_IF(st->h->due > SHOP_NOW + 2 * LASTS);
	for (int i = 0; i < 100; i++)
		keep_house(st, SHOP_NOW + 2 * LASTS, 1000);
	FAIL_IF(st->h->entries != 0);
	shop_close(st);
}

/* One that was made when the clock knew nothing of the year comes to an end with its housekeeping. */
static void made_behind(void)
{
	struct kv_maintain m = {.size = sizeof m, .budget = 1000, .more = 1};
	kv_store *st;

	empty_directory(live);
	st = open_at(live, true, 1000);
	for (unsigned k = 0; k < CLOCK_KEYS; k++) {
		FAIL_IF(at(st, SHOP_NOW, KV_SET, "gone", k, &(int64_t){SHOP_NOW + LASTS}) != KV_OK);
		FAIL_IF(at(st, SHOP_NOW, KV_SET, "here", k, &(int64_t){SHOP_NOW + STAYS + k}) != KV_OK);
	}
	for (int64_t now = SHOP_NOW; now <= SHOP_NOW + 2 * LASTS; now += 2 * LASTS) {
		m.more = 1;
		for (int i = 0; m.more; i++) {
			m.now = now;
			FAIL_IF(i == 100 || hash_maintain(st, &m) != KV_OK);
		}
		FAIL_IF(m.next <= now);
	}
	FAIL_IF(st->h->entries != CLOCK_KEYS || st->h->check != header_check(st->h));
	verify_store(st);
	shop_close(st);
}

int clock_back(uint64_t seed)
{
	struct host h = {0};
	kv_store *st;

	chance = seed;
	made_ahead();
	made_behind();
	walked_over();
	empty_directory(live);
	st = open_at(live, true, SHOP_NOW);
	for (unsigned k = 0; k < CLOCK_KEYS; k++) {
		FAIL_IF(at(st, SHOP_NOW, KV_SET, "gone", k, &(int64_t){SHOP_NOW + LASTS}) != KV_OK);
		FAIL_IF(at(st, SHOP_NOW, KV_SET, "here", k, &(int64_t){SHOP_NOW + STAYS + k}) != KV_OK);
	}
	FAIL_IF(commit(&h, st, false) != KV_OK);
	for (unsigned k = 0; k < CLOCK_KEYS / 2; k++) /* half are found to be gone, the others swept */
		FAIL_IF(at(st, SHOP_NOW + 2 * LASTS, KV_GET, "gone", k, &(int64_t){0}) != KV_NOT_FOUND);
	for (int i = 0; i < 100; i++)
		keep_house(st, SHOP_NOW + 2 * LASTS, 1000);
	FAIL_IF(commit(&h, st, false) != KV_OK);
	copy_directory(live, rebuilt); /* a kill, here */
	shop_close(st);
	for (int stop = 0; stop < 2; stop++) { /* and after a clean stop */
		st = open_at(stop ? live : rebuilt, false, SHOP_NOW - BACK);
		look_back(st, SHOP_NOW - BACK);
		shop_close(st);
	}
	printf("crash: %u keys had expired, and did not come back with a clock that was set back\n", CLOCK_KEYS);
	return 0;
}
