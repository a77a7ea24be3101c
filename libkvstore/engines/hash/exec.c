/*
 * exec.c - a batch: groups of operations, each looked up ahead, then done in order
 *
 * Looking ahead asks for the cache lines that a group will need: first those of
 * all buckets, then those of all entries whose print matches.  It decides nothing;
 * each operation looks its key up when its turn comes.
 */
#include "image.h"
#include "store.h"

#define GROUP 32u
#define RECLAIM_TRIES 64
#define AHEAD_PER_OP 16u /* units of eviction for each operation */
#define KNOWN_FLAGS (KV_OP_WITH_NEXT | KV_OP_KEEP_EXPIRY)

/* One operation being done. */
struct turn {
	struct kv_batch *batch;
	struct kv_op *op;
	uint64_t hash;
	struct space *sp; /* NULL: nothing was ever put there */
	uint64_t *slot;   /* NULL: the key is not there */
	bool stuck;       /* gone, but its event found no memory */
	struct entry entry;
};

/* ---------------------------------------------------------------- look ahead */

static inline bool has_key(const struct kv_op *op)
{
	return op->code != KV_CLEAR && op->code != KV_STAGE && op->key_len <= KEY_MAX;
}

static void ask_bucket(struct kv_store *st, const struct kv_op *op, uint64_t *hash,
		       struct bucket **line)
{
	struct space *sp;

	*line = NULL;
	if (!has_key(op))
		return;
	*hash = hash_key(st->h->seed, op->key, op->key_len);
	sp = space_find(st, op->space);
	if (sp == NULL)
		return;
	*line = index_at(st, sp, index_bucket(sp, *hash));
	prefetch(*line);
}

static inline void ask_entry(struct kv_store *st, uint64_t hash, const struct bucket *line)
{
	if (UNLIKELY(line->slot[7] & SLOT_LINK))
		prefetch(pool_at(st, (uint32_t)(line->slot[7] & SLOT_AT)));
	for (unsigned bits = index_match(line, hash); bits != 0; bits &= bits - 1) {
		const uint8_t *p = entry_at(st, line->slot[__builtin_ctz(bits)]);

		prefetch(p);
		prefetch(p + 63);
	}
}

/* What a removal waits for besides: its block joins the free ones beside it, which are taken
 * out of their lists, between blocks that lie anywhere. */
static void ask_beside(struct kv_store *st, uint64_t hash, const struct bucket *line)
{
	for (unsigned bits = index_match(line, hash); bits != 0; bits &= bits - 1) {
		uint64_t slot = line->slot[__builtin_ctz(bits)];

		if ((slot & SLOT_AT) != 0 && !(slot & SLOT_LARGE))
			arena_ask(st, slot & SLOT_AT);
	}
}

static void look_ahead(struct kv_store *st, const struct kv_batch *batch, uint64_t from,
		       unsigned n, uint64_t *hash)
{
	struct bucket *line[GROUP];
	bool removes = false;

	for (unsigned i = 0; i < n; i++) {
		const struct kv_op *op = kv_op_at(batch, from + i);

		ask_bucket(st, op, &hash[i], &line[i]);
		removes |= op->code == KV_DELETE;
	}
	for (unsigned i = 0; i < n; i++) {
		if (line[i] != NULL)
			ask_entry(st, hash[i], line[i]);
	}
	for (unsigned i = 0; removes && i < n; i++) {
		if (line[i] != NULL && kv_op_at(batch, from + i)->code == KV_DELETE)
			ask_beside(st, hash[i], line[i]);
	}
}

/* -------------------------------------------------------------------- look up */

/* Removes the entry, its time having passed; stuck if that cannot be reported. */
static void drop_gone(struct kv_store *st, struct turn *t)
{
	struct kv_events *events = t->batch->events;

	if (events != NULL &&
	    kv_event_add(events, KV_EXPIRED, t->sp->number, t->entry.key, t->entry.key_len) != KV_OK) {
		t->stuck = true;
		return;
	}
	store_remove(st, t->sp, t->hash, t->slot, KV_EXPIRED);
	t->slot = NULL;
	index_shrink(st, t->sp);
}

static void look_up(struct kv_store *st, struct turn *t)
{
	t->stuck = false;
	t->slot = NULL;
	t->sp = space_find(st, t->op->space);
	if (t->sp == NULL)
		return;
	t->slot = index_find(st, t->sp, t->hash, t->op->key, t->op->key_len);
	if (t->slot == NULL)
		return;
	entry_read(st, *t->slot, &t->entry);
	if (UNLIKELY(kv_gone(t->entry.expiry, t->batch->now)))
		drop_gone(st, t);
}

static inline bool absent(const struct turn *t)
{
	return t->slot == NULL || t->stuck;
}

/* ----------------------------------------------------------------- operations */

static int give_value(struct kv_store *st, struct turn *t)
{
	struct kv_op *op = t->op;
	const struct entry *e = &t->entry;
	uint64_t from = op->offset < e->value_len ? op->offset : e->value_len;
	uint64_t n = e->value_len - from < op->length ? e->value_len - from : op->length;
	void *copy;

	op->pin = 0;
	op->value_len = n;
	if (n >= KV_PIN_LENGTH && (*t->slot & SLOT_LARGE)) {
		op->pin = *t->slot & SLOT_AT;
		op->value = e->value + from;
		extent_pin(st, op->pin, e->value + from);
		return KV_OK;
	}
	copy = kv_alloc(t->batch->reply, n);
	if (copy == NULL && n != 0)
		return KV_NO_MEMORY;
	op->value = copy;
	if (n != 0)
		memcpy(copy, e->value + from, n);
	return KV_OK;
}

static int do_get(struct kv_store *st, struct turn *t)
{
	if (absent(t))
		return KV_NOT_FOUND;
	evict_touch(st, t->slot);
	t->op->tag = t->entry.tag;
	t->op->expiry = t->entry.expiry;
	return give_value(st, t);
}

static int do_meta(struct turn *t)
{
	if (absent(t))
		return KV_NOT_FOUND;
	t->op->tag = t->entry.tag;
	t->op->expiry = t->entry.expiry;
	t->op->value = NULL;
	t->op->value_len = t->entry.value_len;
	return KV_OK;
}

/* Puts a new value where the old one lies, if nothing else changes.  Nobody else refers to a short
 * value. */
static bool overwrite(const struct kv_store *st, uint64_t slot, const struct form *f, const void *value)
{
	struct entry e;

	if (f->expiry != 0 || (slot & (SLOT_LARGE | SLOT_EXPIRY)) != 0)
		return false;
	entry_read(st, slot, &e);
	if (f->value_len != e.value_len || f->tag != e.tag)
		return false;
	if (f->value_len != 0)
		memcpy(e.value, value, f->value_len);
	return true;
}

static int do_set(struct kv_store *st, struct turn *t)
{
	const struct kv_op *op = t->op;
	struct form f = {.tag = op->tag, .expiry = op->expiry, .key = op->key,
			 .key_len = op->key_len, .value_len = op->value_len};
	struct draft d;
	int rc;

	if (op->value_len > VALUE_MAX)
		return KV_TOO_LARGE;
	if (t->stuck)
		return KV_NO_MEMORY;
	if (t->sp == NULL)
		t->sp = space_make(st, op->space);
	if (t->sp == NULL)
		return KV_NO_MEMORY;
	f.sid = t->sp->sid;
	if ((op->flags & KV_OP_KEEP_EXPIRY) && t->slot != NULL)
		f.expiry = t->entry.expiry;
	rc = log_ready(st, f.key_len, stage_log_bytes(st, op->value, f.value_len));
	if (UNLIKELY(rc != KV_OK))
		return rc;
	if (t->slot != NULL)
		evict_touch(st, t->slot);
	if (t->slot != NULL && overwrite(st, *t->slot, &f, op->value)) {
		log_set(st, op->space, &f, op->value);
		return KV_OK;
	}
	if (!entry_write(st, &f, op->value, &d))
		return KV_NO_MEMORY;
	entry_finish(st, &d);
	rc = store_put(st, t->sp, t->hash, t->slot, d.slot, &f);
	if (rc != KV_OK)
		entry_free(st, d.slot);
	else
		log_set(st, op->space, &f, op->value);
	return rc;
}

static int do_delete(struct kv_store *st, struct turn *t)
{
	int rc;

	if (absent(t))
		return KV_NOT_FOUND;
	rc = log_ready(st, t->op->key_len, 0);
	if (UNLIKELY(rc != KV_OK))
		return rc;
	store_remove(st, t->sp, t->hash, t->slot, ASKED_FOR);
	index_shrink(st, t->sp);
	return KV_OK;
}

static int do_update(struct kv_store *st, struct turn *t)
{
	if (t->stuck)
		return KV_NO_MEMORY;
	if (t->slot != NULL)
		evict_touch(st, t->slot);
	return store_update(st, t->op, t->hash, t->slot, t->sp);
}

static int dispatch(struct kv_store *st, struct turn *t)
{
	switch (t->op->code) {
	case KV_GET:
		return do_get(st, t);
	case KV_META:
		return do_meta(t);
	case KV_SET:
		return do_set(st, t);
	case KV_DELETE:
		return do_delete(st, t);
	default:
		return do_update(st, t);
	}
}

/* What is wrong with an operation as it stands, or KV_OK. */
static int judge(const struct kv_op *op)
{
	switch (op->code) {
	case KV_GET:
	case KV_META:
	case KV_SET:
	case KV_DELETE:
	case KV_CLEAR:
	case KV_UPDATE:
	case KV_STAGE:
		break;
	default:
		return KV_UNSUPPORTED;
	}
	if ((op->flags & ~KNOWN_FLAGS) || ((op->flags & KV_OP_KEEP_EXPIRY) && op->code != KV_SET))
		return KV_UNSUPPORTED;
	if (op->space == KV_SPACE_ALL)
		return KV_UNSUPPORTED;
	return op->code != KV_CLEAR && op->key_len > KEY_MAX ? KV_TOO_LARGE : KV_OK;
}

static int do_clear(struct kv_store *st, uint32_t space)
{
	struct record r = {.type = RECORD_CLEAR, .space = space};
	int rc = log_ready(st, 0, 0);

	if (rc != KV_OK || space_find(st, space) == NULL)
		return rc;
	space_clear(st, space);
	if (st->disk != NULL)
		disk_note(st, &r);
	return KV_OK;
}

/* After an operation found no memory; false when there is no more to be found. */
static bool find_room(struct kv_store *st, struct kv_batch *batch, unsigned attempt)
{
	if (!image_settle(st))
		return false;
	if (st->lacking != 0 && evicts(st->h))
		return evict_now(st, batch->now, batch->events, attempt);
	return store_reclaim(st);
}

static int do_one(struct kv_store *st, struct kv_batch *batch, struct kv_op *op, uint64_t hash)
{
	struct turn t;
	int rc = judge(op);
	int tries = 0;

	if (rc != KV_OK)
		return rc;
	if (UNLIKELY(st->disk != NULL))
		st->disk->joined = (op->flags & KV_OP_WITH_NEXT) != 0;
	if (op->code == KV_CLEAR)
		return do_clear(st, op->space);
	t.batch = batch;
	t.op = op;
	t.hash = hash;
	do {
		st->lacking = 0;
		if (UNLIKELY(op->code == KV_STAGE)) {
			rc = stage_exec(st, op);
			continue;
		}
		look_up(st, &t);
		rc = dispatch(st, &t);
	} while (UNLIKELY(rc == KV_NO_MEMORY) && tries++ < RECLAIM_TRIES &&
		 find_room(st, batch, (unsigned)tries - 1));
	return rc;
}

int hash_exec(kv_store *st, struct kv_batch *batch)
{
	uint64_t hash[GROUP];

	if (UNLIKELY(st->image != NULL) && !image_ready(st, batch))
		return KV_CORRUPT;
	for (uint64_t from = 0; from < batch->count; from += GROUP) {
		uint64_t left = batch->count - from;
		unsigned n = left < GROUP ? (unsigned)left : GROUP;

		look_ahead(st, batch, from, n, hash);
		for (unsigned i = 0; i < n; i++) {
			struct kv_op *op = kv_op_at(batch, from + i);

			op->status = do_one(st, batch, op, hash[i]);
		}
	}
	if (evicts(st->h) && !(batch->flags & KV_BATCH_READ_ONLY)) {
		bool more = false;

		evict_ahead(st, batch->now, batch->count * AHEAD_PER_OP, batch->events, &more);
	}
	return KV_OK;
}

void hash_release(kv_store *st, const uint64_t *pins, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		extent_unpin(st, pins[i]);
		stage_end(st, pins[i]);
	}
}
