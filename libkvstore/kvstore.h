/*
 * kvstore.h - the interface between kvstored and a storage engine
 *
 * A storage engine is a shared library that exports exactly one symbol,
 * kvstore_engine().  kvstored loads it, opens a store through it and hands
 * it batches of operations.  An engine never sees a socket, a protocol or a
 * command: INCR, APPEND, SET NX, EXPIRE and all others are written once, in
 * the host, over the few operations below.
 *
 * This header is the manual.  The comment above a declaration is its
 * contract: threads, ownership, errors, lifetime.  For an engine in thirty
 * lines read kvstore_simple.h instead.
 *
 * CAVEATS, first:
 *
 *  - The host may call from any of its threads, but never two calls of one
 *    store at once (KV_THREADS_SERIAL).  Nothing thread-local survives from
 *    one call to the next.
 *  - Keys, values and whatever else the host passes belong to the host and
 *    are valid only until the call returns.  Copy what must stay.
 *  - What the engine returns through a struct kv_sink belongs to the host
 *    from then on.  What it returns by pointer elsewhere says its lifetime.
 *  - An engine reads no clock and makes no random number: the host passes
 *    `now` and `seed`.  The same calls give the same store.
 *  - When close() has returned the engine owns no thread, thread-local
 *    destructor, atexit handler, signal handler or open file, because its
 *    code is unmapped next.
 *  - The process is the host's: its signals, limits, umask, directory, user,
 *    locale, environment and floating-point modes stay as they are, from the
 *    library's constructors on, and no process that it starts outlives close().
 *  - Keys and values are bytes: they may hold NUL and may be empty.
 *  - Lengths are in bytes, times in milliseconds since 1970-01-01 UTC.
 *  - System calls that the engine makes may fail with EINTR.
 *
 * Compatibility: structures only grow, at their end.  Each structure passed
 * by pointer starts with its `size`, filled in by the side that made it; the
 * other side reads no further than that.  Numbers of statuses and operations
 * have gaps and never change their meaning.
 *
 * CHANGES (version, date, what)
 *   1  2026-11-23  first version
 *   1  2026-11-23  KV_CAP_LIMIT, limit(): a limit of memory that changes while the store
 *                  is open, and what to remove to stay below it
 *   1  2026-11-23  KV_OPEN_NEW; struct kv_commit has flags, full, mark, synced and sync_error:
 *                  the host syncs beside the store, and engines learn the outcome
 *   1  2026-11-24  frozen: from here on only additions at the ends, each with an entry here
 *   1  2026-11-24  KV_COMMIT_SNAPSHOT, KV_COMMIT_SAVING, KV_COMMIT_NOT_SAVED: snapshots that
 *                  somebody asks for
 *   1  2026-11-30  KV_STAGE: memory of the store that the host fills itself, for long values
 *   1  2026-11-30  said: KV_OP_WITH_NEXT reaches from the last operation of a batch to the next batch
 */
#ifndef KVSTORE_H
#define KVSTORE_H

#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this interface.  A host refuses an engine with a higher one. */
#define KVSTORE_ABI_VERSION 1u

/* Put before the definition of kvstore_engine(); build the rest with
 * -fvisibility=hidden so that it stays the only exported symbol. */
#define KVSTORE_EXPORT __attribute__((visibility("default")))

/* The engine's own open store.  Opaque to the host. */
typedef struct kv_store kv_store;

/* ------------------------------------------------------------------ status */

/*
 * What a call or one operation came to.  Zero is success; the host treats a
 * number it does not know as KV_ERROR.
 */
enum kv_status {
	KV_OK = 0,
	KV_NOT_FOUND = 10,   /* no such key, or its time has passed */
	KV_NO_MEMORY = 20,   /* memory could not be had, or the limit is reached */
	KV_NO_SPACE = 30,    /* the disk is full; reads go on */
	KV_READ_ONLY = 40,   /* the store takes no writes now */
	KV_TOO_LARGE = 50,   /* key or value above what this engine can hold */
	KV_UNSUPPORTED = 60, /* this engine cannot do that: see capabilities */
	KV_REFUSED = 70,     /* wrong form for this engine (a legacy engine and a NUL byte) */
	KV_IO = 80,          /* an I/O error */
	KV_CORRUPT = 90,     /* stored data failed a check */
	KV_UNKNOWN = 100,    /* the outcome is unknown */
	KV_ERROR = 110       /* anything else */
};

/* ------------------------------------------------------------ capabilities */

/*
 * What an engine can do, as flags in kvstore_engine.capabilities.  The host
 * refuses an engine that sets a flag it does not know below KV_CAP_MAY_IGNORE,
 * and ignores unknown ones at or above it.
 */
#define KV_CAP_DELETE   (1ull << 0)  /* KV_DELETE, KV_CLEAR and update answers that delete */
#define KV_CAP_EXPIRY   (1ull << 1)  /* keeps expiry times and honours them */
#define KV_CAP_SPACES   (1ull << 2)  /* keeps spaces apart; without it only space 0 is used */
#define KV_CAP_TAGS     (1ull << 3)  /* keeps the host's tag; without it tags must be 0 */
#define KV_CAP_SCAN     (1ull << 4)  /* scan() and stat() see every entry */
#define KV_CAP_ORDERED  (1ull << 5)  /* scan() goes in key order (memcmp) */
#define KV_CAP_BINARY   (1ull << 6)  /* keys and values may hold any byte */
#define KV_CAP_UPDATE   (1ull << 7)  /* KV_UPDATE; without it the host gets and sets */
#define KV_CAP_DURABLE  (1ull << 8)  /* data outlives the process (uses commit()) */
#define KV_CAP_BLOCKING (1ull << 9)  /* calls may wait for disk or network */
#define KV_CAP_EXCLUSIVE (1ull << 10) /* one store per directory may be open at a time */
#define KV_CAP_HANDOVER (1ull << 11) /* offer(), accept() and resume() */
#define KV_CAP_NO_UNLOAD (1ull << 12) /* the library cannot be unmapped; the host counts it */
#define KV_CAP_LIMIT    (1ull << 13) /* limit(): changes the memory limit, evicts */
#define KV_CAP_MAY_IGNORE (1ull << 32)
/*
 * The engine never waits for anything in exec() and maintain(), and each
 * operation ends within microseconds (a large value: the time to copy it; KV_STAGE may wait).  The
 * host then makes short calls without telling its scheduler, which halves what
 * a request costs at low rates.  An engine that says so and then waits holds up
 * the whole process.
 */
#define KV_CAP_PROMPT   (1ull << 32)

/* Thread models.  Higher numbers may allow more; 1 is all that version 1 knows. */
#define KV_THREADS_SERIAL 100u /* never two calls at once, any thread may call */

/* ------------------------------------------------------------------- sinks */

/*
 * A growing run of host memory that the engine fills: replies, scanned
 * entries, events.  What was allocated never moves and stays the host's; it
 * lives until the host has used it, after the call.
 *
 * Allocate with kv_alloc() only.  `more` is called when the current piece is
 * used up; it makes room for at least `need` bytes at `next`, returning 0, or
 * returns KV_NO_MEMORY and changes nothing.
 */
struct kv_sink {
	char *next; /* first free byte */
	char *end;  /* one past the last free byte */
	int (*more)(struct kv_sink *sink, uint64_t need);
	void *host; /* the host's own */
};

/*
 * n bytes at an address that is a multiple of 8, not initialised, or NULL
 * when the host has no memory (the operation then fails with KV_NO_MEMORY).
 */
static inline void *kv_alloc(struct kv_sink *sink, uint64_t n)
{
	uint64_t need = n == 0 ? 8 : (n + 7) & ~(uint64_t)7; /* never NULL for 0 bytes */

	if (need < n)
		return NULL;
	if ((uint64_t)(sink->end - sink->next) < need && sink->more(sink, need) != KV_OK)
		return NULL;
	void *p = sink->next;
	sink->next += need;
	return p;
}

/* ------------------------------------------------------------------ events */

/* Why an entry went away without being asked for. */
enum kv_reason {
	KV_EXPIRED = 10, /* its time had passed */
	KV_EVICTED = 20  /* it made room for others */
};

/*
 * One entry that the engine removed of its own accord, in the order of
 * removal.  Every such removal is reported, by the call that made it.
 */
struct kv_event {
	struct kv_event *next;
	uint32_t reason; /* enum kv_reason */
	uint32_t space;
	const void *key; /* in the sink */
	uint64_t key_len;
};

/* A list of events, oldest first, in the memory of `sink`. */
struct kv_events {
	struct kv_sink *sink;
	struct kv_event *first;
	struct kv_event *last;
	uint64_t count;
};

/* Reports one removal.  KV_OK, or KV_NO_MEMORY: then do not remove the entry yet. */
static inline int kv_event_add(struct kv_events *events, uint32_t reason, uint32_t space,
			       const void *key, uint64_t key_len)
{
	struct kv_event *e = (struct kv_event *)kv_alloc(events->sink, sizeof *e + key_len);

	if (e == NULL)
		return KV_NO_MEMORY;
	e->next = NULL;
	e->reason = reason;
	e->space = space;
	e->key = e + 1;
	e->key_len = key_len;
	memcpy(e + 1, key, key_len);
	if (events->last != NULL)
		events->last->next = e;
	else
		events->first = e;
	events->last = e;
	events->count++;
	return KV_OK;
}

/* -------------------------------------------------------------- operations */

/* What an operation does.  An engine answers a code it does not know with
 * KV_UNSUPPORTED in the operation's status. */
enum kv_code {
	/*
	 * Value of `key`, from byte `offset`, at most `length` bytes (an offset
	 * beyond the end gives none).  Out: value, value_len, tag, expiry.
	 * KV_NOT_FOUND when absent.
	 */
	KV_GET = 10,
	/*
	 * Whether `key` is there.  Out: value_len (of the whole value), tag,
	 * expiry; value is NULL.  KV_NOT_FOUND when absent.
	 */
	KV_META = 20,
	/* Sets `key` to value, tag and expiry, whatever was there. */
	KV_SET = 30,
	/* Removes `key`.  KV_NOT_FOUND when absent. */
	KV_DELETE = 40,
	/* Removes every entry of `space`, in bounded time whatever its size (memory
	 * may come back later, through maintain()).  `key` is not used.  No events. */
	KV_CLEAR = 50,
	/*
	 * Calls `update` with the entry of `key` and does what it answers.  The
	 * status is KV_OK when that was done (KV_KEEP included).
	 */
	KV_UPDATE = 60,
	/*
	 * Memory of the store that the host fills itself, so that a long value is neither
	 * copied nor made room for and written down all at once.  In: value_len, bytes of
	 * all of it, at least KV_PIN_LENGTH; pin, 0 to begin, else what the first call gave;
	 * offset, bytes from its start that are filled and will not change any more; length,
	 * bytes from its start that are to be fit to be filled, offset <= length <= value_len.
	 * Out: value, where it is, which stays; pin, which keeps it until release() gets it;
	 * length, how much of it can be filled, at least what was asked; tag, 1 when the
	 * engine would rather be asked once more, with nothing new, before what is filled is used.
	 * KV_NO_MEMORY: nothing has changed, but that entries may have been removed to make
	 * room; without an earlier call there is none.  KV_REFUSED: there are as many as the
	 * engine has room for, or the figures contradict each other.  KV_TOO_LARGE: as for a
	 * KV_SET.  KV_NOT_FOUND: the engine does not know it, as it may be after a hand-over.
	 *
	 * A KV_SET, or a change that answers KV_REPLACE, whose value lies in what is filled
	 * may take that over where it is.  Nothing is an entry before, or counts
	 * as kept.  An engine without it answers KV_UNSUPPORTED.  The key is not used.
	 */
	KV_STAGE = 70
};

/* Flags of an operation; an engine refuses unknown ones with KV_UNSUPPORTED. */
/* This operation and the next one are all or nothing for what survives a crash, also
 * where that comes in the next batch, unless commit() comes before it: a script is many
 * batches.  Within one batch the caller sees every status as usual. */
#define KV_OP_WITH_NEXT (1u << 0)
/* KV_SET: keep the expiry that the present entry has, if there is one. */
#define KV_OP_KEEP_EXPIRY (1u << 1)

/* The present entry, as an update function sees it; valid during its call. */
struct kv_entry {
	uint32_t size;
	uint32_t present; /* 0: there is none, and the rest is 0 */
	const void *value;
	uint64_t value_len;
	int64_t expiry; /* 0: never */
	uint32_t tag;
	uint32_t reserved;
};

/* What an update function can answer.  Without a present entry KV_REMOVE and
 * KV_RETAG change nothing, KV_PATCH starts from an empty value. */
enum kv_answer {
	KV_KEEP = 0,     /* leave it as it is */
	KV_REMOVE = 10,  /* delete it (if present) */
	KV_REPLACE = 20, /* value, value_len, expiry and tag of the change */
	/*
	 * The value becomes value_len bytes long, cut or filled with zero bytes,
	 * then patch_len bytes of `value` are put at patch_offset; expiry and tag
	 * of the change.  patch_offset + patch_len <= value_len.
	 */
	KV_PATCH = 30,
	KV_RETAG = 40 /* the value stays; expiry and tag of the change */
};

/*
 * The change an update function asks for.  The engine sets expiry and tag to
 * the present entry's (0 without one) before the call; pointers that the
 * function sets are valid until the engine has done what was answered.
 */
struct kv_change {
	uint32_t size;
	uint32_t tag;
	int64_t expiry;
	const void *value;
	uint64_t value_len;
	uint64_t patch_offset;
	uint64_t patch_len;
};

/*
 * A function of the host that decides what becomes of an entry.  It is pure
 * in `entry` and `arg`, never blocks, and may be called any number of times:
 * the last call counts.  It calls nothing of the engine.  Returns enum kv_answer.
 */
typedef int (*kv_update_fn)(void *arg, const struct kv_entry *entry, struct kv_change *change);

/*
 * One operation.  In: set by the host, not changed by the engine.  Out: set
 * by the engine; what a code does not mention above is left alone.
 * 96 bytes; engines step through a batch with kv_op_at(), never by sizeof.
 */
struct kv_op {
	uint16_t code;      /* in: enum kv_code */
	uint16_t flags;     /* in: KV_OP_ flags */
	int32_t status;     /* out: enum kv_status, always set */
	uint32_t space;     /* in */
	uint32_t tag;       /* in: KV_SET; out: KV_GET, KV_META */
	const void *key;    /* in */
	uint64_t key_len;   /* in */
	const void *value;  /* in: KV_SET; out: KV_GET */
	uint64_t value_len; /* in: KV_SET; out: KV_GET, KV_META */
	int64_t expiry;     /* in: KV_SET; out: KV_GET, KV_META; 0: never */
	uint64_t offset;    /* in: KV_GET */
	uint64_t length;    /* in: KV_GET; UINT64_MAX: to the end */
	kv_update_fn update; /* in: KV_UPDATE */
	void *arg;          /* in: KV_UPDATE */
	uint64_t pin;       /* out: KV_GET: 0, or what release() will be given */
};

/* Flags of a batch. */
#define KV_BATCH_READ_ONLY (1u << 0) /* holds KV_GET and KV_META only */

/*
 * The operations of one tick, to be carried out in order: each sees what the
 * earlier ones did.  An engine is free to look ahead (and should prefetch).
 */
struct kv_batch {
	uint32_t size;     /* of this structure */
	uint32_t op_size;  /* bytes from one operation to the next */
	uint32_t flags;    /* KV_BATCH_ flags */
	uint32_t reserved;
	uint64_t count;    /* operations */
	struct kv_op *ops;
	int64_t now;       /* an entry is gone when 0 < expiry && expiry < now */
	struct kv_sink *reply; /* where KV_GET puts values */
	struct kv_events *events;
};

/* Operation i of a batch, i < count. */
static inline struct kv_op *kv_op_at(const struct kv_batch *batch, uint64_t i)
{
	return (struct kv_op *)((char *)batch->ops + i * batch->op_size);
}

/* Whether an entry with this expiry time is gone at `now`. */
static inline int kv_gone(int64_t expiry, int64_t now)
{
	return expiry != 0 && expiry < now;
}

/*
 * Values of KV_GET at least this long should be pinned, not copied: `value`
 * points into the store, `pin` is not 0, and the bytes neither move nor
 * change - whatever becomes of the entry - until release() gets that pin.
 */
#define KV_PIN_LENGTH 65536u

/* -------------------------------------------------------------------- open */

/* Levels of kv_open.log: those of syslog(3).  KV_LOG_STATUS is how far a long open() has
 * come ("reading the log: 45 %"): it is shown as the daemon's status, and tells the
 * service manager that the start is alive; say it at least every ten seconds. */
enum kv_log_level {
	KV_LOG_ERROR = 3,
	KV_LOG_WARNING = 4,
	KV_LOG_STATUS = 5,
	KV_LOG_INFO = 6,
	KV_LOG_DEBUG = 7
};

/* state_dir is empty: make a new store there.  Without this flag it holds what an engine of
 * this name, of this version or another, left there (`format` is of memory); a store that is missing, incomplete or damaged fails to open, and never opens empty. */
#define KV_OPEN_NEW (1u << 0)

/* One setting for the engine: NUL-terminated, valid during open(). */
struct kv_setting {
	const char *name;
	const char *value;
};

/*
 * What open() and accept() get.  `log`, `log_host` and `page` stay valid
 * until close() returns; everything else until the call returns.
 */
struct kv_open {
	uint32_t size;
	uint32_t flags;            /* KV_OPEN_ flags; an unknown one is an error */
	/* Absolute, or NULL: keep nothing on disk.  A directory for this store alone;
	 * no other process has a store open there. */
	const char *state_dir;
	uint64_t max_memory;       /* bytes, 0: no limit */
	int64_t now;
	uint64_t seed;             /* for hashing; differs from start to start */
	const struct kv_setting *settings;
	uint64_t setting_count;
	/* Writes one line to the daemon's log.  May be called during any call. */
	void (*log)(void *log_host, int level, const char *text);
	void *log_host;
	/* On failure the engine leaves a sentence here, NUL-terminated: what
	 * was wrong and what to do.  error_size is at least 256. */
	char *error;
	uint64_t error_size;
};

/* Flags of close(). */
/* The store was given away by offer() and accepted: free what is private to
 * this side, leave the segments mapped and their descriptors open. */
#define KV_CLOSE_GIVEN (1u << 0)

/* ------------------------------------------------------------------ commit */

/*
 * How a durable store (KV_CAP_DURABLE, opened with a state_dir) and its host keep data:
 *
 *  - The engine writes what happened since the last commit() in commit(), with as few
 *    system calls as it can, and never waits for a disk there.  It returns the
 *    descriptors that carry it.
 *  - The host syncs duplicates of them on a thread of its own, when its configuration
 *    says so, while the store goes on; it acknowledges writes after that
 *    where that was promised.
 *  - The next commit() tells the engine how far syncing has come, or that it failed.
 *    After a failure nothing written before may be taken for kept: the engine
 *    refuses writes (KV_IO, KV_NO_SPACE, KV_READ_ONLY in the operation) until all of
 *    its data is safe in new files, and goes on reading.
 *
 * An engine that syncs by itself returns no descriptors; commit() may then wait for the
 * disk if it was asked to with KV_COMMIT_SYNC (and says so with KV_CAP_BLOCKING).
 */

/* in: somebody waits for this to be on disk; without it the host syncs later, or never. */
#define KV_COMMIT_SYNC (1u << 0)
/* out: the engine waits for this to be on disk: sync now, then call commit() again. */
#define KV_COMMIT_AGAIN (1u << 1)
/* in: somebody asks for a snapshot of all data; an engine that writes any begins one in maintain(),
 * unless one that was asked for is under way.  Where a sync is enough the flag means nothing. */
#define KV_COMMIT_SNAPSHOT (1u << 2)
/* out: the snapshot that was asked for is under way: call maintain() and commit() until this is gone. */
#define KV_COMMIT_SAVING (1u << 3)
/* out: the snapshot that was asked for last could not be written; nothing that was kept is lost. */
#define KV_COMMIT_NOT_SAVED (1u << 4)

struct kv_commit {
	uint32_t size;
	uint32_t fd_count;  /* out: descriptors for the host to fdatasync(2), at most 8 */
	int fd[8];          /* out: stay the engine's; good until the next call of this store */
	uint32_t flags;     /* in: KV_COMMIT_SYNC, SNAPSHOT; out: KV_COMMIT_AGAIN, SAVING, NOT_SAVED */
	uint32_t full;      /* out: bit i: fd[i] needs fsync(2), as a directory does */
	uint64_t mark;      /* out: what a sync from now on covers; never falls */
	uint64_t synced;    /* in: the highest mark that is on disk, 0: none */
	int32_t sync_error; /* in: errno of a sync that failed since the last commit(), or 0 */
	uint32_t reserved;
};

/* -------------------------------------------------------------------- scan */

/* One entry that scan() found, in the memory of the scan's sink. */
struct kv_item {
	struct kv_item *next;
	const void *key;
	uint64_t key_len;
	const void *value;   /* NULL unless KV_SCAN_VALUES */
	uint64_t value_len;  /* of the whole value, always */
	int64_t expiry;
	uint32_t tag;
	uint32_t space;
};

#define KV_SCAN_VALUES (1u << 0) /* with values */
#define KV_SCAN_RANDOM (1u << 1) /* one entry chosen by `seed`, cursor not used */

/*
 * A step of a walk over the entries of one space.  Start with cursor 0; done
 * when it comes back 0.  An entry that is there from the first step to the
 * last is returned at least once, whatever is added, changed or removed
 * meanwhile; it may be returned twice.  Cursors need no clean-up, stay good
 * for any length of time within one open store, and an unknown one must not
 * do harm.
 */
struct kv_scan {
	uint32_t size;
	uint32_t flags;
	uint32_t space;
	uint32_t reserved;
	uint64_t cursor;      /* in and out */
	uint64_t budget;      /* about how many entries to look at, >= 1 */
	uint64_t budget_bytes; /* stop soon after this many bytes of values; 0: no bound */
	uint64_t seed;
	int64_t now;          /* entries gone by then are not returned */
	struct kv_sink *sink;
	struct kv_item *first; /* out: NULL when this step found none */
	struct kv_item *last;  /* out */
	uint64_t count;        /* out: items */
};

/* ---------------------------------------------------------------- maintain */

/*
 * A slice of housekeeping: expiry, growth, giving memory back.  The engine
 * stops when `budget` is spent; one unit is about one entry looked at.
 */
struct kv_maintain {
	uint32_t size;
	uint32_t more;        /* out: 1 when there is work left to do now */
	uint64_t budget;      /* in */
	uint64_t used;        /* out */
	int64_t now;
	int64_t next;         /* out: when there may be work again (ms), at most about a second
	                       * after the next entry goes; 0: when something was written */
	struct kv_events *events;
};

/* -------------------------------------------------------------------- stat */

#define KV_SPACE_ALL 0xffffffffu  /* all spaces together; never a space of its own */

/* Figures, all exact except where said.  Fields an engine does not know stay 0. */
struct kv_stat {
	uint32_t size;
	uint32_t space;       /* in: one space or KV_SPACE_ALL */
	uint64_t entries;     /* including those gone but not yet removed */
	uint64_t expiring;    /* entries with an expiry time */
	uint64_t payload;     /* bytes of keys and values */
	uint64_t memory;      /* bytes in use for data and index (KV_SPACE_ALL only) */
	uint64_t reserved_memory; /* bytes held from the system (KV_SPACE_ALL only) */
	uint64_t pins;        /* not yet released (KV_SPACE_ALL only) */
	uint32_t next_space;  /* out: the lowest space above `space` with entries, else KV_SPACE_ALL;
	                       * asked with KV_SPACE_ALL: the lowest of all */
	uint32_t reserved;
};

/* ------------------------------------------------------------------- limit */

/* What an engine does when the limit of memory is reached. */
enum kv_policy {
	KV_KEEP_ALL = 0,     /* answers KV_NO_MEMORY to what needs more */
	KV_EVICT_USE = 10,   /* removes what is least likely to be used again, as it sees it */
	KV_EVICT_RANDOM = 20, /* removes any entries */
	KV_EVICT_SOONEST = 30 /* removes those that expire next; with KV_LIMIT_VOLATILE only */
};

#define KV_LIMIT_VOLATILE (1u << 0) /* only entries with an expiry time may be removed */

/*
 * The limit of a store's memory, as kv_stat.reserved_memory counts it, in place of
 * kv_open.max_memory.  Every entry that is removed to stay below it is reported as
 * KV_EVICTED by the exec() or maintain() that did it; pinned values are not removed for
 * it.  An operation does no more of that work than its own size asks for; a limit that
 * is lowered is reached by and by.
 */
struct kv_limit {
	uint32_t size;
	uint32_t policy;     /* enum kv_policy */
	uint32_t flags;      /* KV_LIMIT_ flags */
	uint32_t reserved;
	uint64_t max_memory; /* bytes, 0: no limit */
};

/* --------------------------------------------------------------- hand-over */

/* One piece of memory that changes hands. */
struct kv_segment {
	int fd;            /* the file behind it */
	uint32_t flags;    /* the engine's own */
	void *address;     /* where it is mapped now, or NULL */
	uint64_t length;   /* bytes mapped */
	uint64_t offset;   /* in the file */
};

/*
 * A store on its way from one generation of the code to the next.  Made by
 * offer(), read by accept() of another library with the same `format`.  All
 * memory that it points to is the offering store's, valid until that store's
 * resume() or close().
 */
struct kv_offer {
	uint32_t size;
	uint32_t segment_count;
	const struct kv_segment *segments;
	const void *state;   /* whatever else the format defines, or NULL */
	uint64_t state_len;
};

/* ------------------------------------------------------------------ engine */

/*
 * The descriptor of an engine.  Everything it points to is static: it lives
 * as long as the library is loaded.  The host copies the smaller of `size`
 * and its own into a zeroed structure, then checks what it must have: name,
 * version, format, open, close, exec; scan and stat with KV_CAP_SCAN; offer,
 * accept and resume with KV_CAP_HANDOVER; commit with KV_CAP_DURABLE; limit with
 * KV_CAP_LIMIT.
 */
struct kvstore_engine {
	uint32_t size;         /* sizeof (struct kvstore_engine) */
	uint32_t abi;          /* KVSTORE_ABI_VERSION it was built with */
	const char *name;      /* [a-z0-9-]{1,32} */
	const char *version;   /* printable, without blanks, 1 to 64 bytes */
	const char *format;    /* of its stores in memory: equal means hand-over is possible */
	uint64_t capabilities; /* KV_CAP_ flags */
	uint32_t thread_model; /* KV_THREADS_SERIAL */
	uint32_t reserved;
	uint64_t max_key;      /* bytes, at least 64; 0: no limit of its own */
	uint64_t max_value;    /* bytes, at least 1024; 0: no limit of its own */

	/* Opens a store.  KV_OK and *store, or another status with open->error filled. */
	int (*open)(const struct kv_open *open, kv_store **store);

	/* Ends a store and frees it.  Cannot fail.  Every pin was released before,
	 * except with KV_CLOSE_GIVEN. */
	void (*close)(kv_store *store, uint32_t flags);

	/*
	 * Carries out a batch.  KV_OK when every operation has its status; any
	 * other return means the store is unusable and the host stops serving it.
	 */
	int (*exec)(kv_store *store, struct kv_batch *batch);

	/*
	 * Once per tick that wrote, after its last exec(); after maintain(); when the
	 * engine asked for it; see struct kv_commit.  KV_OK, or another status: what was
	 * done since the last commit() may not outlive the process, and the host tells
	 * those who asked for it that the outcome is unknown.  May be NULL without
	 * KV_CAP_DURABLE.
	 */
	int (*commit)(kv_store *store, struct kv_commit *commit);

	/* Gives pins back.  May be NULL in an engine that pins nothing.  Cannot fail. */
	void (*release)(kv_store *store, const uint64_t *pins, uint64_t count);

	/* One step of a walk; see struct kv_scan. */
	int (*scan)(kv_store *store, struct kv_scan *scan);

	/* One slice of housekeeping; see struct kv_maintain.  May be NULL. */
	int (*maintain)(kv_store *store, struct kv_maintain *maintain);

	/* Figures, in time that does not grow with the number of entries. */
	int (*stat)(kv_store *store, struct kv_stat *stat);

	/*
	 * Hand-over between generations with the same `format`.  The host calls,
	 * with no other call in between: offer() of the old store, accept() of the
	 * new library, then close(old, KV_CLOSE_GIVEN).  When offer() or accept()
	 * fails, or the host changes its mind before accept(), it calls resume()
	 * and the old store goes on as before.
	 *
	 * accept() validates what it is given without writing to it; only when
	 * nothing can fail any more does it take over.  From its success on the
	 * segments - descriptors, mappings at their addresses, pins with their
	 * numbers - are the new store's.  Time and memory of all three do not grow
	 * with the number of entries.
	 */
	int (*offer)(kv_store *store, struct kv_offer *offer);
	int (*accept)(const struct kv_open *open, const struct kv_offer *offer, kv_store **store);
	int (*resume)(kv_store *store);

	/*
	 * Sets the limit of memory, in bounded time, at any time between other calls.
	 * KV_OK, or KV_UNSUPPORTED: this policy is not known here, and the limit stays
	 * what it was.  Needed with KV_CAP_LIMIT.
	 */
	int (*limit)(kv_store *store, const struct kv_limit *limit);
};

/*
 * The one exported symbol.  Returns the static descriptor; called once after
 * loading, from any thread.
 */
KVSTORE_EXPORT const struct kvstore_engine *kvstore_engine(void);

#ifdef __cplusplus
}
#endif

#endif
