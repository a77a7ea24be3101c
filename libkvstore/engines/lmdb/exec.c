/*
 * exec.c - a batch: one transaction, repeated when the map was too small
 */
#include "ahead.h"
#include "steady.h"

#include <stdlib.h>

char *scratch(kv_store *store, uint64_t n)
{
	if (n > store->scratch_room) {
		char *grown = realloc(store->scratch, n);

		if (grown == NULL)
			return NULL;
		store->scratch = grown;
		store->scratch_room = n;
	}
	return store->scratch != NULL ? store->scratch : scratch(store, 64);
}

#define SCRATCH_KEPT (1u << 20)

static void scratch_shrink(kv_store *store)
{
	if (store->scratch_room <= SCRATCH_KEPT)
		return;
	free(store->scratch);
	store->scratch = NULL;
	store->scratch_room = 0;
}

/* -------------------------------------------------------------------- pins */

/*
 * A pinned value is a copy: what a transaction shows is gone with it, and one that
 * waited for a slow client would keep every page that was freed since.
 */
static int pin_value(kv_store *store, struct kv_op *op, const char *from, uint64_t n)
{
	char *copy = malloc(n);

	if (copy == NULL)
		return KV_NO_MEMORY;
	memcpy(copy, from, n);
	op->value = copy;
	op->pin = (uint64_t)(uintptr_t)copy;
	store->pins++;
	return KV_OK;
}

void lmdb_release(kv_store *store, const uint64_t *pins, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		free((void *)(uintptr_t)pins[i]);
	store->pins -= count;
}

/* -------------------------------------------------------------- operations */

/*
 * KV_OK: there is an entry; KV_NOT_FOUND: there is none, or its time has passed; KV_CORRUPT: its
 * time says so, but is damaged.
 */
static int presence(kv_store *store, const struct kv_batch *batch, const struct place *place)
{
	if (!place->found)
		return KV_NOT_FOUND;
	if (!kv_gone(place->record.expiry, batch->now))
		return KV_OK;
	return long_whole(store, place) ? KV_NOT_FOUND : KV_CORRUPT;
}

static int op_get(kv_store *store, struct kv_batch *batch, struct kv_op *op,
		  const struct place *place)
{
	uint64_t from = op->offset < place->value_len ? op->offset : place->value_len;
	uint64_t n = place->value_len - from;
	int status = KV_OK;

	if (op->length < n)
		n = op->length;
	if (n == place->value_len && !long_whole(store, place))
		return KV_CORRUPT;
	if (n >= KV_PIN_LENGTH) {
		status = pin_value(store, op, place->value + from, n);
	} else {
		void *copy = kv_alloc(batch->reply, n);

		if (copy == NULL)
			return KV_NO_MEMORY;
		memcpy(copy, place->value + from, n);
		op->value = copy;
	}
	op->value_len = n;
	op->tag = place->record.tag;
	op->expiry = place->record.expiry;
	return status;
}

static int op_meta(struct kv_op *op, const struct place *place)
{
	op->value = NULL;
	op->value_len = place->value_len;
	op->tag = place->record.tag;
	op->expiry = place->record.expiry;
	return KV_OK;
}

static int op_set(kv_store *store, struct kv_op *op, struct place *place)
{
	int64_t expiry = op->expiry;
	char *to;
	int status;

	if ((op->flags & KV_OP_KEEP_EXPIRY) != 0 && place->found) {
		if (!long_whole(store, place))
			return KV_CORRUPT;
		expiry = place->record.expiry;
	}
	status = place_put(store, place, op->value_len, expiry, op->tag, &to);
	if (status != KV_OK)
		return status;
	if (op->value_len != 0)
		memcpy(to, op->value, op->value_len);
	place_seal(store, place);
	return KV_OK;
}

/* Removes the entry that was found because its time has passed. */
static int settle(kv_store *store, struct kv_batch *batch, struct place *place)
{
	int status = kv_event_add(batch->events, KV_EXPIRED, place->space_id, place->key,
				  place->key_len);

	return status == KV_OK ? place_remove(store, place) : status;
}

/* Whether an operation does without what was there before, so that damage is no hindrance. */
static bool removes(const struct kv_op *op)
{
	return op->code == KV_DELETE || (op->code == KV_SET && (op->flags & KV_OP_KEEP_EXPIRY) == 0);
}

static int op_delete(kv_store *store, struct place *place)
{
	if (place->damaged)
		return place_discard(store, place);
	return place->found ? place_remove(store, place) : KV_NOT_FOUND;
}

static int op_write(kv_store *store, struct kv_batch *batch, struct kv_op *op)
{
	struct place place;
	int status = place_find(store, op->space, op->key, op->key_len, &place);

	if (status == KV_OK)
		status = presence(store, batch, &place);
	if (status == KV_NOT_FOUND)
		status = place.found ? settle(store, batch, &place) : KV_OK;
	else if (status == KV_CORRUPT && (place.found || place.damaged) && removes(op))
		status = KV_OK;
	if (status != KV_OK)
		return status;
	switch (op->code) {
	case KV_SET:
		return op_set(store, op, &place);
	case KV_DELETE:
		return op_delete(store, &place);
	default:
		return update_at(store, op, &place);
	}
}

static int answer(kv_store *store, struct kv_batch *batch, struct kv_op *op,
		  const struct place *place)
{
	int status = presence(store, batch, place);

	if (status != KV_OK)
		return status;
	return op->code == KV_GET ? op_get(store, batch, op, place) : op_meta(op, place);
}

static int op_read(kv_store *store, struct kv_batch *batch, struct kv_op *op)
{
	struct place place;
	int status = place_find(store, op->space, op->key, op->key_len, &place);

	return status == KV_OK ? answer(store, batch, op, &place) : status;
}

static int op_clear(kv_store *store, struct kv_op *op)
{
	struct space *space = space_find(store, op->space);

	return space != NULL ? space_clear(store, space) : KV_OK;
}

static bool is_write(const struct kv_op *op)
{
	return op->code == KV_SET || op->code == KV_DELETE || op->code == KV_UPDATE ||
	       op->code == KV_CLEAR;
}

static int perform(kv_store *store, struct kv_batch *batch, struct kv_op *op)
{
	if ((op->flags & ~(KV_OP_WITH_NEXT | KV_OP_KEEP_EXPIRY)) != 0 ||
	    op->space == KV_SPACE_ALL)
		return KV_UNSUPPORTED;
	if (is_write(op) && store->refusal != KV_OK)
		return store->refusal;
	switch (op->code) {
	case KV_GET:
	case KV_META:
		return op_read(store, batch, op);
	case KV_SET:
	case KV_DELETE:
	case KV_UPDATE:
		return op_write(store, batch, op);
	case KV_CLEAR:
		return op_clear(store, op);
	default:
		return KV_UNSUPPORTED;
	}
}

/* ------------------------------------------------------------------- batch */

/* A part of a batch that goes into one transaction. */
struct part {
	struct kv_batch *batch;
	uint64_t from, to;
	struct kv_event *last; /* event before it */
	uint64_t events;
};

static void part_begin(struct part *part)
{
	part->last = part->batch->events != NULL ? part->batch->events->last : NULL;
	part->events = part->batch->events != NULL ? part->batch->events->count : 0;
	for (uint64_t i = part->from; i < part->to; i++)
		kv_op_at(part->batch, i)->pin = 0;
}

/* As if it had not been tried. */
static void part_undo(kv_store *store, struct part *part)
{
	struct kv_events *events = part->batch->events;

	for (uint64_t i = part->from; i < part->to; i++) {
		struct kv_op *op = kv_op_at(part->batch, i);

		if (op->pin != 0)
			lmdb_release(store, &op->pin, 1);
		op->pin = 0;
	}
	if (events == NULL)
		return;
	events->last = part->last;
	events->count = part->events;
	if (part->last != NULL)
		part->last->next = NULL;
	else
		events->first = NULL;
}

#ifndef SORT_LEAST
#define SORT_LEAST 32u /* fewer are not worth it */
#endif
#define SORT_MOST 65536u /* at a time */
#define SORT_BUCKETS 4096u

static bool has_key(const struct kv_op *op)
{
	return op->code == KV_GET || op->code == KV_META || op->code == KV_SET ||
	       op->code == KV_DELETE || op->code == KV_UPDATE;
}

/* Hashes have 63 bits. */
static uint32_t bucket_of(uint64_t hash)
{
	return (uint32_t)(hash >> 51);
}

/* Whether nobody can tell in which order operations on different keys were carried out:
 * none clears, and there is no limit that one of them could be the first to meet. */
static bool may_sort(const kv_store *store, const struct part *part, bool write)
{
	if (store->refusal != KV_OK || (write && store->max_memory != 0))
		return false;
	for (uint64_t i = part->from; write && i < part->to; i++)
		if (!has_key(kv_op_at(part->batch, i)))
			return false;
	return true;
}

/* The operations of a part in the order in which their keys lie. */
struct order {
	uint64_t *hashes; /* by operation; 0 without a key */
	uint32_t *at;     /* which comes when */
};

/*
 * Puts the numbers of the part's operations in the order in which their keys lie:
 * neighbours share pages, which are then at hand.  Those on one key stay in their order.
 * False: no memory, or too few.
 */
static bool in_key_order(kv_store *store, const struct part *part, struct order *order)
{
	uint64_t n = part->to - part->from;
	uint32_t starts[SORT_BUCKETS + 1] = {0};
	uint64_t *hashes = store->hashes;

	if (n < SORT_LEAST || n > SORT_MOST)
		return false;
	if (n > store->hashes_room) { /* updates use scratch meanwhile */
		hashes = realloc(hashes, n * (sizeof *hashes + sizeof *order->at));
		if (hashes == NULL)
			return false;
		store->hashes = hashes;
		store->hashes_room = n;
	}
	*order = (struct order){hashes, (uint32_t *)(hashes + n)};
	for (uint64_t i = 0; i < n; i++) {
		const struct kv_op *op = kv_op_at(part->batch, part->from + i);

		hashes[i] = has_key(op) ? key_hash(store, op->key, op->key_len) : 0;
		starts[bucket_of(hashes[i]) + 1u]++;
	}
	for (uint32_t i = 0; i < SORT_BUCKETS; i++)
		starts[i + 1] += starts[i];
	for (uint64_t i = 0; i < n; i++)
		order->at[starts[bucket_of(hashes[i])]++] = (uint32_t)i;
	return true;
}

/* A reading operation of which ahead.c may have the record. */
static int read_one(kv_store *store, struct kv_batch *batch, struct kv_op *op,
		    const struct sought *sought)
{
	MDB_val data = {sought->size, (void *)(uintptr_t)sought->data};
	struct place place;

	if (sought->data != NULL && (op->flags & ~(KV_OP_WITH_NEXT | KV_OP_KEEP_EXPIRY)) == 0 &&
	    (op->code == KV_GET || op->code == KV_META) &&
	    place_take(store, op->space, op->key, op->key_len, data, &place))
		return answer(store, batch, op, &place);
	return perform(store, batch, op);
}

/* Carries out the part, which writes nothing, a group of operations at a time. */
static void read_all(kv_store *store, const struct part *part, const struct order *order,
		     const struct ahead *ahead)
{
	uint64_t n = part->to - part->from;
	struct sought group[AHEAD_GROUP];

	for (uint64_t i = 0; i < n && store->fault == 0; i += AHEAD_GROUP) {
		unsigned many = n - i < AHEAD_GROUP ? (unsigned)(n - i) : AHEAD_GROUP;

		for (unsigned k = 0; k < many; k++) {
			const struct kv_op *op = kv_op_at(part->batch, part->from + order->at[i + k]);
			const struct space *space = space_find(store, op->space);

			group[k].epoch = space != NULL ? space->now.epoch : 0;
			group[k].hash = order->hashes[order->at[i + k]];
		}
		ahead_find(ahead, group, many);
		for (unsigned k = 0; k < many && store->fault == 0; k++) {
			struct kv_op *op = kv_op_at(part->batch, part->from + order->at[i + k]);

			op->status = read_one(store, part->batch, op, &group[k]);
		}
	}
}

/* Carries out the operations of the part, in the transaction. */
static void perform_all(kv_store *store, const struct part *part, bool write)
{
	struct ahead ahead;
	struct order order;
	bool ordered = may_sort(store, part, write) && in_key_order(store, part, &order);

	if (ordered && !write && ahead_begin(store, &ahead)) {
		read_all(store, part, &order, &ahead);
		return;
	}
	for (uint64_t i = part->from; i < part->to && store->fault == 0; i++) {
		uint64_t at = ordered ? part->from + order.at[i - part->from] : i;
		struct kv_op *op = kv_op_at(part->batch, at);

		op->status = perform(store, part->batch, op);
	}
}

/* Carries out the part in a transaction; 0 or an error of LMDB, and nothing is done. */
static int try_part(kv_store *store, struct part *part, bool write)
{
	int rc = write ? txn_write(store) : txn_read(store);

	part_begin(part);
	if (rc != 0)
		return rc;
	perform_all(store, part, write);
	if (write) {
		store->tied = (kv_op_at(part->batch, part->to - 1)->flags & KV_OP_WITH_NEXT) != 0;
		store->tied_at = part->batch->now;
	}
	rc = txn_commit(store);
	if (rc != 0)
		part_undo(store, part);
	return rc;
}

/* Bytes of values that the part brings. */
static uint64_t brought(const struct part *part)
{
	uint64_t n = 0;

	for (uint64_t i = part->from; i < part->to; i++)
		if (kv_op_at(part->batch, i)->code == KV_SET)
			n += kv_op_at(part->batch, i)->value_len;
	return n;
}

/* Reads are answered, writes get the status; KV_OK, or that of a store that cannot be
 * read. */
static int refuse_part(kv_store *store, struct part *part, int status)
{
	int rc;

	store->refusal = status;
	rc = try_part(store, part, false);
	store->refusal = KV_OK;
	for (uint64_t i = part->from; rc != 0 && i < part->to; i++)
		kv_op_at(part->batch, i)->status = status_of(rc);
	return KV_OK;
}

/* Reads only. */
static int read_part(kv_store *store, struct part *part)
{
	return refuse_part(store, part, KV_OK);
}

static int run_part(kv_store *store, struct part *part);

/* The middle of a part, not between two that belong together; its end when there is
 * none. */
static uint64_t middle(const struct part *part)
{
	uint64_t i = part->from + (part->to - part->from) / 2;

	while (i < part->to && i > part->from &&
	       (kv_op_at(part->batch, i - 1)->flags & KV_OP_WITH_NEXT) != 0)
		i++;
	return i > part->from ? i : part->to;
}

/* Too much for one transaction: two. */
static int run_halves(kv_store *store, struct part *part)
{
	struct part first = *part, second = *part;

	first.to = second.from = middle(part);
	if (first.to == part->to)
		return refuse_part(store, part, KV_NO_MEMORY);
	run_part(store, &first);
	return run_part(store, &second);
}

static int run_part(kv_store *store, struct part *part)
{
	int rc = try_part(store, part, true);

	while (rc == MDB_MAP_FULL) {
		rc = env_grow(store, brought(part) * 2);
		if (rc == 0)
			rc = try_part(store, part, true);
	}
	if (rc == 0)
		return KV_OK;
	if (rc == MDB_TXN_FULL)
		return run_halves(store, part);
	say(store, KV_LOG_WARNING, "writes refused: %s", mdb_strerror(rc));
	return refuse_part(store, part, status_of(rc));
}

static bool writes(const struct kv_batch *batch)
{
	if ((batch->flags & KV_BATCH_READ_ONLY) != 0)
		return false;
	for (uint64_t i = 0; i < batch->count; i++)
		if (is_write(kv_op_at(batch, i)))
			return true;
	return false;
}

int lmdb_exec(kv_store *store, struct kv_batch *batch)
{
	struct part part = {.batch = batch, .to = batch->count};
	int status;

	if (batch->count == 0)
		return KV_OK;
	if (!writes(batch))
		status = read_part(store, &part);
	else if (store->broken != KV_OK)
		status = refuse_part(store, &part, store->broken);
	else
		status = run_part(store, &part);
	if (store->steady != NULL && !store->tied)
		steady_wrote(store, batch->now);
	scratch_shrink(store);
	return status;
}
