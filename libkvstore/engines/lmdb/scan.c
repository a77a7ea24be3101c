/*
 * scan.c - walks, and one entry at random
 *
 * A walk goes by hash.  The cursor is the hash to go on from: an entry keeps its
 * hash, so none is missed, and what shares one is returned in one step.
 */
#include "store.h"

/* Appends an entry to the scan; false when the sink is full. */
static bool take(struct kv_scan *scan, const struct record *record, const char *key,
		 const char *value, uint64_t value_len)
{
	bool values = (scan->flags & KV_SCAN_VALUES) != 0;
	struct kv_item *item =
		kv_alloc(scan->sink, sizeof *item + record->key_len + (values ? value_len : 0));

	if (item == NULL)
		return false;
	char *bytes = (char *)(item + 1);

	*item = (struct kv_item){.key = bytes,
				 .key_len = record->key_len,
				 .value_len = value_len,
				 .expiry = record->expiry,
				 .tag = record->tag,
				 .space = scan->space};
	memcpy(bytes, key, record->key_len);
	if (values) {
		item->value = bytes + record->key_len;
		memcpy(bytes + record->key_len, value, value_len);
	}
	if (scan->last != NULL)
		scan->last->next = item;
	else
		scan->first = item;
	scan->last = item;
	scan->count++;
	return true;
}

/* One step of a walk under way. */
struct step {
	struct kv_scan *scan;
	struct space *space;
	uint64_t looked;
	uint64_t bytes;
	uint64_t hash; /* of the entry at hand */
	bool full;     /* the sink is */
	unsigned char id[ID_SIZE]; /* to look for */
};

/* Moves the cursor to the first entry from a hash on; MDB_NOTFOUND at the end. */
static int seek(kv_store *store, struct step *step, uint64_t hash, MDB_val *name, MDB_val *data)
{
	unsigned char *id = step->id;

	put_number(id, step->space->now.epoch, 8);
	put_number(id + 8, hash, 8);
	put_number(id + 16, 0, 2);
	*name = (MDB_val){ID_SIZE, id};
	return mdb_cursor_get(store->cursor, name, data, MDB_SET_RANGE);
}

/* Whether the cursor is still on entries of the space; its hash. */
static bool in_space(struct step *step, MDB_val name)
{
	const unsigned char *id = name.mv_data;

	if (name.mv_size != ID_SIZE || get_number(id, 8) != step->space->now.epoch)
		return false;
	step->hash = get_number(id + 8, 8);
	return true;
}

/* Whether a damaged entry is shown: a list of keys has it while its key can be proved, so that it
 * can be removed.  One whose key cannot is passed over; both are told. */
static bool shows_damaged(kv_store *store, const struct step *step, const unsigned char *id,
			  const char *key, uint64_t key_len)
{
	bool known = key != NULL && key_is(store, id, key, key_len);

	damage_tell(store, step->space->id, step->hash, known ? key : NULL, known ? key_len : 0);
	return known;
}

/* Looks at one entry.  MDB_CORRUPTED: its value is asked for, and damaged; or 0; live: it was
 * there to be seen. */
static int look(kv_store *store, struct step *step, const unsigned char *id, MDB_val data, bool *live)
{
	bool values = (step->scan->flags & KV_SCAN_VALUES) != 0;
	struct record record = {0};
	const char *key = NULL, *value = NULL;
	uint64_t value_len = 0;

	step->looked++;
	bool whole = record_read(data, &record, &key, &value, &value_len) &&
		     ((!values && value_len > SUM_AT_ONCE) || record_whole(&record, key, value_len));

	*live = false;
	if (!whole) {
		bool shown = shows_damaged(store, step, id, key, record.key_len);

		if (values)
			return MDB_CORRUPTED;
		if (!shown)
			return 0;
	} else if (kv_gone(record.expiry, step->scan->now)) {
		return 0;
	}
	*live = true;
	if (take(step->scan, &record, key, value, value_len))
		step->bytes += value_len;
	else
		step->full = true;
	return 0;
}

static bool spent(const struct step *step)
{
	const struct kv_scan *scan = step->scan;

	return step->looked >= scan->budget ||
	       (scan->budget_bytes != 0 && step->bytes >= scan->budget_bytes);
}

/* Entries from the cursor on, until budget, memory or space end. */
static int walk(kv_store *store, struct step *step)
{
	struct kv_scan *scan = step->scan;
	uint64_t before = scan->cursor;
	MDB_val name, data;
	bool live;
	int rc = seek(store, step, scan->cursor, &name, &data);

	for (; rc == 0 && in_space(step, name);
	     rc = mdb_cursor_get(store->cursor, &name, &data, MDB_NEXT)) {
		if (step->hash != before && step->looked > 0 && spent(step)) {
			scan->cursor = step->hash;
			return 0;
		}
		rc = look(store, step, name.mv_data, data, &live);
		if (rc != 0)
			return rc;
		if (step->full) {
			scan->cursor = step->hash; /* with all that have this hash again */
			return 0;
		}
		before = step->hash;
	}
	scan->cursor = 0;
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* The first live entry from a hash on. */
static int first_live(kv_store *store, struct step *step, uint64_t hash)
{
	MDB_val name, data;
	bool live = false;
	int rc = seek(store, step, hash, &name, &data);

	while (rc == 0 && in_space(step, name)) {
		rc = look(store, step, name.mv_data, data, &live);
		if (rc != 0 || live)
			return rc;
		rc = mdb_cursor_get(store->cursor, &name, &data, MDB_NEXT);
	}
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* An entry that follows a random hash, going round once. */
static int one_random(kv_store *store, struct step *step)
{
	uint64_t hash = key_hash(store, &step->scan->seed, sizeof step->scan->seed);
	int rc = first_live(store, step, hash);

	if (rc == 0 && step->scan->count == 0 && !step->full)
		rc = first_live(store, step, 0);
	return rc;
}

int lmdb_scan(kv_store *store, struct kv_scan *scan)
{
	struct step step = {.scan = scan, .space = space_find(store, scan->space)};
	bool random = (scan->flags & KV_SCAN_RANDOM) != 0;
	int rc;

	scan->first = scan->last = NULL;
	scan->count = 0;
	if ((scan->flags & ~(KV_SCAN_VALUES | KV_SCAN_RANDOM)) != 0)
		return KV_UNSUPPORTED;
	if (step.space == NULL || step.space->now.figures.entries == 0) {
		scan->cursor = random ? scan->cursor : 0;
		return KV_OK;
	}
	rc = txn_read(store);
	if (rc != 0)
		return status_of(rc);
	rc = random ? one_random(store, &step) : walk(store, &step);
	txn_abort(store);
	if (rc != 0)
		return status_of(rc);
	return step.full && scan->count == 0 ? KV_NO_MEMORY : KV_OK;
}
