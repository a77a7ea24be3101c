/*
 * big.c - what only shows with many keys, many spaces or long values
 *
 * Linked with the engine directly.  Ends with a sentence at the first thing wrong.
 */
#include "verify.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define MUST(cond)                                                                \
	do {                                                                      \
		if (!(cond)) {                                                    \
			fprintf(stderr, "big: %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                  \
		}                                                                 \
	} while (0)

#define MANY 400000u
#define NOW 1700000000000

static char room[1 << 20];

static int no_more(struct kv_sink *sink, uint64_t need)
{
	(void)sink;
	(void)need;
	return KV_NO_MEMORY;
}

static kv_store *store_open(void)
{
	char error[256] = "";
	struct kv_open open = {.size = sizeof open, .now = NOW, .seed = 42, .error = error,
			       .error_size = sizeof error};
	kv_store *st = NULL;

	MUST(hash_open(&open, &st) == KV_OK);
	return st;
}

static struct kv_op one(kv_store *st, struct kv_op op)
{
	struct kv_sink sink = {room, room + sizeof room, no_more, NULL};
	struct kv_events events = {.sink = &sink};
	struct kv_batch batch = {.size = sizeof batch, .op_size = sizeof op, .count = 1, .ops = &op,
				 .now = NOW, .reply = &sink, .events = &events};

	op.length = UINT64_MAX;
	MUST(hash_exec(st, &batch) == KV_OK);
	return op;
}

static struct kv_op on(uint16_t code, uint32_t space, const void *key, uint64_t len)
{
	return (struct kv_op){.code = code, .space = space, .key = key, .key_len = len};
}

static void set(kv_store *st, uint32_t space, uint32_t k, uint64_t len, int64_t expiry)
{
	static char value[2000];
	struct kv_op op = on(KV_SET, space, &k, sizeof k);

	op.value = value;
	op.value_len = len;
	op.expiry = expiry;
	MUST(one(st, op).status == KV_OK);
}

static int drop(kv_store *st, uint32_t space, uint32_t k)
{
	return one(st, on(KV_DELETE, space, &k, sizeof k)).status;
}

/* Housekeeping at a time until nothing is left; events removed. */
static uint64_t settle(kv_store *st, int64_t now)
{
	struct kv_maintain m = {.size = sizeof m, .now = now, .more = 1};
	uint64_t removed = 0;

	while (m.more) {
		struct kv_sink sink = {room, room + sizeof room, no_more, NULL};
		struct kv_events events = {.sink = &sink};

		m.budget = 1000;
		m.events = &events;
		MUST(hash_maintain(st, &m) == KV_OK);
		removed += events.count;
	}
	return removed;
}

/* Until free memory of long values was not needed for long enough. */
static void wait_long(kv_store *st)
{
	for (int64_t now = NOW; now <= NOW + 2000; now += 1000)
		settle(st, now);
}

static uint64_t scan_all(kv_store *st, uint32_t space, uint64_t budget)
{
	struct kv_scan scan = {.size = sizeof scan, .space = space, .budget = budget, .now = NOW};
	uint64_t n = 0;

	do {
		struct kv_sink sink = {room, room + sizeof room, no_more, NULL};

		scan.sink = &sink;
		MUST(hash_scan(st, &scan) == KV_OK);
		n += scan.count;
	} while (scan.cursor != 0);
	return n;
}

/* A table over many chunks grows, is walked, loses nearly all, and goes. */
static void many_keys(void)
{
	kv_store *st = store_open();

	for (uint32_t k = 0; k < MANY; k++)
		set(st, 0, k, k % 50, k % 4 == 0 ? NOW + 1000 + k % 5000 : 0);
	verify_store(st);
	MUST(st->h->entries == MANY && scan_all(st, 0, 500) == MANY);
	MUST(settle(st, NOW + 500) == 0);
	MUST(settle(st, NOW + 7000) == MANY / 4);
	verify_store(st);
	for (uint32_t k = 0; k < MANY; k++)
		MUST(drop(st, 0, k) == (k % 4 == 0 ? KV_NOT_FOUND : KV_OK));
	verify_store(st);
	settle(st, NOW);
	MUST(st->h->entries == 0 && st->h->committed < 3 * MIB);
	hash_close(st, 0);
}

/* Of a store that lost most of its entries here and there, most memory comes back. */
static void sparse(void)
{
	kv_store *st = store_open();
	uint64_t held;

	for (uint32_t k = 0; k < MANY; k++)
		set(st, k % 2, k, 40 + k % 30, 0);
	held = st->h->committed;
	for (uint32_t k = 0; k < MANY; k++) {
		if (k * 2654435761u >> 29 != 0)
			MUST(drop(st, k % 2, k) == KV_OK);
	}
	for (int i = 0; i < 40; i++) {
		struct kv_maintain m = {.size = sizeof m, .now = NOW, .budget = 3000};

		MUST(hash_maintain(st, &m) == KV_OK && m.used < 6000);
		verify_store(st);
		set(st, 0, (uint32_t)i, 70, 0);
	}
	settle(st, NOW);
	verify_store(st);
	MUST(st->h->committed < held / 3);
	for (uint32_t k = 40; k < MANY; k++)
		MUST(drop(st, k % 2, k) == (k * 2654435761u >> 29 != 0 ? KV_NOT_FOUND : KV_OK));
	hash_close(st, 0);
}

/* Clearing takes no time and gives the memory back bit by bit. */
static void clear_space(void)
{
	kv_store *st = store_open();
	uint64_t held;

	for (uint32_t k = 0; k < MANY; k++)
		set(st, 3, k, 40, 0);
	held = st->h->committed;
	MUST(one(st, on(KV_CLEAR, 3, "", 0)).status == KV_OK);
	MUST(st->h->entries == 0 && scan_all(st, 3, 10) == 0);
	set(st, 3, 7, 40, 0);
	MUST(scan_all(st, 3, 10) == 1);
	settle(st, NOW);
	verify_store(st);
	MUST(st->h->committed < held / 8);
	hash_close(st, 0);
}

/* Spaces by the thousand, in any order of numbers. */
static void many_spaces(void)
{
	kv_store *st = store_open();
	struct kv_stat s = {.size = sizeof s, .space = KV_SPACE_ALL};
	uint32_t n = 20000;

	for (uint32_t i = 0; i < n; i++)
		set(st, i * 2654435761u >> 1, 1, 10, 0);
	verify_store(st);
	hash_stat(st, &s);
	MUST(s.entries == n);
	for (uint32_t i = 0; i < n; i++)
		MUST(one(st, on(KV_CLEAR, i * 2654435761u >> 1, "", 0)).status == KV_OK);
	settle(st, NOW);
	verify_store(st);
	hash_stat(st, &s);
	MUST(s.entries == 0 && s.next_space == KV_SPACE_ALL && st->h->used < 128 * KIB);
	hash_close(st, 0);
}

static int append_byte(void *arg, const struct kv_entry *entry, struct kv_change *change)
{
	change->value = arg;
	change->value_len = entry->value_len + 1;
	change->patch_offset = entry->value_len;
	change->patch_len = 1;
	return KV_PATCH;
}

/* A value that grows byte by byte is copied only now and then. */
static void append(void)
{
	kv_store *st = store_open();
	uint64_t moved = 0;
	const void *place = NULL;
	uint32_t n = 300000;

	for (uint32_t i = 0; i < n; i++) {
		struct kv_op op = on(KV_UPDATE, 0, "grows", 5);
		const uint64_t *slot;
		struct entry e;

		op.update = append_byte;
		op.arg = (char *)"abcdefgh" + i % 8;
		MUST(one(st, op).status == KV_OK);
		slot = index_find(st, space_find(st, 0), hash_key(st->h->seed, "grows", 5), "grows", 5);
		MUST(slot != NULL);
		entry_read(st, *slot, &e);
		MUST(e.value_len == i + 1u);
		moved += e.value != place;
		place = e.value;
		MUST(e.value[i] == (uint8_t)"abcdefgh"[i % 8] && e.value[0] == 'a');
	}
	MUST(moved < 60);
	verify_store(st);
	hash_close(st, 0);
}

/* Long values: pinned, replaced while pinned, memory given back. */
static void long_values(void)
{
	kv_store *st = store_open();
	uint64_t len = 64 * MIB;
	char *value = malloc(len);
	struct kv_op op = on(KV_SET, 0, "long", 4);
	struct kv_op got;

	MUST(value != NULL);
	memset(value, 'x', len);
	op.value = value;
	op.value_len = len;
	MUST(one(st, op).status == KV_OK);
	got = one(st, on(KV_GET, 0, "long", 4));
	MUST(got.status == KV_OK && got.pin != 0 && got.value_len == len);
	op.value_len = 10;
	MUST(one(st, op).status == KV_OK);
	MUST(memcmp(got.value, value, len) == 0);
	settle(st, NOW);
	MUST(st->h->committed > len && st->h->pins == 1);
	hash_release(st, &got.pin, 1);
	hash_release(st, &got.pin, 1);
	MUST(st->h->committed > len && st->h->pins == 0);
	wait_long(st);
	MUST(st->h->committed < MIB);
	verify_store(st);
	free(value);
	hash_close(st, 0);
}

static const uint8_t *place_of(kv_store *st, const char *key)
{
	uint64_t len = strlen(key);
	const uint64_t *slot = index_find(st, space_find(st, 0), hash_key(st->h->seed, key, len), key, len);
	struct entry e;

	MUST(slot != NULL);
	entry_read(st, *slot, &e);
	return e.value;
}

static struct kv_op set_value(kv_store *st, const char *key, const void *value, uint64_t len)
{
	struct kv_op op = on(KV_SET, 0, key, strlen(key));

	op.value = value;
	op.value_len = len;
	op = one(st, op);
	MUST(op.status == KV_OK);
	return op;
}

/* Sets `to` to what `from` is, as COPY does. */
static void copy_value(kv_store *st, const char *from, const char *to)
{
	struct kv_op got = one(st, on(KV_GET, 0, from, strlen(from)));

	MUST(got.status == KV_OK && got.pin != 0);
	set_value(st, to, got.value, got.value_len);
	hash_release(st, &got.pin, 1);
	verify_store(st);
}

static int append_to(kv_store *st, const char *key)
{
	struct kv_op op = on(KV_UPDATE, 0, key, strlen(key));

	op.update = append_byte;
	op.arg = (char *)"+";
	return one(st, op).status;
}

static int expire_later(void *arg, const struct kv_entry *entry, struct kv_change *change)
{
	(void)arg;
	(void)entry;
	change->expiry = NOW + 1000000;
	return KV_RETAG;
}

/* A copy of a long value is none: both are what they were whatever becomes of the other. */
static void shared_values(void)
{
	kv_store *st = store_open();
	uint64_t len = 64 * MIB - 1000; /* of which the extent has room to grow */
	char *value = malloc(len);
	const uint8_t *at;
	uint64_t held;

	MUST(value != NULL);
	memset(value, 'x', len);
	set_value(st, "a", value, len);
	at = place_of(st, "a");
	held = st->h->committed;
	copy_value(st, "a", "b");
	copy_value(st, "b", "a long name of another length");
	MUST(place_of(st, "b") == at && place_of(st, "a long name of another length") == at);
	MUST(st->h->committed < held + MIB);
	MUST(one(st, on(KV_DELETE, 0, "a", 1)).status == KV_OK);
	copy_value(st, "b", "b");
	MUST(place_of(st, "b") == at && memcmp(at, value, len) == 0);
	MUST(append_to(st, "b") == KV_OK); /* two have it */
	MUST(place_of(st, "b") != at && place_of(st, "a long name of another length") == at);
	MUST(memcmp(place_of(st, "b"), value, len) == 0 && memcmp(at, value, len) == 0);
	MUST(append_to(st, "a long name of another length") == KV_OK); /* it is the last */
	MUST(place_of(st, "a long name of another length") == at && at[len] == '+');
	verify_store(st);
	MUST(one(st, on(KV_DELETE, 0, "b", 1)).status == KV_OK);
	MUST(one(st, on(KV_DELETE, 0, "a long name of another length", 29)).status == KV_OK);
	wait_long(st);
	MUST(st->h->committed < MIB && st->h->entries == 0);
	verify_store(st);
	free(value);
	hash_close(st, 0);
}

/* What changes beside a long value, or behind it, does not copy it, whoever reads it. */
static void changed_in_place(void)
{
	kv_store *st = store_open();
	uint64_t len = 3 * MIB;
	char *value = malloc(len);
	struct kv_op got, op = on(KV_UPDATE, 0, "a", 1);
	const uint8_t *at;

	MUST(value != NULL);
	memset(value, 'x', len);
	set_value(st, "a", value, len);
	at = place_of(st, "a");
	got = one(st, on(KV_GET, 0, "a", 1));
	op.update = expire_later;
	MUST(one(st, op).status == KV_OK && append_to(st, "a") == KV_OK);
	MUST(place_of(st, "a") == at && one(st, on(KV_META, 0, "a", 1)).expiry == NOW + 1000000);
	MUST(got.value_len == len && memcmp(got.value, value, len) == 0);
	hash_release(st, &got.pin, 1);
	verify_store(st);
	free(value);
	hash_close(st, 0);
}

/* A long value that is lent, and so gives nothing back when its entry goes, keeps no other memory
 * from being given back, and nobody busy for ever. */
static void lent_under_limit(void)
{
	kv_store *st = store_open();
	struct kv_limit limit = {.size = sizeof limit, .policy = KV_EVICT_USE, .flags = KV_LIMIT_VOLATILE,
				 .max_memory = 64 * MIB};
	struct kv_maintain m = {.size = sizeof m, .budget = 256, .now = NOW, .more = 1};
	char *value = calloc(1, MIB);
	struct kv_op op = on(KV_SET, 0, "a", 1);
	unsigned rounds = 0;

	MUST(value != NULL && hash_limit(st, &limit) == KV_OK);
	for (uint32_t k = 0; k < 40000; k++)
		set(st, 1, k, 500, 0);
	op.value = value;
	op.value_len = MIB;
	op.expiry = NOW + 1000000;
	MUST(one(st, op).status == KV_OK);
	copy_value(st, "a", "b");
	limit.max_memory = 8 * MIB;
	MUST(hash_limit(st, &limit) == KV_OK);
	for (; m.more; rounds++) {
		struct kv_sink sink = {room, room + sizeof room, no_more, NULL};
		struct kv_events events = {.sink = &sink};

		m.events = &events;
		MUST(rounds < 100000 && hash_maintain(st, &m) == KV_OK);
	}
	verify_store(st);
	free(value);
	hash_close(st, 0);
}

/* Within a limit a value is lent only as long as all would have room anew, as a start needs it. */
static void lent_within_limit(void)
{
	kv_store *st = store_open();
	struct kv_limit limit = {.size = sizeof limit, .policy = KV_EVICT_USE, .max_memory = 16 * MIB};
	char *value = calloc(1, 4 * MIB), key[8];

	MUST(value != NULL && hash_limit(st, &limit) == KV_OK);
	set_value(st, "a", value, 4 * MIB);
	for (unsigned i = 0; i < 20; i++) {
		struct kv_op got = one(st, on(KV_GET, 0, "a", 1));

		snprintf(key, sizeof key, "c%u", i);
		if (got.status == KV_OK) {
			set_value(st, key, got.value, got.value_len);
			hash_release(st, &got.pin, 1);
		}
		MUST(st->h->payload <= 2 * limit.max_memory); /* lent ones, and others beside them */
	}
	verify_store(st);
	free(value);
	hash_close(st, 0);
}

/* Removals ask ahead for nothing where no short entry ever was. */
static void drop_beside_long(void)
{
	kv_store *st = store_open();
	char *value = calloc(1, MIB), key[32];
	struct kv_op op;

	MUST(value != NULL);
	set_value(st, "long", value, MIB);
	for (uint64_t i = 0; ; i++) {
		int len = snprintf(key, sizeof key, "key:%llu", (unsigned long long)i);

		if (slot_print(hash_key(st->h->seed, key, (uint64_t)len)) != 0)
			continue;
		op = one(st, on(KV_DELETE, 0, key, (uint64_t)len)); /* its print is that of an empty slot */
		MUST(op.status == KV_NOT_FOUND);
		break;
	}
	free(value);
	hash_close(st, 0);
}

static int append_half(void *arg, const struct kv_entry *entry, struct kv_change *change)
{
	change->value = arg;
	change->patch_offset = entry->value_len;
	change->patch_len = entry->value_len / 2;
	change->value_len = change->patch_offset + change->patch_len;
	return KV_PATCH;
}

/* A value that grows to the longest there is: what is copied meanwhile is short. */
static void grows_long(void)
{
	kv_store *st = store_open();
	char *more = malloc(128 * MIB);
	struct kv_op op = on(KV_UPDATE, 0, "a", 1);
	uint64_t len = 1000, copied = 0;
	const uint8_t *at;

	MUST(more != NULL);
	memset(more, 'y', 128 * MIB);
	set_value(st, "a", more, len);
	op.update = append_half;
	op.arg = more;
	while (len < 200 * MIB) {
		at = place_of(st, "a");
		MUST(one(st, op).status == KV_OK);
		copied = place_of(st, "a") != at ? len : copied; /* the last time */
		len += len / 2;
	}
	MUST(copied < 32 * MIB);
	verify_store(st);
	free(more);
	hash_close(st, 0);
}

/* Sizes that change all the time do not make the store grow without bound. */
static void mixed_sizes(void)
{
	kv_store *st = store_open();
	uint64_t chance = 9;

	for (uint32_t i = 0; i < 3 * MANY; i++) {
		uint64_t r = hash_step(&chance);
		uint64_t phase = i / (MANY / 4); /* the usual size drifts */

		set(st, 0, (uint32_t)(r % 20000), (r >> 32) % (50 + phase * 60), 0);
	}
	verify_store(st);
	printf("big: mixed sizes: payload %llu, held %llu (%.2f)\n", (unsigned long long)st->h->payload,
	       (unsigned long long)st->h->committed, (double)st->h->committed / (double)st->h->payload);
	MUST(st->h->committed < st->h->payload * 3 / 2);
	hash_close(st, 0);
}

static void limit(int what, uint64_t bytes)
{
	struct rlimit r;

	MUST(getrlimit(what, &r) == 0);
	r.rlim_cur = bytes == 0 ? r.rlim_max : bytes;
	MUST(setrlimit(what, &r) == 0);
}

/* When the system gives no more, that is said, nothing breaks, and work goes on later. */
static void system_refuses(void)
{
	static char value[1000];
	kv_store *st = store_open();
	struct kv_op op;
	uint32_t n = 0;

	signal(SIGXFSZ, SIG_IGN);
	limit(RLIMIT_FSIZE, POOL_AT + 192 * KIB); /* the index runs out first */
	do {
		op = on(KV_SET, 0, &n, sizeof n);
		op.value = value;
		op.value_len = n % 900;
		op = one(st, op);
		n++;
	} while (op.status == KV_OK);
	MUST(op.status == KV_NO_MEMORY && n > 1000);
	verify_store(st);
	MUST(scan_all(st, 0, 100) == n - 1);
	MUST(drop(st, 0, 5) == KV_OK);
	limit(RLIMIT_FSIZE, 0);
	for (uint32_t k = 0; k < 2 * n; k++)
		set(st, 0, k, k % 900, 0);
	verify_store(st);
	hash_close(st, 0);
}

#ifndef __SANITIZE_ADDRESS__ /* it needs the addresses itself */
/* Without address space there is no store, a reason, and no descriptor left open. */
static void no_addresses(void)
{
	char error[256] = "";
	struct kv_open open_args = {.size = sizeof open_args, .now = NOW, .error = error,
				    .error_size = sizeof error};
	kv_store *st = NULL;
	int before = open("/dev/null", O_RDONLY);
	int after;

	MUST(before >= 0 && close(before) == 0);
	limit(RLIMIT_AS, GIB);
	MUST(hash_open(&open_args, &st) == KV_NO_MEMORY && error[0] != 0);
	limit(RLIMIT_AS, 0);
	after = open("/dev/null", O_RDONLY);
	MUST(after == before);
	close(after);
}
#endif

int main(void)
{
	system_refuses();
#ifndef __SANITIZE_ADDRESS__
	no_addresses();
#endif
	many_keys();
	sparse();
	clear_space();
	many_spaces();
	append();
	long_values();
	shared_values();
	changed_in_place();
	grows_long();
	lent_under_limit();
	lent_within_limit();
	drop_beside_long();
	mixed_sizes();
	printf("big: ok\n");
	return 0;
}
