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
 * spare at its end; a value that grows by patches is given some.
 */
#include "store.h"

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

static bool make_large(struct kv_store *st, const struct form *f, struct draft *d)
{
	struct form wide = *f;
	uint64_t page;
	uint8_t *block;

	wide.spare = 1;
	d->word = word_for(&wide);
	page = extent_alloc(st, head_bytes(d->word) + f->key_len + f->value_len);
	if (page == 0)
		return false;
	d->slot = page | SLOT_LARGE;
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
	if (bytes > SMALL_MAX) {
		if (!make_large(st, f, d))
			return false;
	} else {
		n = granules_for(bytes);
		at = arena_alloc(st, n);
		if (at == 0)
			return false;
		d->slot = at;
		d->value = write_head(small_at(st, at), d->word, f, n);
	}
	if (f->expiry != 0)
		d->slot |= SLOT_EXPIRY;
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
	return (slot & SLOT_LARGE) && extent_at(st, slot & SLOT_AT)->pins != 0;
}

static bool resize_large(struct kv_store *st, uint64_t slot, const struct entry *e, uint64_t n)
{
	uint64_t bytes = (uint64_t)(e->value - e->block) + n;

	return bytes > SMALL_MAX / 2 && extent_reach(st, slot & SLOT_AT, bytes);
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

bool entry_resize(struct kv_store *st, uint64_t slot, uint64_t n)
{
	struct entry e;
	uint32_t *word;

	entry_read(st, slot, &e);
	if (n == e.value_len)
		return !entry_pinned(st, slot);
	if (entry_pinned(st, slot))
		return false;
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
