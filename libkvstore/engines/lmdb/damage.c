/*
 * damage.c - entries that fail their sums: told of, passed over, removed when somebody says so
 *
 * A damaged entry is never answered as data.  Its key may be part of the damage; but the id
 * under which it lies has the key's hash, so a key can be proved, and one that is asked for
 * finds what is left of its entry.  DEL and SET take that away; what needs the value is refused.
 */
#include "journal.h"

#include <stdio.h>

#define KEY_SHOWN 64u

bool key_is(const kv_store *store, const unsigned char *id, const void *key, uint64_t key_len)
{
	return key_hash(store, key, key_len) == get_number(id + 8, 8);
}

/* The key for people: in quotes, on one line, not too long. */
static const char *quote(char *to, size_t room, const char *key, uint64_t key_len)
{
	uint64_t shown = key_len < KEY_SHOWN ? key_len : KEY_SHOWN;
	size_t n = 0;

	to[n++] = '"';
	for (uint64_t i = 0; i < shown; i++) {
		unsigned char c = (unsigned char)key[i];

		if (c == '"' || c == '\\')
			to[n++] = '\\';
		if (c >= 0x20 && c < 0x7f)
			to[n++] = (char)c;
		else
			n += (size_t)snprintf(to + n, 5, "\\x%02x", c);
	}
	snprintf(to + n, room - n, "%s", shown < key_len ? "\"..." : "\"");
	return to;
}

/* What an entry is remembered by. */
static uint64_t mark_of(uint32_t space, uint64_t hash)
{
	return hash ^ (uint64_t)space * 0x9e3779b97f4a7c15ull;
}

/* Whether the log has named it. */
static bool was_told(const kv_store *store, uint64_t mark)
{
	for (unsigned i = 0; i < store->told_count; i++)
		if (store->told[i] == mark)
			return true;
	return false;
}

void damage_tell(kv_store *store, uint32_t space, uint64_t hash, const void *key, uint64_t key_len)
{
	char text[4 * KEY_SHOWN + 8];
	uint64_t mark = mark_of(space, hash);

	if (store->told_count == TOLD_MOST || was_told(store, mark))
		return;
	store->told[store->told_count++] = mark;
	if (key != NULL)
		say(store, KV_LOG_ERROR, "the entry of key %s in database %u is damaged: it is not served; "
		    "put the store back from a backup, or remove the key with DEL or set it anew",
		    quote(text, sizeof text, key, key_len), space);
	else
		say(store, KV_LOG_ERROR, "an entry in database %u is damaged, and its key, too: it is not served; "
		    "put the store back from a backup, or remove its key with DEL if you know it", space);
	if (store->told_count == TOLD_MOST)
		say(store, KV_LOG_ERROR, "%u damaged entries: more are not named", TOLD_MOST);
}

void place_damage(struct place *place, MDB_val data)
{
	uint64_t head = sizeof place->record;

	place->damaged = true;
	place->found = false;
	place->record = (struct record){0};
	place->value_len = data.mv_size > head ? data.mv_size - head : 0;
	if (data.mv_size >= head)
		memcpy(&place->record.expiry, data.mv_data, sizeof place->record.expiry);
}

int place_discard(kv_store *store, struct place *place)
{
	MDB_val id = {ID_SIZE, place->id};
	const struct figures *figures = &place->space->now.figures;

	if (place->key != NULL)
		journal_remove(store, place);
	int rc = place_drop_row(store, place);

	if (rc == 0)
		rc = mdb_del(store->txn, store->entries, &id, NULL);
	if (rc != 0)
		return fault(store, rc);
	store->touched += 2;
	if (place->value_len > figures->payload) /* so much as the damage says cannot have been there */
		place->value_len = figures->payload;
	if (figures->entries != 0)
		space_count(store, place->space, -1, &place->record, place->value_len);
	place->damaged = false;
	return KV_OK;
}
