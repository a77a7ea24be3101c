/*
 * compact.c - moves entries together when too much of `small` lies in gaps
 *
 * One region at a time is shut and emptied: its entries are copied to gaps elsewhere,
 * then the region is given back.  Work starts when a quarter of all regions is gaps,
 * and a region is worth it when at least a quarter of it is free; where entries have to
 * be evicted to stay below the limit, a twelfth and a sixteenth.
 */
#include "store.h"

#define GROUP 16u
#define SEARCH 2048u        /* regions looked at for one to be emptied */
#define SPARE_REGIONS 2u    /* gaps of this many regions are left alone */
#define WORTH (REGION_GRANULES / 4 * 3)
#define WORTH_PRESSED (REGION_GRANULES / 16 * 15)
#define MOVE_COST 4u        /* units of budget */
#define BEGIN_COST 512u

struct move {
	uint64_t at;
	uint64_t hash;
	struct space *sp;
};

static bool too_many_gaps(const struct header *h)
{
	uint64_t all = (uint64_t)h->region_used * REGION_GRANULES;

	if (evict_pressed(h))
		return h->free_granules > all / 12;
	return h->free_granules > SPARE_REGIONS * REGION_GRANULES && h->free_granules > all / 4;
}

/* The sparsest of the next regions, number + 1, or 0. */
static uint32_t choose(struct kv_store *st)
{
	struct header *h = st->h;
	uint32_t best = 0;
	uint32_t least = evict_pressed(h) ? WORTH_PRESSED : WORTH;

	for (uint32_t i = 0; i < SEARCH && i < h->region_count; i++) {
		uint32_t r = h->move_next++ % h->region_count;

		if (st->regions[r].state == REGION_USED && r + 1 != h->region_now &&
		    st->regions[r].live < least) {
			least = st->regions[r].live;
			best = r + 1;
		}
	}
	return best;
}

/* The next live blocks of the region, their buckets asked for. */
static unsigned gather(struct kv_store *st, uint32_t r, struct move *moves)
{
	unsigned n = 0;
	uint64_t end;
	uint64_t at = arena_first_live(st, r, &end);

	while (at < end && n < GROUP) {
		uint32_t word = load32(small_at(st, at));
		struct move *m = &moves[n];
		struct entry e;

		if ((word & BLOCK_STATE) != BLOCK_LIVE) {
			at += word >> BLOCK_SIZE_SHIFT;
			continue;
		}
		entry_read(st, at, &e);
		m->at = at;
		m->sp = &st->spaces[e.sid];
		m->hash = hash_key(st->h->seed, e.key, e.key_len);
		prefetch(index_at(st, m->sp, index_bucket(m->sp, m->hash)));
		at += entry_granules(e.block);
		n++;
	}
	return n;
}

static bool move_one(struct kv_store *st, const struct move *m)
{
	const uint8_t *from = small_at(st, m->at);
	uint32_t n = entry_granules(from);
	uint64_t *slot = index_find_slot(st, m->sp, m->hash, m->at);
	uint64_t to = arena_alloc(st, n);
	struct draft d = {.slot = to, .word = load32(from) & ~BLOCK_PREV_FREE};

	if (to == 0)
		return false;
	memcpy(small_at(st, to) + sizeof d.word, from + sizeof d.word,
	       (uint64_t)n * GRANULE - sizeof d.word);
	entry_finish(st, &d);
	__atomic_store_n(slot, (*slot & ~SLOT_AT) | to, __ATOMIC_RELEASE);
	arena_free(st, m->at, n);
	return true;
}

enum progress { UNDER_WAY, DONE, STUCK };

/* Empties the shut region as far as the budget goes; STUCK: there was no memory. */
static enum progress empty(struct kv_store *st, uint32_t r, uint64_t budget, uint64_t *used)
{
	struct move moves[GROUP];
	unsigned n = 1;

	while (*used < budget && n > 0) {
		n = gather(st, r, moves);
		for (unsigned i = 0; i < n; i++) {
			if (!move_one(st, &moves[i])) {
				arena_reopen(st, r);
				return STUCK;
			}
		}
		*used += n * MOVE_COST;
	}
	if (n > 0)
		return UNDER_WAY;
	arena_retire(st, r);
	return DONE;
}

/* Shuts the next region to be emptied; false when none is worth it. */
static bool begin(struct kv_store *st)
{
	struct header *h = st->h;

	h->move_region = choose(st);
	if (h->move_region == 0)
		return false;
	arena_shut(st, h->move_region - 1);
	return true;
}

uint64_t compact(struct kv_store *st, uint64_t budget, bool *more)
{
	struct header *h = st->h;
	uint64_t used = 0;

	while (h->space_detached == 0 &&
	       (h->move_region != 0 || (too_many_gaps(h) && h->used != st->unfit))) {
		enum progress p;

		if (used >= budget) {
			*more = true;
			break;
		}
		if (h->move_region == 0) {
			used += BEGIN_COST;
			if (!begin(st))
				break;
		}
		p = empty(st, h->move_region - 1, budget, &used);
		if (p == UNDER_WAY)
			continue;
		h->move_region = 0;
		if (p == STUCK) {
			st->unfit = h->used;
			*more |= evict_pressed(h); /* which makes longer ones */
			break;
		}
	}
	return used;
}
