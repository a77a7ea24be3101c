/*
 * scan.c - walking the entries of a space
 *
 * A cursor is a place in the order of hashes read from their low bit up.  In that
 * order a bucket is one interval, splitting cuts it in two and merging joins two, so a
 * walk that goes from interval to interval misses nothing that stays, whatever
 * the table does meanwhile.
 */
#include "image.h"
#include "store.h"

#define PLACE_BITS 48
#define PLACE_MASK ((1ull << PLACE_BITS) - 1)
#define RANDOM_TRIES 4096u

static uint64_t reverse(uint64_t v)
{
	v = (v >> 1 & 0x5555555555555555ull) | (v & 0x5555555555555555ull) << 1;
	v = (v >> 2 & 0x3333333333333333ull) | (v & 0x3333333333333333ull) << 2;
	v = (v >> 4 & 0x0f0f0f0f0f0f0f0full) | (v & 0x0f0f0f0f0f0f0f0full) << 4;
	return __builtin_bswap64(v) >> (64 - PLACE_BITS);
}

/* Bits of the hash that tell bucket b from the others. */
static unsigned depth_of(const struct space *sp, uint64_t b)
{
	unsigned full = (unsigned)__builtin_popcountll(sp->mask);

	if (full == 0)
		return 0;
	/* Not split in this round: its twin at the deeper level is not there yet. */
	return (b | (sp->mask + 1) >> 1) < sp->buckets ? full : full - 1;
}

/* The bucket at a place; *end is the place after it, 0 for the end of all. */
static uint64_t bucket_at(const struct space *sp, uint64_t place, uint64_t *end)
{
	uint64_t b = index_bucket(sp, reverse(place));
	uint64_t width = 1ull << (PLACE_BITS - depth_of(sp, b));

	*end = ((place & ~(width - 1)) + width) & PLACE_MASK;
	return b;
}

static void *copy_in(struct kv_sink *sink, const void *from, uint64_t n)
{
	void *to = kv_alloc(sink, n == 0 ? 1 : n);

	if (to != NULL && n != 0)
		memcpy(to, from, n);
	return to;
}

/* Adds an entry to what was found. */
static int found(struct kv_scan *scan, const struct entry *e)
{
	struct kv_item *item = kv_alloc(scan->sink, sizeof *item);

	if (item == NULL)
		return KV_NO_MEMORY;
	memset(item, 0, sizeof *item);
	item->key = copy_in(scan->sink, e->key, e->key_len);
	if (item->key == NULL)
		return KV_NO_MEMORY;
	if (scan->flags & KV_SCAN_VALUES) {
		item->value = copy_in(scan->sink, e->value, e->value_len);
		if (item->value == NULL)
			return KV_NO_MEMORY;
	}
	item->key_len = e->key_len;
	item->value_len = e->value_len;
	item->expiry = e->expiry;
	item->tag = e->tag;
	item->space = scan->space;
	if (scan->last != NULL)
		scan->last->next = item;
	else
		scan->first = item;
	scan->last = item;
	scan->count++;
	return KV_OK;
}

static void prefetch_entries(const struct kv_store *st, const struct bucket *line)
{
	for (unsigned i = 0; i < index_width(line) && line->slot[i] != 0; i++)
		prefetch(entry_at(st, line->slot[i]));
}

/* All entries of a bucket. */
static int scan_bucket(struct kv_store *st, struct kv_scan *scan, const struct bucket *line,
		       uint64_t *looked, uint64_t *bytes)
{
	for (; line != NULL; line = index_next(st, line)) {
		prefetch_entries(st, line);
		for (unsigned i = 0; i < index_width(line) && line->slot[i] != 0; i++) {
			struct entry e;

			entry_read(st, line->slot[i], &e);
			++*looked;
			if (kv_gone(e.expiry, scan->now))
				continue;
			if (found(scan, &e) != KV_OK)
				return KV_NO_MEMORY;
			*bytes += scan->flags & KV_SCAN_VALUES ? e.value_len : 0;
		}
	}
	return KV_OK;
}

static int scan_step(struct kv_store *st, const struct space *sp, struct kv_scan *scan)
{
	uint64_t place = scan->cursor & PLACE_MASK;
	uint64_t looked = 0;
	uint64_t bytes = 0;

	do {
		uint64_t end;
		uint64_t b = bucket_at(sp, place, &end);
		uint64_t before = scan->count;

		if (scan_bucket(st, scan, index_at(st, sp, b), &looked, &bytes) != KV_OK) {
			scan->cursor = place;
			return before == 0 || place == 0 ? KV_NO_MEMORY : KV_OK;
		}
		looked++;
		place = end;
	} while (place != 0 && looked < scan->budget &&
		 (scan->budget_bytes == 0 || bytes < scan->budget_bytes));
	scan->cursor = place;
	return KV_OK;
}

uint64_t scan_walk(struct kv_store *st, const struct space *sp, uint64_t place,
		   void (*each)(void *arg, const struct entry *e), void *arg)
{
	uint64_t end;
	uint64_t b = bucket_at(sp, place, &end);
	const struct bucket *line = index_at(st, sp, b);

	for (; line != NULL; line = index_next(st, line)) {
		prefetch_entries(st, line);
		for (unsigned i = 0; i < index_width(line) && line->slot[i] != 0; i++) {
			struct entry e;

			entry_read(st, line->slot[i], &e);
			each(arg, &e);
		}
	}
	return end;
}

/* ---------------------------------------------------------------------- random */

/* The live entry at position `at` of a bucket, if there is one. */
static bool pick(const struct kv_store *st, const struct bucket *line, uint64_t at, int64_t now,
		 struct entry *e)
{
	for (; line != NULL; line = index_next(st, line)) {
		unsigned width = index_width(line);

		if (at < width) {
			if (line->slot[at] == 0)
				return false;
			entry_read(st, line->slot[at], e);
			return !kv_gone(e->expiry, now);
		}
		at -= width;
	}
	return false;
}

/* A bucket and a position in it, again and again: every entry is as likely. */
static int scan_random(struct kv_store *st, const struct space *sp, struct kv_scan *scan)
{
	uint64_t state = scan->seed;
	struct entry e;

	for (unsigned i = 0; i < RANDOM_TRIES; i++) {
		uint64_t b = index_bucket(sp, hash_step(&state));
		uint64_t at = hash_step(&state) % 16;

		if (pick(st, index_at(st, sp, b), at, scan->now, &e))
			return found(scan, &e);
	}
	for (uint64_t i = 0; i < sp->buckets && i < RANDOM_TRIES; i++) {
		uint64_t b = (hash_step(&state) % sp->buckets + i) % sp->buckets;

		for (uint64_t at = 0; at < 64; at++) {
			if (pick(st, index_at(st, sp, b), at, scan->now, &e))
				return found(scan, &e);
		}
	}
	return KV_OK;
}

int hash_scan(kv_store *st, struct kv_scan *scan)
{
	const struct space *sp = space_find(st, scan->space);

	if (!image_settle(st))
		return KV_CORRUPT;
	scan->first = NULL;
	scan->last = NULL;
	scan->count = 0;
	if (scan->flags & ~(KV_SCAN_VALUES | KV_SCAN_RANDOM))
		return KV_UNSUPPORTED;
	if (sp == NULL || sp->entries == 0) {
		scan->cursor = 0;
		return KV_OK;
	}
	if (scan->flags & KV_SCAN_RANDOM)
		return scan_random(st, sp, scan);
	return scan_step(st, sp, scan);
}
