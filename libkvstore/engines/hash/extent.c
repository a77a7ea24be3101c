/*
 * extent.c - extents for long entries
 *
 * The range of an extent is a power of two, so that a growing value is copied only
 * when it doubles; its memory is what it needs.  A free extent keeps its range for
 * others of the same order, and its memory until that was not needed for a second: then
 * maintain() gives all of it but the first page back.  Sooner it would be taken and given
 * back with every value that is set anew, which costs three times as much as to copy it.
 *
 * The number of a pin is the page of the extent.  An extent whose entry went while
 * pins are out is DEAD until the last of them is released.
 *
 * An entry whose value is that of another one, as after COPY and RENAME, borrows it: its own
 * extent holds but the key.  The lender never borrows itself, and stays, DEAD if its entry
 * goes, until the last borrower has gone.  One who writes a value down for long is a borrower, too
 * (extent_hold()).  What the host fills itself (stage.c) is DEAD from the start.
 */
#include "store.h"

#define TRIM_PAGES 256u /* at a time */
#define SURPLUS 1000  /* ms for which free memory is kept */

static uint64_t pages_for(uint64_t n)
{
	return round_up(n + EXTENT_HEAD, PAGE) / PAGE;
}

static uint32_t order_for(uint64_t pages)
{
	uint32_t order = ORDER_MIN;

	while (order < ORDERS && (1ull << order) < pages)
		order++;
	return order;
}

/* Gives the pages of an extent from `keep` on back. */
static bool cut_pages(struct kv_store *st, uint64_t page, uint64_t keep)
{
	struct extent *x = extent_at(st, page);

	if (x->pages <= keep)
		return true;
	if (!memory_release(st, LARGE, (page + keep) * PAGE, (x->pages - keep) * PAGE))
		return false;
	x->pages = keep;
	return true;
}

static bool add_pages(struct kv_store *st, uint64_t page, uint64_t pages)
{
	struct extent *x = extent_at(st, page);

	if (pages <= x->pages)
		return true;
	if (memory_commit(st, LARGE, (page + x->pages) * PAGE, (pages - x->pages) * PAGE) != KV_OK)
		return false;
	x->pages = pages;
	return true;
}

static void list_put(struct kv_store *st, uint64_t page)
{
	struct header *h = st->h;
	struct extent *x = extent_at(st, page);
	bool dirty = x->pages > 1;
	uint64_t *head = dirty ? &h->large_dirty[x->order] : &h->large_clean[x->order];

	x->state = dirty ? EXTENT_DIRTY : EXTENT_CLEAN;
	x->next = *head;
	*head = page;
	if (dirty) {
		h->large_dirty_pages += x->pages;
		st->surplus.stuck = false;
	}
}

/* So many pages fewer are those of free extents. */
static void dirty_less(struct kv_store *st, uint64_t pages)
{
	st->h->large_dirty_pages -= pages;
	if (st->h->large_dirty_pages < st->surplus.least)
		st->surplus.least = st->h->large_dirty_pages;
}

static uint64_t list_take(struct kv_store *st, uint32_t order)
{
	struct header *h = st->h;
	uint64_t *head = h->large_dirty[order] != 0 ? &h->large_dirty[order]
						    : &h->large_clean[order];
	uint64_t page = *head;
	struct extent *x;

	if (page == 0)
		return 0;
	x = extent_at(st, page);
	if (x->state == EXTENT_DIRTY)
		dirty_less(st, x->pages);
	*head = x->next;
	return page;
}

static uint64_t fresh(struct kv_store *st, uint32_t order)
{
	struct header *h = st->h;
	uint64_t page = h->large_top;
	struct extent *x;

	if ((page + (1ull << order)) * PAGE > st->segments[LARGE].length)
		return 0;
	if (memory_commit(st, LARGE, page * PAGE, PAGE) != KV_OK)
		return 0;
	h->large_top += 1ull << order;
	x = extent_at(st, page);
	memset(x, 0, sizeof *x);
	x->order = order;
	x->pages = 1;
	return page;
}

/* A free extent of that order, however much memory it has. */
static uint64_t take(struct kv_store *st, uint32_t order)
{
	uint64_t page = order < ORDERS ? list_take(st, order) : 0;

	return page == 0 && order < ORDERS ? fresh(st, order) : page;
}

/* An extent that was free is used from now on. */
static void begin(struct kv_store *st, uint64_t page, enum extent_state state)
{
	struct extent *x = extent_at(st, page);

	x->state = state;
	x->pins = 0;
	x->next = 0;
	x->lender = 0;
	x->borrowers = 0;
	st->h->used += x->pages * PAGE;
}

uint64_t extent_alloc(struct kv_store *st, uint64_t n, uint64_t spare)
{
	uint64_t pages = pages_for(n);
	bool scarce = st->h->large_top * PAGE > st->segments[LARGE].length / 2;
	uint64_t page = take(st, order_for(scarce ? pages : pages_for(n + spare)));

	if (page == 0)
		return 0;
	if (!add_pages(st, page, pages)) {
		list_put(st, page);
		return 0;
	}
	cut_pages(st, page, pages);
	begin(st, page, EXTENT_LIVE);
	return page;
}

uint64_t extent_stage(struct kv_store *st, uint64_t n)
{
	uint64_t page = take(st, order_for(pages_for(n)));

	if (page == 0)
		return 0;
	begin(st, page, EXTENT_DEAD);
	extent_at(st, page)->pins = 1;
	st->h->pins++;
	return page;
}

bool extent_stage_reach(struct kv_store *st, uint64_t page, uint64_t n, uint64_t total)
{
	struct extent *x = extent_at(st, page);
	uint64_t before = x->pages;
	uint64_t most = pages_for(total);

	if (!add_pages(st, page, pages_for(n)))
		return false;
	if (before > most)
		cut_pages(st, page, before - most > TRIM_PAGES ? before - TRIM_PAGES : most);
	st->h->used += (x->pages - before) * PAGE;
	return true;
}

bool extent_reach(struct kv_store *st, uint64_t page, uint64_t n)
{
	struct extent *x = extent_at(st, page);
	uint64_t pages = pages_for(n);
	uint64_t before = x->pages;

	if (pages > 1ull << x->order)
		return false;
	if (pages > before ? !add_pages(st, page, pages) : !cut_pages(st, page, pages))
		return false;
	st->h->used += (x->pages - before) * PAGE;
	return true;
}

void extent_free(struct kv_store *st, uint64_t page)
{
	struct extent *x = extent_at(st, page);
	uint64_t lender = x->lender;

	if (x->pins != 0 || x->borrowers != 0) {
		x->state = EXTENT_DEAD;
		return;
	}
	st->h->used -= x->pages * PAGE;
	list_put(st, page);
	if (lender == 0)
		return;
	extent_let(st, lender);
}

static struct loan *loan_at(const struct kv_store *st, const void *value)
{
	return (struct loan *)(uintptr_t)&st->loans[(uintptr_t)value / PAGE % LOANS];
}

void extent_pin(struct kv_store *st, uint64_t page, const uint8_t *value)
{
	*loan_at(st, value) = (struct loan){value, page};
	extent_at(st, page)->pins++;
	st->h->pins++;
}

uint64_t extent_lender(const struct kv_store *st, const void *value, uint64_t n)
{
	const struct loan *loan = loan_at(st, value);
	const struct extent *x;
	struct entry e;

	if (n < KV_PIN_LENGTH || loan->value != value)
		return 0;
	x = extent_at(st, loan->page);
	if (x->pins == 0)
		return 0;
	entry_read(st, loan->page | SLOT_LARGE, &e);
	if (loan->value < e.value || n > e.value_len || (uint64_t)(loan->value - e.value) > e.value_len - n)
		return 0;
	return x->lender != 0 ? x->lender : loan->page;
}

void extent_borrow(struct kv_store *st, uint64_t page, uint64_t lender, const uint8_t *value)
{
	struct extent *x = extent_at(st, page);

	x->lender = lender;
	x->lent = (uint64_t)(value - st->base[LARGE]);
	extent_at(st, lender)->borrowers++;
}

uint64_t extent_hold(struct kv_store *st, const struct entry *e)
{
	uint64_t page = (uint64_t)(e->block - EXTENT_HEAD - st->base[LARGE]) / PAGE;
	uint64_t lender = extent_at(st, page)->lender;

	page = lender != 0 ? lender : page;
	extent_at(st, page)->borrowers++;
	return page;
}

void extent_let(struct kv_store *st, uint64_t page)
{
	struct extent *x = extent_at(st, page);

	x->borrowers--;
	if (x->state == EXTENT_DEAD)
		extent_free(st, page);
}

void extent_unpin(struct kv_store *st, uint64_t page)
{
	struct extent *x;

	if (page == 0 || page >= st->h->large_top)
		return;
	x = extent_at(st, page);
	if (x->pins == 0)
		return;
	x->pins--;
	st->h->pins--;
	if (x->pins == 0 && x->state == EXTENT_DEAD)
		extent_free(st, page);
}

/* One piece of the first dirty extent of an order; false when it cannot go. */
static bool trim_one(struct kv_store *st, uint32_t order)
{
	struct surplus *s = &st->surplus;
	uint64_t least = s->least;
	uint64_t page = list_take(st, order);
	struct extent *x = extent_at(st, page);
	uint64_t keep = x->pages > TRIM_PAGES + 1 ? x->pages - TRIM_PAGES : 1;
	bool done = cut_pages(st, page, keep);

	list_put(st, page);
	s->least = least < st->h->large_dirty_pages ? least : st->h->large_dirty_pages;
	s->stuck = !done;
	return done;
}

/* Trims until no more than `keep` pages are left; what that took. */
static uint64_t trim_to(struct kv_store *st, uint64_t keep, uint64_t budget, bool *more)
{
	struct header *h = st->h;
	uint64_t used = 0;

	for (uint32_t order = 0; order < ORDERS; order++) {
		while (h->large_dirty[order] != 0 && h->large_dirty_pages > keep) {
			if (used >= budget) {
				*more = true;
				return used;
			}
			if (!trim_one(st, order))
				return used;
			used += TRIM_PAGES;
		}
	}
	return used;
}

void extent_yield(struct kv_store *st, uint64_t bytes)
{
	struct header *h = st->h;
	uint64_t before = h->committed;

	for (uint32_t order = 0; order < ORDERS; order++) {
		while (h->large_dirty[order] != 0 && before - h->committed < bytes) {
			if (!trim_one(st, order))
				return;
		}
	}
}

uint64_t extent_maintain(struct kv_store *st, uint64_t budget, bool *more)
{
	struct surplus *s = &st->surplus;
	uint64_t before = st->h->large_dirty_pages;
	uint64_t used = s->goes == 0 ? 0 : trim_to(st, before > s->goes ? before - s->goes : 0, budget, more);
	uint64_t went = before - st->h->large_dirty_pages;

	s->goes = s->stuck || went >= s->goes ? 0 : s->goes - went;
	return used;
}

int64_t extent_surplus(struct kv_store *st, int64_t now)
{
	struct surplus *s = &st->surplus;

	if (now < s->since || now - s->since >= SURPLUS) {
		s->goes = now < s->since ? 0 : s->least;
		s->since = now;
		s->least = st->h->large_dirty_pages - s->goes;
	}
	return st->h->large_dirty_pages == 0 || s->stuck ? 0 : s->since + SURPLUS;
}
