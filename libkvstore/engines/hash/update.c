/* update.c - KV_UPDATE: asks the host's function and does what it answers */
#include "store.h"

#define SHORT_PATCH 64u /* bytes beside the patch that are written rather than found again */

/* All that the answers need to know. */
struct update {
	const struct kv_op *op;
	uint64_t hash;
	uint64_t *old; /* NULL: the key is not there */
	struct space *sp;
	struct entry entry; /* of old */
	struct kv_change change;
};

static void describe(const struct update *u, struct kv_entry *present)
{
	memset(present, 0, sizeof *present);
	present->size = sizeof *present;
	if (u->old == NULL)
		return;
	present->present = 1;
	present->value = u->entry.value;
	present->value_len = u->entry.value_len;
	present->expiry = u->entry.expiry;
	present->tag = u->entry.tag;
}

/* Whether a change goes into the log as a patch: not where the whole value is hardly longer. */
static bool as_patch(const struct update *u, int answer)
{
	const struct kv_change *c = &u->change;
	uint64_t more = SHORT_PATCH + (u->old == NULL ? u->op->key_len : 0);

	return answer == KV_PATCH && c->value_len - c->patch_len > more;
}

/* Puts into the log that an entry is there, with an empty value, in one frame with what
 * comes next: a patch of it. */
static void note_empty(struct kv_store *st, struct record r)
{
	uint32_t joined = st->disk->joined;

	r.value_len = 0;
	st->disk->joined = 1;
	disk_note(st, &r);
	st->disk->joined = joined;
}

/* Puts a change into the log. */
static void note(struct kv_store *st, const struct update *u, int answer)
{
	const struct kv_change *c = &u->change;
	struct record r = {.type = RECORD_SET, .space = u->op->space, .tag = c->tag, .expiry = c->expiry,
			   .key = u->op->key, .key_len = u->op->key_len, .value = c->value,
			   .value_len = c->value_len};
	uint64_t *slot;
	struct entry e;

	if (answer == KV_RETAG) {
		r.type = RECORD_RETAG;
		r.value_len = 0;
	} else if (as_patch(u, answer)) {
		if (u->old == NULL)
			note_empty(st, r);
		r.type = RECORD_PATCH;
		r.value_len = c->patch_len;
		r.offset = c->patch_offset;
		r.total = c->value_len;
	} else if (answer == KV_PATCH) {
		slot = index_find(st, u->sp, u->hash, u->op->key, u->op->key_len);
		entry_read(st, *slot, &e);
		r.value = e.value;
	}
	if (r.type == RECORD_SET)
		stage_note(st, &r);
	else
		disk_note(st, &r);
}

/* Makes an entry after the change, with the first `keep` bytes of the present value
 * and zero bytes after them; false without memory. */
static bool remake(struct kv_store *st, struct update *u, uint64_t keep, uint64_t spare,
		   struct form *f, struct draft *d)
{
	if (u->sp == NULL)
		u->sp = space_make(st, u->op->space);
	if (u->sp == NULL)
		return false;
	*f = (struct form){.sid = u->sp->sid, .tag = u->change.tag, .expiry = u->change.expiry,
			   .key = u->op->key, .key_len = u->op->key_len,
			   .value_len = u->change.value_len, .spare = spare};
	if (!entry_make(st, f, d))
		return false;
	if (keep != 0)
		memcpy(d->value, u->entry.value, keep);
	if (f->value_len > keep)
		memset(d->value + keep, 0, f->value_len - keep);
	return true;
}

static int publish(struct kv_store *st, struct update *u, const struct form *f,
		   const struct draft *d, int answer)
{
	int rc;

	entry_finish(st, d);
	rc = store_put(st, u->sp, u->hash, u->old, d->slot, f);
	if (rc != KV_OK)
		entry_free(st, d->slot);
	else if (UNLIKELY(st->disk != NULL))
		note(st, u, answer);
	return rc;
}

static int do_replace(struct kv_store *st, struct update *u)
{
	struct form f;
	struct draft d;

	if (u->change.value_len > VALUE_MAX)
		return KV_TOO_LARGE;
	if (u->sp == NULL)
		u->sp = space_make(st, u->op->space);
	if (u->sp == NULL)
		return KV_NO_MEMORY;
	f = (struct form){.sid = u->sp->sid, .tag = u->change.tag, .expiry = u->change.expiry,
			  .key = u->op->key, .key_len = u->op->key_len,
			  .value_len = u->change.value_len};
	if (!entry_write(st, &f, u->change.value, &d))
		return KV_NO_MEMORY;
	return publish(st, u, &f, &d, KV_REPLACE);
}

/* Sets expiry and tag of the present entry in place; there is room for them. */
static void retag_here(struct kv_store *st, struct update *u, uint64_t value_len)
{
	int64_t expiry = u->change.expiry;
	uint64_t slot = *u->old;

	store_recount(st, u->sp, &u->entry, value_len, expiry);
	entry_retag(st, slot, expiry, u->change.tag);
	slot = expiry != 0 ? slot | SLOT_EXPIRY : slot & ~SLOT_EXPIRY;
	__atomic_store_n(u->old, slot, __ATOMIC_RELEASE);
	if (expiry != 0)
		expiry_note(st, u->sp, index_bucket(u->sp, u->hash), expiry);
}

/* Whether expiry and tag of the change can be set in place. */
static bool can_retag(struct kv_store *st, struct update *u)
{
	if (!entry_has_room(st, *u->old, u->change.expiry, u->change.tag))
		return false;
	return u->change.expiry == 0 ||
	       expiry_reserve(st, u->sp, index_bucket(u->sp, u->hash));
}

static int do_retag(struct kv_store *st, struct update *u)
{
	struct form f;
	struct draft d;

	if (u->old == NULL)
		return KV_OK;
	if (can_retag(st, u)) {
		retag_here(st, u, u->entry.value_len);
		if (UNLIKELY(st->disk != NULL))
			note(st, u, KV_RETAG);
		return KV_OK;
	}
	u->change.value_len = u->entry.value_len;
	if (!remake(st, u, u->entry.value_len, 0, &f, &d))
		return KV_NO_MEMORY;
	return publish(st, u, &f, &d, KV_RETAG);
}

/* Room for the next patches: more for a value that has grown before. */
static uint64_t spare_for(const struct update *u)
{
	uint64_t n = u->change.value_len;

	if (u->old == NULL || n <= u->entry.value_len)
		return 0;
	return entry_is_wide(&u->entry) ? n / 2 + 16 : n / 8 + 8;
}

static int do_patch(struct kv_store *st, struct update *u)
{
	struct kv_change *c = &u->change;
	uint64_t keep;
	struct form f;
	struct draft d;

	if (c->value_len > VALUE_MAX)
		return KV_TOO_LARGE;
	if (c->patch_offset > c->value_len || c->patch_len > c->value_len - c->patch_offset)
		return KV_ERROR;
	if (u->old != NULL && can_retag(st, u) && entry_resize(st, *u->old, c->value_len, c->patch_offset)) {
		if (c->patch_len != 0)
			memmove(u->entry.value + c->patch_offset, c->value, c->patch_len);
		retag_here(st, u, c->value_len);
		if (UNLIKELY(st->disk != NULL))
			note(st, u, KV_PATCH);
		return KV_OK;
	}
	keep = u->old == NULL ? 0 : u->entry.value_len;
	if (keep > c->value_len)
		keep = c->value_len;
	if (!remake(st, u, keep, spare_for(u), &f, &d))
		return KV_NO_MEMORY;
	if (c->patch_len != 0)
		memcpy(d.value + c->patch_offset, c->value, c->patch_len);
	return publish(st, u, &f, &d, KV_PATCH);
}

static int do_remove(struct kv_store *st, struct update *u)
{
	if (u->old != NULL) {
		store_remove(st, u->sp, u->hash, u->old, ASKED_FOR);
		index_shrink(st, u->sp);
	}
	return KV_OK;
}

/* Bytes of value that a change puts into the log at most. */
static uint64_t log_bytes(struct kv_store *st, const struct update *u, int answer)
{
	const struct kv_change *c = &u->change;

	if (as_patch(u, answer))
		return c->patch_len + (u->old == NULL ? u->op->key_len + RECORD_HEAD_MAX : 0);
	if (answer == KV_REPLACE)
		return stage_log_bytes(st, c->value, c->value_len);
	return answer == KV_PATCH ? c->value_len : 0;
}

int store_update(struct kv_store *st, const struct kv_op *op, uint64_t hash, uint64_t *old,
		 struct space *sp)
{
	struct update u = {.op = op, .hash = hash, .old = old, .sp = sp};
	struct kv_entry present;
	int answer;
	int rc;

	if (old != NULL)
		entry_read(st, *old, &u.entry);
	describe(&u, &present);
	u.change.size = sizeof u.change;
	u.change.expiry = u.entry.expiry;
	u.change.tag = u.entry.tag;
	answer = op->update(op->arg, &present, &u.change);
	if (answer == KV_KEEP || ((answer == KV_REMOVE || answer == KV_RETAG) && old == NULL))
		return KV_OK;
	rc = log_ready(st, op->key_len, log_bytes(st, &u, answer));
	if (UNLIKELY(rc != KV_OK))
		return rc;
	switch (answer) {
	case KV_REMOVE:
		return do_remove(st, &u);
	case KV_REPLACE:
		return do_replace(st, &u);
	case KV_PATCH:
		return do_patch(st, &u);
	case KV_RETAG:
		return do_retag(st, &u);
	default:
		return KV_UNSUPPORTED;
	}
}
