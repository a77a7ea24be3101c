/*
 * update.c - KV_UPDATE: what the host's function answers, done
 */
#include "store.h"

/* Whether the bytes lie in the value of the place: writing there moves them. */
static bool lies_in(const struct place *place, const void *bytes, uint64_t n)
{
	uintptr_t at = (uintptr_t)bytes, value = (uintptr_t)place->value;

	return place->found && n != 0 && at < value + place->value_len && value < at + n;
}

static int replace(kv_store *store, struct place *place, const struct kv_change *change)
{
	const void *from = change->value;
	char *to;

	if (lies_in(place, from, change->value_len)) {
		char *copy = scratch(store, change->value_len);

		if (copy == NULL)
			return KV_NO_MEMORY;
		memcpy(copy, from, change->value_len);
		from = copy;
	}
	int status = place_put(store, place, change->value_len, change->expiry, change->tag, &to);

	if (status != KV_OK)
		return status;
	if (change->value_len != 0)
		memcpy(to, from, change->value_len);
	place_seal(store, place);
	return KV_OK;
}

/* Puts the old value, cut or filled up, and the patch together aside. */
static int patch(kv_store *store, struct place *place, const struct kv_change *change)
{
	uint64_t keep = place->found ? place->value_len : 0;
	char *copy, *to;

	if (change->patch_offset > change->value_len ||
	    change->patch_len > change->value_len - change->patch_offset)
		return KV_ERROR;
	if (keep > change->value_len)
		keep = change->value_len;
	copy = scratch(store, change->value_len);
	if (copy == NULL)
		return KV_NO_MEMORY;
	if (keep != 0)
		memcpy(copy, place->value, keep);
	memset(copy + keep, 0, change->value_len - keep);
	if (change->patch_len != 0)
		memcpy(copy + change->patch_offset, change->value, change->patch_len);
	int status = place_put(store, place, change->value_len, change->expiry, change->tag, &to);

	if (status != KV_OK)
		return status;
	if (change->value_len != 0)
		memcpy(to, copy, change->value_len);
	place_seal(store, place);
	return KV_OK;
}

static int retag(kv_store *store, struct place *place, const struct kv_change *change)
{
	struct kv_change same = *change;

	if (!place->found ||
	    (change->expiry == place->record.expiry && change->tag == place->record.tag))
		return KV_OK;
	same.value = place->value;
	same.value_len = place->value_len;
	return replace(store, place, &same);
}

int update_at(kv_store *store, struct kv_op *op, struct place *place)
{
	struct kv_entry entry = {.size = sizeof entry};
	struct kv_change change = {.size = sizeof change};

	if (place->found && !long_whole(store, place))
		return KV_CORRUPT;
	if (place->found) {
		entry.present = 1;
		entry.value = place->value;
		entry.value_len = place->value_len;
		entry.expiry = change.expiry = place->record.expiry;
		entry.tag = change.tag = place->record.tag;
	}
	switch (op->update(op->arg, &entry, &change)) {
	case KV_KEEP:
		return KV_OK;
	case KV_REMOVE:
		return place->found ? place_remove(store, place) : KV_OK;
	case KV_REPLACE:
		return replace(store, place, &change);
	case KV_PATCH:
		return patch(store, place, &change);
	case KV_RETAG:
		return retag(store, place, &change);
	default:
		return KV_UNSUPPORTED;
	}
}
