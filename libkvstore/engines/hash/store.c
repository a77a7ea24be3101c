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

static void uncount(struct kv_store *st, struct space *sp, const struct entry *e)
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

struct bucket *store_take(struct kv_store *st, struct space *sp, struct bucket *head,
			  uint64_t *slot, uint32_t why)
{
	uint64_t s = *slot;
	struct bucket *line;
	struct entry e;

	entry_read(st, s, &e);
	log_gone(st, sp->number, &e, why);
	uncount(st, sp, &e);
	if (s & SLOT_FRESH) {
		sp->fresh--;
		st->h->fresh--;
	}
	line = index_unlink(st, head, slot);
	entry_free(st, s);
	return line;
}

void store_remove(struct kv_store *st, struct space *sp, uint64_t hash, uint64_t *slot,
		  uint32_t why)
{
	store_take(st, sp, index_at(st, sp, index_bucket(sp, hash)), slot, why);
}

static void replace(struct kv_store *st, struct space *sp, uint64_t *old, uint64_t slot,
		    const struct form *form)
{
	uint64_t was = *old;
	struct entry e;

	entry_read(st, was, &e);
	uncount(st, sp, &e);
	slot |= was & (SLOT_PRINT | SLOT_HEAT | SLOT_FRESH);
	__atomic_store_n(old, slot, __ATOMIC_RELEASE);
	entry_free(st, was);
	count_in(st, sp, form);
}

static bool add(struct kv_store *st, struct space *sp, uint64_t hash, uint64_t slot,
		const struct form *form)
{
	uint64_t rank = evict_admit(st, sp, hash, form->expiry != 0);

	if (index_add(st, sp, hash, slot | rank) != KV_OK)
		return false;
	count_in(st, sp, form);
	if (rank & SLOT_FRESH) {
		sp->fresh++;
		st->h->fresh++;
	}
	return true;
}

int store_put(struct kv_store *st, struct space *sp, uint64_t hash, uint64_t *old, uint64_t slot,
	      const struct form *form)
{
	uint64_t b = index_bucket(sp, hash);

	if (form->expiry != 0 && !expiry_reserve(st, sp, b))
		return KV_NO_MEMORY;
	if (old != NULL)
		replace(st, sp, old, slot, form);
	else if (!add(st, sp, hash, slot, form))
		return KV_NO_MEMORY;
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
	extent_yield(st, st->lacking > YIELD_PIECE ? st->lacking : YIELD_PIECE);
	arena_trim(st, 8192, &more);
	pool_trim(st, 8192, &more);
	return h->committed + h->used < before;
}
