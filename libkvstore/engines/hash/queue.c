/*
 * queue.c - new entries in the order in which they came, and ghosts of evicted ones
 *
 * The small queue and the ghost queue of S3-FIFO (Yang, Zhang, Qiu, Yue, Vinayak: FIFO
 * queues are all you need for cache eviction, SOSP 2023), made small: one word of eight
 * bytes for each new entry, and those are a tenth; two bytes for each ghost.
 *
 * A word is the low 42 bits of the hash and 22 bits of the sid.  It says where to look
 * for an entry with SLOT_FRESH; when there is none, the entry has gone, which is no harm.
 * Words lie in runs of 4 KiB, each of which begins with the line of the next one.
 *
 * A ghost is 16 bits of the hash in a line of 32, chosen by other bits, newest first.
 */
#include "store.h"

#define RUN_CLASS 6u
#define RUN_WORDS 512u   /* the first is the link */
#define RUN_LINES 64u
#define HASH_BITS 42u
#define POPS 64u         /* at a time */
#define STALE_SPARE 1024u
#define GHOSTS 32u       /* of one line */
#define ROOT_ENTRIES 1024u
#define PROMOTE SLOT_WARM /* heat from which a new entry stays */

static uint64_t *run_at(const struct kv_store *st, uint32_t line)
{
	return (uint64_t *)(void *)pool_at(st, line);
}

/* ---------------------------------------------------------------------- queue */

bool queue_push(struct kv_store *st, struct space *sp, uint64_t hash)
{
	struct header *h = st->h;

	if (sp->sid >> (64 - HASH_BITS) != 0)
		return false;
	if (h->queue_tail == 0 || h->queue_to == RUN_WORDS) {
		uint32_t run = pool_alloc(st, RUN_CLASS);

		if (run == 0)
			return false;
		*run_at(st, run) = 0;
		if (h->queue_tail != 0) {
			*run_at(st, h->queue_tail) = run;
		} else {
			h->queue_head = run;
			h->queue_from = 1;
		}
		h->queue_tail = run;
		h->queue_to = 1;
	}
	run_at(st, h->queue_tail)[h->queue_to++] =
		(uint64_t)sp->sid << HASH_BITS | (hash & ((1ull << HASH_BITS) - 1));
	h->queue_length++;
	return true;
}

/* Takes the oldest word; the queue is not empty. */
static uint64_t pop(struct kv_store *st)
{
	struct header *h = st->h;
	uint64_t *run = run_at(st, h->queue_head);
	uint64_t word = run[h->queue_from++];
	uint32_t was = h->queue_head;

	h->queue_length--;
	if (h->queue_length == 0 || h->queue_from == RUN_WORDS) {
		h->queue_head = h->queue_length == 0 ? 0 : (uint32_t)*run;
		h->queue_from = 1;
		if (h->queue_head == 0)
			h->queue_tail = 0;
		pool_free(st, was, RUN_CLASS);
	}
	return word;
}

/* The entry that a word is about; false when it has gone. */
static bool find(struct kv_store *st, uint64_t word, struct victim *v)
{
	uint64_t hash = word & ((1ull << HASH_BITS) - 1);
	uint64_t sid = word >> HASH_BITS;
	struct bucket *line;

	if (sid >= st->h->space_count || st->spaces[sid].state != SPACE_ACTIVE)
		return false;
	v->sp = &st->spaces[sid];
	v->head = index_at(st, v->sp, index_bucket(v->sp, hash));
	for (line = v->head; line != NULL; line = index_next(st, line)) {
		for (unsigned bits = index_match(line, hash); bits != 0; bits &= bits - 1) {
			v->slot = &line->slot[__builtin_ctz(bits)];
			if (*v->slot & SLOT_FRESH && (*v->slot & SLOT_AT) != 0)
				return true;
		}
	}
	return false;
}

/* An entry leaves the queue and stays in the store. */
static void settle(struct kv_store *st, const struct victim *v)
{
	v->sp->fresh--;
	st->h->fresh--;
	__atomic_store_n(v->slot, *v->slot & ~(SLOT_FRESH | SLOT_HEAT), __ATOMIC_RELEASE);
}

bool queue_victim(struct kv_store *st, struct hunt *hunt, struct victim *v)
{
	for (unsigned i = 0; i < POPS && st->h->queue_length != 0; i++) {
		hunt->used += 2;
		if (!find(st, pop(st), v))
			continue;
		if ((*v->slot & SLOT_HEAT) < PROMOTE && evictable(st->h, *v->slot) &&
		    !entry_pinned(st, *v->slot))
			return true;
		settle(st, v);
	}
	return false;
}

/* Words of entries that have gone do not pile up where nothing has to be evicted. */
static void shorten(struct kv_store *st)
{
	struct victim v;

	for (unsigned i = 0; i < 2 && st->h->queue_length > 2 * st->h->fresh + STALE_SPARE; i++) {
		if (find(st, pop(st), &v))
			settle(st, &v);
	}
}

/* ---------------------------------------------------------------------- ghosts */

/* The line of a hash, NULL when there is none yet. */
static uint16_t *ghost_line(const struct kv_store *st, uint64_t hash)
{
	const struct header *h = st->h;
	uint64_t c = hash >> 6 & (ROOT_ENTRIES * ROOT_ENTRIES - 1);
	uint64_t mask;
	uint32_t dir;

	if (h->ghost_runs == 0)
		return NULL;
	mask = h->ghost_runs == 1 ? 0 : ~0ull >> __builtin_clzll(h->ghost_runs - 1);
	c = (c & mask) < h->ghost_runs ? c & mask : c & (mask >> 1);
	dir = load32((uint8_t *)pool_at(st, h->ghost_root) + c / ROOT_ENTRIES * 4);
	dir = load32((uint8_t *)pool_at(st, dir) + c % ROOT_ENTRIES * 4);
	return (uint16_t *)(void *)pool_at(st, dir + (uint32_t)(hash % RUN_LINES));
}

static uint16_t ghost_of(uint64_t hash)
{
	uint16_t g = (uint16_t)(hash >> 48);

	return g == 0 ? 1 : g;
}

bool ghost_take(struct kv_store *st, uint64_t hash)
{
	uint16_t *line = ghost_line(st, hash);
	uint16_t g = ghost_of(hash);

	if (line == NULL)
		return false;
	for (unsigned i = 0; i < GHOSTS; i++) {
		if (line[i] == g) {
			memmove(line + i, line + i + 1, (GHOSTS - 1 - i) * sizeof *line);
			line[GHOSTS - 1] = 0;
			return true;
		}
	}
	return false;
}

static uint32_t clear_run(struct kv_store *st)
{
	uint32_t at = pool_alloc(st, RUN_CLASS);

	if (at != 0)
		memset(pool_at(st, at), 0, (size_t)LINE << RUN_CLASS);
	return at;
}

/* One run more: the ghosts are to be as many as the entries.  Those that would now be
 * looked for in it are forgotten. */
static void ghost_grow(struct kv_store *st)
{
	struct header *h = st->h;
	uint32_t n = h->ghost_runs;
	uint8_t *at;
	uint32_t run;

	if (n >= ROOT_ENTRIES * ROOT_ENTRIES)
		return;
	if (h->ghost_root == 0)
		h->ghost_root = clear_run(st);
	if (h->ghost_root == 0)
		return;
	at = (uint8_t *)pool_at(st, h->ghost_root) + n / ROOT_ENTRIES * 4;
	if (load32(at) == 0)
		store32(at, clear_run(st));
	run = load32(at) != 0 ? clear_run(st) : 0;
	if (run == 0)
		return;
	store32((uint8_t *)pool_at(st, load32(at)) + n % ROOT_ENTRIES * 4, run);
	h->ghost_runs = n + 1;
}

void ghost_put(struct kv_store *st, uint64_t hash)
{
	uint16_t *line;

	if ((uint64_t)st->h->ghost_runs * RUN_LINES * GHOSTS < evict_candidates(st->h))
		ghost_grow(st);
	line = ghost_line(st, hash);
	if (line == NULL)
		return;
	memmove(line + 1, line, (GHOSTS - 1) * sizeof *line);
	line[0] = ghost_of(hash);
}

/* -------------------------------------------------------------------- both */

uint64_t evict_admit(struct kv_store *st, struct space *sp, uint64_t hash, bool expires)
{
	struct header *h = st->h;

	if (LIKELY(st->heat_most == 0))
		return 0;
	if ((h->limit_flags & KV_LIMIT_VOLATILE) && !expires)
		return 0;
	if (ghost_take(st, hash))
		return SLOT_WARM;
	shorten(st);
	if (h->fresh * 8 > evict_candidates(h))
		return 0;
	return queue_push(st, sp, hash) ? SLOT_FRESH : 0;
}

static void ghost_drop(struct kv_store *st)
{
	struct header *h = st->h;

	for (uint32_t c = 0; c < h->ghost_runs; c++) {
		uint32_t dir = load32((uint8_t *)pool_at(st, h->ghost_root) + c / ROOT_ENTRIES * 4);

		pool_free(st, load32((uint8_t *)pool_at(st, dir) + c % ROOT_ENTRIES * 4), RUN_CLASS);
		if (c % ROOT_ENTRIES == ROOT_ENTRIES - 1 || c + 1 == h->ghost_runs)
			pool_free(st, dir, RUN_CLASS);
	}
	if (h->ghost_root != 0)
		pool_free(st, h->ghost_root, RUN_CLASS);
	h->ghost_root = 0;
	h->ghost_runs = 0;
}

void queue_drop(struct kv_store *st)
{
	struct header *h = st->h;

	while (h->queue_head != 0) {
		uint32_t run = h->queue_head;

		h->queue_head = (uint32_t)*run_at(st, run);
		pool_free(st, run, RUN_CLASS);
	}
	h->queue_tail = 0;
	h->queue_length = 0;
	ghost_drop(st);
}
