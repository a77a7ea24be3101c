/*
 * offer.c - what a store accepts, and under which limits it opens
 *
 * A damaged offer is refused, whichever bit of the header or of the state is wrong and
 * whatever a segment says; the store that made it goes on.  With "limit" as argument:
 * a store opens within 16 GiB of addresses and leaves some of them to others.
 */
#include "../store.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

static char room[1 << 20];
static char why[256];

static void fail(const char *what, uint64_t where)
{
	printf("offer: %s (%llu)\n", what, (unsigned long long)where);
	exit(1);
}

static int no_more(struct kv_sink *sink, uint64_t need)
{
	(void)sink;
	(void)need;
	return KV_NO_MEMORY;
}

static struct kv_open describe(void)
{
	return (struct kv_open){.size = sizeof(struct kv_open), .now = 1, .seed = 7, .error = why,
				.error_size = sizeof why};
}

static kv_store *open_store(void)
{
	struct kv_open open = describe();
	kv_store *st = NULL;

	if (hash_open(&open, &st) != KV_OK) {
		printf("offer: open: %s\n", why);
		exit(1);
	}
	return st;
}

static struct kv_op one(kv_store *st, uint16_t code, const char *key, uint64_t value_len)
{
	static const char value[200000];
	struct kv_op op = {.code = code, .key = key, .key_len = strlen(key), .value = value,
			   .value_len = value_len, .length = UINT64_MAX};
	struct kv_sink sink = {room, room + sizeof room, no_more, NULL};
	struct kv_events events = {&sink, NULL, NULL, 0};
	struct kv_batch batch = {.size = sizeof batch, .op_size = sizeof op, .count = 1, .ops = &op,
				 .now = 1, .reply = &sink, .events = &events};

	if (hash_exec(st, &batch) != KV_OK || op.status != KV_OK)
		fail("an operation failed", (uint64_t)op.status);
	return op;
}

static void must_refuse(const struct kv_offer *offer, const char *what, uint64_t where)
{
	struct kv_open open = describe();
	kv_store *st;

	if (hash_accept(&open, offer, &st) == KV_OK)
		fail(what, where);
}

static void damaged_bytes(const struct kv_offer *offer)
{
	uint8_t *header = offer->segments[META].address;
	uint8_t *state = (uint8_t *)(uintptr_t)offer->state;

	for (uint64_t i = 0; i < sizeof(struct header); i++) {
		header[i] ^= (uint8_t)(1u << i % 8);
		must_refuse(offer, "a damaged header was accepted, byte", i);
		header[i] ^= (uint8_t)(1u << i % 8);
	}
	for (uint64_t i = 0; i < offer->state_len; i++) {
		state[i] ^= (uint8_t)(1u << i % 8);
		must_refuse(offer, "a damaged state was accepted, byte", i);
		state[i] ^= (uint8_t)(1u << i % 8);
	}
}

static void damaged_segments(const struct kv_offer *offer)
{
	struct kv_segment *segments = (struct kv_segment *)(uintptr_t)offer->segments;

	for (unsigned i = 0; i < SEGMENTS; i++) {
		const struct kv_segment good = segments[i];
		struct kv_segment bad[] = {good, good, good, good, good, good, good, good};

		bad[0].fd = -1;
		bad[1].fd = 0; /* standard input */
		bad[2].fd = segments[(i + 1) % SEGMENTS].fd;
		bad[3].address = NULL;
		bad[4].address = (char *)good.address + 8;
		bad[5].length /= 2;
		bad[6].offset = PAGE;
		bad[7].flags = 7;
		for (unsigned k = 0; k < sizeof bad / sizeof bad[0]; k++) {
			segments[i] = bad[k];
			must_refuse(offer, "a damaged segment was accepted, case", i * 10 + k);
		}
		segments[i] = good;
	}
}

static void test_damage(void)
{
	struct kv_offer offer = {.size = sizeof offer};
	struct kv_open open = describe();
	kv_store *st = open_store();
	kv_store *next;

	one(st, KV_SET, "short", 10);
	one(st, KV_SET, "long", 200000);
	if (hash_offer(st, &offer) != KV_OK)
		fail("offer failed", 0);
	damaged_bytes(&offer);
	damaged_segments(&offer);
	hash_resume(st);
	one(st, KV_SET, "other", 10);
	if (hash_offer(st, &offer) != KV_OK || hash_accept(&open, &offer, &next) != KV_OK)
		fail("a sound offer was refused", 0);
	hash_close(st, KV_CLOSE_GIVEN);
	if (one(next, KV_META, "long", 0).value_len != 200000)
		fail("a value is lost", 0);
	hash_close(next, 0);
}

/* All three ranges once took as much as they could, one after another. */
static void test_limit(void)
{
	const struct rlimit limit = {16 * GIB, 16 * GIB};
	kv_store *st;
	void *other;

	if (setrlimit(RLIMIT_AS, &limit) != 0)
		fail("setrlimit failed", 0);
	st = open_store();
	one(st, KV_SET, "short", 10);
	one(st, KV_SET, "long", 200000);
	other = mmap(NULL, GIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (other == MAP_FAILED)
		fail("nothing is left for others", 0);
	hash_close(st, 0);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "limit") == 0)
		test_limit();
	else
		test_damage();
	puts("offer: ok");
	return 0;
}
