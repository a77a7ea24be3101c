/*
 * disk.h - how the engine `hash` keeps its data in a directory
 *
 *   log-N    what happened, in order: frames, one or a few for each tick
 *   base-N   all entries, written beside log-N while it grew: a base and log-N and
 *            all later logs together give the store.  base-1 does not exist: it is empty
 *   new-N    a base that is being written
 *   image    a shortcut to all of this, see image.h
 *
 * Both kinds start with a head (struct file_head) and go on with frames: a head of 56
 * bytes, then records, then zero bytes up to a multiple of 8.  Checksums are XXH3 of
 * libxxhash, seeded by the file's own number, so that a frame of another file is none.
 *
 * Frames of logs are numbered (seq) without a gap across files.  Each says up to which
 * number everything was known to be on disk (synced) when it was written: where the log
 * cannot be read at frame s, and a later frame tells that s was on disk, the file
 * is damaged and nothing may be guessed; else it is the end that a crash tore, and is cut.
 *
 * Long values are written in pieces (RECORD_STAGE), between which others stand; the first piece
 * has offset 0 and ends what stood under its number before; one of a total of 0 does only that.
 * All pieces of a value stand in the file that the RECORD_TAKE stands in; a value that nothing
 * takes is none.
 *
 * A record gives what became of an entry, never how: reading a log twice, or from a
 * point before the base that it goes with, comes to the same.  (A patch is
 * absolute, too; one whose entry is not there is of an entry that a later record removes.)
 */
#ifndef HASH_DISK_H
#define HASH_DISK_H

#include "layout.h"

#include <sys/types.h>
#include <sys/uio.h>

struct kv_store;

#define FILE_MAGIC 0x31656c6966766bull /* "kvfile1" */
#define FRAME_MAGIC 0x6672616dull      /* "mraf" */
#define FILE_LOG 1u
#define FILE_BASE 2u

/* The first 64 bytes of a file. */
struct file_head {
	uint64_t magic;
	uint32_t kind; /* FILE_LOG or FILE_BASE */
	uint32_t size; /* of this head */
	uint64_t number;
	uint64_t id;        /* of the file: seeds its checksums */
	uint64_t first_seq; /* of a log: its first frame; of a base: the first frame of log-N */
	uint64_t store;     /* of the store: the same in all its files */
	uint64_t zero;
	uint64_t sum;
};

enum frame_kind { FRAME_RECORDS = 1, FRAME_END = 2 };

struct frame_head {
	uint32_t magic;
	uint32_t kind;   /* FRAME_END closes a base; it has no records */
	uint64_t seq;    /* of a base: frames so far */
	uint64_t synced; /* of FRAME_END: the log must reach this seq */
	uint64_t length; /* of the records */
	uint64_t count;  /* of FRAME_END: records in the base; else in this frame */
	uint64_t body;   /* checksum of the records */
	uint64_t sum;    /* checksum of what stands before */
};

enum record_type { RECORD_SET = 1, RECORD_DELETE, RECORD_CLEAR, RECORD_PATCH, RECORD_RETAG,
		   RECORD_STAGE, /* bytes of a long value, in order, before it is known what becomes of it */
		   RECORD_TAKE,  /* an entry with a value that stands there, which is then forgotten */
		   RECORD_TYPES };

/* One record, taken apart; pointers are into what was read. */
struct record {
	uint32_t type;
	uint32_t space;
	uint32_t tag;
	uint32_t stage; /* RECORD_STAGE and RECORD_TAKE: which */
	int64_t expiry;
	const uint8_t *key;
	uint64_t key_len;
	const uint8_t *value; /* of RECORD_PATCH: the patch */
	uint64_t value_len;
	uint64_t offset; /* RECORD_PATCH; RECORD_STAGE: of these bytes; RECORD_TAKE: of the value, in the stage */
	uint64_t total;  /* RECORD_PATCH, RECORD_TAKE: length of the value afterwards; RECORD_STAGE: of all of it */
};

#define RECORD_HEAD_MAX 64u

/* Writes all of a record but key and value; the bytes taken, at most RECORD_HEAD_MAX. */
uint64_t record_write(uint8_t *to, const struct record *r);

/* Takes the record at p apart; the bytes it takes, 0 if there is none that fits into n. */
uint64_t record_read(const uint8_t *p, uint64_t n, struct record *r);

/* ------------------------------------------------------------ system calls */

/* What the engine asks of the system for its files: exchanged in tests, to record, to
 * fail, and to cut the power.  Each is as the call of that name, EINTR aside. */
struct disk_calls {
	int (*open)(int dir, const char *name, int flags, int mode);
	int (*close)(int fd);
	ssize_t (*writev)(int fd, const struct iovec *vec, int n);
	ssize_t (*pread)(int fd, void *to, size_t n, off_t at);
	int (*fallocate)(int fd, int mode, off_t at, off_t n);
	int (*truncate)(int fd, off_t n);
	int (*fsync)(int fd);
	int (*rename)(int dir, const char *from, const char *to);
	int (*unlink)(int dir, const char *name);
	uint64_t (*size)(int fd); /* UINT64_MAX and errno when it cannot be had */
	int (*map)(void *at, uint64_t n, int fd, uint64_t from); /* privately, in place of what is there */
	int64_t (*clock)(void); /* ms that have passed; for nothing but how long a stop takes */
};

extern const struct disk_calls *disk_calls;

/* --------------------------------------------------------------- the store's disk */

enum disk_phase {
	DISK_LOG,   /* no base is being written */
	DISK_WALK,  /* entries are being written to new-N */
	DISK_SYNC,  /* new-N is written, and waits to be on disk */
	DISK_NAMED, /* it is base-N, whose name waits to be on disk */
};

/* A base that somebody asked for. */
enum disk_asked {
	DISK_UNASKED,
	DISK_ASKED,   /* it is to be begun */
	DISK_ANSWERED /* it is the one that is being written */
};

/* A long value that the walk has met.  It stays as it was then, and is written in pieces, since
 * nobody else has a turn while one is. */
struct held {
	struct held *next;
	struct record take; /* RECORD_TAKE; its key is behind this structure */
	const uint8_t *value;
	uint64_t page;    /* what extent_hold() gave */
	uint64_t written; /* bytes of the value */
};

struct disk_file {
	int fd; /* -1: none */
	uint32_t doubted; /* a call on it failed: what else was written there does not count */
	uint64_t number;
	uint64_t id;
	uint64_t size; /* written */
};

/* Bytes to be written. */
struct disk_buffer {
	uint8_t *bytes; /* a frame's head first */
	uint64_t used;
	uint64_t room;
	uint64_t records;
};

/*
 * What a store has on disk.  It passes from one generation of the code to the next as
 * it lies, so it holds no pointer to code.
 */
struct disk {
	uint64_t magic;
	uint64_t size; /* of this structure, and of struct held */
	int dir;
	int status;       /* KV_OK, or why writes are refused */
	uint64_t store;   /* in all heads */
	uint64_t ids;     /* state of the numbers that seed checksums */
	struct disk_file log;
	struct disk_buffer buffer;
	struct disk_file before; /* the log before this one, while it is not on disk */
	uint64_t before_mark; /* the commit that brings it there, 0: the next */
	uint64_t reserved; /* bytes of the log that the disk has room for */
	uint64_t seq;     /* of the last frame */
	uint64_t synced;  /* up to this frame all is on disk */
	uint64_t next;    /* number of the next log */
	uint64_t oldest;  /* number of the base that counts */
	uint64_t worn;    /* files with lower numbers are gone */
	uint64_t grown;   /* bytes of logs since that base was begun */
	uint64_t base_size;
	uint64_t extra;   /* what was to be synced beside frames: a mark is seq + extra */
	uint64_t names_mark; /* the commit that brings new names to disk, 0: the next */
	uint32_t names;   /* 1: the directory has names that are not on disk */
	uint32_t joined;  /* the operation belongs with the next */
	/* The base that is being written. */
	uint32_t phase; /* enum disk_phase */
	uint32_t asked; /* enum disk_asked */
	struct disk_file base;
	struct disk_buffer base_buffer;
	uint64_t base_frames;
	uint64_t base_records;
	struct held *held; /* long values that the walk has met, and that are not written yet */
	uint64_t base_mark; /* the commit that brings it to disk */
	uint32_t space;    /* the walk is in this space */
	uint32_t walking;  /* 0: the next space is to be found */
	uint64_t place;
	int64_t retry_at;  /* after a failure: not before */
	uint32_t said;     /* the failure was logged */
	uint32_t lost;     /* something since the last commit was not written */
	uint64_t cut;      /* bytes that the opening cut */
	uint32_t image;    /* 1: the file `image` tells exactly of this */
	uint32_t not_saved; /* 1: the base that was asked for last could not be written */
};

/* Opens what a directory holds, or makes a first log; the index is filled.  KV_OK, or a
 * status and a sentence in open->error. */
int disk_open(struct kv_store *st, const struct kv_open *open);

/* Whether this is a disk that this code can take over. */
bool disk_sound(const struct disk *d);

/* Ends it; what was committed is on disk if that can be had. */
void disk_close(struct kv_store *st);

/* commit(), see kvstore.h. */
int disk_commit(struct kv_store *st, struct kv_commit *commit);

/* A slice of writing a base; units of work done, about `budget` at most.  *next is when
 * it is worth another call. */
uint64_t disk_maintain(struct kv_store *st, uint64_t budget, int64_t now, bool *more, int64_t *next);

/* Makes room for a record, or says why no write can be taken. */
int disk_reserve(struct kv_store *st, uint64_t key_len, uint64_t value_len);

/* Puts what happened into the log.  There is room.  Cannot fail: what goes wrong
 * is told by the next commit. */
void disk_note(struct kv_store *st, const struct record *r);

/* The end of an operation in a run: what is gathered may be written. */
void disk_flush(struct kv_store *st);

#define DISK_SPARE 256u        /* for the head and the end of a frame */
#define DISK_BIG (256 * KIB)   /* a value from here on is written from where it lies */
#define DISK_GATHER (1 * MIB)  /* a frame is written when it is this long */

/* Bases are written when logs have grown by this much, or as much as the last base. */
extern uint64_t disk_base_least;

/* Bytes that are cut at a time from files that a base has replaced. */
#define DISK_WEAR (4 * MIB)
extern uint64_t disk_wear;

/* Why a call on a file failed, as a status. */
int disk_status(int error);

/* ------------------------------------------------------------ for disk*.c only */

#define NAME_ROOM 32
void file_name(char *to, const char *prefix, uint64_t number);
uint64_t file_sum(const struct file_head *h);
uint64_t frame_sum(uint64_t id, const struct frame_head *h);
uint64_t body_sum(uint64_t id, const void *p, uint64_t n);

/* Makes a file and writes its head; -1 and errno. */
int disk_make(struct disk *d, struct disk_file *f, const char *prefix, uint64_t number, uint32_t kind);

/* Ends a file that is no longer needed. */
void file_close(struct disk_file *f);

/* Writes all of it, at the end; -1 and errno. */
int file_write(struct disk_file *f, struct iovec *vec, int n);

bool buffer_reach(struct disk_buffer *b, uint64_t n);
void buffer_put(struct disk_buffer *b, const struct record *r, bool with_value);

/* Writes what is gathered as one frame, `more` after it; -1 and errno.  seq, synced,
 * kind and count of `h` are the caller's. */
int frame_write(struct disk_file *f, struct disk_buffer *b, struct frame_head *h, const void *more,
		uint64_t more_len);

/* Goes on in a new log; -1 and errno, and nothing has changed. */
int log_rotate(struct disk *d);

/* No write is taken until all data is in a new base. */
void disk_fail(struct kv_store *st, int error);

/* Gives the base that is being written up. */
void base_abandon(struct kv_store *st, struct disk *d);

/* Notes that a base is wanted, and says in the flags how the one asked for fares. */
void base_ask(struct disk *d, struct kv_commit *c, bool wanted);

/* Removes at once what is still there of older files. */
void base_end(struct disk *d);

/* What a sync that covers `mark` means for the base. */
void base_synced(struct kv_store *st, uint64_t mark);

/* Fills the index and d from what the directory holds; see disk_open(). */
int disk_recover(struct kv_store *st, struct disk *d, const struct kv_open *open);

#endif
