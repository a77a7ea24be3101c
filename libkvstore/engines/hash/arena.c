/*
 * arena.c - blocks for entries up to 32 KiB
 *
 * Good-fit with immediate joining of free neighbours: bins of one size each below
 * 1 KiB, eight to a power of two above, a bitmap over the bins.  A free block has its
 * word at both ends and, from 20 bytes on, links in between (forward at byte 4,
 * backward at byte 10, 48 bits each); a shorter one waits for a neighbour to be freed.
 * Only one region at a time has an unused end, at region_top.
 */
#include "store.h"

#define LINK_MASK 0xffffffffffffull
#define EXACT 256u
#define REGION_STEP (64 * KIB)
#define KEEP_REGIONS 1u /* free ones that keep their memory */

static inline uint32_t *word_at(const struct kv_store *st, uint64_t at)
{
	return (uint32_t *)(void *)small_at(st, at);
}

static inline void set_word(struct kv_store *st, uint64_t at, uint32_t word)
{
	__atomic_store_n(word_at(st, at), word, __ATOMIC_RELEASE);
}

static inline uint64_t link_next(const struct kv_store *st, uint64_t at)
{
	return load64(small_at(st, at) + 4) & LINK_MASK;
}

static inline uint64_t link_prev(const struct kv_store *st, uint64_t at)
{
	return load64(small_at(st, at) + 8) >> 16;
}

static inline void set_next(struct kv_store *st, uint64_t at, uint64_t to)
{
	uint8_t *p = small_at(st, at) + 4;

	store64(p, (load64(p) & ~LINK_MASK) | to);
}

static inline void set_prev(struct kv_store *st, uint64_t at, uint64_t to)
{
	uint8_t *p = small_at(st, at) + 8;

	store64(p, (load64(p) & 0xffff) | to << 16);
}

/* ---------------------------------------------------------------------- bins */

/* The bin that a free block of n granules belongs to. */
static unsigned bin_of(uint32_t n)
{
	unsigned top;

	if (n < EXACT)
		return n;
	top = 31 - (unsigned)__builtin_clz(n);
	return EXACT + (top - 8) * 8 + ((n >> (top - 3)) & 7);
}

/* The first bin of which every block has at least n granules. */
static unsigned bin_from(uint32_t n)
{
	unsigned top;

	if (n < EXACT)
		return n;
	top = 31 - (unsigned)__builtin_clz(n);
	return bin_of(n + (1u << (top - 3)) - 1);
}

/* The first bin in [from, to) that is not empty, or BINS. */
static unsigned bin_search(const struct header *h, unsigned from, unsigned to)
{
	unsigned w = from / 64;
	uint64_t bits;

	if (from >= to)
		return BINS;
	bits = h->bin_map[w] & (~0ull << (from % 64));
	while (bits == 0) {
		if (++w >= BIN_WORDS)
			return BINS;
		bits = h->bin_map[w];
	}
	from = w * 64 + (unsigned)__builtin_ctzll(bits);
	return from < to ? from : BINS;
}

static void bin_put(struct kv_store *st, uint64_t at, uint32_t n)
{
	struct header *h = st->h;
	unsigned bin = bin_of(n);
	uint64_t head = h->bins[bin];

	set_next(st, at, head);
	set_prev(st, at, 0);
	if (head != 0)
		set_prev(st, head, at);
	h->bins[bin] = at;
	h->bin_map[bin / 64] |= 1ull << (bin % 64);
}

static void bin_take(struct kv_store *st, uint64_t at, uint32_t n)
{
	struct header *h = st->h;
	unsigned bin = bin_of(n);
	uint64_t next = link_next(st, at);
	uint64_t prev = link_prev(st, at);

	if (next != 0)
		set_prev(st, next, prev);
	if (prev != 0) {
		set_next(st, prev, next);
		return;
	}
	h->bins[bin] = next;
	if (next == 0)
		h->bin_map[bin / 64] &= ~(1ull << (bin % 64));
}

/* -------------------------------------------------------------- free blocks */

static inline uint32_t region_of(uint64_t at)
{
	return (uint32_t)(at / REGION_GRANULES);
}

/* The first granule of a region that a block can have; granule 0 stands for none. */
static inline uint32_t first_granule(uint32_t r)
{
	return r == 0 ? BLOCK_MIN : 0;
}

/* Where the blocks of a region end. */
static uint64_t region_end(const struct kv_store *st, uint32_t r)
{
	uint64_t start = (uint64_t)r * REGION_GRANULES;

	return start + (r + 1 == st->h->region_now ? st->h->region_top : REGION_GRANULES);
}

/* Writes both words of a free block and tells the one after it. */
static void free_mark(struct kv_store *st, uint64_t at, uint32_t n)
{
	uint32_t word = n << BLOCK_SIZE_SHIFT | BLOCK_FREE;

	set_word(st, at + n - 1, word);
	set_word(st, at, word);
	if (at + n < region_end(st, region_of(at)))
		set_word(st, at + n, *word_at(st, at + n) | BLOCK_PREV_FREE);
}

/* Lists a free block, unless its region is being emptied. */
static void free_list(struct kv_store *st, uint64_t at, uint32_t n)
{
	st->h->free_granules += n;
	if (n >= BLOCK_MIN && st->regions[region_of(at)].state != REGION_MOVING)
		bin_put(st, at, n);
}

static void free_unlist(struct kv_store *st, uint64_t at, uint32_t n)
{
	st->h->free_granules -= n;
	if (n >= BLOCK_MIN && st->regions[region_of(at)].state != REGION_MOVING)
		bin_take(st, at, n);
}

/* Makes a block BUSY and tells the one after it that it is not free. */
static void busy_mark(struct kv_store *st, uint64_t at, uint32_t n)
{
	uint64_t after = at + n;

	set_word(st, at, n << BLOCK_SIZE_SHIFT | BLOCK_BUSY);
	if (after < region_end(st, region_of(at)))
		set_word(st, after, *word_at(st, after) & ~BLOCK_PREV_FREE);
}

/* ------------------------------------------------------------------- regions */

static bool region_commit(struct kv_store *st, uint32_t r, uint64_t need)
{
	struct region *rg = &st->regions[r];
	uint64_t at = (uint64_t)r * REGION_SIZE + rg->committed;
	uint64_t want = round_up(need, REGION_STEP);

	if (need <= rg->committed)
		return true;
	if (memory_commit(st, SMALL, at, want - rg->committed) != KV_OK) {
		want = round_up(need, PAGE);
		if (memory_commit(st, SMALL, at, want - rg->committed) != KV_OK)
			return false;
	}
	rg->committed = (uint32_t)want;
	return true;
}

/* The unused end of the present region becomes a free block. */
static bool region_close(struct kv_store *st)
{
	struct header *h = st->h;
	uint32_t r = h->region_now - 1;
	uint64_t at = (uint64_t)r * REGION_GRANULES + h->region_top;
	uint32_t n = REGION_GRANULES - h->region_top;

	if (!region_commit(st, r, REGION_SIZE))
		return false;
	h->region_now = 0;
	if (n == 0)
		return true;
	free_mark(st, at, n);
	free_list(st, at, n);
	return true;
}

/* Takes a region that holds nothing: with memory, without, or never used. */
static uint32_t region_take(struct kv_store *st)
{
	struct header *h = st->h;
	uint32_t r = h->region_free != 0 ? h->region_free : h->region_holes;
	uint64_t need = ((uint64_t)h->region_count + 1) * sizeof(struct region);

	if (h->region_free != 0) {
		h->region_free = st->regions[r - 1].next;
		h->region_frees--;
		return r;
	}
	if (r != 0) {
		h->region_holes = st->regions[r - 1].next;
		return r;
	}
	if (((uint64_t)h->region_count + 1) * REGION_SIZE > st->segments[SMALL].length ||
	    area_reach(st, &h->regions, need, PAGE) != KV_OK)
		return 0;
	return ++h->region_count;
}

static void region_give(struct kv_store *st, uint32_t r)
{
	struct header *h = st->h;
	struct region *rg = &st->regions[r];
	bool hole = rg->committed == 0;
	uint32_t *head = hole ? &h->region_holes : &h->region_free;

	h->region_used -= rg->state == REGION_USED || rg->state == REGION_MOVING;
	rg->state = hole ? REGION_HOLE : REGION_FREE;
	rg->next = *head;
	*head = r + 1;
	if (!hole)
		h->region_frees++;
}

/* Starts to fill another region, with memory for at least n granules. */
static bool region_start(struct kv_store *st, uint32_t n)
{
	struct header *h = st->h;
	uint32_t r;

	if (h->region_now != 0 && !region_close(st))
		return false;
	r = region_take(st);
	if (r == 0)
		return false;
	if (!region_commit(st, r - 1, (uint64_t)n * GRANULE)) {
		region_give(st, r - 1);
		return false;
	}
	st->regions[r - 1].state = REGION_USED;
	st->regions[r - 1].live = 0;
	h->region_used++;
	h->region_top = 0;
	h->region_now = r;
	return true;
}

/* --------------------------------------------------------------------- alloc */

static uint64_t block_taken(struct kv_store *st, uint64_t at, uint32_t n)
{
	st->regions[region_of(at)].live += n;
	st->h->used += (uint64_t)n * GRANULE;
	return at;
}

/* A block of n granules cut from a free one of at least as many. */
static uint64_t cut(struct kv_store *st, unsigned bin, uint32_t n)
{
	uint64_t at = st->h->bins[bin];
	uint32_t size = *word_at(st, at) >> BLOCK_SIZE_SHIFT;

	free_unlist(st, at, size);
	if (size > n) {
		free_mark(st, at + n, size - n);
		free_list(st, at + n, size - n);
		set_word(st, at, n << BLOCK_SIZE_SHIFT | BLOCK_BUSY);
	} else {
		busy_mark(st, at, n);
	}
	return block_taken(st, at, n);
}

/* A block from the unused end of the present region. */
static uint64_t extend(struct kv_store *st, uint32_t n)
{
	struct header *h = st->h;
	uint64_t at;

	if (h->region_now == 0 || n > REGION_GRANULES - h->region_top) {
		if (!region_start(st, n))
			return 0;
	}
	if (h->region_top == 0)
		h->region_top = first_granule(h->region_now - 1);
	if (!region_commit(st, h->region_now - 1, (uint64_t)(h->region_top + n) * GRANULE))
		return 0;
	at = (uint64_t)(h->region_now - 1) * REGION_GRANULES + h->region_top;
	set_word(st, at, n << BLOCK_SIZE_SHIFT | BLOCK_BUSY);
	h->region_top += n;
	return block_taken(st, at, n);
}

uint64_t arena_alloc(struct kv_store *st, uint32_t n)
{
	struct header *h = st->h;
	unsigned bin = n < EXACT && h->bins[n] != 0 ? n : BINS;

	if (bin == BINS)
		bin = bin_search(h, bin_from(n + BLOCK_MIN), BINS);
	if (bin == BINS)
		bin = bin_search(h, bin_from(n), bin_from(n + BLOCK_MIN));
	if (bin != BINS)
		return cut(st, bin, n);
	return extend(st, n);
}

/* ---------------------------------------------------------------------- free */

/* A free block that fills its region: the region itself is free then. */
static bool freed_region(struct kv_store *st, uint64_t at, uint32_t n)
{
	uint32_t r = region_of(at);

	if (n != REGION_GRANULES - first_granule(r) || st->regions[r].state == REGION_MOVING)
		return false;
	region_give(st, r);
	return true;
}

void arena_free(struct kv_store *st, uint64_t at, uint32_t n)
{
	struct header *h = st->h;
	uint32_t word = *word_at(st, at);
	uint64_t end = region_end(st, region_of(at));

	st->regions[region_of(at)].live -= n;
	h->used -= (uint64_t)n * GRANULE;
	if (word & BLOCK_PREV_FREE) {
		uint32_t before = *word_at(st, at - 1) >> BLOCK_SIZE_SHIFT;

		free_unlist(st, at - before, before);
		at -= before;
		n += before;
	}
	if (at + n == end && region_of(at) + 1 == h->region_now) {
		h->region_top = (uint32_t)(at % REGION_GRANULES);
		return;
	}
	if (at + n < end) {
		uint32_t next = *word_at(st, at + n);

		if ((next & BLOCK_STATE) == BLOCK_FREE) {
			next >>= BLOCK_SIZE_SHIFT;
			free_unlist(st, at + n, next);
			n += next;
		}
	}
	if (freed_region(st, at, n))
		return;
	free_mark(st, at, n);
	free_list(st, at, n);
}

/* Asks for the neighbours of a free block in its list. */
static void ask_links(const struct kv_store *st, uint64_t at, uint32_t n)
{
	if (n < BLOCK_MIN)
		return;
	prefetch(small_at(st, link_next(st, at)) + 8);
	prefetch(small_at(st, link_prev(st, at)) + 8);
}

void arena_ask(const struct kv_store *st, uint64_t at)
{
	uint32_t word = *word_at(st, at);
	uint64_t after;

	if ((word & BLOCK_STATE) != BLOCK_LIVE)
		return;
	if (word & BLOCK_PREV_FREE) {
		uint32_t n = *word_at(st, at - 1) >> BLOCK_SIZE_SHIFT;

		ask_links(st, at - n, n);
	}
	after = at + entry_granules(small_at(st, at));
	if (after >= region_end(st, region_of(at)))
		return;
	word = *word_at(st, after);
	if ((word & BLOCK_STATE) == BLOCK_FREE)
		ask_links(st, after, word >> BLOCK_SIZE_SHIFT);
}

/* ---------------------------------------------------------- give back, compact */

uint64_t arena_trim(struct kv_store *st, uint64_t budget, bool *more)
{
	struct header *h = st->h;
	uint64_t used = 0;

	while (h->region_frees > (evict_pressed(h) ? 0 : KEEP_REGIONS)) {
		uint32_t r = h->region_free - 1;
		struct region *rg = &st->regions[r];

		if (used >= budget) {
			*more = true;
			break;
		}
		if (!memory_release(st, SMALL, (uint64_t)r * REGION_SIZE, rg->committed))
			break;
		h->region_free = rg->next;
		h->region_frees--;
		rg->committed = 0;
		region_give(st, r);
		used += 256;
	}
	return used;
}

/* Calls one of the two list functions for every free block of a region. */
static void each_free(struct kv_store *st, uint32_t r,
		      void (*act)(struct kv_store *st, uint64_t at, uint32_t n))
{
	uint64_t at = (uint64_t)r * REGION_GRANULES + first_granule(r);
	uint64_t end = (uint64_t)(r + 1) * REGION_GRANULES;

	while (at < end) {
		uint32_t word = *word_at(st, at);
		uint32_t n = (word & BLOCK_STATE) == BLOCK_LIVE ? entry_granules(small_at(st, at))
								: word >> BLOCK_SIZE_SHIFT;

		if ((word & BLOCK_STATE) == BLOCK_FREE && n >= BLOCK_MIN)
			act(st, at, n);
		at += n;
	}
}

void arena_shut(struct kv_store *st, uint32_t r)
{
	each_free(st, r, bin_take);
	st->regions[r].state = REGION_MOVING;
}

void arena_reopen(struct kv_store *st, uint32_t r)
{
	st->regions[r].state = REGION_USED;
	each_free(st, r, bin_put);
}

uint64_t arena_first_live(const struct kv_store *st, uint32_t r, uint64_t *end)
{
	uint64_t at = (uint64_t)r * REGION_GRANULES + first_granule(r);
	uint32_t word = *word_at(st, at);

	*end = (uint64_t)(r + 1) * REGION_GRANULES;
	return (word & BLOCK_STATE) == BLOCK_FREE ? at + (word >> BLOCK_SIZE_SHIFT) : at;
}

void arena_retire(struct kv_store *st, uint32_t r)
{
	st->h->free_granules -= REGION_GRANULES - first_granule(r);
	region_give(st, r);
}
