/*
 * store.c - opening, calling and closing stores, and what engines call back
 */
#define _GNU_SOURCE
#include "host.h"

#include "update.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* batch.Piece: what each run of memory of a sink starts with. */
struct piece {
	uint64_t prev;
	uint64_t size;
	uint64_t sum;
};

#define PIECE_MIN (256u << 10)

int kvh_more(struct kv_sink *sink, uint64_t need)
{
	uint64_t size = (need + sizeof(struct piece) + PIECE_MIN - 1) & ~(uint64_t)(PIECE_MIN - 1);

	const struct piece *newest = sink->host;
	uint64_t sum = size + (newest != NULL ? newest->sum : 0);

	if (size < need || sum < size || sum > KVH_SINK_MOST)
		return KV_NO_MEMORY;
	struct piece *piece = mmap(NULL, size, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (piece == MAP_FAILED)
		return KV_NO_MEMORY;
	piece->prev = (uint64_t)(uintptr_t)sink->host;
	piece->size = size;
	piece->sum = sum;
	sink->host = piece;
	sink->next = (char *)(piece + 1);
	sink->end = (char *)piece + size;
	return KV_OK;
}

/* One line into the pipe, whole or not at all: a full pipe drops it. */
void kvh_log_line(void *log_host, int level, const char *text)
{
	struct kvh_log *log = log_host;
	char line[1024];
	int saved = errno;
	int n = snprintf(line, sizeof line, "%c%s", level >= 0 && level <= 7 ? '0' + level : '6', text);

	if (log->fd >= 0 && n > 0) {
		size_t len = (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
		for (size_t i = 1; i < len; i++)
			if (line[i] == '\n')
				line[i] = ' ';
		line[len] = '\n'; /* over the NUL */
		if (write(log->fd, line, len + 1) < 0)
			errno = 0; /* nobody to tell */
	}
	errno = saved;
}

uintptr_t kvh_update_address(unsigned i)
{
	return (uintptr_t)kvh_updates[i];
}

/* What open() and accept() are given. */
static struct kv_open describe_open(struct kvh_settings *settings, struct kvh_log *log)
{
	struct kv_open open = {
		.size = sizeof open,
		.flags = settings->flags,
		.state_dir = settings->state_dir,
		.max_memory = settings->max_memory,
		.now = settings->now,
		.seed = settings->seed,
		.log = kvh_log_line,
		.log_host = log,
		.error = settings->error,
		.error_size = sizeof settings->error,
	};

	settings->error[0] = '\0';
	return open;
}

/* The host's side of a store that is about to be opened; NULL: no memory. */
static struct kvh_store *new_store(struct kvh_library *library, struct kvh_settings *settings)
{
	const uint64_t complete =
		KV_CAP_DELETE | KV_CAP_EXPIRY | KV_CAP_SPACES | KV_CAP_TAGS | KV_CAP_UPDATE;
	struct kvh_store *store = calloc(1, sizeof *store);
	struct kvh_log *log = calloc(1, sizeof *log);

	if (store == NULL || log == NULL) {
		free(store);
		free(log);
		return NULL;
	}
	log->fd = settings->log_fd;
	store->library = library;
	store->log = log;
	store->guarded = (library->engine.capabilities & complete) != complete;
	return store;
}

static void free_store(struct kvh_store *store)
{
	free(store->log);
	free(store);
}

/* Makes sure that a failure has a sentence and gives back what was made. */
static int refuse(struct kvh_store *store, struct kvh_settings *settings, int status)
{
	settings->error[sizeof settings->error - 1] = '\0';
	free_store(store);
	return status;
}

int kvh_open(struct kvh_library *library, struct kvh_settings *settings, struct kvh_store **out)
{
	struct kvh_store *store = new_store(library, settings);

	if (store == NULL)
		return KV_NO_MEMORY;
	struct kv_open open = describe_open(settings, store->log);
	int status = library->plain_set != NULL ? kvh_legacy_open(library, &store->store)
						: library->engine.open(&open, &store->store);

	if (status != KV_OK)
		return refuse(store, settings, status);
	*out = store;
	return KV_OK;
}

void kvh_close(struct kvh_store *store, int given)
{
	store->library->engine.close(store->store, given ? KV_CLOSE_GIVEN : 0);
	free_store(store);
}

int kvh_hand_over(struct kvh_store *old, struct kvh_library *library, struct kvh_settings *settings,
		  struct kvh_store **out, int *broken)
{
	struct kvh_store *store = new_store(library, settings);
	struct kv_offer offer = {.size = sizeof offer};

	*broken = 0;
	if (store == NULL)
		return KV_NO_MEMORY;
	struct kv_open open = describe_open(settings, store->log);
	int status = old->library->engine.offer(old->store, &offer);

	if (status != KV_OK) {
		snprintf(settings->error, sizeof settings->error,
			 "the serving store cannot be offered");
	} else {
		status = library->engine.accept(&open, &offer, &store->store);
	}
	if (status != KV_OK) {
		*broken = old->library->engine.resume(old->store) != KV_OK;
		return refuse(store, settings, status);
	}
	*out = store;
	return KV_OK;
}

int kvh_take_back(struct kvh_store *store)
{
	const struct kvstore_engine *engine = &store->library->engine;
	struct kv_offer offer = {.size = sizeof offer};
	int status = engine->offer(store->store, &offer);

	return status != KV_OK ? status : engine->resume(store->store);
}

int kvh_exec(uintptr_t store, uintptr_t batch)
{
	struct kvh_store *s = (struct kvh_store *)store;

	if (s->guarded)
		return kvh_exec_guarded(s, (struct kv_batch *)batch);
	return s->library->engine.exec(s->store, (struct kv_batch *)batch);
}

#define WIDER 32u /* bytes that a later host's operations may have more */

int kvh_exec_wide(uintptr_t store, uintptr_t batch)
{
	struct kv_batch wide = *(const struct kv_batch *)batch;
	const struct kv_batch *given = (const struct kv_batch *)batch;
	uint32_t size = given->op_size + WIDER;
	char *ops = malloc(given->count * size + 1);

	if (ops == NULL)
		return KV_NO_MEMORY;
	memset(ops, 0xa5, given->count * size);
	for (uint64_t i = 0; i < given->count; i++)
		memcpy(ops + i * size, kv_op_at(given, i), given->op_size);
	wide.ops = (struct kv_op *)ops;
	wide.op_size = size;
	int status = kvh_exec(store, (uintptr_t)&wide);

	for (uint64_t i = 0; i < given->count; i++)
		memcpy(kv_op_at(given, i), ops + i * size, given->op_size);
	free(ops);
	return status;
}

int kvh_scan(uintptr_t store, uintptr_t scan)
{
	struct kvh_store *s = (struct kvh_store *)store;

	if (s->library->engine.scan == NULL)
		return KV_UNSUPPORTED;
	return s->library->engine.scan(s->store, (struct kv_scan *)scan);
}

int kvh_maintain(uintptr_t store, struct kv_maintain *maintain)
{
	struct kvh_store *s = (struct kvh_store *)store;

	if (s->library->engine.maintain == NULL)
		return KV_UNSUPPORTED;
	return s->library->engine.maintain(s->store, maintain);
}

int kvh_stat(uintptr_t store, struct kv_stat *stat)
{
	struct kvh_store *s = (struct kvh_store *)store;

	if (s->library->engine.stat == NULL)
		return KV_UNSUPPORTED;
	return s->library->engine.stat(s->store, stat);
}

int kvh_limit(struct kvh_store *store, const struct kv_limit *limit)
{
	if (store->library->engine.limit == NULL)
		return KV_UNSUPPORTED;
	return store->library->engine.limit(store->store, limit);
}

int kvh_commit(uintptr_t store, struct kv_commit *commit)
{
	struct kvh_store *s = (struct kvh_store *)store;

	commit->size = sizeof *commit;
	commit->fd_count = 0;
	commit->full = 0;
	commit->mark = 0;
	return s->library->engine.commit(s->store, commit);
}

void kvh_release(uintptr_t store, const uint64_t *pins, uint64_t count)
{
	struct kvh_store *s = (struct kvh_store *)store;

	if (s->library->engine.release != NULL)
		s->library->engine.release(s->store, pins, count);
}
