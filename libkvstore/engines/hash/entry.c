/*
 * entry.c - how an entry is written down
 *
 *   word   4 bytes: state (0-1), block before is free (2), has expiry (3), has
 *          tag (4), sid (5-11), key length (12-19), value length (20-31)
 *   wide   20 bytes, when the value length in the word is WIDE: key length 4, value
 *          length 8, granules of the block 4 (0 in `large`), sid 4; the lengths and
 *          the sid of the word mean nothing then
 *   expiry 8 bytes, tag 4 bytes, if the word says so
 *   key, value
 *
 * 16-byte keys with 32-byte values take 52 bytes.  Only the wide form has room to
 * spare at its end; a value that grows by patches is given some.  Entries in `large` have
 * fields for expiry and tag in any case, so that these change in place.
 */
#include "past.h"
#include "store.h"

/* A long value that grows gets addresses for this many times its length; from 4 MiB on for
 * the longest string that commands make, and more. */
#define GROWN_TIMES 16u
#define GROWN_LONG (4 * MIB)
#define GROWN_MOST (GIB - MIB)

static uint32_t granules_for(uint64_t bytes)
{
	uint32_t n = (uint32_t)((bytes + GRANULE - 1) / GRANULE);

	return n < BLOCK_MIN ? BLOCK_MIN : n;
}

static uint32_t short_granules(uint32_t word)
{
	return granules_for(head_bytes(word) + ((word >> KEY_SHIFT) & 255) + (word >> VALUE_SHIFT));
}

uint32_t entry_granules(const uint8_t *block)
{
	uint32_t word = load32(block);

	return is_wide(word) ? load32(block + 16) : short_granules(word);
}

/* The word of an entry of this form, without state. */
static uint32_t word_for(const struct form *f)
{
	uint32_t word = (f->expiry != 0 ? HAS_EXPIRY : 0) | (f->tag != 0 ? HAS_TAG : 0);

	if (f->spare != 0 || f->key_len > SHORT_KEY || f->value_len >= WIDE || f->sid > SID_MAX)
		return word | WIDE << VALUE_SHIFT;
	return word | f->sid << SID_SHIFT | (uint32_t)f->key_len << KEY_SHIFT |
	       (uint32_t)f->value_len << VALUE_SHIFT;
}

/* Writes all that follows the word up to the value. */
static uint8_t *write_head(uint8_t *p, uint32_t word, const struct form *f, uint32_t granules)
{
	p += WORD_BYTES;
	if (is_wide(word)) {
		store32(p, (uint32_t)f->key_len);
		store64(p + 4, f->value_len);
		store32(p + 12, granules);
		store32(p + 16, f->sid);
		p += WIDE_BYTES;
	}
	if (word & HAS_EXPIRY) {
		store64(p, (uint64_t)f->expiry);
		p += 8;
	}
	if (word & HAS_TAG) {
		store32(p, f->tag);
		p += 4;
	}
	if (f->key_len != 0)
		memcpy(p, f->key, f->key_len);
	return p + f->key_len;
}

/* Addresses for a long value that has grown to grow on: the next times it is not copied. */
static uint64_t addresses_for(const struct form *f)
{
	if (f->spare == 0 || f->value_len >= GROWN_MOST)
		return 0;
	return f->value_len < GROWN_LONG ? f->value_len * (GROWN_TIMES - 1) : GROWN_MOST - f->value_len;
}

/* An entry in `large`; n bytes of its value are to lie with it. */
static bool make_large(struct kv_store *st, const struct form *f, uint64_t n, struct draft *d)
{
	uint64_t page;
	uint8_t *block;

	d->word = WIDE << VALUE_SHIFT | HAS_EXPIRY | HAS_TAG;
	page = extent_alloc(st, head_bytes(d->word) + f->key_len + n, n == 0 ? 0 : addresses_for(f));
	if (page == 0)
		return false;
	d->slot = page | SLOT_LARGE | (f->expiry != 0 ? SLOT_EXPIRY : 0);
	block = entry_at(st, d->slot);
	store32(block, BLOCK_BUSY);
	d->value = write_head(block, d->word, f, 0);
	return true;
}

bool entry_make(struct kv_store *st, const struct form *f, struct draft *d)
{
	uint64_t bytes;
	uint32_t n;
	uint64_t at;

	d->word = word_for(f);
	bytes = head_bytes(d->word) + f->key_len + f->value_len + f->spare;
	if (bytes > SMALL_MAX)
		return make_large(st, f, f->value_len, d);
	n = granules_for(bytes);
	at = arena_alloc(st, n);
	if (at == 0)
		return false;
	d->slot = at | (f->expiry != 0 ? SLOT_EXPIRY : 0);
	d->value = write_head(small_at(st, at), d->word, f, n);
	return true;
}

bool entry_write(struct kv_store *st, const struct form *f, const void *value, struct draft *d)
{
	uint64_t lender = f->value_len < KV_PIN_LENGTH ? 0 : extent_lender(st, value, f->value_len);

	if (lender == 0)
		lender = stage_lender(st, value, f->value_len);
	/* A start from the log has each value anew: within the limit that must have room, too. */
	if (lender != 0 && st->h->max_memory != 0 && st->h->payload + f->value_len > st->h->max_memory)
		lender = 0;
	if (UNLIKELY(lender != 0)) {
		if (!make_large(st, f, 0, d))
			return false;
		extent_borrow(st, d->slot & SLOT_AT, lender, value);
		return true;
	}
	if (!entry_make(st, f, d))
		return false;
	if (f->value_len != 0)
		copy_past(d->value, value, f->value_len);
	return true;
}

void entry_finish(struct kv_store *st, const struct draft *d)
{
	uint32_t *word = (uint32_t *)(void *)entry_at(st, d->slot);
	uint32_t prev = d->slot & SLOT_LARGE ? 0 : *word & BLOCK_PREV_FREE;

	__atomic_store_n(word, d->word | prev | BLOCK_LIVE, __ATOMIC_RELEASE);
}

void entry_free(struct kv_store *st, uint64_t slot)
{
	uint8_t *block;

	if (slot & SLOT_LARGE) {
		extent_free(st, slot & SLOT_AT);
		return;
	}
	block = entry_at(st, slot);
	arena_free(st, slot & SLOT_AT,
		   (load32(block) & BLOCK_STATE) == BLOCK_LIVE ? entry_granules(block)
							      : load32(block) >> BLOCK_SIZE_SHIFT);
}

bool entry_is_wide(const struct entry *e)
{
	return is_wide(e->word);
}

bool entry_has_room(const struct kv_store *st, uint64_t slot, int64_t expiry, uint32_t tag)
{
	uint32_t word = load32(entry_at(st, slot));

	return (expiry == 0 || word & HAS_EXPIRY) && (tag == 0 || word & HAS_TAG);
}

void entry_retag(struct kv_store *st, uint64_t slot, int64_t expiry, uint32_t tag)
{
	uint8_t *p = entry_at(st, slot);
	uint32_t word = load32(p);

	p += WORD_BYTES + (is_wide(word) ? WIDE_BYTES : 0);
	if (word & HAS_EXPIRY) {
		store64(p, (uint64_t)expiry);
		p += 8;
	}
	if (word & HAS_TAG)
		store32(p, tag);
}

bool entry_pinned(const struct kv_store *st, uint64_t slot)
{
	const struct extent *x;

	if (!(slot & SLOT_LARGE))
		return false;
	x = extent_at(st, slot & SLOT_AT);
	return x->pins != 0 || x->borrowers != 0;
}

/* Whether the bytes of the value from `from` on are this entry's alone.  What others have of
 * it ends at its present length. */
static bool owns(const struct kv_store *st, uint64_t slot, const struct entry *e, uint64_t from)
{
	const struct extent *x = extent_at(st, slot & SLOT_AT);
	const struct extent *lender;

	if (x->lender == 0)
		return from >= e->value_len || !entry_pinned(st, slot);
	lender = extent_at(st, x->lender);
	return lender->state == EXTENT_DEAD && lender->borrowers == 1 && lender->pins == 0 &&
	       (from >= e->value_len || x->pins == 0);
}

static bool resize_large(struct kv_store *st, uint64_t slot, const struct entry *e, uint64_t n)
{
	uint64_t page = slot & SLOT_AT;
	uint64_t lender = extent_at(st, page)->lender;
	uint64_t bytes;

	page = lender != 0 ? lender : page;
	bytes = (uint64_t)(e->value - (st->base[LARGE] + page * PAGE + EXTENT_HEAD)) + n;
	return bytes > SMALL_MAX / 2 && extent_reach(st, page, bytes);
}

static bool resize_wide(const struct entry *e, uint64_t n)
{
	uint64_t room = (uint64_t)load32(e->block + 16) * GRANULE;
	uint64_t bytes = (uint64_t)(e->value - e->block) + n;

	return n <= room && bytes <= room && bytes >= room / 4;
}

static bool resize_short(const struct entry *e, uint64_t n)
{
	uint64_t bytes = (uint64_t)(e->value - e->block) + n;

	return n < WIDE && granules_for(bytes) == short_granules(e->word);
}

bool entry_resize(struct kv_store *st, uint64_t slot, uint64_t n, uint64_t from)
{
	struct entry e;
	uint32_t *word;

	entry_read(st, slot, &e);
	if (UNLIKELY(slot & SLOT_LARGE) && !owns(st, slot, &e, from < n ? from : n))
		return false;
	if (n == e.value_len)
		return true;
	if (slot & SLOT_LARGE ? !resize_large(st, slot, &e, n)
	    : is_wide(e.word) ? !resize_wide(&e, n)
			      : !resize_short(&e, n))
		return false;
	if (n > e.value_len)
		memset(e.value + e.value_len, 0, n - e.value_len);
	if (is_wide(e.word)) {
		store64(e.block + 8, n);
		return true;
	}
	word = (uint32_t *)(void *)e.block;
	__atomic_store_n(word, (e.word & ((1u << VALUE_SHIFT) - 1)) | (uint32_t)n << VALUE_SHIFT,
			 __ATOMIC_RELEASE);
	return true;
}
