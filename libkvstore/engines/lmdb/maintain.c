/*
 * maintain.c - housekeeping: what has expired, what was cleared, what is to be synced
 */
#include "steady.h"

/* A slice under way; what a repetition begins with again. */
struct slice {
	struct kv_maintain *m;
	struct kv_event *last;
	uint64_t events;
};

/* The first expiry time that there is, 0: none. */
static int first_expiry(kv_store *store, int64_t *expiry)
{
	MDB_cursor *cursor;
	MDB_val name, nothing;
	int rc = mdb_cursor_open(store->txn, store->expiry, &cursor);

	*expiry = 0;
	if (rc != 0)
		return rc;
	rc = mdb_cursor_get(cursor, &name, &nothing, MDB_FIRST);
	mdb_cursor_close(cursor);
	if (rc == 0 && name.mv_size == EXPIRY_SIZE)
		*expiry = expiry_of(name.mv_data);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* What is left to do: more and next of m. */
static int look_ahead(kv_store *store, struct kv_maintain *m)
{
	MDB_stat cleared;
	int64_t expiry;
	int rc = first_expiry(store, &expiry);

	if (rc == 0)
		rc = mdb_stat(store->txn, store->cleared, &cleared);
	if (rc != 0)
		return rc;
	m->more = cleared.ms_entries != 0 || kv_gone(expiry, m->now);
	m->next = expiry != 0 && expiry != INT64_MAX ? expiry + 1 : expiry;
	return 0;
}

/* The damaged entry that the place's id has, with its key if that can be told. */
static void damaged_place(kv_store *store, struct place *place, MDB_val data)
{
	struct record record;
	const char *key, *value;
	uint64_t value_len;
	bool parsed = record_read(data, &record, &key, &value, &value_len);

	place->space = space_of(store, get_number(place->id, 8));
	place->space_id = place->space != NULL ? place->space->id : 0;
	place_damage(place, data);
	if (!parsed || !key_is(store, place->id, key, record.key_len))
		return;
	place->key = key;
	place->key_len = record.key_len;
}

/*
 * The entry of a row of the index, as a place.  Neither found nor damaged: the id's space was
 * cleared, or the row is of an entry that went before, being damaged.
 */
static int place_of(kv_store *store, const unsigned char *row, struct place *place)
{
	MDB_val name = {ID_SIZE, (void *)(uintptr_t)(row + 8)}, data;
	const char *key;
	int rc = mdb_cursor_get(store->cursor, &name, &data, MDB_SET);

	*place = (struct place){0};
	if (rc != 0)
		return rc == MDB_NOTFOUND ? 0 : rc;
	memcpy(place->id, row + 8, ID_SIZE);
	if (!record_read(data, &place->record, &key, &place->value, &place->value_len) ||
	    (place->value_len <= SUM_AT_ONCE && !record_whole(&place->record, key, place->value_len))) {
		damaged_place(store, place, data);
	} else {
		place->key = key;
		place->key_len = place->record.key_len;
		place->space_id = place->record.space;
		place->space = space_find(store, place->space_id);
		place->found = place->space != NULL && place->space->now.epoch == get_number(place->id, 8);
	}
	if (place->space == NULL || place->record.expiry != expiry_of(row))
		place->found = place->damaged = false;
	return 0;
}

/* Removes a row without an entry of its own. */
static int drop_row(kv_store *store, MDB_cursor *index, const unsigned char *id)
{
	int rc = mdb_cursor_del(index, 0);

	if (rc != 0)
		return fault(store, rc);
	space_row_gone(store, get_number(id, 8));
	return KV_OK;
}

/* Removes one expired entry, of which the index says name.  A status. */
static int expire_one(kv_store *store, struct kv_maintain *m, MDB_cursor *index, MDB_val name)
{
	unsigned char row[EXPIRY_SIZE];
	struct place place;
	int rc, status = KV_OK;

	memcpy(row, name.mv_data, sizeof row);
	rc = place_of(store, row, &place);
	if (rc != 0)
		return fault(store, rc);
	if (!place.found && !place.damaged)
		return drop_row(store, index, row + 8);
	if (place.key != NULL)
		status = kv_event_add(m->events, KV_EXPIRED, place.space_id, place.key, place.key_len);
	if (status != KV_OK)
		return status;
	return place.damaged ? place_discard(store, &place) : place_remove(store, &place);
}

static int expire(kv_store *store, struct kv_maintain *m)
{
	MDB_cursor *index;
	MDB_val name, nothing;
	int status = KV_OK;
	int rc = mdb_cursor_open(store->txn, store->expiry, &index);

	if (rc != 0)
		return fault(store, rc);
	while (status == KV_OK && m->used < m->budget) {
		rc = mdb_cursor_get(index, &name, &nothing, MDB_FIRST);
		if (rc == 0 && name.mv_size != EXPIRY_SIZE)
			rc = MDB_CORRUPTED;
		if (rc != 0 || !kv_gone(expiry_of(name.mv_data), m->now))
			break;
		status = expire_one(store, m, index, name);
		m->used++;
	}
	mdb_cursor_close(index);
	if (rc != 0 && rc != MDB_NOTFOUND)
		return fault(store, rc);
	return status;
}

/* Removes the entry at the cursor, of a cleared space, with its row of the index. */
static int sweep_one(kv_store *store, MDB_val name, MDB_val data)
{
	unsigned char row[EXPIRY_SIZE];
	MDB_val key = {sizeof row, row};
	struct record record = {0};
	int rc = 0;

	if (name.mv_size != ID_SIZE)
		return MDB_CORRUPTED;
	if (data.mv_size >= sizeof record) /* else it is damaged, and its row goes when its time comes */
		memcpy(&record, data.mv_data, sizeof record);
	store->touched += 1 + (record.expiry != 0);
	if (record.expiry != 0) {
		expiry_key(row, record.expiry, name.mv_data);
		rc = mdb_del(store->txn, store->expiry, &key, NULL);
	}
	/* The row may have gone before: its time had passed. */
	return rc == 0 || rc == MDB_NOTFOUND ? mdb_cursor_del(store->cursor, 0) : rc;
}

/* Removes entries of one epoch; the epoch is done with when MDB_NOTFOUND comes. */
static int sweep_epoch(kv_store *store, struct kv_maintain *m, uint64_t epoch)
{
	unsigned char id[ID_SIZE] = {0};
	MDB_val name = {ID_SIZE, id}, data;
	int rc;

	put_number(id, epoch, 8);
	rc = mdb_cursor_get(store->cursor, &name, &data, MDB_SET_RANGE);
	for (; rc == 0 && m->used < m->budget; m->used++) {
		if (get_number(name.mv_data, 8) != epoch)
			return MDB_NOTFOUND;
		rc = sweep_one(store, name, data);
		if (rc == 0) /* the one after it */
			rc = mdb_cursor_get(store->cursor, &name, &data, MDB_NEXT);
	}
	return rc;
}

static int sweep(kv_store *store, struct kv_maintain *m)
{
	MDB_cursor *cleared;
	MDB_val name, nothing;
	int rc = mdb_cursor_open(store->txn, store->cleared, &cleared);

	if (rc != 0)
		return fault(store, rc);
	while (m->used < m->budget) {
		rc = mdb_cursor_get(cleared, &name, &nothing, MDB_FIRST);
		if (rc == 0)
			rc = sweep_epoch(store, m, get_number(name.mv_data, 8));
		else
			break;
		if (rc == MDB_NOTFOUND)
			rc = mdb_cursor_del(cleared, 0);
		m->used++;
		if (rc != 0)
			break;
	}
	mdb_cursor_close(cleared);
	return rc == 0 || rc == MDB_NOTFOUND ? KV_OK : fault(store, rc);
}

/* Removes what is due, in one transaction. */
static int clean_up(kv_store *store, struct slice *slice)
{
	struct kv_maintain *m = slice->m;
	int rc = txn_write(store);

	m->used = 0;
	if (rc != 0)
		return rc;
	int status = expire(store, m);

	if (status == KV_OK)
		status = sweep(store, m);
	if (store->fault == 0 && status == KV_OK) {
		rc = look_ahead(store, m);
		if (rc != 0)
			fault(store, rc);
	}
	rc = txn_commit(store);
	if (rc == 0)
		return 0;
	m->events->last = slice->last;
	m->events->count = slice->events;
	if (slice->last != NULL)
		slice->last->next = NULL;
	else
		m->events->first = NULL;
	return rc;
}

/* Whether there is anything to remove, and until when there is not. */
static int is_due(kv_store *store, struct kv_maintain *m)
{
	int rc = txn_read(store);

	if (rc != 0)
		return rc;
	rc = look_ahead(store, m);
	txn_abort(store);
	return rc;
}

int lmdb_maintain(kv_store *store, struct kv_maintain *m)
{
	struct slice slice = {.m = m, .last = m->events->last, .events = m->events->count};
	int rc;

	m->used = 0;
	m->more = 0;
	m->next = 0;
	rc = is_due(store, m);
	if (rc == 0 && m->more != 0) {
		if (store->broken != KV_OK) {
			m->more = 0;
			return store->broken;
		}
		rc = clean_up(store, &slice);
		while (rc == MDB_MAP_FULL) {
			rc = env_grow(store, 0);
			if (rc == 0)
				rc = clean_up(store, &slice);
		}
	}
	if (rc != 0)
		m->more = 0;
	if (store->steady != NULL)
		steady_advance(store, m->now, &m->next);
	return status_of(rc);
}
