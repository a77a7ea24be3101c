/*
 * stage.c - memory of the store that the host fills itself, and what is made of it; how long
 * the memory of values that went is kept for others
 *
 * Linked with the engine directly.  Ends with a sentence at the first thing wrong.
 */
#include "../disk_read.h"
#include "verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MUST(cond)                                                                  \
	do {                                                                        \
		if (!(cond)) {                                                      \
			fprintf(stderr, "stage: %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                    \
		}                                                                   \
	} while (0)

#define NOW 1700000000000

static char room[1 << 20];

static int no_more(struct kv_sink *sink, uint64_t need)
{
	(void)sink;
	(void)need;
	return KV_NO_MEMORY;
}

static kv_store *store_open_in(const char *dir)
{
	char error[256] = "";
	struct kv_open open = {.size = sizeof open, .now = NOW, .seed = 42, .error = error, .error_size = sizeof error,
			       .state_dir = dir, .flags = dir != NULL ? KV_OPEN_NEW : 0};
	kv_store *st = NULL;

	MUST(hash_open(&open, &st) == KV_OK);
	return st;
}

static kv_store *store_open(void)
{
	return store_open_in(NULL);
}

static struct kv_op one(kv_store *st, struct kv_op op)
{
	struct kv_sink sink = {room, room + sizeof room, no_more, NULL};
	struct kv_events events = {.sink = &sink};
	struct kv_batch batch = {.size = sizeof batch, .op_size = sizeof op, .count = 1, .ops = &op,
				 .now = NOW, .reply = &sink, .events = &events};

	MUST(hash_exec(st, &batch) == KV_OK);
	return op;
}

static struct kv_op stage(kv_store *st, uint64_t pin, uint64_t total, uint64_t filled, uint64_t want)
{
	return one(st, (struct kv_op){.code = KV_STAGE, .pin = pin, .value_len = total, .offset = filled, .length = want});
}

static struct kv_op get(kv_store *st, const char *key)
{
	return one(st, (struct kv_op){.code = KV_GET, .key = key, .key_len = strlen(key), .length = UINT64_MAX});
}

static int set(kv_store *st, const char *key, const void *value, uint64_t n)
{
	return one(st, (struct kv_op){.code = KV_SET, .key = key, .key_len = strlen(key), .value = value, .value_len = n}).status;
}

static void drop(kv_store *st, const char *key)
{
	MUST(one(st, (struct kv_op){.code = KV_DELETE, .key = key, .key_len = strlen(key)}).status == KV_OK);
}

static void settle_at(kv_store *st, int64_t now)
{
	struct kv_maintain m = {.size = sizeof m, .now = now, .more = 1, .budget = 1000};

	while (m.more) {
		struct kv_sink sink = {room, room + sizeof room, no_more, NULL};
		struct kv_events events = {.sink = &sink};

		m.events = &events;
		MUST(hash_maintain(st, &m) == KV_OK);
	}
}

/* Until free memory of long values was not needed for long enough. */
static void settle(kv_store *st)
{
	for (int64_t now = NOW; now <= NOW + 2000; now += 1000)
		settle_at(st, now);
}

/* Fills a stage of `total` bytes piece by piece with `c`; all but the last of them told of. */
static struct kv_op fill(kv_store *st, uint64_t total, uint64_t piece, char c)
{
	struct kv_op s = stage(st, 0, total, 0, piece < total ? piece : total);
	uint64_t done = 0;

	while (s.status == KV_OK) {
		memset((char *)(uintptr_t)s.value + done, c, s.length - done);
		done = s.length;
		if (done == total)
			break;
		s = stage(st, s.pin, total, done, done + piece < total ? done + piece : total);
	}
	return s;
}

/* What is got of a key is n times `c`, where it was received. */
static void must_be(kv_store *st, const char *key, const void *at, uint64_t n, char c)
{
	struct kv_op got = get(st, key);

	MUST(got.status == KV_OK && got.value_len == n && (at == NULL || got.value == at));
	for (uint64_t i = 0; i < n; i++)
		MUST(((const char *)got.value)[i] == c);
	if (got.pin != 0)
		hash_release(st, &got.pin, 1);
}

/* The value lies where it was received; memory comes as it fills, and goes with the entry. */
static void taken(void)
{
	kv_store *st = store_open();
	uint64_t total = 64 * MIB, held;
	struct kv_op s = stage(st, 0, total, 0, MIB);

	MUST(s.status == KV_OK && s.length >= MIB && s.length < 2 * MIB && st->h->committed < 3 * MIB);
	hash_release(st, &s.pin, 1);
	s = fill(st, total, MIB, 'a');
	MUST(s.status == KV_OK && st->h->committed > total && st->h->pins == 1 && st->h->entries == 0);
	verify_store(st);
	MUST(set(st, "too early", (const char *)s.value + 100, total - 102) == KV_OK); /* not told of: copied */
	must_be(st, "too early", NULL, total - 102, 'a');
	drop(st, "too early");
	settle(st);
	held = st->h->committed;
	MUST(stage(st, s.pin, total, total, total).status == KV_OK);
	MUST(set(st, "key", (const char *)s.value + 100, total - 102) == KV_OK);
	MUST(st->h->committed < held + MIB);
	verify_store(st);
	hash_release(st, &s.pin, 1);
	must_be(st, "key", (const char *)s.value + 100, total - 102, 'a');
	verify_store(st);
	drop(st, "key");
	settle(st);
	MUST(st->h->committed < MIB && st->h->pins == 0);
	verify_store(st);
	hash_close(st, 0);
}

/* What a client that went away had sent is nobody's. */
static void left(void)
{
	kv_store *st = store_open();
	struct kv_op s = fill(st, 8 * MIB, MIB, 'b');

	hash_release(st, &s.pin, 1);
	settle(st);
	MUST(st->h->committed < MIB && st->h->pins == 0 && st->staged == 0);
	MUST(stage(st, s.pin, 8 * MIB, 0, MIB).status == KV_NOT_FOUND);
	verify_store(st);
	hash_close(st, 0);
}

/* A short part of what was received is copied, so that the rest can go. */
static void in_part(void)
{
	kv_store *st = store_open();
	struct kv_op s = fill(st, 8 * MIB, 8 * MIB, 'c');

	s = stage(st, s.pin, 8 * MIB, 8 * MIB, 8 * MIB);
	MUST(set(st, "short", s.value, MIB) == KV_OK && set(st, "long", s.value, 8 * MIB) == KV_OK);
	hash_release(st, &s.pin, 1);
	drop(st, "long");
	settle(st);
	MUST(st->h->committed < 3 * MIB);
	must_be(st, "short", NULL, MIB, 'c');
	verify_store(st);
	hash_close(st, 0);
}

/* As many as there is room for, and what makes no sense, is refused; nothing is left of either. */
static void refused(void)
{
	kv_store *st = store_open();
	uint64_t pins[STAGES];

	for (unsigned i = 0; i < STAGES; i++) {
		struct kv_op s = stage(st, 0, MIB, 0, 4096);

		MUST(s.status == KV_OK);
		pins[i] = s.pin;
	}
	MUST(stage(st, 0, MIB, 0, 4096).status == KV_REFUSED);
	MUST(stage(st, pins[0], MIB + 1, 0, 4096).status == KV_REFUSED);
	MUST(stage(st, pins[0], MIB, MIB, MIB).status == KV_REFUSED);
	MUST(stage(st, pins[0], MIB, 100, 50).status == KV_REFUSED);
	MUST(stage(st, pins[0], MIB, 0, MIB + 1).status == KV_REFUSED);
	MUST(stage(st, pins[0], MIB, 2000, 4096).status == KV_OK);
	MUST(stage(st, pins[0], MIB, 1000, 4096).status == KV_REFUSED);
	hash_release(st, pins, STAGES);
	MUST(stage(st, 0, KV_PIN_LENGTH - 1, 0, 0).status == KV_REFUSED);
	MUST(stage(st, 0, VALUE_MAX + 1, 0, 0).status == KV_TOO_LARGE);
	settle(st);
	MUST(st->h->pins == 0 && st->staged == 0);
	verify_store(st);
	hash_close(st, 0);
}

/* Within a limit: others go to make room where they may, else there is none and nothing has changed. */
static void limited(void)
{
	static char value[1000];
	kv_store *st = store_open();
	struct kv_limit limit = {.size = sizeof limit, .policy = KV_KEEP_ALL, .max_memory = 16 * MIB};
	struct kv_op s;
	char key[16];
	uint64_t held;

	MUST(hash_limit(st, &limit) == KV_OK);
	for (unsigned i = 0; i < 12000; i++) {
		snprintf(key, sizeof key, "%u", i);
		MUST(set(st, key, value, sizeof value) == KV_OK);
	}
	held = st->h->entries;
	s = fill(st, 8 * MIB, MIB, 'd');
	MUST(s.status == KV_NO_MEMORY && st->h->entries == held && st->h->pins == 1);
	hash_release(st, &s.pin, 1);
	MUST(stage(st, 0, 8 * MIB, 0, 8 * MIB).status == KV_NO_MEMORY && st->h->pins == 0);
	limit.policy = KV_EVICT_USE;
	MUST(hash_limit(st, &limit) == KV_OK);
	s = fill(st, 8 * MIB, 256 * KIB, 'd');
	MUST(s.status == KV_OK && st->h->entries < held && st->h->committed <= limit.max_memory);
	s = stage(st, s.pin, 8 * MIB, 8 * MIB, 8 * MIB);
	MUST(set(st, "key", s.value, 8 * MIB) == KV_OK);
	hash_release(st, &s.pin, 1);
	must_be(st, "key", s.value, 8 * MIB, 'd');
	verify_store(st);
	hash_close(st, 0);
}

/* What is taken over more than once lies there once, but a start from the log has each value anew: what
 * is beyond the limit then is not taken over. */
static void limited_over_and_over(void)
{
	kv_store *st = store_open();
	struct kv_limit limit = {.size = sizeof limit, .policy = KV_KEEP_ALL, .max_memory = 20 * MIB};
	struct kv_op s, got;

	MUST(hash_limit(st, &limit) == KV_OK);
	s = fill(st, 8 * MIB, MIB, 'f');
	s = stage(st, s.pin, 8 * MIB, 8 * MIB, 8 * MIB);
	MUST(set(st, "first", s.value, 8 * MIB) == KV_OK && set(st, "second", s.value, 8 * MIB) == KV_OK);
	MUST(set(st, "third", s.value, 8 * MIB) == KV_OK && st->h->committed > 16 * MIB);
	got = get(st, "first");
	MUST(got.value == s.value && set(st, "copy", got.value, got.value_len) == KV_NO_MEMORY);
	hash_release(st, &got.pin, 1);
	hash_release(st, &s.pin, 1);
	must_be(st, "second", s.value, 8 * MIB, 'f');
	verify_store(st);
	hash_close(st, 0);
}

static int replace(void *arg, const struct kv_entry *entry, struct kv_change *change)
{
	const struct kv_op *s = arg;

	(void)entry;
	change->value = s->value;
	change->value_len = s->value_len;
	return KV_REPLACE;
}

static int append(void *arg, const struct kv_entry *entry, struct kv_change *change)
{
	change->value = arg;
	change->value_len = entry->value_len + 1;
	change->patch_offset = entry->value_len;
	change->patch_len = 1;
	return KV_PATCH;
}

/* By way of an update; and it grows in place, behind what was received with it. */
static void updated(void)
{
	kv_store *st = store_open();
	struct kv_op s = fill(st, 3 * MIB, MIB, 'e');
	struct kv_op op = {.code = KV_UPDATE, .key = "key", .key_len = 3, .update = replace, .arg = &s};

	s = stage(st, s.pin, 3 * MIB, 3 * MIB, 3 * MIB);
	s.value_len = 3 * MIB - 50;
	MUST(one(st, op).status == KV_OK);
	hash_release(st, &s.pin, 1);
	must_be(st, "key", s.value, 3 * MIB - 50, 'e');
	op.update = append;
	op.arg = (char *)"e";
	for (unsigned i = 0; i < 5000; i++)
		MUST(one(st, op).status == KV_OK);
	must_be(st, "key", s.value, 3 * MIB - 50 + 5000, 'e');
	verify_store(st);
	hash_close(st, 0);
}

/* A value on its way goes on where it is when the store changes hands. */
static void handed_over(void)
{
	char error[256] = "";
	struct kv_open open = {.size = sizeof open, .now = NOW, .seed = 42, .error = error, .error_size = sizeof error};
	struct kv_offer offer = {.size = sizeof offer};
	kv_store *st = store_open(), *next = NULL;
	struct kv_op s = stage(st, 0, 4 * MIB, 0, 2 * MIB), more;

	memset((char *)(uintptr_t)s.value, 'h', 2 * MIB);
	MUST(stage(st, s.pin, 4 * MIB, MIB, 2 * MIB).status == KV_OK);
	MUST(hash_offer(st, &offer) == KV_OK && hash_accept(&open, &offer, &next) == KV_OK);
	hash_close(st, KV_CLOSE_GIVEN);
	MUST(stage(next, s.pin, 4 * MIB, MIB / 2, 2 * MIB).status == KV_REFUSED); /* it knows what it was told of */
	more = stage(next, s.pin, 4 * MIB, 2 * MIB, 4 * MIB);
	MUST(more.status == KV_OK && more.value == s.value);
	memset((char *)(uintptr_t)s.value + 2 * MIB, 'h', 2 * MIB);
	MUST(stage(next, s.pin, 4 * MIB, 4 * MIB, 4 * MIB).status == KV_OK);
	MUST(set(next, "key", s.value, 4 * MIB) == KV_OK);
	hash_release(next, &s.pin, 1);
	MUST(next->staged == 0);
	must_be(next, "key", s.value, 4 * MIB, 'h');
	verify_store(next);
	hash_close(next, 0);
}

/* Has a store take in what log-1 of another holds. */
static void replay_log(kv_store *from, kv_store *to, struct replay *re)
{
	struct frame_head h;
	struct reader rd;

	disk_flush(from);
	MUST(reader_open(&rd, from->disk->dir, "log", 1) && reader_head(&rd, FILE_LOG));
	for (; reader_frame(&rd, &h); rd.at = rd.next)
		MUST(replay_frame(to, re, &rd, &h) == KV_OK);
	reader_close(&rd);
}

/* Whoever reads the log keeps nothing of what was given back, whatever comes after it. */
static void left_in_the_log(void)
{
	static struct replay re;
	char dir[] = "/tmp/kv-stage-XXXXXX", name[64];
	kv_store *st, *to = store_open();
	struct kv_op s;

	MUST(mkdtemp(dir) != NULL);
	st = store_open_in(dir);
	s = fill(st, 8 * MIB, MIB, 'g');
	replay_log(st, to, &re);
	MUST(s.status == KV_OK && to->staged == 1 && to->h->committed > 6 * MIB);
	replay_end(to, &re);
	hash_release(st, &s.pin, 1);
	MUST(set(st, "key", "value", 5) == KV_OK);
	replay_log(st, to, &re);
	MUST(to->staged == 0 && to->h->pins == 0);
	MUST(get(to, "key").value_len == 5);
	hash_close(to, 0);
	hash_close(st, 0);
	snprintf(name, sizeof name, "%s/log-1", dir);
	MUST(unlink(name) == 0 && rmdir(dir) == 0);
}

static const char *name(uint32_t k)
{
	static char key[2];

	key[0] = (char)('a' + k);
	return key;
}

/* Long values that are set again and again take no memory and give none back meanwhile, whatever
 * housekeeping there is; when that ends, what they no longer need goes. */
static void set_again(void)
{
	kv_store *st = store_open();
	uint64_t len = 200000, held;
	char *value = calloc(1, len);

	MUST(value != NULL);
	for (uint32_t k = 0; k < 20; k++)
		MUST(set(st, name(k), value, len) == KV_OK);
	MUST(set(st, name(0), value, len) == KV_OK);
	held = st->h->committed;
	for (int64_t i = 0; i < 3000; i++) {
		MUST(set(st, name((uint32_t)i % 20), value, len) == KV_OK);
		settle_at(st, NOW + i);
		MUST(st->h->committed == held);
	}
	for (uint32_t k = 1; k < 20; k++)
		MUST(set(st, name(k), value, 1) == KV_OK);
	settle_at(st, NOW + 3500);
	MUST(st->h->committed >= held);
	settle_at(st, NOW + 4500);
	settle_at(st, NOW + 5500);
	MUST(st->h->committed < MIB + 2 * len);
	verify_store(st);
	settle_at(st, NOW); /* the clock is set back: that does no harm */
	MUST(set(st, name(0), value, 1) == KV_OK);
	settle_at(st, NOW + 10);
	MUST(st->h->committed > len);
	settle_at(st, NOW + 1010);
	settle_at(st, NOW + 2010);
	MUST(st->h->committed < MIB);
	free(value);
	hash_close(st, 0);
}

static uint64_t held(kv_store *st, uint64_t n)
{
	uint64_t there = 0;

	for (uint64_t k = 0; k < n; k++)
		there += one(st, (struct kv_op){.code = KV_META, .key = &k, .key_len = sizeof k}).status == KV_OK;
	return there;
}

/* Many long values of which all but `stay` went: their memory is still there. */
static kv_store *mostly_free(uint64_t n, uint64_t len, uint64_t stay, const char *value)
{
	kv_store *st = store_open();

	for (uint64_t k = 0; k < n; k++)
		MUST(one(st, (struct kv_op){.code = KV_SET, .key = &k, .key_len = sizeof k, .value = value, .value_len = len})
			     .status == KV_OK);
	for (uint64_t k = stay; k < n; k++)
		MUST(one(st, (struct kv_op){.code = KV_DELETE, .key = &k, .key_len = sizeof k}).status == KV_OK);
	settle_at(st, NOW);
	MUST(held(st, n) == stay && st->h->committed > n * len);
	return st;
}

/* Memory that is kept for values to come is what goes first where others need it: nobody is
 * evicted, and nothing refused, while there is some. */
static void kept_goes_first(void)
{
	struct kv_limit limit = {.size = sizeof limit, .policy = KV_EVICT_USE, .max_memory = 64 * MIB};
	uint64_t len = 110 * MIB;
	char *value = calloc(1, len);
	kv_store *st;

	MUST(value != NULL);
	st = mostly_free(1200, 40000, 100, value);
	MUST(hash_limit(st, &limit) == KV_OK);
	MUST(set(st, "long", value, 24 * MIB) == KV_OK);
	MUST(held(st, 1200) == 100 && st->h->committed <= limit.max_memory);
	verify_store(st);
	hash_close(st, 0);

	st = mostly_free(1200, 40000, 100, value); /* a limit that is made lower */
	limit.max_memory = 32 * MIB;
	MUST(hash_limit(st, &limit) == KV_OK);
	settle_at(st, NOW);
	MUST(held(st, 1200) == 100 && st->h->committed <= limit.max_memory);
	verify_store(st);
	hash_close(st, 0);

	st = mostly_free(3300, SMALL_MAX, 1, value);
	limit = (struct kv_limit){.size = sizeof limit, .policy = KV_KEEP_ALL, .max_memory = 128 * MIB};
	MUST(hash_limit(st, &limit) == KV_OK);
	MUST(set(st, "long", value, len) == KV_OK);
	MUST(st->h->committed <= limit.max_memory);
	verify_store(st);
	hash_close(st, 0);
	free(value);
}

int main(void)
{
	kept_goes_first();
	set_again();
	taken();
	left();
	left_in_the_log();
	handed_over();
	in_part();
	refused();
	limited();
	limited_over_and_over();
	updated();
	printf("stage: as it should be\n");
	return 0;
}
