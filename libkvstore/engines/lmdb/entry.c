/*
 * entry.c - finding, writing and removing one entry
 */
#include "journal.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define ORDINAL_MOST 0xffffu
#define RECORD_MOST 0xffff0000ull /* LMDB's lengths have 32 bits */

#ifndef LMDB_HASH_MASK
#define LMDB_HASH_MASK UINT64_MAX /* tests have few hashes, so that keys share them */
#endif

void put_number(unsigned char *to, uint64_t number, unsigned bytes)
{
	for (unsigned i = bytes; i > 0; i--, number >>= 8)
		to[i - 1] = (unsigned char)number;
}

uint64_t get_number(const unsigned char *from, unsigned bytes)
{
	uint64_t number = 0;

	for (unsigned i = 0; i < bytes; i++)
		number = number << 8 | from[i];
	return number;
}

uint64_t key_hash(const kv_store *store, const void *key, uint64_t key_len)
{
	uint64_t h = XXH3_64bits_withSeed(key_len != 0 ? key : "", key_len, store->info.seed);

	return (h & LMDB_HASH_MASK) >> 1;
}

#define SIGN (1ull << 63)

void expiry_key(unsigned char to[EXPIRY_SIZE], int64_t expiry, const unsigned char id[ID_SIZE])
{
	put_number(to, (uint64_t)expiry ^ SIGN, 8);
	memcpy(to + 8, id, ID_SIZE);
}

int64_t expiry_of(const unsigned char *key)
{
	return (int64_t)(get_number(key, 8) ^ SIGN);
}

bool record_read(MDB_val data, struct record *record, const char **key, const char **value,
		 uint64_t *value_len)
{
	if (data.mv_size < sizeof *record)
		return false;
	memcpy(record, data.mv_data, sizeof *record);
	if (record->key_len > data.mv_size - sizeof *record)
		return false;
	*key = (const char *)data.mv_data + sizeof *record;
	*value = *key + record->key_len;
	*value_len = data.mv_size - sizeof *record - record->key_len;
	return true;
}

/* The sum of a record, never 0; key and value lie together. */
static uint32_t sum_of(const struct record *record, const char *key, uint64_t value_len)
{
	uint64_t h = XXH3_64bits(record, offsetof(struct record, sum)) * 0x9e3779b97f4a7c15ull ^
		     XXH3_64bits(key, record->key_len + value_len);
	uint32_t sum = (uint32_t)(h ^ h >> 32);

	return sum != 0 ? sum : 1;
}

bool record_whole(const struct record *record, const char *key, uint64_t value_len)
{
	return record->sum == 0 || record->sum == sum_of(record, key, value_len);
}

bool long_whole(kv_store *store, const struct place *place)
{
	if (place->value_len <= SUM_AT_ONCE ||
	    record_whole(&place->record, place->value - place->record.key_len, place->value_len))
		return true;
	damage_tell(store, place->space_id, key_hash(store, place->key, place->key_len), place->key,
		    place->key_len);
	return false;
}

void place_seal(kv_store *store, const struct place *place)
{
	char *key = (char *)(uintptr_t)place->value - place->key_len;
	uint32_t sum = sum_of(&place->record, key, place->value_len);

	memcpy(key - sizeof place->record + offsetof(struct record, sum), &sum, sizeof sum);
	journal_set(store, place);
}

/* What a record is to the key that is looked for. */
enum match { OTHER, SAME, DAMAGED };

/* Takes the record if it is of the place's key.  A damaged one is OTHER only when its key shows that. */
static enum match match(const kv_store *store, struct place *place, MDB_val data)
{
	struct record record;
	const char *key, *value;
	uint64_t value_len;

	if (!record_read(data, &record, &key, &value, &value_len))
		return DAMAGED;
	bool same = record.key_len == place->key_len &&
		    (place->key_len == 0 || memcmp(key, place->key, place->key_len) == 0);

	if (!same)
		return key_is(store, place->id, key, record.key_len) ? OTHER : DAMAGED;
	if (value_len <= SUM_AT_ONCE && !record_whole(&record, key, value_len))
		return DAMAGED;
	place->found = true;
	place->record = record;
	place->value = value;
	place->value_len = value_len;
	return SAME;
}

/*
 * Goes along the entries with the key's hash.  When it ends without the key,
 * place->id has the ordinal of a damaged entry, or the first that is free.
 */
static int search(kv_store *store, struct place *place)
{
	MDB_val name = {ID_SIZE, place->id}, data;
	uint64_t free_ordinal = 0, damaged_ordinal = 0;
	bool gap = false;
	int rc = mdb_cursor_get(store->cursor, &name, &data, MDB_SET_RANGE);

	while (rc == 0 && name.mv_size == ID_SIZE && memcmp(name.mv_data, place->id, 16) == 0) {
		uint64_t ordinal = get_number((unsigned char *)name.mv_data + 16, 2);
		enum match is = match(store, place, data);

		if (is == SAME) {
			place->damaged = false;
			put_number(place->id + 16, ordinal, 2);
			return 0;
		}
		if (is == DAMAGED && !place->damaged) {
			place_damage(place, data);
			damaged_ordinal = ordinal;
		}
		gap = gap || ordinal != free_ordinal;
		free_ordinal += gap ? 0 : 1;
		rc = mdb_cursor_get(store->cursor, &name, &data, MDB_NEXT);
	}
	if (rc != 0 && rc != MDB_NOTFOUND)
		return rc;
	if (!place->damaged && free_ordinal > ORDINAL_MOST)
		return MDB_KEYEXIST;
	put_number(place->id + 16, place->damaged ? damaged_ordinal : free_ordinal, 2);
	return 0;
}

/* The place's id, ordinal 0. */
static void name_place(kv_store *store, struct place *place)
{
	put_number(place->id, place->space->now.epoch, 8);
	put_number(place->id + 8, key_hash(store, place->key, place->key_len), 8);
	put_number(place->id + 16, 0, 2);
}

int place_find(kv_store *store, uint32_t space, const void *key, uint64_t key_len,
	       struct place *place)
{
	*place = (struct place){.space = space_find(store, space), .space_id = space,
				.key = key, .key_len = key_len};
	if (place->space == NULL)
		return KV_OK;
	name_place(store, place);
	int rc = search(store, place);

	if (rc != 0)
		return fault(store, rc);
	if (!place->damaged)
		return KV_OK;
	damage_tell(store, space, get_number(place->id + 8, 8), key, key_len);
	return KV_CORRUPT;
}

bool place_take(kv_store *store, uint32_t space, const void *key, uint64_t key_len, MDB_val data,
		struct place *place)
{
	*place = (struct place){.space = space_find(store, space), .space_id = space,
				.key = key, .key_len = key_len};
	return place->space != NULL && match(store, place, data) == SAME;
}

/* ------------------------------------------------------------------ writing */

static int add_row(kv_store *store, int64_t expiry, const unsigned char *id)
{
	unsigned char name[EXPIRY_SIZE];
	MDB_val key = {sizeof name, name}, nothing = {0, NULL};

	if (expiry == 0)
		return 0;
	expiry_key(name, expiry, id);
	int rc = mdb_put(store->txn, store->expiry, &key, &nothing, MDB_NOOVERWRITE);

	if (rc != MDB_KEYEXIST)
		return rc;
	space_row_gone(store, get_number(id, 8)); /* that of a damaged entry: it has one again */
	return 0;
}

int place_drop_row(kv_store *store, struct place *place)
{
	unsigned char name[EXPIRY_SIZE];
	MDB_val key = {sizeof name, name};

	if (place->record.expiry == 0)
		return 0;
	expiry_key(name, place->record.expiry, place->id);
	int rc = mdb_del(store->txn, store->expiry, &key, NULL);

	if (rc != MDB_NOTFOUND)
		return rc;
	place->record.expiry = 0;
	return 0;
}

/* Whether an entry of this size may come in place of the one found. */
static int allowed(const kv_store *store, const struct place *place, uint64_t value_len,
		   int64_t expiry)
{
	uint64_t old = 0, size;

	if (place->key_len > RECORD_MOST || value_len > RECORD_MOST - place->key_len)
		return KV_TOO_LARGE;
	if (store->max_memory == 0)
		return KV_OK;
	size = stored_size(place->key_len, value_len, expiry != 0);
	if (place->found)
		old = stored_size(place->key_len, place->value_len, place->record.expiry != 0);
	if (size > old && store->all.stored + (size - old) > store->max_memory)
		return KV_NO_MEMORY;
	return KV_OK;
}

/* Pages that an entry of this size has for itself, and the one that it is in. */
static uint64_t pages_of(uint64_t key_len, uint64_t value_len, bool expires)
{
	return stored_size(key_len, value_len, false) / 4096 + 1 + expires;
}

/* The record with room for the value, in the transaction: at the cursor, which the search
 * left there or beside it. */
static int write_record(kv_store *store, struct place *place, const struct record *record,
			uint64_t value_len, char **to)
{
	MDB_val key = {ID_SIZE, place->id};
	MDB_val data = {sizeof *record + place->key_len + value_len, NULL};
	int rc = mdb_cursor_put(store->cursor, &key, &data, MDB_RESERVE);

	if (rc != 0)
		return rc;
	*to = data.mv_data;
	memcpy(*to, record, sizeof *record);
	*to += sizeof *record;
	if (place->key_len != 0)
		memcpy(*to, place->key, place->key_len);
	*to += place->key_len;
	return 0;
}

int place_put(kv_store *store, struct place *place, uint64_t value_len, int64_t expiry,
	      uint32_t tag, char **to)
{
	struct record record = {.expiry = expiry, .tag = tag, .space = place->space_id,
				.key_len = (uint32_t)place->key_len};
	int status = allowed(store, place, value_len, expiry);
	int64_t before = place->found ? place->record.expiry : 0;
	int rc = 0;

	if (status != KV_OK)
		return status;
	if (place->space == NULL) {
		place->space = space_made(store, place->space_id);
		if (place->space == NULL)
			return KV_NO_MEMORY;
		name_place(store, place);
	}
	if (place->damaged) {
		status = place_discard(store, place);
		if (status != KV_OK)
			return status;
	}
	if (before != expiry) {
		rc = place->found ? place_drop_row(store, place) : 0;
		if (rc == 0)
			rc = add_row(store, expiry, place->id);
	}
	if (rc == 0)
		rc = write_record(store, place, &record, value_len, to);
	if (rc != 0)
		return fault(store, rc);
	store->touched += pages_of(place->key_len, value_len, before != expiry);
	if (place->found)
		space_count(store, place->space, -1, &place->record, place->value_len);
	space_count(store, place->space, 1, &record, value_len);
	place->found = true;
	place->record = record;
	place->value = *to;
	place->value_len = value_len;
	return KV_OK;
}

int place_remove(kv_store *store, struct place *place)
{
	MDB_val key = {ID_SIZE, place->id};
	int rc;

	journal_remove(store, place); /* its key may lie in the entry */
	rc = place_drop_row(store, place);
	if (rc == 0)
		rc = mdb_del(store->txn, store->entries, &key, NULL);
	if (rc != 0)
		return fault(store, rc);
	store->touched += 1 + (place->record.expiry != 0);
	space_count(store, place->space, -1, &place->record, place->value_len);
	place->found = false;
	return KV_OK;
}
