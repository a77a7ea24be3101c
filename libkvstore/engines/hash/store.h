/*
 * store.h - the memory layout of the engine `hash`, and what its files share
 *
 * A store is three files in memory (memfd), each mapped once into a large
 * reserved range of addresses, so that they grow in place and never move:
 *
 *   meta   | header | regions | spaces | pool .......................... |
 *   small  | region 0 (1 MiB) | region 1 | ...   blocks of 4-byte granules |
 *   large  | extent | extent  | ...              blocks of 4 KiB pages     |
 *
 * header   Everything that is one per store: geometry and seed (never changed
 *          after open), counters, free lists.
 * regions  One struct region per MiB of `small`.
 * spaces   One struct space per space in use; its number is the space id (sid).
 * pool     Lines of 64 bytes, handed out in powers of two up to 64 KiB: buckets,
 *          overflow lines, directories, due tables.
 * small    Entries up to 32 KiB.  Blocks follow each other without a gap inside a
 *          region and never cross its end, so a region can be walked, emptied
 *          and given back by itself.
 * large    Longer entries, each in an extent of its own whose range of addresses
 *          is a power of two and whose memory is what it needs.
 *
 * Nothing in the files is an address: small blocks are counted in granules,
 * extents in pages, lines of the pool in lines, 0 being none.
 *
 * An entry (see entry.c) is written completely, then its first word makes it
 * live, then one atomic store of its 64-bit slot publishes it; the one that it
 * replaces is freed after that.  Every block says whether it is live, how long it is
 * and to which space it belongs, so the index can be made anew by walking the blocks.
 *
 * The index (index.c) is one table per space: linear hashing over buckets of
 * one cache line, eight slots each, growing and shrinking by one bucket at a time.
 * A slot:
 *
 *   63      40 39   38     37    36                                 0
 *   | print  |link|expiry|large| granule in `small`, page in `large`,  |
 *   |        |    |      |     | or line of the pool for a link         |
 */
#ifndef HASH_STORE_H
#define HASH_STORE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../../kvstore.h"

#define FORMAT "hash-1"
#define MAGIC 0x31687361682d766bull /* "kv-hash1" */
#define LAYOUT 1u

#define PAGE 4096ull
#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define NONE64 UINT64_MAX

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* ---------------------------------------------------------------- geometry */

enum segment { META, SMALL, LARGE, SEGMENTS };

/* Offsets in `meta`. */
#define REGIONS_AT (1 * MIB)
#define REGIONS_END (16 * MIB)
#define SPACES_AT (16 * MIB)
#define SPACES_END (2 * GIB)
#define POOL_AT (2 * GIB)
#define META_RESERVE (258 * GIB)
#define SMALL_RESERVE (512 * GIB)
#define LARGE_RESERVE (4096 * GIB)

#define LINE 64u
#define POOL_CLASSES 11u /* 64 << 0 .. 64 << 10 */
#define CHUNK_CLASS 10u
#define CHUNK_LINES 1024u

#define GRANULE 4u
#define REGION_SIZE MIB
#define REGION_GRANULES ((uint32_t)(REGION_SIZE / GRANULE))
#define SMALL_MAX (32 * KIB) /* longest block in `small` */
#define BLOCK_MIN 5u         /* granules: what a free block needs for its links */
#define BINS 352u
#define BIN_WORDS ((BINS + 63) / 64)

#define EXTENT_HEAD 64u
#define ORDER_MIN 4u  /* 64 KiB */
#define ORDERS 26u    /* the last: 128 GiB */
#define KEY_MAX (1ull << 30)
#define VALUE_MAX (1ull << 36)

#define DUE_CLASS 3u /* 128 times of 32 bits: a chunk in groups of eight buckets */
#define DUE_GROUP 8u
#define DUE_NONE UINT32_MAX
#define SPACE_HEADS 4096u
#define DIR_ENTRIES 8192u /* of one full directory */
#define TOPS 64u

/* --------------------------------------------------------------- structures */

/* A part of `meta` or all of another file that grows from its start. */
struct area {
	uint64_t start;
	uint64_t end;       /* may not grow beyond */
	uint64_t committed; /* memory is there up to here */
	uint32_t segment;
	uint32_t reserved;
};

enum region_state { REGION_NEVER, REGION_USED, REGION_FREE, REGION_HOLE, REGION_MOVING };

/* One MiB of `small`. */
struct region {
	uint32_t live;      /* granules in live blocks */
	uint32_t state;     /* enum region_state */
	uint32_t committed; /* bytes, from its start */
	uint32_t next;      /* region number + 1, in the lists of free regions */
};

enum space_state { SPACE_NONE, SPACE_ACTIVE, SPACE_DETACHED };

struct space {
	uint32_t number;
	uint32_t sid;
	uint32_t state; /* enum space_state */
	uint32_t next;  /* sid + 1: same head, free list or detached list */
	uint64_t buckets;
	uint64_t mask; /* of the deeper level: buckets <= mask + 1 < 2 * buckets */
	uint64_t entries;
	uint64_t expiring;
	uint64_t payload;
	uint32_t chunk_class; /* of the first chunk while it is the only one */
	uint32_t dir_class;   /* of the first directory */
	uint32_t top[TOPS];   /* directories, lines of the pool */
	uint32_t pad[46];
};

/* One chunk of a space's buckets. */
struct dir {
	uint32_t chunk; /* line of its first bucket */
	uint32_t due;   /* line of its due table, 0: no entry of it expires */
};

/* Eight slots; the last one may be a link to a further line. */
struct bucket {
	uint64_t slot[8];
};

enum extent_state { EXTENT_LIVE = 1, EXTENT_DEAD, EXTENT_DIRTY, EXTENT_CLEAN };

/* The first line of an extent; the entry follows. */
struct extent {
	uint32_t state; /* enum extent_state */
	uint32_t order;
	uint64_t pages; /* with memory */
	uint64_t pins;
	uint64_t next; /* page of the next free one */
	uint64_t pad[4];
};

struct header {
	/* Never changed after open; `check` covers it. */
	uint64_t magic;
	uint32_t layout;
	uint32_t size;
	uint64_t seed[4];
	int64_t created;
	uint64_t reserve[SEGMENTS];
	uint64_t check;
	/* Changes. */
	uint64_t max_memory;
	uint64_t committed; /* bytes held from the system */
	uint64_t used;      /* bytes of it in use */
	uint64_t entries;
	uint64_t expiring;
	uint64_t payload;
	uint64_t pins;
	struct area regions;
	struct area spaces;
	struct area pool;
	/* pool.c */
	uint64_t pool_top; /* line */
	uint32_t pool_free[POOL_CLASSES];
	uint32_t pool_holes; /* free chunks without memory */
	uint32_t pool_free_chunks;
	uint32_t pool_pad;
	/* arena.c */
	uint32_t region_count;
	uint32_t region_now;   /* number + 1 of the region that is being filled */
	uint32_t region_top;   /* granule in it where its blocks end */
	uint32_t region_free;  /* lists */
	uint32_t region_holes;
	uint32_t region_frees; /* length of region_free */
	uint64_t bin_map[BIN_WORDS];
	uint64_t bins[BINS];
	uint64_t free_granules; /* in free blocks */
	uint32_t move_region;   /* number + 1 of the region that is being emptied */
	uint32_t move_at;
	/* extent.c */
	uint64_t large_top; /* page */
	uint64_t large_dirty[ORDERS + 1];
	uint64_t large_clean[ORDERS + 1];
	uint64_t large_dirty_pages;
	/* space.c */
	uint32_t space_count; /* descriptors ever used */
	uint32_t space_free;
	uint32_t space_detached;
	uint32_t space_pad;
	/* expiry.c */
	int64_t due;        /* no entry goes before, INT64_MAX: none */
	int64_t pass_due;   /* the same, of what the present pass has seen */
	uint32_t pass_on;
	uint32_t pass_space;
	uint64_t pass_group;
	uint32_t space_head[SPACE_HEADS];
};

/* What offer() passes beside the segments. */
struct offer_state {
	uint64_t magic;
	uint64_t header_size;
	uint64_t header_sum; /* of all of struct header */
};

/* The open store of this generation; all that is not in the files. */
struct kv_store {
	struct header *h;
	struct space *spaces;
	struct region *regions;
	struct bucket *pool;
	uint8_t *base[SEGMENTS];
	int fd[SEGMENTS];
	struct space *last; /* the space that was looked up last */
	void (*log)(void *log_host, int level, const char *text);
	void *log_host;
	struct kv_segment segments[SEGMENTS];
	struct offer_state state;
};

/* ------------------------------------------------------------------- slots */

#define SLOT_AT ((1ull << 37) - 1)
#define SLOT_LARGE (1ull << 37)
#define SLOT_EXPIRY (1ull << 38)
#define SLOT_LINK (1ull << 39)
#define SLOT_PRINT (~0ull << 40)
#define PRINT_FROM 12u /* bits 12 to 35 of the hash make the print */

static inline uint64_t slot_print(uint64_t hash)
{
	return (hash << (40 - PRINT_FROM)) & SLOT_PRINT;
}

/* ---------------------------------------------------------------- unaligned */

static inline uint32_t load32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static inline uint64_t load64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static inline void store64(void *p, uint64_t v)
{
	memcpy(p, &v, sizeof v);
}

static inline void store32(void *p, uint32_t v)
{
	memcpy(p, &v, sizeof v);
}

static inline uint64_t round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

/* -------------------------------------------------------------------- hash */

/* The seeded hash of a key. */
uint64_t hash_key(const uint64_t seed[4], const void *key, uint64_t len);

/* A 64-bit number well mixed with the next. */
uint64_t hash_step(uint64_t *state);

/* ------------------------------------------------------------------ memory */

/* Makes and maps the three files.  KV_OK, or a status and a sentence in `why`. */
int memory_open(struct kv_store *st, char *why, uint64_t why_size);

/* Unmaps and closes them. */
void memory_close(struct kv_store *st);

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

/*
 * The first word of a block in `small`: state (2 bits), whether the block
 * before it is free, then by state: of an entry see entry.c; of a free block or
 * one being written its length in granules.
 */
#define BLOCK_STATE 3u
#define BLOCK_LIVE 1u
#define BLOCK_FREE 2u
#define BLOCK_BUSY 3u
#define BLOCK_PREV_FREE 4u
#define BLOCK_SIZE_SHIFT 12

/* A block of n granules, BUSY: its granule, 0 without memory. */
uint64_t arena_alloc(struct kv_store *st, uint32_t n);
void arena_free(struct kv_store *st, uint64_t at, uint32_t n);

/* Gives free regions back; as pool_trim(). */
uint64_t arena_trim(struct kv_store *st, uint64_t budget, bool *more);

/* Takes the free blocks of a region out of the lists, and puts them back. */
void arena_shut(struct kv_store *st, uint32_t region);
void arena_reopen(struct kv_store *st, uint32_t region);

/* Frees a region whose last block has gone. */
void arena_retire(struct kv_store *st, uint32_t region);

static inline uint8_t *small_at(const struct kv_store *st, uint64_t granule)
{
	return st->base[SMALL] + granule * GRANULE;
}

/* ------------------------------------------------------------------ extents */

/* An extent with room for n bytes after its head: its page, 0 without memory. */
uint64_t extent_alloc(struct kv_store *st, uint64_t n);

/* Frees it, or has the last release of its pins do so. */
void extent_free(struct kv_store *st, uint64_t page);

/* Makes it hold n bytes in place, if it can. */
bool extent_reach(struct kv_store *st, uint64_t page, uint64_t n);

/* Releases one pin; a number that is no pin does nothing. */
void extent_unpin(struct kv_store *st, uint64_t page);

/* Gives memory of free extents back; as pool_trim(). */
uint64_t extent_trim(struct kv_store *st, uint64_t budget, bool *more);

static inline struct extent *extent_at(const struct kv_store *st, uint64_t page)
{
	return (struct extent *)(void *)(st->base[LARGE] + page * PAGE);
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

/* The value is written: makes the block live. */
void entry_finish(struct kv_store *st, const struct draft *draft);

void entry_free(struct kv_store *st, uint64_t slot);
void entry_read(const struct kv_store *st, uint64_t slot, struct entry *e);

/* Whether the entry has this key. */
bool entry_is(const struct kv_store *st, uint64_t slot, const void *key, uint64_t key_len);

/* Whether an entry has fields for this expiry and tag; sets them, when it has. */
bool entry_has_room(const struct kv_store *st, uint64_t slot, int64_t expiry, uint32_t tag);
void entry_retag(struct kv_store *st, uint64_t slot, int64_t expiry, uint32_t tag);

/* Whether it is in the long form, that is: has grown, or is long. */
bool entry_is_wide(const struct entry *e);

/* Makes the value n bytes long in place, zero bytes at its end if it grew; false when
 * it cannot be done or someone holds a pin. */
bool entry_resize(struct kv_store *st, uint64_t slot, uint64_t n);

/* Granules of the live block at `block` in `small`. */
uint32_t entry_granules(const uint8_t *block);

bool entry_pinned(const struct kv_store *st, uint64_t slot);

static inline uint8_t *entry_at(const struct kv_store *st, uint64_t slot)
{
	if (UNLIKELY(slot & SLOT_LARGE))
		return st->base[LARGE] + (slot & SLOT_AT) * PAGE + EXTENT_HEAD;
	return small_at(st, slot & SLOT_AT);
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

/* The slot of a key, or NULL. */
uint64_t *index_find(const struct kv_store *st, const struct space *sp, uint64_t hash,
		     const void *key, uint64_t key_len);

/* The slot that holds this very value (print aside), or NULL. */
uint64_t *index_find_slot(const struct kv_store *st, const struct space *sp, uint64_t hash,
			  uint64_t slot);

/* Adds a slot.  KV_OK, or KV_NO_MEMORY: nothing has changed. */
int index_add(struct kv_store *st, struct space *sp, uint64_t hash, uint64_t slot);

/* Takes a slot out that index_find() gave for this hash; may move others. */
void index_remove(struct kv_store *st, struct space *sp, uint64_t hash, uint64_t *slot);

/*
 * The same, of the bucket that starts at `head`: the gap is filled with its last
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

/* Slots of a line that can hold entries. */
static inline unsigned index_width(const struct bucket *line)
{
	return line->slot[7] & SLOT_LINK ? 7 : 8;
}

/* ------------------------------------------------------------------- expiry */

/* Makes room to note expiry times for the bucket of `hash`. */
bool expiry_reserve(struct kv_store *st, struct space *sp, uint64_t bucket);

/* Notes that an entry in that bucket goes at `expiry`; room was reserved. */
void expiry_note(struct kv_store *st, struct space *sp, uint64_t bucket, int64_t expiry);

/* Bucket `to` took entries over from bucket `from`. */
void expiry_moved(struct kv_store *st, struct space *sp, uint64_t from, uint64_t to);

/* Removes entries whose time has passed; as pool_trim(). */
uint64_t expiry_pass(struct kv_store *st, int64_t now, uint64_t budget, struct kv_events *events,
		     bool *more);

/* When expiry_pass() is worth calling again, 0: not known to be needed. */
int64_t expiry_next(const struct kv_store *st);

/* ----------------------------------------------------------------- entries in spaces */

/* Removes the entry of a slot from its space, counters and memory included; the index
 * does not shrink. */
void store_remove(struct kv_store *st, struct space *sp, uint64_t hash, uint64_t *slot);

/* What one entry counts, out of its space. */
void store_uncount(struct kv_store *st, struct space *sp, const struct entry *e);

/* An entry has changed in place. */
void store_recount(struct kv_store *st, struct space *sp, const struct entry *before,
		   uint64_t value_len, int64_t expiry);

/* Puts a finished entry in: in place of `old` (may be NULL), which is freed. */
int store_put(struct kv_store *st, struct space *sp, uint64_t hash, uint64_t *old, uint64_t slot,
	      const struct form *form);

/* Gives back what can be given back when memory ran out; false when there was nothing. */
bool store_reclaim(struct kv_store *st);

/* KV_UPDATE; `old` is the live slot of the key, or NULL; so is `sp`. */
int store_update(struct kv_store *st, const struct kv_op *op, uint64_t hash, uint64_t *old,
		 struct space *sp);


/* ---------------------------------------------------------------- entry points */

int hash_open(const struct kv_open *open, kv_store **store);
void hash_close(kv_store *st, uint32_t flags);
int hash_exec(kv_store *st, struct kv_batch *batch);
void hash_release(kv_store *st, const uint64_t *pins, uint64_t count);
int hash_scan(kv_store *st, struct kv_scan *scan);
int hash_maintain(kv_store *st, struct kv_maintain *m);
int hash_stat(kv_store *st, struct kv_stat *stat);
int hash_offer(kv_store *st, struct kv_offer *offer);
int hash_accept(const struct kv_open *open, const struct kv_offer *offer, kv_store **store);
int hash_resume(kv_store *st);

/* The checksum of a header's unchanging part, and of all of it. */
uint64_t header_check(const struct header *h);
uint64_t header_sum(const struct header *h);

#endif
