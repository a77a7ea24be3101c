/*
 * evict.c - keeps the store below its limit by removing entries that matter least
 *
 * KV_EVICT_USE is S3-FIFO: a new entry waits in a queue (queue.c) that holds about a
 * tenth; used there, it stays, else it goes and leaves a ghost behind; a key that comes
 * back while its ghost is there goes past the queue.  All others are looked at by a hand
 * that goes round (sweep.c).  A use is noted in two bits of the slot, which GET has in
 * its hands anyway, and only while they are not both set.
 *
 * Room is made ahead, by batches that wrote and by maintain(), so that an operation
 * seldom has to wait for it.  What is used and what lies in gaps is to stay below the
 * limit by some slack, of which long values and the index get their whole pages.
 */
#include "image.h"
#include "store.h"

#define SLACK_SHIFT 4         /* a sixteenth of the limit ... */
#define SLACK_MOST (64 * MIB) /* ... at most */
#define QUEUE_SHARE 10u       /* new entries are one in so many */
#define EVICT_COST 4u         /* units of work of a removal */
#define FRUITLESS 4u          /* searches without a victim before it gives up */
#define LEAST_WORK 65536u     /* units for one operation */
#define WORK_SHIFT 6          /* one more unit for so many bytes */
#define QUICK_TRIES 4u

void evict_attach(struct kv_store *st)
{
	st->heat_most = evicts(st->h) && st->h->policy == KV_EVICT_USE ? SLOT_HEAT : 0;
}

int hash_limit(kv_store *st, const struct kv_limit *limit)
{
	struct header *h = st->h;
	bool ranks = limit->policy == KV_EVICT_USE && limit->max_memory != 0;

	switch (limit->policy) {
	case KV_KEEP_ALL:
	case KV_EVICT_USE:
	case KV_EVICT_RANDOM:
		break;
	case KV_EVICT_SOONEST:
		if (limit->flags & KV_LIMIT_VOLATILE)
			break;
		return KV_UNSUPPORTED;
	default:
		return KV_UNSUPPORTED;
	}
	if (limit->flags & ~KV_LIMIT_VOLATILE)
		return KV_UNSUPPORTED;
	if (!ranks || limit->flags != h->limit_flags) {
		if (h->queue_head + h->ghost_root != 0 && !image_settle(st))
			return KV_CORRUPT;
		queue_drop(st);
	}
	h->max_memory = limit->max_memory;
	h->policy = limit->policy;
	h->limit_flags = limit->flags;
	evict_attach(st);
	return KV_OK;
}

/* ------------------------------------------------------------------- accounting */

static uint64_t slack(const struct header *h)
{
	uint64_t n = h->max_memory >> SLACK_SHIFT;

	return n < SLACK_MOST ? n : SLACK_MOST;
}

/* Bytes by which the store is too full.  Gaps count, but only up to an eighth of what is
 * used: the rest is for compact() to close. */
static uint64_t excess(const struct header *h)
{
	uint64_t gaps = h->free_granules * GRANULE;
	uint64_t full;

	if (gaps > h->used / 8)
		gaps = h->used / 8;
	full = h->used + gaps + slack(h);
	return full > h->max_memory ? full - h->max_memory : 0;
}

bool evict_pressed(const struct header *h)
{
	return evicts(h) && h->committed + slack(h) / 2 > h->max_memory;
}

bool evict_due(const struct header *h)
{
	return evicts(h) && (excess(h) != 0 || h->committed > h->max_memory);
}

/* --------------------------------------------------------------------- removal */

static bool choose(struct kv_store *st, struct hunt *hunt, struct victim *v)
{
	struct header *h = st->h;

	switch (h->policy) {
	case KV_EVICT_RANDOM:
		return sweep_random(st, hunt, v);
	case KV_EVICT_SOONEST:
		return sweep_soonest(st, hunt, v);
	default:
		if (h->queue_length != 0 && h->fresh * QUEUE_SHARE >= evict_candidates(h) &&
		    queue_victim(st, hunt, v))
			return true;
		return sweep_next(st, hunt, v) || queue_victim(st, hunt, v);
	}
}

/* Removes one entry; false: no entry was found that could be. */
static bool evict_one(struct kv_store *st, struct hunt *hunt)
{
	struct victim v;
	struct entry e;

	if (evict_candidates(st->h) == 0 || !choose(st, hunt, &v))
		return false;
	entry_read(st, *v.slot, &e);
	if (log_ready(st, e.key_len, 0) != KV_OK) { /* to note it all the same would fail the log */
		hunt->failed = true;
		return false;
	}
	if (hunt->events != NULL && kv_event_add(hunt->events, KV_EVICTED, v.sp->number, e.key,
						 e.key_len) != KV_OK) {
		hunt->failed = true;
		return false;
	}
	if (*v.slot & SLOT_FRESH)
		ghost_put(st, hash_key(st->h->seed, e.key, e.key_len));
	store_take(st, v.sp, v.head, v.slot, KV_EVICTED);
	index_shrink(st, v.sp);
	hunt->used += EVICT_COST;
	return true;
}

/* Removes entries of so many bytes, within a budget; whether any went. */
static bool evict_bytes(struct kv_store *st, struct hunt *hunt, uint64_t bytes, uint64_t budget)
{
	uint64_t start = st->h->used;
	uint64_t before = st->h->entries;
	unsigned fruitless = 0;

	budget += hunt->used;
	while (start - st->h->used < bytes && st->h->used <= start && hunt->used < budget &&
	       fruitless < FRUITLESS && !hunt->failed) {
		if (!evict_one(st, hunt))
			fruitless++;
	}
	return st->h->entries < before;
}

/* ----------------------------------------------------------------- under way */

/* Bytes that the system would not give of `need`. */
static uint64_t short_of(const struct header *h, uint64_t need)
{
	return h->committed + need > h->max_memory ? h->committed + need - h->max_memory : 0;
}

/* Gives what is free back to the system, of the memory of long values so many bytes; what that
 * came to. */
static uint64_t give_back(struct kv_store *st, struct hunt *hunt, uint64_t bytes)
{
	uint64_t before = st->h->committed;
	bool more = false;

	hunt->used += space_reap(st, 1024, &more);
	extent_yield(st, bytes < REGION_SIZE ? REGION_SIZE : bytes);
	hunt->used += arena_trim(st, 8192, &more);
	hunt->used += pool_trim(st, 8192, &more);
	return before - st->h->committed;
}

/* Removes entries and closes gaps until the system would give `need` bytes, with about `most`
 * units of work; whether any of it was done, and whether there is more to close. */
static bool make_whole(struct kv_store *st, struct hunt *hunt, uint64_t need, uint64_t most,
		       bool *more)
{
	struct header *h = st->h;
	bool some = short_of(h, need) == 0;

	while (short_of(h, need) != 0 && hunt->used < most && !hunt->failed) {
		bool gaps = h->free_granules * GRANULE > h->used / 8;
		uint64_t bytes = gaps || need > REGION_SIZE ? need : REGION_SIZE;
		bool went = (!gaps || h->used == st->unfit) &&
			    evict_bytes(st, hunt, bytes, most / 8 + 1);

		*more = false;
		hunt->used += compact(st, most / 8, more) + 1;
		if (give_back(st, hunt, short_of(h, need)) == 0 && !went && !*more) {
			if (!gaps || !evict_bytes(st, hunt, need, most / 8 + 1))
				break;
		}
		some = true;
	}
	return some;
}

bool evict_now(struct kv_store *st, int64_t now, struct kv_events *events, unsigned attempt)
{
	struct hunt hunt = {.now = now, .events = events};
	uint64_t need = st->lacking;
	bool more = false;

	if (!evicts(st->h) || need > st->h->max_memory - slack(st->h))
		return false; /* nobody goes for what would not fit into an empty store */
	hunt.used += expiry_pass(st, now, 256, events, &more);
	give_back(st, &hunt, short_of(st->h, need));
	if (short_of(st->h, need) == 0)
		return true;
	if (attempt < QUICK_TRIES && need <= REGION_SIZE)
		return evict_bytes(st, &hunt, KIB << 2 * attempt, LEAST_WORK);
	return make_whole(st, &hunt, need, LEAST_WORK + (need >> WORK_SHIFT), &more);
}

uint64_t evict_ahead(struct kv_store *st, int64_t now, uint64_t budget, struct kv_events *events,
		     bool *more)
{
	struct hunt hunt = {.now = now, .events = events};
	uint64_t over = evicts(st->h) ? excess(st->h) : 0;
	uint64_t before = st->h->committed;
	uint64_t entries = st->h->entries;

	if (over != 0) {
		if (evict_bytes(st, &hunt, over, budget) && !hunt.failed)
			*more |= excess(st->h) != 0;
	} else if (UNLIKELY(evicts(st->h) && before > st->h->max_memory)) {
		/* A start took what was there, or the limit was made lower. */
		bool gaps = false;
		uint64_t above = before - st->h->max_memory;

		if (give_back(st, &hunt, above < YIELD_PIECE ? above : YIELD_PIECE) != 0) {
			*more |= st->h->committed > st->h->max_memory; /* nobody goes while that helps */
			return hunt.used;
		}
		make_whole(st, &hunt, 64 * KIB, budget < LEAST_WORK ? budget : LEAST_WORK, &gaps);
		*more |= gaps || st->h->committed < before || st->h->entries < entries;
	}
	return hunt.used;
}
