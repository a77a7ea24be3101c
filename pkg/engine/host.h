/*
 * host.h - the C side of package engine: loading libraries, calling engines
 *
 * Everything here is called from cgo.go only, and never twice at once for one
 * store (the lane sees to that).  Addresses that Go keeps travel as uintptr_t.
 */
#ifndef KVH_HOST_H
#define KVH_HOST_H

#include "kvstore.h"

#include <stdint.h>

/* The plain functions of the original exercise, see legacy.c. */
typedef int (*kvh_plain_set)(const char *key, const char *value);
typedef const char *(*kvh_plain_get)(const char *key);

/* Why kvh_load() refused. */
enum kvh_load_status {
	KVH_LOADED = 0,
	KVH_NO_LOAD = 10,       /* dlopen failed; text says why */
	KVH_NO_SYMBOL = 20,     /* neither kvstore_engine nor set and get */
	KVH_NO_DESCRIPTOR = 30, /* kvstore_engine() returned NULL or something too small */
	KVH_NO_HOST_MEMORY = 40
};

/* A loaded library.  Made by kvh_load(), freed by kvh_unload(). */
struct kvh_library {
	void *handle;
	struct kvstore_engine engine; /* the host's copy */
	uint32_t given_size;          /* of the engine's own descriptor */
	kvh_plain_set plain_set;      /* not NULL: a legacy library */
	kvh_plain_get plain_get;
};

/* An open store.  Made by kvh_open() or kvh_accept(), freed by kvh_close(). */
struct kvh_store {
	struct kvh_library *library;
	kv_store *store;
	int guarded; /* every operation is looked at first, see guard.c */
	struct kvh_log *log;
};

/* Where an engine's log lines go: one datagram per line into a pipe that the
 * host reads.  The first byte is the level. */
struct kvh_log {
	int fd;
};

/*
 * Loads the library behind `path` and copies its descriptor.  Returns a
 * kvh_load_status; unless it is KVH_LOADED, text (of text_size bytes) says
 * what dlopen or dlsym said and nothing stays loaded.
 */
int kvh_load(const char *path, struct kvh_library **out, char *text, uint64_t text_size);

/* Bytes of a text, most at the most. */
uint64_t kvh_text_length(const char *text, uint64_t most);

/* dlclose.  Returns 0, or -1 with what it said in text. */
int kvh_unload(struct kvh_library *library, char *text, uint64_t text_size);

/* What kvh_open() and kvh_accept() are told. */
struct kvh_settings {
	uint64_t max_memory;
	int64_t now;
	uint64_t seed;
	int log_fd; /* -1: drop what the engine logs */
	uint32_t flags; /* KV_OPEN_ flags */
	const char *state_dir; /* or NULL; valid until the call returns */
	char error[512];
};

/* Opens an empty store.  An enum kv_status; settings->error on failure. */
int kvh_open(struct kvh_library *library, struct kvh_settings *settings, struct kvh_store **out);

/* Ends a store; given: it was offered and accepted. */
void kvh_close(struct kvh_store *store, int given);

/*
 * Takes over what `old` holds into a new store of `library`, as kvstore.h
 * describes: offer, accept.  On success *out is open and `old` waits for
 * kvh_close(old, 1).  On failure `old` was resumed and goes on; when even that
 * failed *broken is 1.  settings->error says what failed.
 */
int kvh_hand_over(struct kvh_store *old, struct kvh_library *library, struct kvh_settings *settings,
		  struct kvh_store **out, int *broken);

/* Offers a store and has it resume at once. */
int kvh_take_back(struct kvh_store *store);

/* Carries out a batch.  Not KV_OK: the store is unusable. */
int kvh_exec(uintptr_t store, uintptr_t batch);

/* The same as a host of a later version would do it, whose operations are longer. */
int kvh_exec_wide(uintptr_t store, uintptr_t batch);

int kvh_scan(uintptr_t store, uintptr_t scan);
int kvh_maintain(uintptr_t store, struct kv_maintain *maintain);
int kvh_stat(uintptr_t store, struct kv_stat *stat);
int kvh_limit(struct kvh_store *store, const struct kv_limit *limit);
void kvh_release(uintptr_t store, const uint64_t *pins, uint64_t count);

/* commit(); the structure is the caller's, its size is filled in here. */
int kvh_commit(uintptr_t store, struct kv_commit *commit);

/* A thread that syncs descriptors; see sync.c.  One goroutine at a time calls these. */
struct kvh_syncer;
struct kvh_syncer *kvh_syncer_new(void);             /* NULL: errno says why */
void kvh_syncer_free(struct kvh_syncer *syncer);     /* after the sync that runs */
int kvh_syncer_bell(const struct kvh_syncer *syncer); /* eventfd: readable when one is done */

/* Starts to sync duplicates of the commit's descriptors. */
void kvh_syncer_begin(struct kvh_syncer *syncer, const struct kv_commit *commit);

/* Whether the sync that was begun is done; *error is then 0 or the errno of the first
 * that failed.  Waits for that if asked to; else it silences the bell. */
int kvh_syncer_end(struct kvh_syncer *syncer, int wait, int *error);

/* For tests: the next sync fails with this errno without being tried. */
void kvh_syncer_fail(struct kvh_syncer *syncer, int error);

/* The guarded exec of engines that lack something; see guard.c. */
int kvh_exec_guarded(struct kvh_store *store, struct kv_batch *batch);

/* Fills in the descriptor of a legacy library; see legacy.c. */
void kvh_legacy_describe(struct kvh_library *library);
int kvh_legacy_open(struct kvh_library *library, kv_store **store);

/* Bytes of one sink: batch.SinkMost. */
#define KVH_SINK_MOST (1ull << 30)

/* kv_sink.more: maps a piece as batch.Sink documents. */
int kvh_more(struct kv_sink *sink, uint64_t need);

/* kv_open.log. */
void kvh_log_line(void *log_host, int level, const char *text);

/*
 * For a process that tries a library and nothing else: a crash ends it by its
 * signal and leaves no core file, and what is written to standard output goes
 * nowhere.
 */
void kvh_become_trial(void);

/* Signals are numbered from 1 to below this. */
#define KVH_SIGNALS 65

/* What a library can change of the process and of the thread it runs in. */
struct kvh_process {
	uint64_t handlers[KVH_SIGNALS]; /* of signals */
	uint64_t blocked;               /* signals of this thread; bit 0 is signal 1 */
	uint64_t environment;           /* a sum over it */
	uint64_t float_modes;           /* of this thread */
	int dumpable;
	char locale[256];
};

/* Fills in how it is now, for the calling thread. */
void kvh_look_at_process(struct kvh_process *process);

/* The address of update function i, 0 <= i. */
uintptr_t kvh_update_address(unsigned i);

/* The address of the update function that calls another one and notes its answer. */
uintptr_t kvh_noted_address(void);

#endif
