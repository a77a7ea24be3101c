/* store.h - what the files of the engine `hash` do for each other */
#ifndef HASH_STORE_H
#define HASH_STORE_H

#include "disk.h"
#include "extent.h"
#include "layout.h"
#include "mix.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* ------------------------------------------------------------------ memory */

/* Makes and maps the three files.  KV_OK, or a status and a sentence in `why`. */
int memory_open(struct kv_store *st, char *why, uint64_t why_size);

/* Unmaps and closes them. */
void memory_close(struct kv_store *st);

/* Makes them and an empty store in them; as memory_open(). */
int store_begin(struct kv_store *st, const struct kv_open *open);

/* Sets the pointers that follow from base[META]. */
void memory_attach(struct kv_store *st);

/*
 * Gets memory for whole pages of a file, zeroed if they had none.  KV_OK, or
 * KV_NO_MEMORY: nothing has changed.
 */
int memory_commit(struct kv_store *st, enum segment seg, uint64_t at, uint64_t len);

/* Gives the memory of whole pages back; they read as zero when committed anew. */
bool memory_release(struct kv_store *st, enum segment seg, uint64_t at, uint64_t len);

/* Makes an area reach `need` bytes from its start, growing in units of `step` if it can. */
int area_reach(struct kv_store *st, struct area *area, uint64_t need, uint64_t step);

/* -------------------------------------------------------------------- pool */

/* A free run of 64 << class bytes, not cleared: its line, 0 without memory. */
uint32_t pool_alloc(struct kv_store *st, uint32_t class);
void pool_free(struct kv_store *st, uint32_t line, uint32_t class);

/* Makes sure that the next n calls of pool_alloc(st, 0) succeed. */
bool pool_reserve(struct kv_store *st, uint64_t n);

/* Gives the memory of free chunks back; units of work done, at most about `budget`. */
uint64_t pool_trim(struct kv_store *st, uint64_t budget, bool *more);

static inline struct bucket *pool_at(const struct kv_store *st, uint32_t line)
{
	return st->pool + line;
}

/* ------------------------------------------------------------------- arena */

/* A block of n granules, BUSY: its granule, 0 without memory. */
uint64_t arena_alloc(struct kv_store *st, uint32_t n);
void arena_free(struct kv_store *st, uint64_t at, uint32_t n);

/* Asks for the cache lines that freeing this live block will need beside its own. */
void arena_ask(const struct kv_store *st, uint64_t at);

/* Gives free regions back; as pool_trim(). */
uint64_t arena_trim(struct kv_store *st, uint64_t budget, bool *more);

/* Takes the free blocks of a region out of the lists, so that it only empties. */
void arena_shut(struct kv_store *st, uint32_t region);

/* Puts them back. */
void arena_reopen(struct kv_store *st, uint32_t region);

/* Frees a shut region that has no live block left. */
void arena_retire(struct kv_store *st, uint32_t region);

/* Where the first live block of a shut region is, *end if it has none: all blocks
 * before it are one free block. */
uint64_t arena_first_live(const struct kv_store *st, uint32_t region, uint64_t *end);

static inline uint8_t *small_at(const struct kv_store *st, uint64_t granule)
{
	return st->base[SMALL] + granule * GRANULE;
}

/* ------------------------------------------------------------------ entries */

/* An entry taken apart; pointers are into the store. */
struct entry {
	uint8_t *block; /* its first word */
	uint32_t word;
	uint32_t sid;
	uint32_t tag;
	uint32_t reserved;
	uint64_t key_len;
	uint64_t value_len;
	int64_t expiry;
	uint8_t *key;
	uint8_t *value;
};

/* What an entry is to be made of. */
struct form {
	uint32_t sid;
	uint32_t tag;
	int64_t expiry;
	const void *key;
	uint64_t key_len;
	uint64_t value_len;
	uint64_t spare; /* room to grow, in bytes */
};

/* An entry on its way: in a place of its own, but not live yet. */
struct draft {
	uint64_t slot; /* without print */
	uint32_t word;
	uint32_t reserved;
	uint8_t *value; /* where the value goes */
};

/* Finds a place and writes all but the value; false without memory. */
bool entry_make(struct kv_store *st, const struct form *form, struct draft *draft);

/* The same with its value, which is borrowed where it is a pinned one of this store. */
bool entry_write(struct kv_store *st, const struct form *form, const void *value, struct draft *draft);

/* The value is written: makes the block live. */
void entry_finish(struct kv_store *st, const struct draft *draft);

void entry_free(struct kv_store *st, uint64_t slot);
/* Whether an entry has fields for this expiry and tag; sets them, when it has. */
bool entry_has_room(const struct kv_store *st, uint64_t slot, int64_t expiry, uint32_t tag);
void entry_retag(struct kv_store *st, uint64_t slot, int64_t expiry, uint32_t tag);

/* Whether it is in the long form, that is: has grown, or is long. */
bool entry_is_wide(const struct entry *e);

/* Makes the value n bytes long in place, zero bytes at its end if it grew, for bytes from `from`
 * on to be changed; false when it cannot be done or somebody else reads them. */
bool entry_resize(struct kv_store *st, uint64_t slot, uint64_t n, uint64_t from);

/* Granules of the live block at `block` in `small`. */
uint32_t entry_granules(const uint8_t *block);

/* Whether somebody else has the value: its memory stays when the entry goes. */
bool entry_pinned(const struct kv_store *st, uint64_t slot);

static inline uint8_t *entry_at(const struct kv_store *st, uint64_t slot)
{
	if (UNLIKELY(slot & SLOT_LARGE))
		return st->base[LARGE] + (slot & SLOT_AT) * PAGE + EXTENT_HEAD;
	return small_at(st, slot & SLOT_AT);
}

/* Bytes from the block's start to the key. */
static inline uint64_t head_bytes(uint32_t word)
{
	return WORD_BYTES + (is_wide(word) ? WIDE_BYTES : 0) + (word & HAS_EXPIRY ? 8 : 0) +
	       (word & HAS_TAG ? 4 : 0);
}

/* Takes the entry of a slot apart. */
static inline void entry_read(const struct kv_store *st, uint64_t slot, struct entry *e)
{
	uint8_t *p = entry_at(st, slot);
	uint32_t word = load32(p);

	e->block = p;
	e->word = word;
	p += WORD_BYTES;
	if (UNLIKELY(is_wide(word))) {
		e->key_len = load32(p);
		e->value_len = load64(p + 4);
		e->sid = load32(p + 16);
		p += WIDE_BYTES;
	} else {
		e->key_len = (word >> KEY_SHIFT) & 255;
		e->value_len = word >> VALUE_SHIFT;
		e->sid = (word >> SID_SHIFT) & SID_MAX;
	}
	e->expiry = 0;
	e->tag = 0;
	if (word & HAS_EXPIRY) {
		e->expiry = (int64_t)load64(p);
		p += 8;
	}
	if (word & HAS_TAG) {
		e->tag = load32(p);
		p += 4;
	}
	e->key = p;
	e->value = p + e->key_len;
	if (UNLIKELY(slot & SLOT_LARGE)) {
		const struct extent *x = extent_at(st, slot & SLOT_AT);

		if (x->lender != 0)
			e->value = st->base[LARGE] + x->lent;
	}
}

/* Whether n bytes are the same; short keys are compared by overlapping words. */
static inline bool same_bytes(const uint8_t *a, const uint8_t *b, uint64_t n)
{
	if (n >= 8 && n <= 16)
		return ((load64(a) ^ load64(b)) | (load64(a + n - 8) ^ load64(b + n - 8))) == 0;
	if (n >= 4 && n < 8)
		return ((load32(a) ^ load32(b)) | (load32(a + n - 4) ^ load32(b + n - 4))) == 0;
	return n == 0 || memcmp(a, b, n) == 0;
}

/* Whether the entry of a slot has this key. */
static inline bool entry_is(const struct kv_store *st, uint64_t slot, const void *key, uint64_t key_len)
{
	const uint8_t *p = entry_at(st, slot);
	uint32_t word = load32(p);
	uint64_t len = is_wide(word) ? load32(p + WORD_BYTES) : (word >> KEY_SHIFT) & 255;

	return len == key_len && same_bytes(p + head_bytes(word), key, len);
}


/* ------------------------------------------------------------------- spaces */

/* The space of that number, NULL when nothing was ever put there. */
struct space *space_find(struct kv_store *st, uint32_t number);

/* The same, made if need be; NULL without memory. */
struct space *space_make(struct kv_store *st, uint32_t number);

/* Takes everything out of a space at once. */
void space_clear(struct kv_store *st, uint32_t number);

/* Frees what cleared spaces held; as pool_trim(). */
uint64_t space_reap(struct kv_store *st, uint64_t budget, bool *more);

/* -------------------------------------------------------------------- index */

/* Makes an empty table. */
bool index_open(struct kv_store *st, struct space *sp);

/* The slot that holds this very value (print aside), or NULL. */
uint64_t *index_find_slot(const struct kv_store *st, const struct space *sp, uint64_t hash,
			  uint64_t slot);

/* Adds a slot.  KV_OK, or KV_NO_MEMORY: nothing has changed. */
int index_add(struct kv_store *st, struct space *sp, uint64_t hash, uint64_t slot);

/*
 * Takes a slot out of the bucket that starts at `head`: the gap is filled with its last
 * slot, and a line is given up if it can be.  Returns the line to go on from: that of
 * `slot`, or the one before it, at its last slot, when that was given up.
 */
struct bucket *index_unlink(struct kv_store *st, struct bucket *head, uint64_t *slot);

/* Grows or shrinks by one bucket if the load asks for it. */
void index_grow(struct kv_store *st, struct space *sp);
void index_shrink(struct kv_store *st, struct space *sp);

/* Frees the last bucket with its entries; false when none is left. */
bool index_drop_last(struct kv_store *st, struct space *sp, uint64_t *entries);

static inline uint64_t index_bucket(const struct space *sp, uint64_t hash)
{
	uint64_t b = hash & sp->mask;

	return b < sp->buckets ? b : b & (sp->mask >> 1);
}

static inline struct dir *index_dir(const struct kv_store *st, const struct space *sp, uint64_t b)
{
	uint64_t c = b / CHUNK_LINES;
	struct dir *dir = (struct dir *)(void *)pool_at(st, sp->top[c / DIR_ENTRIES]);

	return dir + c % DIR_ENTRIES;
}

static inline struct bucket *index_at(const struct kv_store *st, const struct space *sp, uint64_t b)
{
	return pool_at(st, index_dir(st, sp, b)->chunk) + b % CHUNK_LINES;
}

/* The line after this one in a bucket, or NULL. */
static inline struct bucket *index_next(const struct kv_store *st, const struct bucket *line)
{
	uint64_t s = line->slot[7];

	return UNLIKELY(s & SLOT_LINK) ? pool_at(st, (uint32_t)(s & SLOT_AT)) : NULL;
}

/* One bit for each slot of a line whose print is that of `hash`; a link never has one. */
#ifdef __SSE2__
/* What of a slot's upper half is print, and the link bit. */
#define MATCH_BITS ((int)(uint32_t)((SLOT_PRINT | SLOT_LINK) >> 32))

/* The upper halves of four slots against print and link bit. */
static inline unsigned index_match4(const uint64_t *slot, __m128i print)
{
	__m128 a = _mm_castsi128_ps(_mm_load_si128((const __m128i *)(const void *)slot));
	__m128 b = _mm_castsi128_ps(_mm_load_si128((const __m128i *)(const void *)(slot + 2)));
	__m128i high = _mm_castps_si128(_mm_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 3, 1)));
	__m128i differ = _mm_and_si128(_mm_xor_si128(high, print), _mm_set1_epi32(MATCH_BITS));

	return (unsigned)_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(differ, _mm_setzero_si128())));
}

static inline unsigned index_match(const struct bucket *line, uint64_t hash)
{
	__m128i print = _mm_set1_epi32((int)(uint32_t)(slot_print(hash) >> 32));

	return index_match4(line->slot, print) | index_match4(line->slot + 4, print) << 4;
}
#else
static inline unsigned index_match(const struct bucket *line, uint64_t hash)
{
	uint64_t print = slot_print(hash);
	unsigned bits = 0;

	for (unsigned i = 0; i < 8; i++)
		bits |= (unsigned)(((line->slot[i] ^ print) & (SLOT_PRINT | SLOT_LINK)) == 0) << i;
	return bits;
}
#endif

/* Slots of a line that can hold entries. */
static inline unsigned index_width(const struct bucket *line)
{
	return line->slot[7] & SLOT_LINK ? 7 : 8;
}

/* The slot of a key, or NULL. */
static inline uint64_t *index_find(const struct kv_store *st, const struct space *sp,
				   uint64_t hash, const void *key, uint64_t key_len)
{
	struct bucket *line = index_at(st, sp, index_bucket(sp, hash));

	for (; line != NULL; line = index_next(st, line)) {
		for (unsigned bits = index_match(line, hash); bits != 0; bits &= bits - 1) {
			uint64_t *slot = &line->slot[__builtin_ctz(bits)];

			if (LIKELY((*slot & SLOT_AT) != 0 && entry_is(st, *slot, key, key_len)))
				return slot;
		}
	}
	return NULL;
}

/* ------------------------------------------------------------------- expiry */

/* From when on a store counts times of expiry that is made now. */
int64_t expiry_base(int64_t now);

/* Makes room to note expiry times for the bucket of `hash`. */
bool expiry_reserve(struct kv_store *st, struct space *sp, uint64_t bucket);

/* Notes that an entry in that bucket goes at `expiry`; room was reserved. */
void expiry_note(struct kv_store *st, struct space *sp, uint64_t bucket, int64_t expiry);

/* Bucket `to` took entries over from bucket `from`. */
void expiry_moved(struct kv_store *st, struct space *sp, uint64_t from, uint64_t to);

/* Which bucket of these eight has the entry that goes first; their note is made exact.
 * The slot of that entry, or NULL. */
uint64_t *expiry_soonest(struct kv_store *st, struct space *sp, uint64_t group,
			 struct bucket **head);

/* Before when no entry of this group of eight buckets goes, DUE_NONE: none expires. */
uint32_t expiry_due(const struct kv_store *st, const struct space *sp, uint64_t group);

/* Removes entries whose time has passed; as pool_trim(). */
uint64_t expiry_pass(struct kv_store *st, int64_t now, uint64_t budget, struct kv_events *events,
		     bool *more);

/* When expiry_pass() is worth calling again, 0: not known to be needed. */
int64_t expiry_next(const struct kv_store *st);

/* ----------------------------------------------------------------- entries in spaces */

/* Why an entry leaves; KV_EXPIRED and KV_EVICTED of kvstore.h are the others. */
#define ASKED_FOR 0u

/*
 * The one way for a single entry to leave its space, counters and memory included; the
 * index does not shrink.  `head` is the first line of its bucket, `why` ASKED_FOR or an
 * enum kv_reason, which the caller has reported before.  Returns as index_unlink().
 */
struct bucket *store_take(struct kv_store *st, struct space *sp, struct bucket *head,
			  uint64_t *slot, uint32_t why);

/* The same, for the bucket of `hash`. */
void store_remove(struct kv_store *st, struct space *sp, uint64_t hash, uint64_t *slot,
		  uint32_t why);

/* An entry has changed in place. */
void store_recount(struct kv_store *st, struct space *sp, const struct entry *before,
		   uint64_t value_len, int64_t expiry);

/* Puts a finished entry in: in place of `old` (may be NULL), which is freed. */
int store_put(struct kv_store *st, struct space *sp, uint64_t hash, uint64_t *old, uint64_t slot,
	      const struct form *form);

#define YIELD_PIECE (32 * MIB) /* bytes of free extents that go at a time */

/* Gives back what can be given back when memory ran out; false when there was nothing. */
bool store_reclaim(struct kv_store *st);

/* KV_UPDATE; `old` is the live slot of the key, or NULL; so is `sp`. */
int store_update(struct kv_store *st, const struct kv_op *op, uint64_t hash, uint64_t *old,
		 struct space *sp);


/* ----------------------------------------------------------------------- evict */

/* An eviction under way. */
struct hunt {
	int64_t now;
	struct kv_events *events;
	uint64_t used; /* units of work: about one for each entry looked at */
	bool failed;   /* no memory for an event, or no room in the log */
};

/* An entry that is to go. */
struct victim {
	struct space *sp;
	struct bucket *head; /* the first line of its bucket */
	uint64_t *slot;
};

/* Whether a policy that removes entries is in force. */
static inline bool evicts(const struct header *h)
{
	return h->max_memory != 0 && h->policy != KV_KEEP_ALL;
}

/* Whether the policy in force may remove the entry of this slot. */
static inline bool evictable(const struct header *h, uint64_t slot)
{
	return !(h->limit_flags & KV_LIMIT_VOLATILE) || (slot & SLOT_EXPIRY);
}

/* Entries that the policy may remove. */
static inline uint64_t evict_candidates(const struct header *h)
{
	return h->limit_flags & KV_LIMIT_VOLATILE ? h->expiring : h->entries;
}

/* Notes that an entry was used. */
static inline void evict_touch(const struct kv_store *st, uint64_t *slot)
{
	if (UNLIKELY((*slot & st->heat_most) != st->heat_most))
		__atomic_store_n(slot, *slot + SLOT_WARM, __ATOMIC_RELEASE);
}

/* What bits the slot of a new entry gets; may put it into the queue. */
uint64_t evict_admit(struct kv_store *st, struct space *sp, uint64_t hash, bool expires);

/* Removes entries until there is some room again; as pool_trim(). */
uint64_t evict_ahead(struct kv_store *st, int64_t now, uint64_t budget, struct kv_events *events,
		     bool *more);

/*
 * Makes room for an operation that the limit refused, st->lacking bytes; `attempt` counts
 * from 0 and makes it try harder.  False when nothing can be done any more.
 */
bool evict_now(struct kv_store *st, int64_t now, struct kv_events *events, unsigned attempt);

/* Whether memory is so short under the limit that gaps are worth closing early. */
bool evict_pressed(const struct header *h);

/* Whether evict_ahead() has something to do. */
bool evict_due(const struct header *h);

/* Sets what follows from the policy in the header. */
void evict_attach(struct kv_store *st);

/* The next victim of the hand, of chance, of those that go soonest; false: none found. */
bool sweep_next(struct kv_store *st, struct hunt *hunt, struct victim *victim);
bool sweep_random(struct kv_store *st, struct hunt *hunt, struct victim *victim);
bool sweep_soonest(struct kv_store *st, struct hunt *hunt, struct victim *victim);

/* Puts a new entry at the end of the queue; false without memory. */
bool queue_push(struct kv_store *st, struct space *sp, uint64_t hash);

/* The oldest new entry that was not used since; those that were leave the queue. */
bool queue_victim(struct kv_store *st, struct hunt *hunt, struct victim *victim);

/* Frees queue and ghosts. */
void queue_drop(struct kv_store *st);

/* Whether a key was evicted from the queue not long ago; it is forgotten then. */
bool ghost_take(struct kv_store *st, uint64_t hash);

/* Remembers a key that was evicted from the queue. */
void ghost_put(struct kv_store *st, uint64_t hash);

/* ------------------------------------------------------------------------- disk */

/* Whether a write with this key and value can be put into the log. */
static inline int log_ready(struct kv_store *st, uint64_t key_len, uint64_t value_len)
{
	return LIKELY(st->disk == NULL) ? KV_OK : disk_reserve(st, key_len, value_len);
}

/* Notes that an entry is as given; there was room. */
static inline void log_set(struct kv_store *st, uint32_t space, const struct form *f, const void *value)
{
	if (UNLIKELY(st->disk != NULL)) {
		struct record r = {.type = RECORD_SET, .space = space, .tag = f->tag, .expiry = f->expiry,
				   .key = f->key, .key_len = f->key_len, .value = value,
				   .value_len = f->value_len};

		stage_note(st, &r);
	}
}

/* Notes that an entry goes: by command, or to make room or as its time has passed (which nobody
 * waits to hear of).  The time is in its record, too, but the clock of the next start may be behind. */
static inline void log_gone(struct kv_store *st, uint32_t space, const struct entry *e, uint32_t why)
{
	/* Where the disk is full, what has expired is not noted: that alone would fail the log. */
	if (UNLIKELY(st->disk != NULL) && (why == ASKED_FOR || (st->disk->status == KV_OK &&
	    (why != KV_EXPIRED || disk_reserve(st, e->key_len, 0) == KV_OK)))) {
		struct record r = {.type = RECORD_DELETE, .space = space, .key = e->key, .key_len = e->key_len};

		disk_note(st, &r);
	}
}

/* ---------------------------------------------------------------------- compact */

/* Moves entries together when too much of `small` lies in gaps; as pool_trim(). */
uint64_t compact(struct kv_store *st, uint64_t budget, bool *more);

/* ------------------------------------------------------------------------- walks */

/* Calls `each` for the entries of the bucket at a place of the walk of scan.c; the place after
 * it, 0 at the end. */
uint64_t scan_walk(struct kv_store *st, const struct space *sp, uint64_t place,
		   void (*each)(void *arg, const struct entry *e), void *arg);

/* The lowest space with entries above `number`, or of all after KV_SPACE_ALL. */
uint32_t space_next(const struct kv_store *st, uint32_t number);

/* ---------------------------------------------------------------- entry points */

int hash_open(const struct kv_open *open, kv_store **store);
void hash_close(kv_store *st, uint32_t flags);
int hash_exec(kv_store *st, struct kv_batch *batch);
void hash_release(kv_store *st, const uint64_t *pins, uint64_t count);
int hash_commit(kv_store *st, struct kv_commit *commit);
int hash_scan(kv_store *st, struct kv_scan *scan);
int hash_maintain(kv_store *st, struct kv_maintain *m);
int hash_stat(kv_store *st, struct kv_stat *stat);
int hash_offer(kv_store *st, struct kv_offer *offer);
int hash_accept(const struct kv_open *open, const struct kv_offer *offer, kv_store **store);
int hash_resume(kv_store *st);
int hash_limit(kv_store *st, const struct kv_limit *limit);

/* The checksum of a header's unchanging part, and of all of it. */
uint64_t header_check(const struct header *h);
uint64_t header_sum(const struct header *h);

#endif
