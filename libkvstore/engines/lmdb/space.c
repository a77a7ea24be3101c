/*
 * space.c - the spaces: numbers, epochs, figures
 */
#include "journal.h"

#include <errno.h>
#include <stdlib.h>

#define PAGE 4096u
#define IN_PAGE 2000u /* a longer entry has pages of its own, about */

uint64_t stored_size(uint64_t key_len, uint64_t value_len, bool expires)
{
	uint64_t n = sizeof(struct record) + key_len + value_len;
	uint64_t node = ID_SIZE + 10 + (expires ? EXPIRY_SIZE + 10 : 0);

	return n <= IN_PAGE ? n + node : (n + 16 + PAGE - 1) / PAGE * PAGE + 8 + node;
}

/* Where the id is in the table, or belongs. */
static size_t search(const kv_store *store, uint32_t id)
{
	size_t low = 0, high = store->space_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (store->spaces[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct space *space_find(const kv_store *store, uint32_t id)
{
	size_t i = search(store, id);

	return i < store->space_count && store->spaces[i]->id == id ? store->spaces[i] : NULL;
}

/* Room for one more in both tables. */
static bool make_room(kv_store *store)
{
	size_t room = store->space_room != 0 ? store->space_room * 2 : 16;
	struct space **grown;

	if (store->space_count < store->space_room)
		return true;
	grown = realloc(store->dirty, room * sizeof *grown);
	if (grown == NULL)
		return false;
	store->dirty = grown;
	grown = realloc(store->spaces, room * sizeof *grown);
	if (grown == NULL)
		return false;
	store->spaces = grown;
	store->space_room = room;
	return true;
}

/* Puts a space with this epoch into the table. */
static struct space *add(kv_store *store, uint32_t id, uint64_t epoch)
{
	struct space *space = calloc(1, sizeof *space);
	size_t i = search(store, id);

	if (space == NULL || !make_room(store)) {
		free(space);
		return NULL;
	}
	memmove(store->spaces + i + 1, store->spaces + i,
		(store->space_count - i) * sizeof *store->spaces);
	store->spaces[i] = space;
	store->space_count++;
	space->id = id;
	space->now.epoch = space->kept.epoch = epoch;
	return space;
}

struct space *space_made(kv_store *store, uint32_t id)
{
	struct space *space = space_find(store, id);

	if (space != NULL)
		return space;
	space = add(store, id, store->info.last_epoch + 1);
	if (space != NULL)
		store->info.last_epoch++;
	return space;
}

void space_touch(kv_store *store, struct space *space)
{
	if (space->dirty)
		return;
	space->dirty = true;
	store->dirty[store->dirty_count++] = space;
}

static void count(struct figures *f, int sign, const struct record *record, uint64_t value_len)
{
	uint64_t by = (uint64_t)(int64_t)sign;

	f->entries += by;
	f->expiring += record->expiry != 0 ? by : 0;
	f->payload += by * (record->key_len + value_len);
	f->stored += by * stored_size(record->key_len, value_len, record->expiry != 0);
}

void space_count(kv_store *store, struct space *space, int sign, const struct record *record,
		 uint64_t value_len)
{
	space_touch(store, space);
	count(&space->now.figures, sign, record, value_len);
	count(&store->all, sign, record, value_len);
}

struct space *space_of(const kv_store *store, uint64_t epoch)
{
	for (size_t i = 0; i < store->space_count; i++)
		if (store->spaces[i]->now.epoch == epoch)
			return store->spaces[i];
	return NULL;
}

void space_row_gone(kv_store *store, uint64_t epoch)
{
	const uint64_t row = stored_size(0, 0, true) - stored_size(0, 0, false);
	struct space *space = space_of(store, epoch);

	if (space == NULL || space->now.figures.expiring == 0)
		return;
	space_touch(store, space);
	space->now.figures.expiring--;
	space->now.figures.stored -= row;
	store->all.expiring--;
	store->all.stored -= row;
}

static void subtract(struct figures *from, const struct figures *what)
{
	from->entries -= what->entries;
	from->expiring -= what->expiring;
	from->payload -= what->payload;
	from->stored -= what->stored;
}

static void sum_up(struct figures *to, const struct figures *what)
{
	to->entries += what->entries;
	to->expiring += what->expiring;
	to->payload += what->payload;
	to->stored += what->stored;
}

int space_clear(kv_store *store, struct space *space)
{
	unsigned char name[8];
	MDB_val key = {sizeof name, name}, nothing = {0, NULL};
	int rc;

	if (space->now.figures.entries == 0)
		return KV_OK;
	put_number(name, space->now.epoch, sizeof name);
	rc = mdb_put(store->txn, store->cleared, &key, &nothing, 0);
	if (rc != 0)
		return fault(store, rc);
	space_touch(store, space);
	subtract(&store->all, &space->now.figures);
	space->now.figures = (struct figures){0};
	space->now.epoch = ++store->info.last_epoch;
	journal_clear(store, space);
	return KV_OK;
}

/* ---------------------------------------------------------------- the table */

static int write_info(kv_store *store)
{
	unsigned char name[4];
	MDB_val key = {sizeof name, name}, data = {sizeof store->info, &store->info};

	put_number(name, KV_SPACE_ALL, sizeof name);
	return mdb_put(store->txn, store->spaces_table, &key, &data, 0);
}

static int write_space(kv_store *store, struct space *space)
{
	unsigned char name[4];
	MDB_val key = {sizeof name, name}, data = {sizeof space->now, &space->now};
	int rc;

	put_number(name, space->id, sizeof name);
	if (space->now.figures.entries != 0)
		return mdb_put(store->txn, store->spaces_table, &key, &data, 0);
	rc = mdb_del(store->txn, store->spaces_table, &key, NULL);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int spaces_write(kv_store *store)
{
	int rc = 0;

	for (size_t i = 0; i < store->dirty_count && rc == 0; i++)
		rc = write_space(store, store->dirty[i]);
	if (rc == 0 && store->info.last_epoch != store->kept_epoch)
		rc = write_info(store);
	return rc == 0 ? KV_OK : fault(store, rc);
}

void spaces_keep(kv_store *store)
{
	for (size_t i = 0; i < store->dirty_count; i++) {
		store->dirty[i]->kept = store->dirty[i]->now;
		store->dirty[i]->dirty = false;
	}
	store->dirty_count = 0;
	store->kept_all = store->all;
	store->kept_epoch = store->info.last_epoch;
}

/* Epochs that were given out stay so: none is ever used twice. */
void spaces_revert(kv_store *store)
{
	for (size_t i = 0; i < store->dirty_count; i++) {
		store->dirty[i]->now = store->dirty[i]->kept;
		store->dirty[i]->dirty = false;
	}
	store->dirty_count = 0;
	store->all = store->kept_all;
}

/* One row of the table into memory. */
static int load_row(kv_store *store, MDB_val key, MDB_val data)
{
	struct space_record record;
	struct space *space;

	if (key.mv_size != 4 || data.mv_size != sizeof record)
		return MDB_CORRUPTED;
	memcpy(&record, data.mv_data, sizeof record);
	space = add(store, (uint32_t)get_number(key.mv_data, 4), record.epoch);
	if (space == NULL)
		return ENOMEM;
	space->now = space->kept = record;
	sum_up(&store->all, &record.figures);
	return 0;
}

static int load_rows(kv_store *store)
{
	MDB_cursor *cursor;
	MDB_val key, data;
	int rc = mdb_cursor_open(store->txn, store->spaces_table, &cursor);
	bool informed = false;

	if (rc != 0)
		return rc;
	while ((rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) == 0) {
		if (key.mv_size == 4 && get_number(key.mv_data, 4) == KV_SPACE_ALL) {
			informed = data.mv_size == sizeof store->info;
			if (informed)
				memcpy(&store->info, data.mv_data, sizeof store->info);
			continue;
		}
		rc = load_row(store, key, data);
		if (rc != 0)
			break;
	}
	mdb_cursor_close(cursor);
	if (rc == MDB_NOTFOUND)
		rc = informed && store->info.version == INFO_VERSION ? 0 : MDB_VERSION_MISMATCH;
	return rc;
}

int spaces_load(kv_store *store, uint64_t seed, bool fresh)
{
	int rc = 0;

	if (fresh) {
		store->info = (struct info){.version = INFO_VERSION, .seed = seed};
		rc = write_info(store);
	} else {
		rc = load_rows(store);
	}
	store->kept_epoch = store->info.last_epoch;
	store->kept_all = store->all;
	return rc;
}

void spaces_free(kv_store *store)
{
	for (size_t i = 0; i < store->space_count; i++)
		free(store->spaces[i]);
	free(store->spaces);
	free(store->dirty);
}
