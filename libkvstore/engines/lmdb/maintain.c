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

/* The entry of an id, as a place; not found when the id's space was cleared. */
static int place_of(kv_store *store, const unsigned char *id, struct place *place)
{
	MDB_val name = {ID_SIZE, (void *)(uintptr_t)id}, data;
	const char *key;
	int rc = mdb_cursor_get(store->cursor, &name, &data, MDB_SET);

	*place = (struct place){0};
	if (rc != 0)
		return rc;
	if (!record_read(data, &place->record, &key, &place->value, &place->value_len))
		return MDB_CORRUPTED;
	memcpy(place->id, id, ID_SIZE);
	place->key = key;
	place->key_len = place->record.key_len;
	place->space_id = place->record.space;
	place->space = space_find(store, place->space_id);
	place->found = place->space != NULL && /* a damaged one stays, to be told of */
		       (place->value_len > SUM_AT_ONCE ||
			record_whole(&place->record, key, place->value_len)) &&
		       place->space->now.epoch == get_number(id, 8);
	return 0;
}

/* Removes one expired entry, of which the index says name.  A status. */
static int expire_one(kv_store *store, struct kv_maintain *m, MDB_cursor *index, MDB_val name)
{
	unsigned char id[ID_SIZE];
	struct place place;
	int rc, status;

	memcpy(id, (unsigned char *)name.mv_data + 8, ID_SIZE);
	rc = place_of(store, id, &place);
	if (rc != 0)
		return fault(store, rc);
	if (!place.found) { /* of a cleared space: the entry goes later; or damaged */
		rc = mdb_cursor_del(index, 0);
		return rc == 0 ? KV_OK : fault(store, rc);
	}
	status = kv_event_add(m->events, KV_EXPIRED, place.space_id, place.key, place.key_len);
	return status == KV_OK ? place_remove(store, &place) : status;
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
	struct record record;
	int rc = 0;

	if (data.mv_size < sizeof record || name.mv_size != ID_SIZE)
		return MDB_CORRUPTED;
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
