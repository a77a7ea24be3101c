/* kit.h - the host's part for the tests of lmdb on disk, and faults of the system below */
#ifndef LMDB_KIT_H
#define LMDB_KIT_H

#include <kvstore.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#define CHECK(condition)                                                                   \
	do {                                                                               \
		if (!(condition)) {                                                        \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                           \
		}                                                                          \
	} while (0)

/* An open store and a batch that is being made. */
struct kit {
	kv_store *store;
	int64_t now;
	struct kv_op *ops;
	uint64_t count, room;
	struct kv_sink sink; /* of the last batch */
	struct kv_events events;
	char error[512];
	uint64_t synced; /* mark up to which all is on disk */
	bool may_fail;   /* housekeeping may: the test has calls fail */
};

/* What a commit wants synced: it belongs to the store until its next call. */
struct kit_sync {
	uint32_t fd_count; /* 0: nothing */
	int fd[8];
	uint64_t mark;
};

/* What hears the lines of the log; NULL: nobody. */
extern void (*kit_log)(const char *text);

/* Opens the store in dir; the status, with kit->error. */
int kit_open(struct kit *kit, const char *dir, bool fresh, uint64_t max_memory);
void kit_close(struct kit *kit);

/* Adds an operation to the batch; what it points to must stay until kit_run(). */
struct kv_op *kit_add(struct kit *kit, int code, uint32_t space, const void *key, uint64_t key_len);
struct kv_op *kit_set(struct kit *kit, uint32_t space, const char *key, const void *value,
		      uint64_t value_len, int64_t expiry);

/* Carries out the batch.  Its operations and replies are good until the next kit_add(). */
void kit_run(struct kit *kit);

/* One operation by itself. */
int kit_set_now(struct kit *kit, uint32_t space, const char *key, const void *value,
		uint64_t value_len, int64_t expiry);
const struct kv_op *kit_get(struct kit *kit, uint32_t space, const char *key);

/* commit() with KV_COMMIT_SYNC or without, and the sync that it asks for. */
int kit_commit(struct kit *kit, bool sync);

/* The same in two steps, between which the store goes on. */
int kit_commit_begin(struct kit *kit, bool sync, struct kit_sync *wanted);
int kit_commit_end(struct kit *kit, const struct kit_sync *wanted);

/* Housekeeping, one slice; whether there is more. */
bool kit_maintain(struct kit *kit, uint64_t budget);

/* Entries that a walk over the space meets. */
uint64_t kit_walk(struct kit *kit, uint32_t space);
struct kv_stat kit_stat(struct kit *kit, uint32_t space);

uint64_t draw(uint64_t *state); /* the next number of a repeatable sequence */

/* Removes the files of a store in dir. */
void kit_wipe(const char *dir);

/* ------------------------------------------------------------------ faults */

/* Errno that the next syncs fail with; 0: none. */
extern volatile int fault_sync;

/* How many calls of the system from now on the one that fails is, 0: none; and with what.
 * Calls are those of fault.c. */
extern atomic_int fault_after;
extern volatile int fault_errno;

/* What watches writes and syncs, in order; NULL: nobody. */
struct watcher {
	void (*wrote)(int fd, const void *data, size_t n, off_t offset);
	void (*sync_begins)(int fd);
	void (*sync_ended)(int fd);
};
extern const struct watcher *volatile watching;

#endif
