/*
 * image.h - the memory of a store as a file, from which the next start maps it
 *
 * A clean stop writes the file `image` beside base and logs, which stay what they are: all
 * that counts.  It is a shortcut, taken only where it says of base and logs exactly what is
 * there; else it is as if it were not there, and it goes at the first write.  So nothing
 * that can happen to it loses anything, and code that does not know it need not care.
 *
 *   data     the runs of memory that a store holds, one after another, in whole pages
 *   runs     where each belongs (struct image_run)
 *   sums     XXH3 of each chunk of the data, seeded by the file's id and the chunk's number
 *   foot     struct image_foot: which base and logs it stands for, and how it is laid out
 *
 * The data is mapped privately: what is changed is copied page by page, the file never is.
 * Threads of a start read through it; until they are done each chunk is looked at
 * before it is used, and whatever is more than to look keys up waits for them.
 */
#ifndef HASH_IMAGE_H
#define HASH_IMAGE_H

#include "disk.h"

#include <pthread.h>

#define IMAGE_NAME "image"
#define IMAGE_NEW "image-new"
#define IMAGE_MAGIC 0x316567616d69766bull /* "kvimage1" */
#define IMAGE_CHUNK (256 * KIB)
#define IMAGE_CHUNK_MOST (16 * MIB)
#define IMAGE_THREADS 2u
#define IMAGE_LATER (1 * GIB)

/* Memory that lay together: `data` bytes of segment from `at` on. */
struct image_run {
	uint64_t at;
	uint64_t len;
	uint32_t segment;
	uint32_t zero;
};

/* The end of the file. */
struct image_foot {
	uint64_t magic;
	uint32_t layout; /* LAYOUT of the data */
	uint32_t size;   /* of this structure */
	uint64_t build;  /* image_build() */
	uint64_t id;     /* seeds the sums */
	/* What it stands for. */
	uint64_t store;
	uint64_t oldest;    /* number of the base */
	uint64_t log;       /* number of the last log */
	uint64_t log_id;
	uint64_t log_size;
	uint64_t files;     /* base and logs */
	uint64_t total;     /* bytes of all of them */
	uint64_t seq;       /* of the last frame */
	uint64_t grown;     /* as in struct disk */
	uint64_t base_size;
	/* What it holds. */
	uint64_t data;      /* bytes */
	uint64_t chunk;     /* bytes of each chunk but the last, a power of two */
	uint64_t runs;
	uint64_t chunks;
	uint64_t tables;    /* checksum of runs and sums */
	uint64_t sum;       /* of all before */
};

enum chunk_state { CHUNK_UNKNOWN, CHUNK_GOOD };

/* An image that is mapped and being read through. */
struct image {
	struct kv_store *st;
	char *path;        /* for messages */
	int fd;
	uint32_t threads;
	struct image_foot foot;
	struct image_run *runs; /* as in the file, ordered by segment and place */
	uint64_t *from;    /* where in the file each begins */
	uint64_t *sums;
	uint8_t *state;    /* enum chunk_state of each chunk; atomic */
	uint64_t next;     /* the next chunk that nobody looks at; atomic */
	uint64_t good;     /* chunks; atomic */
	uint64_t bad;      /* number + 1 of one that is damaged, 0: none; atomic */
	int error;         /* errno: it could not be read; set before `bad`, atomic */
	bool said;         /* of the damage */
	pthread_t thread[IMAGE_THREADS];
};

/* What of the engine's layout and code the data of an image depends on. */
uint64_t image_build(void);
uint64_t image_foot_sum(const struct image_foot *f);
uint64_t image_chunk_sum(const struct image_foot *f, uint64_t chunk, const void *p, uint64_t n);

/* Stores that hold less are read as fast without. */
extern uint64_t image_least;

/* Bytes of the chunks of images that are written. */
extern uint64_t image_chunk;

/* Runs that are shorter are read, not mapped. */
extern uint64_t image_map_least;

/* So many bytes may be looked at while the store serves. */
extern uint64_t image_later;

/* Threads that look; at most IMAGE_THREADS. */
extern uint32_t image_threads;

/* A stop takes no longer for it than so many ms. */
extern int64_t image_patience;

/* The store is closed cleanly, base and logs are on disk: writes its image if that is worth it. */
void image_write(struct kv_store *st);

/* What is written next makes the image untrue: removes it. */
void image_drop(struct disk *d);

/* Reads foot and tables.  NULL: there is none that this code can use, and *why says what is wrong
 * if it is damaged, at *at. */
struct image *image_find(struct kv_store *st, struct disk *d, const char **why, uint64_t *at);

/* Puts its memory in place of the store's, which is empty, and starts threads that look through it.
 * False: it could not be done, the store's memory is undefined. */
bool image_map(struct kv_store *st, struct image *im);

/* Looks at chunks together with the threads until at most `left` are unknown; false: one is bad. */
bool image_look(struct image *im, uint64_t left, void (*tell)(void *arg, uint64_t bytes), void *arg);

/* What is wrong with one that is bad, in words. */
void image_tell(const struct image *im, char *text, uint64_t size);

/* Whether a batch may be carried out; if not, the image is damaged, which was said, and the store
 * must not be used any more.  Waits for what the batch needs to be looked at. */
bool image_ready(struct kv_store *st, const struct kv_batch *batch);

/* Waits until all of it was looked at, and ends it; false as above. */
bool image_settle(struct kv_store *st);

/* Ends it if all was looked at, without waiting; false as above. */
bool image_check(struct kv_store *st);

/* Ends it; the mappings stay. */
void image_end(struct image *im);

/* ---------------------------------------------------------------- for image*.c only */

/* Reads n bytes of a file; 0, or an errno. */
int image_read(int fd, void *to, uint64_t n, uint64_t at);

/* Starts the threads, and waits for them. */
void image_start(struct image *im);
void image_join(struct image *im);

/* Looks at the chunks that a piece of the file lies in; false: one is bad. */
bool image_piece(struct image *im, uint64_t from, uint64_t len);

#endif
