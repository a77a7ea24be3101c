/*
 * space.c - spaces: found by number, made on first use, cleared at once
 *
 * Clearing takes the descriptor out of the table of numbers; what it held is
 * freed by space_reap(), bucket by bucket from the end.
 */
#include "store.h"

static uint32_t *head_of(struct kv_store *st, uint32_t number)
{
	return &st->h->space_head[(number * 0x9e3779b1u) >> 20];
}

struct space *space_find(struct kv_store *st, uint32_t number)
{
	struct space *sp = st->last;
	uint32_t id;

	if (LIKELY(sp != NULL && sp->number == number))
		return sp;
	for (id = *head_of(st, number); id != 0; id = sp->next) {
		sp = &st->spaces[id - 1];
		if (sp->number == number) {
			st->last = sp;
			return sp;
		}
	}
	return NULL;
}

static void unlink_space(struct kv_store *st, struct space *sp)
{
	uint32_t *at = head_of(st, sp->number);

	while (*at != sp->sid + 1)
		at = &st->spaces[*at - 1].next;
	*at = sp->next;
	if (st->last == sp)
		st->last = NULL;
}

/* A descriptor: a free one, or one never used. */
static struct space *take(struct kv_store *st)
{
	struct header *h = st->h;
	struct space *sp;

	if (h->space_free != 0) {
		sp = &st->spaces[h->space_free - 1];
		h->space_free = sp->next;
		return sp;
	}
	if (area_reach(st, &h->spaces, (h->space_count + 1ull) * sizeof *sp, PAGE) != KV_OK)
		return NULL;
	sp = &st->spaces[h->space_count];
	memset(sp, 0, sizeof *sp);
	sp->sid = h->space_count++;
	return sp;
}

static void give(struct kv_store *st, struct space *sp)
{
	uint32_t sid = sp->sid;

	memset(sp, 0, sizeof *sp);
	sp->sid = sid;
	sp->next = st->h->space_free;
	st->h->space_free = sid + 1;
}

struct space *space_make(struct kv_store *st, uint32_t number)
{
	struct space *sp = space_find(st, number);
	uint32_t *head = head_of(st, number);

	if (sp != NULL)
		return sp;
	sp = take(st);
	if (sp == NULL)
		return NULL;
	if (!index_open(st, sp)) {
		give(st, sp);
		return NULL;
	}
	sp->number = number;
	sp->state = SPACE_ACTIVE;
	sp->next = *head;
	*head = sp->sid + 1;
	st->last = sp;
	return sp;
}

void space_clear(struct kv_store *st, uint32_t number)
{
	struct header *h = st->h;
	struct space *sp = space_find(st, number);

	if (sp == NULL)
		return;
	unlink_space(st, sp);
	h->entries -= sp->entries;
	h->expiring -= sp->expiring;
	h->payload -= sp->payload;
	h->fresh -= sp->fresh;
	sp->state = SPACE_DETACHED;
	sp->next = h->space_detached;
	h->space_detached = sp->sid + 1;
}

uint64_t space_reap(struct kv_store *st, uint64_t budget, bool *more)
{
	struct header *h = st->h;
	uint64_t used = 0;

	while (h->space_detached != 0) {
		struct space *sp = &st->spaces[h->space_detached - 1];
		bool left = true;

		while (left && used < budget)
			left = index_drop_last(st, sp, &used);
		if (left) {
			*more = true;
			break;
		}
		h->space_detached = sp->next;
		give(st, sp);
	}
	return used;
}
