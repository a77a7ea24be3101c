/*
 * index.c - one table per space: linear hashing over cache lines
 *
 * Bucket b is for the hashes whose low bits are b; buckets are split in order, one
 * at a time, and merged in the reverse order.  A bucket that overflows links further
 * lines from its last slot.  The slots of a bucket are kept without gaps, and a
 * further line holds at least two.
 *
 * Buckets lie in chunks of 1024 that a directory lists; while there is only
 * one, it is as small as it can be.  Which way a slot goes in a split is read from
 * its print; only the first 12 bits of the hash need a look at the key.
 */
#include "store.h"

/* Entries per bucket, in quarters: grow above, shrink below. */
#define LOAD_HIGH 19u
#define LOAD_LOW 8u

static inline void put(uint64_t *slot, uint64_t value)
{
	__atomic_store_n(slot, value, __ATOMIC_RELEASE);
}

static uint64_t high_bit(uint64_t n)
{
	return 1ull << (63 - __builtin_clzll(n));
}

/* The mask for that many buckets. */
static uint64_t mask_for(uint64_t buckets)
{
	return buckets <= 1 ? 0 : high_bit(buckets - 1) * 2 - 1;
}

/* ---------------------------------------------------------------------- find */

uint64_t *index_find_slot(const struct kv_store *st, const struct space *sp, uint64_t hash,
			  uint64_t slot)
{
	const uint64_t same = SLOT_AT | SLOT_LARGE | SLOT_LINK;
	struct bucket *line = index_at(st, sp, index_bucket(sp, hash));

	for (; line != NULL; line = index_next(st, line)) {
		for (unsigned i = 0; i < index_width(line); i++) {
			if (((line->slot[i] ^ slot) & same) == 0)
				return &line->slot[i];
		}
	}
	return NULL;
}

/* -------------------------------------------------------------------- chains */

static bool chain_extend(struct kv_store *st, struct bucket *last, uint64_t value)
{
	uint32_t at = pool_alloc(st, 0);
	struct bucket *line;

	if (at == 0)
		return false;
	line = pool_at(st, at);
	memset(line, 0, sizeof *line);
	line->slot[0] = last->slot[7];
	line->slot[1] = value;
	put(&last->slot[7], SLOT_LINK | at);
	return true;
}

static bool chain_add(struct kv_store *st, struct bucket *line, uint64_t value)
{
	for (;;) {
		struct bucket *next = index_next(st, line);

		if (next == NULL)
			break;
		line = next;
	}
	for (unsigned i = 0; i < 8; i++) {
		if (line->slot[i] == 0) {
			put(&line->slot[i], value);
			return true;
		}
	}
	return chain_extend(st, line, value);
}

struct bucket *index_unlink(struct kv_store *st, struct bucket *head, uint64_t *slot)
{
	struct bucket *mine = (struct bucket *)(void *)((uintptr_t)slot & ~(uintptr_t)(LINE - 1));
	struct bucket *before = NULL;
	struct bucket *line = head;
	struct bucket *next;
	unsigned i = 7;

	while ((next = index_next(st, line)) != NULL) {
		before = line;
		line = next;
	}
	while (line->slot[i] == 0)
		i--;
	if (slot != &line->slot[i])
		put(slot, line->slot[i]);
	put(&line->slot[i], 0);
	if (before != NULL && i == 1) {
		uint32_t at = (uint32_t)(before->slot[7] & SLOT_AT);

		put(&before->slot[7], line->slot[0]);
		pool_free(st, at, 0);
		if (mine == line)
			return before;
	}
	return mine;
}

static uint64_t chain_lines(const struct kv_store *st, const struct bucket *line)
{
	uint64_t n = 0;

	for (; line != NULL; line = index_next(st, line))
		n++;
	return n;
}

static bool chain_expires(const struct kv_store *st, const struct bucket *line)
{
	for (; line != NULL; line = index_next(st, line)) {
		for (unsigned i = 0; i < index_width(line); i++) {
			if (line->slot[i] & SLOT_EXPIRY)
				return true;
		}
	}
	return false;
}

/* Frees the further lines of a bucket. */
static void chain_cut(struct kv_store *st, struct bucket *head)
{
	uint64_t link = head->slot[7];

	while (link & SLOT_LINK) {
		uint32_t at = (uint32_t)(link & SLOT_AT);

		link = pool_at(st, at)->slot[7];
		pool_free(st, at, 0);
	}
	memset(head, 0, sizeof *head);
}

/* ---------------------------------------------------------------- directories */

static uint32_t clear_alloc(struct kv_store *st, uint32_t class)
{
	uint32_t at = pool_alloc(st, class);

	if (at != 0)
		memset(pool_at(st, at), 0, (size_t)LINE << class);
	return at;
}

/* Puts a longer or shorter run in place of one; the shorter length is copied. */
static bool run_resize(struct kv_store *st, uint32_t *at, uint32_t *class, uint32_t to)
{
	uint32_t fresh = clear_alloc(st, to);

	if (fresh == 0)
		return false;
	memcpy(pool_at(st, fresh), pool_at(st, *at), (size_t)LINE << (*class < to ? *class : to));
	pool_free(st, *at, *class);
	*at = fresh;
	*class = to;
	return true;
}

bool index_open(struct kv_store *st, struct space *sp)
{
	uint32_t dir = clear_alloc(st, 0);
	uint32_t chunk = dir != 0 ? clear_alloc(st, 0) : 0;

	if (chunk == 0) {
		if (dir != 0)
			pool_free(st, dir, 0);
		return false;
	}
	sp->top[0] = dir;
	sp->dir_class = 0;
	sp->chunk_class = 0;
	sp->buckets = 1;
	sp->mask = 0;
	index_dir(st, sp, 0)->chunk = chunk;
	return true;
}

/* Room in the directories for chunk c, the one after the last. */
static bool dir_room(struct kv_store *st, struct space *sp, uint64_t c)
{
	uint64_t top = c / DIR_ENTRIES;

	if (top >= TOPS)
		return false;
	if (top == 0) {
		if (c < 8ull << sp->dir_class)
			return true;
		return run_resize(st, &sp->top[0], &sp->dir_class, sp->dir_class + 1);
	}
	if (sp->top[top] == 0)
		sp->top[top] = clear_alloc(st, CHUNK_CLASS);
	return sp->top[top] != 0;
}

/* Room for bucket n, the one after the last. */
static bool bucket_room(struct kv_store *st, struct space *sp, uint64_t n)
{
	struct dir *dir;

	if (n < CHUNK_LINES) {
		dir = index_dir(st, sp, 0);
		return n < 1ull << sp->chunk_class ||
		       run_resize(st, &dir->chunk, &sp->chunk_class, sp->chunk_class + 1);
	}
	if (n % CHUNK_LINES != 0)
		return true;
	if (!dir_room(st, sp, n / CHUNK_LINES))
		return false;
	dir = index_dir(st, sp, n);
	dir->due = 0;
	dir->chunk = pool_alloc(st, CHUNK_CLASS);
	return dir->chunk != 0;
}

/* Gives up what only buckets from n on need; n > 0. */
static void bucket_unroom(struct kv_store *st, struct space *sp, uint64_t n)
{
	uint64_t c = n / CHUNK_LINES;
	struct dir *dir;

	if (n % CHUNK_LINES != 0 || n == 0)
		return;
	dir = index_dir(st, sp, n);
	pool_free(st, dir->chunk, CHUNK_CLASS);
	if (dir->due != 0)
		pool_free(st, dir->due, DUE_CLASS);
	dir->chunk = 0;
	dir->due = 0;
	if (c % DIR_ENTRIES == 0) {
		pool_free(st, sp->top[c / DIR_ENTRIES], CHUNK_CLASS);
		sp->top[c / DIR_ENTRIES] = 0;
	}
}

/* A small table that has become much smaller gets a smaller chunk. */
static void chunk_fit(struct kv_store *st, struct space *sp)
{
	struct dir *dir = index_dir(st, sp, 0);

	if (sp->chunk_class > 0 && sp->buckets * 4 <= 1ull << sp->chunk_class)
		run_resize(st, &dir->chunk, &sp->chunk_class, sp->chunk_class - 1);
}

/* -------------------------------------------------------------- grow and shrink */

static bool goes_up(const struct kv_store *st, uint64_t slot, uint64_t bit)
{
	unsigned n = (unsigned)__builtin_ctzll(bit);
	struct entry e;

	if (n >= PRINT_FROM && n < PRINT_FROM + PRINT_BITS)
		return slot >> (PRINT_SHIFT + n - PRINT_FROM) & 1;
	entry_read(st, slot, &e);
	return (hash_key(st->h->seed, e.key, e.key_len) & bit) != 0;
}

/* Moves the slots of bucket `from` that belong there to the empty bucket `to`. */
static void split(struct kv_store *st, struct bucket *from, struct bucket *to, uint64_t bit)
{
	struct bucket *line = from;
	unsigned i = 0;

	while (line != NULL) {
		uint64_t s = line->slot[i];
		struct bucket *at;

		if (s != 0 && !(s & SLOT_LINK) && goes_up(st, s, bit)) {
			chain_add(st, to, s);
			at = index_unlink(st, from, &line->slot[i]);
			if (at != line)
				i = 7;
			line = at;
		} else if (++i >= index_width(line)) {
			line = index_next(st, line);
			i = 0;
		}
	}
}

void index_grow(struct kv_store *st, struct space *sp)
{
	uint64_t n = sp->buckets;
	uint64_t bit = high_bit(n);
	struct bucket *from;

	if (sp->entries * 4 <= n * LOAD_HIGH)
		return;
	from = index_at(st, sp, n ^ bit);
	if (!pool_reserve(st, chain_lines(st, from)) || !bucket_room(st, sp, n))
		return;
	if (chain_expires(st, index_at(st, sp, n ^ bit)) && !expiry_reserve(st, sp, n)) {
		bucket_unroom(st, sp, n);
		return;
	}
	from = index_at(st, sp, n ^ bit);
	memset(index_at(st, sp, n), 0, LINE);
	split(st, from, index_at(st, sp, n), bit);
	sp->buckets = n + 1;
	sp->mask = mask_for(n + 1);
	expiry_moved(st, sp, n ^ bit, n);
}

/* Moves every slot of bucket `from` to bucket `to`. */
static void merge(struct kv_store *st, struct bucket *from, struct bucket *to)
{
	struct bucket *line;

	for (line = from; line != NULL; line = index_next(st, line)) {
		for (unsigned i = 0; i < index_width(line) && line->slot[i] != 0; i++)
			chain_add(st, to, line->slot[i]);
	}
	chain_cut(st, from);
}

void index_shrink(struct kv_store *st, struct space *sp)
{
	uint64_t n = sp->buckets - 1;
	struct bucket *from;
	uint64_t to;

	if (n == 0 || sp->entries * 4 >= sp->buckets * LOAD_LOW)
		return;
	from = index_at(st, sp, n);
	to = n ^ high_bit(n);
	if (!pool_reserve(st, chain_lines(st, from) + 1))
		return;
	if (chain_expires(st, from) && !expiry_reserve(st, sp, to))
		return;
	merge(st, from, index_at(st, sp, to));
	expiry_moved(st, sp, n, to);
	sp->buckets = n;
	sp->mask = mask_for(n);
	bucket_unroom(st, sp, n);
	if (n < CHUNK_LINES)
		chunk_fit(st, sp);
}

/* ------------------------------------------------------------------------- add */

int index_add(struct kv_store *st, struct space *sp, uint64_t hash, uint64_t slot)
{
	struct bucket *line = index_at(st, sp, index_bucket(sp, hash));

	return chain_add(st, line, slot | slot_print(hash)) ? KV_OK : KV_NO_MEMORY;
}

/* ------------------------------------------------------------------------- drop */

static void free_entries(struct kv_store *st, const struct bucket *line, uint64_t *entries)
{
	for (; line != NULL; line = index_next(st, line)) {
		for (unsigned i = 0; i < index_width(line) && line->slot[i] != 0; i++) {
			entry_free(st, line->slot[i]);
			++*entries;
		}
	}
}

bool index_drop_last(struct kv_store *st, struct space *sp, uint64_t *entries)
{
	uint64_t n = sp->buckets - 1;
	struct bucket *line = index_at(st, sp, n);
	struct dir *dir;

	free_entries(st, line, entries);
	++*entries;
	chain_cut(st, line);
	sp->buckets = n;
	bucket_unroom(st, sp, n);
	if (n != 0)
		return true;
	dir = index_dir(st, sp, 0);
	if (dir->due != 0)
		pool_free(st, dir->due, DUE_CLASS);
	pool_free(st, dir->chunk, sp->chunk_class);
	pool_free(st, sp->top[0], sp->dir_class);
	for (unsigned i = 1; i < TOPS; i++) {
		if (sp->top[i] != 0)
			pool_free(st, sp->top[i], CHUNK_CLASS);
	}
	return false;
}
