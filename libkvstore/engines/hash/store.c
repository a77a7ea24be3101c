/* store.c - entries in spaces: put in, taken out, counted; memory got back */
#include "store.h"

static void count_in(struct kv_store *st, struct space *sp, const struct form *f)
{
	struct header *h = st->h;
	uint64_t payload = f->key_len + f->value_len;
	uint64_t expires = f->expiry != 0;

	sp->entries++;
	sp->payload += payload;
	sp->expiring += expires;
	h->entries++;
	h->payload += payload;
	h->expiring += expires;
}

void store_uncount(struct kv_store *st, struct space *sp, const struct entry *e)
{
	struct header *h = st->h;
	uint64_t payload = e->key_len + e->value_len;
	uint64_t expires = e->expiry != 0;

	sp->entries--;
	sp->payload -= payload;
	sp->expiring -= expires;
	h->entries--;
	h->payload -= payload;
	h->expiring -= expires;
}

void store_recount(struct kv_store *st, struct space *sp, const struct entry *before,
		   uint64_t value_len, int64_t expiry)
{
	uint64_t payload = value_len - before->value_len; /* wraps when less */
	uint64_t expires = (uint64_t)(expiry != 0) - (uint64_t)(before->expiry != 0);

	sp->payload += payload;
	sp->expiring += expires;
	st->h->payload += payload;
	st->h->expiring += expires;
}

void store_remove(struct kv_store *st, struct space *sp, uint64_t hash, uint64_t *slot)
{
	uint64_t s = *slot;
	struct entry e;

	entry_read(st, s, &e);
	store_uncount(st, sp, &e);
	index_remove(st, sp, hash, slot);
	entry_free(st, s);
}

static void replace(struct kv_store *st, struct space *sp, uint64_t *old, uint64_t slot,
		    const struct form *form)
{
	uint64_t was = *old;
	struct entry e;

	entry_read(st, was, &e);
	store_uncount(st, sp, &e);
	__atomic_store_n(old, slot | (was & SLOT_PRINT), __ATOMIC_RELEASE);
	entry_free(st, was);
	count_in(st, sp, form);
}

int store_put(struct kv_store *st, struct space *sp, uint64_t hash, uint64_t *old, uint64_t slot,
	      const struct form *form)
{
	uint64_t b = index_bucket(sp, hash);

	if (form->expiry != 0 && !expiry_reserve(st, sp, b))
		return KV_NO_MEMORY;
	if (old != NULL)
		replace(st, sp, old, slot, form);
	else if (index_add(st, sp, hash, slot) != KV_OK)
		return KV_NO_MEMORY;
	else
		count_in(st, sp, form);
	if (form->expiry != 0)
		expiry_note(st, sp, b, form->expiry);
	if (old == NULL) {
		index_grow(st, sp);
		index_grow(st, sp);
	}
	return KV_OK;
}

bool store_reclaim(struct kv_store *st)
{
	struct header *h = st->h;
	uint64_t before = h->committed + h->used;
	bool more = false;

	space_reap(st, 1024, &more);
	extent_trim(st, 8192, &more);
	arena_trim(st, 8192, &more);
	pool_trim(st, 8192, &more);
	return h->committed + h->used < before;
}
