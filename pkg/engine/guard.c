/*
 * guard.c - exec for engines that cannot do everything
 *
 * An engine is never asked for what it says it cannot do: such an operation
 * gets KV_UNSUPPORTED here.  KV_UPDATE without KV_CAP_UPDATE is made of a get,
 * the function, and a set or delete; the lane makes the three one.  The rest
 * of the batch goes to the engine in runs, in order.
 */
#include "host.h"

#include <stdlib.h>

/* Whether the engine has this capability. */
static int can(const struct kvh_store *store, uint64_t capability)
{
	return (store->library->engine.capabilities & capability) != 0;
}

/* Whether this operation can be given to the engine as it is. */
static int supported(const struct kvh_store *store, const struct kv_op *op)
{
	if (op->space != 0 && !can(store, KV_CAP_SPACES))
		return 0;
	switch (op->code) {
	case KV_SET:
		if (op->expiry != 0 && !can(store, KV_CAP_EXPIRY))
			return 0;
		return op->tag == 0 || can(store, KV_CAP_TAGS);
	case KV_DELETE:
	case KV_CLEAR:
		return can(store, KV_CAP_DELETE);
	default:
		return 1;
	}
}

/* Hands operations [from, to) of the batch to the engine. */
static int exec_run(struct kvh_store *store, const struct kv_batch *batch, uint64_t from,
		    uint64_t to)
{
	struct kv_batch run = *batch;

	if (from == to)
		return KV_OK;
	run.ops = kv_op_at(batch, from);
	run.count = to - from;
	return store->library->engine.exec(store->store, &run);
}

/* Has the engine carry out one operation of the host's own. */
static int exec_one(struct kvh_store *store, const struct kv_batch *batch, struct kv_op *op)
{
	struct kv_batch one = *batch;

	one.ops = op;
	one.op_size = sizeof *op;
	one.count = 1;
	one.flags = 0;
	if (!supported(store, op)) {
		op->status = KV_UNSUPPORTED;
		return KV_OK;
	}
	return store->library->engine.exec(store->store, &one);
}

/* Carries out what the update function answered with a value made anew. */
static int put_value(struct kvh_store *store, const struct kv_batch *batch, struct kv_op *op,
		     const void *value, uint64_t value_len, const struct kv_change *change)
{
	struct kv_op set = {
		.code = KV_SET,
		.flags = op->flags & KV_OP_WITH_NEXT,
		.space = op->space,
		.tag = change->tag,
		.key = op->key,
		.key_len = op->key_len,
		.value = value,
		.value_len = value_len,
		.expiry = change->expiry,
	};
	int status = exec_one(store, batch, &set);

	op->status = set.status;
	return status;
}

/* KV_PATCH: the old value cut or filled, with the patch over it. */
static int put_patched(struct kvh_store *store, const struct kv_batch *batch, struct kv_op *op,
		       const struct kv_op *old, const struct kv_change *change)
{
	uint64_t keep = old->value_len < change->value_len ? old->value_len : change->value_len;

	op->status = KV_ERROR;
	if (change->patch_offset > change->value_len ||
	    change->patch_len > change->value_len - change->patch_offset)
		return KV_OK;
	char *value = malloc(change->value_len + 1);

	op->status = KV_NO_MEMORY;
	if (value == NULL)
		return KV_OK;
	if (keep > 0)
		memcpy(value, old->value, keep);
	memset(value + keep, 0, change->value_len - keep);
	if (change->patch_len > 0)
		memcpy(value + change->patch_offset, change->value, change->patch_len);
	int status = put_value(store, batch, op, value, change->value_len, change);

	free(value);
	return status;
}

/* KV_REMOVE. */
static int remove_key(struct kvh_store *store, const struct kv_batch *batch, struct kv_op *op)
{
	struct kv_op delete = {
		.code = KV_DELETE,
		.flags = op->flags & KV_OP_WITH_NEXT,
		.space = op->space,
		.key = op->key,
		.key_len = op->key_len,
	};
	int status = exec_one(store, batch, &delete);

	op->status = delete.status == KV_NOT_FOUND ? KV_OK : delete.status;
	return status;
}

/* Asks the function and does what it answers; `old` is the entry's KV_GET. */
static int update_entry(struct kvh_store *store, const struct kv_batch *batch, struct kv_op *op,
			const struct kv_op *old)
{
	struct kv_entry entry = {.size = sizeof entry};
	struct kv_change change = {.size = sizeof change};

	if (old->status == KV_OK) {
		entry.present = 1;
		entry.value = old->value != NULL ? old->value : "";
		entry.value_len = old->value_len;
		entry.expiry = change.expiry = old->expiry;
		entry.tag = change.tag = old->tag;
	}
	int answer = op->update(op->arg, &entry, &change);

	op->status = KV_OK;
	switch (answer) {
	case KV_KEEP:
		return KV_OK;
	case KV_REMOVE:
		return entry.present ? remove_key(store, batch, op) : KV_OK;
	case KV_REPLACE:
		return put_value(store, batch, op, change.value, change.value_len, &change);
	case KV_PATCH:
		return put_patched(store, batch, op, old, &change);
	case KV_RETAG:
		return entry.present ? put_value(store, batch, op, old->value, old->value_len, &change)
				     : KV_OK;
	default:
		op->status = KV_ERROR;
		return KV_OK;
	}
}

/* KV_UPDATE by get, function and set. */
static int emulate_update(struct kvh_store *store, const struct kv_batch *batch, struct kv_op *op)
{
	struct kv_op old = {
		.code = KV_GET,
		.space = op->space,
		.key = op->key,
		.key_len = op->key_len,
		.length = UINT64_MAX,
	};
	int status = exec_one(store, batch, &old);

	if (status != KV_OK)
		return status;
	if (old.status != KV_OK && old.status != KV_NOT_FOUND) {
		op->status = old.status;
		return KV_OK;
	}
	if (old.status == KV_NOT_FOUND)
		old.pin = old.value_len = 0;
	status = update_entry(store, batch, op, &old);
	if (old.pin != 0)
		store->library->engine.release(store->store, &old.pin, 1);
	return status;
}

int kvh_exec_guarded(struct kvh_store *store, struct kv_batch *batch)
{
	int emulate = !can(store, KV_CAP_UPDATE);
	uint64_t from = 0; /* the first operation not yet carried out */

	for (uint64_t i = 0; i < batch->count; i++) {
		struct kv_op *op = kv_op_at(batch, i);
		int by_host = emulate && op->code == KV_UPDATE;

		if (!by_host && supported(store, op))
			continue;
		int status = exec_run(store, batch, from, i);

		if (status == KV_OK && by_host)
			status = emulate_update(store, batch, op);
		else
			op->status = KV_UNSUPPORTED;
		if (status != KV_OK)
			return status;
		from = i + 1;
	}
	return exec_run(store, batch, from, batch->count);
}
