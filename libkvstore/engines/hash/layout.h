/*
 * layout.h - the memory layout of the engine `hash`
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
 *          is a power of two and whose memory is what it needs.  The value may lie in the
 *          extent of another entry, which it borrows: so a copy under another key is none.
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
 *   63    43 42    41  40 39   38     37    36                               0
 *   | print |fresh| heat |link|expiry|large| granule in `small`, page in       |
 *   |       |     |      |    |      |     | `large`, line of the pool: link    |
 *
 * Heat and fresh are for choosing what to evict (evict.c).
 *
 * All of this is also what an image on disk holds (image.h): whoever changes what bytes
 * mean, here or in the files that write them, counts LAYOUT up.
 */
#ifndef HASH_LAYOUT_H
#define HASH_LAYOUT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../../kvstore.h"

#ifndef FORMAT
#define FORMAT "hash-4"
#endif
#define MAGIC 0x31687361682d766bull /* "kv-hash1" */
#define LAYOUT 4u

#define PAGE 4096ull
#define HUGE_PAGE (2 * MIB)
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
	uint64_t fresh;       /* entries with SLOT_FRESH */
	uint32_t pad[44];
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
	uint64_t lender; /* page of the extent in which the value lies, 0: here */
	uint64_t lent;   /* where, in bytes of `large` */
	uint64_t borrowers; /* extents whose values lie here */
	uint64_t pad;
};

struct header {
	/* Not changed after open, but for `created`; `check` covers it. */
	uint64_t magic;
	uint32_t layout;
	uint32_t size;
	uint64_t seed[4];
	int64_t created; /* from here on times of expiry are counted */
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
	uint32_t region_used;   /* regions with blocks */
	uint32_t move_region;   /* number + 1 of the region that is being emptied */
	uint32_t move_next;     /* where the search for the next one starts */
	uint32_t move_pad;
	/* extent.c */
	uint64_t large_top; /* page */
	uint64_t large_dirty[ORDERS + 1];
	uint64_t large_clean[ORDERS + 1];
	uint64_t large_dirty_pages;
	/* space.c */
	uint32_t space_count; /* descriptors ever used */
	uint32_t space_free;
	uint32_t space_detached;
	uint32_t imaged; /* parts of the memory are mapped from an image, see image.h */
	/* expiry.c */
	int64_t due;        /* no entry goes before, INT64_MAX: none */
	int64_t pass_due;   /* the same, of what the present pass has seen */
	uint32_t pass_on;
	uint32_t pass_space;
	uint64_t pass_group;
	/* evict.c */
	uint32_t policy;     /* enum kv_policy */
	uint32_t limit_flags;
	uint64_t chance;     /* of the random choices */
	uint64_t hand_bucket; /* where the hand stands: the next to be looked at */
	uint32_t hand_space;
	uint32_t hand_slot;
	/* queue.c */
	uint64_t fresh;       /* entries with SLOT_FRESH */
	uint64_t queue_length;
	uint32_t queue_head;  /* run of the oldest, line of the pool */
	uint32_t queue_tail;
	uint32_t queue_from;  /* places in them */
	uint32_t queue_to;
	uint32_t ghost_root;
	uint32_t ghost_runs;
	uint32_t space_head[SPACE_HEADS];
};

struct disk;
struct image;

/* Memory that the host fills itself, see stage.c. */
struct stage {
	uint64_t page;   /* its extent, 0: not in use */
	uint64_t total;  /* bytes of all of it */
	uint64_t filled; /* by the host, from its start */
	uint64_t log;    /* number of the log in which bytes of it stand, 0: none */
	uint64_t logged; /* so many, from its start */
};

#define STAGES 17u /* one of them for the base, when it is read */
#define BASE_STAGE (STAGES - 1)

/* What offer() passes beside the segments. */
struct offer_state {
	uint64_t magic;
	uint64_t header_size;
	uint64_t header_sum; /* of all of struct header */
	uint64_t inode[SEGMENTS]; /* of the files: a descriptor must be of its own */
	struct disk *disk; /* where the store is kept, or NULL */
	struct stage stages[STAGES];
	uint64_t sum;      /* of all before */
};

/* A long value that was given out pinned: where, and by which extent. */
struct loan {
	const uint8_t *value;
	uint64_t page;
};

#define LOANS 64u

/* What free extents have of memory goes when none of it was needed for a while: see extent_maintain(). */
struct surplus {
	int64_t since;  /* ms: when the while began */
	uint64_t least; /* pages of free extents, at the least since then */
	uint64_t goes;  /* pages that still have to go */
	bool stuck;     /* they could not */
};

/* The open store of this generation; all that is not in the files. */
struct kv_store {
	struct header *h;
	struct space *spaces;
	struct region *regions;
	struct bucket *pool;
	uint8_t *base[SEGMENTS];
	int fd[SEGMENTS];
	struct disk *disk; /* NULL: nothing is kept */
	struct image *image; /* what the memory is mapped from, until all of it was looked at */
	struct huge *huge; /* NULL: all pages are small */
	bool huge_later;   /* a store that was taken over sees to it when it keeps house */
	struct space *last; /* the space that was looked up last */
	uint64_t lacking;   /* bytes that the limit refused last, 0: none since it was set to 0 */
	uint64_t unfit;     /* `used` when no gap was long enough for compact(), and no memory there */
	int64_t kept_at;    /* when disk_maintain() was last called */
	uint64_t heat_most; /* SLOT_HEAT when use is noted, else 0 */
	struct loan loans[LOANS]; /* the latest, by place; see extent_lender() */
	struct stage stages[STAGES];
	uint32_t staged; /* how many of them are in use */
	struct surplus surplus; /* memory of free extents */
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
#define SLOT_HEAT (3ull << 40) /* how often it was used since it was last looked at */
#define SLOT_WARM (1ull << 40)
#define SLOT_FRESH (1ull << 42) /* it waits in the queue of new entries */
#define SLOT_PRINT (~0ull << PRINT_SHIFT)
#define PRINT_SHIFT 43u
#define PRINT_BITS 21u
#define PRINT_FROM 12u /* bits 12 to 32 of the hash make the print */

static inline uint64_t slot_print(uint64_t hash)
{
	return (hash << (PRINT_SHIFT - PRINT_FROM)) & SLOT_PRINT;
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

/* Asks for a cache line.  The empty statement keeps the compiler from taking a function
 * that does nothing else for one without effect, and dropping its calls. */
static inline void prefetch(const void *p)
{
	__builtin_prefetch(p);
	__asm__ volatile("" : : "r"(p));
}

static inline uint64_t round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

/* ----------------------------------------------------------- words of blocks */

/*
 * The first word of a block in `small`: state (2 bits), whether the block before it
 * is free, then by state: of an entry see entry.c; of a free block or one being
 * written its length in granules.
 */
#define BLOCK_STATE 3u
#define BLOCK_LIVE 1u
#define BLOCK_FREE 2u
#define BLOCK_BUSY 3u
#define BLOCK_PREV_FREE 4u
#define BLOCK_SIZE_SHIFT 12

#define HAS_EXPIRY 8u
#define HAS_TAG 16u
#define SID_SHIFT 5
#define SID_MAX 127u
#define KEY_SHIFT 12
#define SHORT_KEY 255u
#define VALUE_SHIFT 20
#define WIDE 4095u
#define WIDE_BYTES 20u
#define WORD_BYTES 4u

/* Whether lengths and sid follow the word. */
static inline bool is_wide(uint32_t word)
{
	return word >> VALUE_SHIFT == WIDE;
}

#endif
