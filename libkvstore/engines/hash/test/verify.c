/* verify.c - walks blocks, extents, free lists and tables, and compares the figures */
#include "verify.h"

#include <stdio.h>
#include <stdlib.h>

#define CHECK(cond)                                                                     \
	do {                                                                            \
		if (!(cond)) {                                                          \
			fprintf(stderr, "verify: %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                        \
		}                                                                       \
	} while (0)

/* What the walk of the blocks found. */
struct tally {
	uint64_t live; /* entries */
	uint64_t free_granules;
	uint64_t listed; /* free blocks long enough for a list */
	uint64_t bytes;  /* of live blocks and extents */
	uint64_t pins;
	uint64_t borrowers;
	uint64_t borrowing;
};

static void walk_region(const struct kv_store *st, uint32_t r, struct tally *t)
{
	uint64_t start = (uint64_t)r * REGION_GRANULES;
	uint64_t at = start + (r == 0 ? BLOCK_MIN : 0);
	bool now = r + 1 == st->h->region_now;
	uint64_t end = start + (now ? st->h->region_top : REGION_GRANULES);
	uint64_t live = 0;
	bool prev_free = false;

	CHECK(now || st->regions[r].committed == REGION_SIZE);
	while (at < end) {
		uint32_t word = load32(small_at(st, at));
		uint32_t state = word & BLOCK_STATE;
		uint32_t n = state == BLOCK_LIVE ? entry_granules(small_at(st, at))
						 : word >> BLOCK_SIZE_SHIFT;

		CHECK(state == BLOCK_LIVE || state == BLOCK_FREE);
		CHECK(n > 0 && at + n <= end);
		CHECK(((word & BLOCK_PREV_FREE) != 0) == prev_free);
		CHECK(!(prev_free && state == BLOCK_FREE));
		if (state == BLOCK_FREE) {
			CHECK(load32(small_at(st, at + n - 1)) == (n << BLOCK_SIZE_SHIFT | BLOCK_FREE));
			t->free_granules += n;
			t->listed += n >= BLOCK_MIN && st->regions[r].state == REGION_USED;
		} else {
			live += n;
			t->live++;
			t->bytes += (uint64_t)n * GRANULE;
		}
		prev_free = state == BLOCK_FREE;
		at += n;
	}
	CHECK(at == end || (now && st->h->region_top == 0));
	CHECK(!(now && prev_free));
	CHECK(live == st->regions[r].live);
}

static void walk_small(const struct kv_store *st, struct tally *t)
{
	uint32_t frees = 0;
	uint32_t used = 0;

	for (uint32_t r = 0; r < st->h->region_count; r++) {
		uint32_t state = st->regions[r].state;

		if (state == REGION_USED || state == REGION_MOVING) {
			walk_region(st, r, t);
			used++;
		}
		frees += state == REGION_FREE;
		CHECK((state == REGION_MOVING) == (r + 1 == st->h->move_region));
		CHECK(st->regions[r].state != REGION_HOLE || st->regions[r].committed == 0);
	}
	CHECK(frees == st->h->region_frees && used == st->h->region_used);
	CHECK(t->free_granules == st->h->free_granules);
}

static void walk_bins(const struct kv_store *st, const struct tally *t)
{
	uint64_t listed = 0;

	for (unsigned i = 0; i < BINS; i++) {
		bool some = st->h->bins[i] != 0;

		CHECK(some == ((st->h->bin_map[i / 64] >> (i % 64)) & 1));
		for (uint64_t at = st->h->bins[i]; at != 0;
		     at = load64(small_at(st, at) + 4) & 0xffffffffffffull) {
			CHECK((load32(small_at(st, at)) & BLOCK_STATE) == BLOCK_FREE);
			CHECK(++listed <= t->listed);
		}
	}
	CHECK(listed == t->listed);
}

/* An entry that borrows its value: from one that does not, and all of it lies there. */
static void check_loan(const struct kv_store *st, uint64_t page)
{
	const struct extent *x = extent_at(st, page);
	const struct extent *lender = extent_at(st, x->lender);
	struct entry e;

	entry_read(st, page | SLOT_LARGE, &e);
	CHECK(x->lender < st->h->large_top && x->lender != page && lender->lender == 0);
	CHECK(lender->borrowers != 0 && (lender->state == EXTENT_LIVE || lender->state == EXTENT_DEAD));
	CHECK(x->lent >= x->lender * PAGE && x->lent + e.value_len <= (x->lender + lender->pages) * PAGE);
}

static void walk_large(const struct kv_store *st, struct tally *t)
{
	uint64_t page = 1;

	while (page < st->h->large_top) {
		const struct extent *x = extent_at(st, page);

		CHECK(x->state >= EXTENT_LIVE && x->state <= EXTENT_CLEAN);
		CHECK(x->pages >= 1 && x->pages <= 1ull << x->order);
		CHECK((x->pins == 0 && x->borrowers == 0) || x->state <= EXTENT_DEAD);
		CHECK(x->state != EXTENT_DEAD || x->pins != 0 || x->borrowers != 0);
		t->pins += x->pins;
		if (x->state <= EXTENT_DEAD && x->lender != 0) {
			check_loan(st, page);
			t->borrowing++;
		}
		t->borrowers += x->state <= EXTENT_DEAD ? x->borrowers : 0;
		t->live += x->state == EXTENT_LIVE;
		if (x->state == EXTENT_LIVE || x->state == EXTENT_DEAD)
			t->bytes += x->pages * PAGE;
		page += 1ull << x->order;
	}
	CHECK(page == st->h->large_top);
	for (const struct held *h = st->disk != NULL ? st->disk->held : NULL; h != NULL; h = h->next)
		t->borrowing++;
	CHECK(t->pins == st->h->pins && t->borrowers == t->borrowing);
}

/* What the walk of one table found. */
struct found {
	uint64_t entries;
	uint64_t expiring;
	uint64_t payload;
	uint64_t fresh;
};

static void check_slot(const struct kv_store *st, const struct space *sp, uint64_t b, uint64_t slot,
		       struct found *f)
{
	struct entry e;
	uint64_t hash;

	entry_read(st, slot, &e);
	hash = hash_key(st->h->seed, e.key, e.key_len);
	CHECK((e.word & BLOCK_STATE) == BLOCK_LIVE);
	CHECK(e.sid == sp->sid);
	CHECK((slot & SLOT_PRINT) == slot_print(hash));
	CHECK(index_bucket(sp, hash) == b);
	CHECK((e.expiry != 0) == ((slot & SLOT_EXPIRY) != 0));
	f->entries++;
	f->expiring += e.expiry != 0;
	f->fresh += (slot & SLOT_FRESH) != 0;
	f->payload += e.key_len + e.value_len;
	if (e.expiry != 0) {
		const struct dir *dir = index_dir(st, sp, b);
		uint64_t ms = e.expiry <= st->h->created ? 0 : (uint64_t)e.expiry - (uint64_t)st->h->created;
		uint32_t due;

		CHECK(dir->due != 0);
		due = load32((uint8_t *)pool_at(st, dir->due) + b % CHUNK_LINES / DUE_GROUP * 4);
		CHECK(due <= ms >> 8);
	}
}

static void walk_bucket(const struct kv_store *st, const struct space *sp, uint64_t b,
			struct found *f)
{
	const struct bucket *line = index_at(st, sp, b);
	bool first = true;

	for (; line != NULL; line = index_next(st, line)) {
		unsigned width = index_width(line);
		unsigned n = 0;

		while (n < width && line->slot[n] != 0)
			check_slot(st, sp, b, line->slot[n++], f);
		CHECK(first || n >= 2);
		CHECK(width == 8 || n == 7);
		while (n < width)
			CHECK(line->slot[n++] == 0);
		first = false;
	}
}

void verify_store(struct kv_store *st)
{
	struct found all = {0};
	struct tally t = {0};
	uint64_t detached = 0;

	walk_small(st, &t);
	walk_bins(st, &t);
	walk_large(st, &t);
	for (uint32_t i = 0; i < st->h->space_count; i++) {
		const struct space *sp = &st->spaces[i];
		struct found f = {0};

		if (sp->state == SPACE_NONE)
			continue;
		for (uint64_t b = 0; b < sp->buckets; b++)
			walk_bucket(st, sp, b, &f);
		if (sp->state == SPACE_DETACHED) {
			detached += f.entries;
			continue;
		}
		CHECK(f.entries == sp->entries && f.expiring == sp->expiring && f.payload == sp->payload);
		all.entries += f.entries;
		all.expiring += f.expiring;
		all.payload += f.payload;
		CHECK(f.fresh == sp->fresh);
		all.fresh += f.fresh;
	}
	CHECK(all.entries == st->h->entries && all.expiring == st->h->expiring);
	CHECK(all.payload == st->h->payload && all.fresh == st->h->fresh);
	CHECK(t.live == all.entries + detached);
	CHECK(t.bytes <= st->h->used && st->h->used <= st->h->committed);
}
