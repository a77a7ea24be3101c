/*
 * large.c - more data than memory: `large DIR MIB`, under a limit that the caller set
 */
#define _GNU_SOURCE
#include "kit.h"

#include <string.h>

#define VALUE 4000u
#define BATCH 100

static char keys[BATCH][24], values[BATCH][VALUE];

static void make(int slot, uint64_t i)
{
	snprintf(keys[slot], sizeof keys[slot], "key%llu", (unsigned long long)i);
	memset(values[slot], (int)(i % 251), VALUE);
	memcpy(values[slot], &i, sizeof i);
}

int main(int argc, char **argv)
{
	struct kit kit = {0};
	uint64_t dice = 5, count = argc > 2 ? (strtoull(argv[2], NULL, 10) << 20) / 4096 : 0;

	if (argc != 3) {
		fprintf(stderr, "usage: large DIR MIB\n");
		return 2;
	}
	CHECK(kit_open(&kit, argv[1], true, 0) == KV_OK);
	for (uint64_t i = 0; i < count; i++) {
		make((int)(i % BATCH), i);
		kit_set(&kit, 0, keys[i % BATCH], values[i % BATCH], VALUE, 0)->tag = 1;
		if (i % BATCH == BATCH - 1 || i == count - 1) {
			kit_run(&kit);
			for (uint64_t n = 0; n < kit.count; n++)
				CHECK(kit.ops[n].status == KV_OK);
			kit.now += 10;
			kit_maintain(&kit, 10);
		}
	}
	for (int n = 0; n < 4000; n++) {
		uint64_t i = draw(&dice) % count;

		make(0, i);
		const struct kv_op *op = kit_get(&kit, 0, keys[0]);

		CHECK(op->status == KV_OK && op->value_len == VALUE);
		CHECK(memcmp(op->value, values[0], VALUE) == 0);
	}
	CHECK(kit_stat(&kit, 0).entries == count);
	kit_close(&kit);
	CHECK(kit_open(&kit, argv[1], false, 0) == KV_OK);
	CHECK(kit_walk(&kit, 0) == count);
	kit_close(&kit);
	kit_wipe(argv[1]);
	printf("large: %llu entries, %s MiB, written, read and walked over\n",
	       (unsigned long long)count, argv[2]);
	return 0;
}
