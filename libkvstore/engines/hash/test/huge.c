/* huge.c - huge pages: there are some, they hold no byte more, what was freed leaves them, and
 * they pass to the next generation */
#include "../huge.h"
#include "../store.h"
#include "verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MUST(c) \
	do { \
		if (!(c)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #c); \
			abort(); \
		} \
	} while (0)
#define NOW 1000000
#define KEYS 100000u
#define PATIENCE 600 /* tenths of a second */

static char value[200];

static kv_store *store_open(void)
{
	char error[256] = "";
	struct kv_open open = {.size = sizeof open, .now = NOW, .seed = 7, .error = error, .error_size = sizeof error};
	kv_store *st = NULL;

	MUST(hash_open(&open, &st) == KV_OK);
	return st;
}

static int one(kv_store *st, uint16_t code, uint32_t k)
{
	static char room[4096];
	struct kv_sink sink = {room, room + sizeof room, NULL, NULL};
	struct kv_op op = {.code = code, .key = &k, .key_len = sizeof k, .value = value, .value_len = sizeof value,
			   .length = UINT64_MAX};
	struct kv_batch batch = {.size = sizeof batch, .op_size = sizeof op, .count = 1, .ops = &op, .now = NOW, .reply = &sink};

	memset(value, (int)(k % 251), sizeof value);
	MUST(hash_exec(st, &batch) == KV_OK);
	if (code == KV_GET && op.status == KV_OK)
		MUST(op.value_len == sizeof value && memcmp(op.value, value, sizeof value) == 0);
	return op.status;
}

static void all(kv_store *st, uint16_t code, uint32_t step, int status)
{
	for (uint32_t k = 0; k < KEYS; k += step)
		MUST(one(st, code, k) == status);
}

static void settle(kv_store *st)
{
	struct kv_maintain m = {.size = sizeof m, .budget = 5000, .now = NOW, .more = 1};

	while (m.more)
		MUST(hash_maintain(st, &m) == KV_OK);
}

/* A line of what the kernel says of this process's memory, in bytes. */
static uint64_t figure(const char *name)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	char line[256];
	unsigned long long kib = 0;

	MUST(f != NULL);
	while (fgets(line, sizeof line, f) != NULL && sscanf(line, name, &kib) != 1)
		;
	fclose(f);
	return kib * KIB;
}

static void rest(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
}

/* Waits until so much lies in huge pages; false: the machine is too busy, or has none. */
static bool becomes_huge(uint64_t least)
{
	for (int i = 0; i < PATIENCE; i++) {
		if (figure("ShmemPmdMapped: %llu kB") >= least)
			return true;
		rest();
	}
	return false;
}

/* Shared memory that the kernel counts is what the store says, but for the first lines of the pool. */
static void no_byte_more(const kv_store *st)
{
	uint64_t held = figure("Pss_Shmem: %llu kB");

	printf("huge: %llu bytes are held, %llu counted\n", (unsigned long long)held, (unsigned long long)st->h->committed);
	MUST(held <= st->h->committed + CHUNK_LINES * LINE);
}

static kv_store *hand_over(kv_store *st)
{
	char error[256] = "";
	struct kv_offer offer = {.size = sizeof offer};
	struct kv_open open = {.size = sizeof open, .now = NOW, .error = error, .error_size = sizeof error};
	kv_store *next = NULL;

	MUST(hash_offer(st, &offer) == KV_OK && hash_resume(st) == KV_OK);
	MUST(hash_offer(st, &offer) == KV_OK && hash_accept(&open, &offer, &next) == KV_OK);
	hash_close(st, KV_CLOSE_GIVEN);
	settle(next);
	MUST(next->huge != NULL);
	return next;
}

int main(void)
{
	kv_store *st = store_open();

	if (st->huge == NULL) {
		printf("huge: NOT checked: this system has no huge pages (/sys/kernel/mm/transparent_hugepage/enabled)\n");
		hash_close(st, 0);
		return 0;
	}
	all(st, KV_SET, 1, KV_OK);
	MUST(becomes_huge(16 * MIB));
	no_byte_more(st);
	all(st, KV_GET, 1, KV_OK);
	st = hand_over(st);
	all(st, KV_GET, 1, KV_OK);
	MUST(becomes_huge(16 * MIB));
	for (int round = 0; round < 3; round++) { /* gives back and takes again while the thread is at it */
		all(st, KV_DELETE, 1, KV_OK);
		settle(st);
		no_byte_more(st);
		all(st, KV_SET, 1, KV_OK);
		all(st, KV_GET, 1, KV_OK);
	}
	MUST(becomes_huge(16 * MIB)); /* when it is quiet */
	no_byte_more(st);
	st = hand_over(st);
	verify_store(st);
	hash_close(st, 0);
	printf("huge: ok\n");
	return 0;
}
