/*
 * together.c - many entries looked for together: `together DIR [ROUNDS]`, DIR is empty
 *
 * What ahead.c finds is what LMDB finds, and it finds all that lies at the first place of
 * its hash: keys that are there, gone, of other spaces, with values of all lengths, while the
 * tree grows and shrinks.
 */
#include "kit.h"

#include "../ahead.h"

#include <string.h>

#define KEYS 3000
#define SPACES 3

static uint32_t lengths[SPACES][KEYS]; /* of the values, and one; 0: no entry */

static uint32_t length_of(uint64_t *dice)
{
	uint64_t kind = draw(dice) % 40;

	return (uint32_t)(draw(dice) % (kind == 0 ? 20000 : kind < 4 ? 2500 : 100));
}

static void change(struct kit *kit, uint64_t *dice, bool remove)
{
	static char names[64][16], value[20000];
	uint32_t space = (uint32_t)(draw(dice) % SPACES);

	for (int i = 0; i < 64; i++) {
		uint64_t key = draw(dice) % KEYS;
		uint32_t n = length_of(dice);

		snprintf(names[i], sizeof names[i], "key%d", (int)key);
		if (remove)
			kit_add(kit, KV_DELETE, space, names[i], strlen(names[i]));
		else
			kit_set(kit, space, names[i], value, n, 0);
		lengths[space][key] = remove ? 0 : n + 1;
	}
	kit_run(kit);
}

/* Looks for all keys of a space, in groups; how many were found. */
static uint64_t find_all(struct kit *kit, const struct ahead *ahead, uint32_t space)
{
	kv_store *store = kit->store;
	struct sought group[AHEAD_GROUP];
	const struct space *s = space_find(store, space);
	uint64_t found = 0;
	char name[16];

	for (unsigned key = 0; key < KEYS; key += AHEAD_GROUP) {
		unsigned n = KEYS - key < AHEAD_GROUP ? KEYS - key : AHEAD_GROUP;

		for (unsigned i = 0; i < n; i++) {
			int len = snprintf(name, sizeof name, "key%u", key + i);

			group[i].epoch = s != NULL ? s->now.epoch : 0;
			group[i].hash = key_hash(store, name, (uint64_t)len);
		}
		ahead_find(ahead, group, n);
		for (unsigned i = 0; i < n; i++) {
			int len = snprintf(name, sizeof name, "key%u", key + i);
			MDB_val data = {group[i].size, (void *)(uintptr_t)group[i].data};
			struct place place;
			uint32_t expected = lengths[space][key + i];

			CHECK((group[i].data != NULL) == (expected != 0));
			if (expected == 0)
				continue;
			CHECK(place_take(store, space, name, (uint64_t)len, data, &place));
			CHECK(place.value_len == expected - 1 && long_whole(store, &place));
			found++;
		}
	}
	return found;
}

/* Each key of a space asked for in one batch, and some that never were. */
static void read_all(struct kit *kit, uint32_t space)
{
	static char names[KEYS + 500][16];

	for (uint32_t key = 0; key < KEYS + 500; key++) {
		snprintf(names[key], sizeof names[key], "key%u", key);
		kit_add(kit, key % 3 ? KV_GET : KV_META, space, names[key], strlen(names[key]));
	}
	kit_run(kit);
	for (uint32_t key = 0; key < KEYS + 500; key++) {
		uint32_t expected = key < KEYS ? lengths[space][key] : 0;

		CHECK(kit->ops[key].status == (expected != 0 ? KV_OK : KV_NOT_FOUND));
		CHECK(expected == 0 || kit->ops[key].value_len == expected - 1);
	}
}

int main(int argc, char **argv)
{
	uint64_t dice = 11, found = 0;
	struct kit kit = {0};
	int rounds = argc > 2 ? atoi(argv[2]) : 150;

	if (argc < 2) {
		fprintf(stderr, "usage: together DIR [ROUNDS]\n");
		return 2;
	}
	CHECK(kit_open(&kit, argv[1], true, 0) == KV_OK);
	for (int round = 0; round < rounds; round++) {
		struct ahead ahead;

		if (round > 0)
			change(&kit, &dice, round % 3 == 0 || round > rounds * 2 / 3);
		CHECK(txn_read(kit.store) == 0);
		bool can = ahead_begin(kit.store, &ahead);

		CHECK(can == (round > 0)); /* an empty table has no root */
		for (uint32_t space = 0; can && space < SPACES; space++)
			found += find_all(&kit, &ahead, space);
		txn_abort(kit.store);
		for (uint32_t space = 0; round % 10 == 9 && space < SPACES; space++)
			read_all(&kit, space);
	}
	kit_close(&kit);
	kit_wipe(argv[1]);
	printf("together: %d rounds, %llu entries found as LMDB has them\n", rounds,
	       (unsigned long long)found);
	return 0;
}
