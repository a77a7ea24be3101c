/* engine.c - open, close, housekeeping, figures, and the engine's descriptor */
#include "huge.h"
#include "image.h"
#include "store.h"

#include <stdio.h>
#include <stdlib.h>

#ifndef KV_ENGINE_VERSION
#define KV_ENGINE_VERSION "0.1.0"
#endif

#define IMAGE_AGAIN 50 /* ms: when to see again whether an image was looked through */

/* ---------------------------------------------------------------- open, close */

static void header_fill(struct kv_store *st, const struct kv_open *open)
{
	struct header *h = st->h;
	uint64_t state = open->seed;

	h->magic = MAGIC;
	h->layout = LAYOUT;
	h->size = sizeof *h;
	for (int i = 0; i < 4; i++)
		h->seed[i] = hash_step(&state);
	h->created = expiry_base(open->now);
	for (int seg = 0; seg < SEGMENTS; seg++)
		h->reserve[seg] = st->segments[seg].length;
	h->check = header_check(h);
	h->max_memory = open->max_memory;
	h->regions = (struct area){REGIONS_AT, REGIONS_END, 0, META, 0};
	h->spaces = (struct area){SPACES_AT, SPACES_END, 0, META, 0};
	h->pool = (struct area){POOL_AT + CHUNK_LINES * LINE, h->reserve[META], 0, META, 0};
	h->pool_top = CHUNK_LINES;
	h->large_top = 1;
	h->due = INT64_MAX;
	h->chance = hash_step(&state);
}

/* The first pages of `meta`; the limit is checked when it is known where to count. */
static int header_commit(struct kv_store *st, const struct kv_open *open)
{
	struct header count = {.max_memory = open->max_memory};
	uint64_t len = round_up(sizeof(struct header), PAGE);

	st->h = &count;
	if (memory_commit(st, META, 0, len) != KV_OK)
		return KV_NO_MEMORY;
	memory_attach(st);
	header_fill(st, open);
	st->h->committed = len;
	st->h->used = len;
	return KV_OK;
}

int store_begin(struct kv_store *st, const struct kv_open *open)
{
	int rc = memory_open(st, open->error, open->error_size);

	if (rc == KV_OK && header_commit(st, open) != KV_OK) {
		snprintf(open->error, open->error_size,
			 "no memory for an empty store: needs %llu bytes; fix: raise the memory limit",
			 (unsigned long long)round_up(sizeof(struct header), PAGE));
		memory_close(st);
		rc = KV_NO_MEMORY;
	}
	return rc;
}

int hash_open(const struct kv_open *open, kv_store **store)
{
	struct kv_store *st = calloc(1, sizeof *st);
	int rc;

	if (st == NULL) {
		snprintf(open->error, open->error_size, "no memory for the store");
		return KV_NO_MEMORY;
	}
	if (open->flags & ~KV_OPEN_NEW) {
		snprintf(open->error, open->error_size, "asked for something that this engine does not know");
		free(st);
		return KV_UNSUPPORTED;
	}
	st->log = open->log;
	st->log_host = open->log_host;
	rc = store_begin(st, open);
	if (rc != KV_OK) {
		free(st);
		return rc;
	}
	if (open->state_dir != NULL) {
		rc = disk_open(st, open);
		if (rc != KV_OK) {
			image_end(st->image);
			memory_close(st);
			free(st);
			return rc;
		}
	}
	*store = st;
	return KV_OK;
}

void hash_close(kv_store *st, uint32_t flags)
{
	if (st->image != NULL)
		image_join(st->image);
	huge_end(st);
	if (!(flags & KV_CLOSE_GIVEN)) {
		disk_close(st);
		memory_close(st);
	}
	image_end(st->image);
	free(st);
}

/* -------------------------------------------------------------------- maintain */

typedef uint64_t slice(struct kv_store *st, uint64_t budget, bool *more);

/* In this order: what gives back comes after what frees. */
static slice *const slices[] = {space_reap, compact, extent_maintain, arena_trim, pool_trim};

int hash_maintain(kv_store *st, struct kv_maintain *m)
{
	bool more = false;
	int64_t next = 0;
	int64_t surplus;
	uint64_t used;

	if (UNLIKELY(st->image != NULL)) {
		if (!image_check(st))
			return KV_CORRUPT;
		if (st->image != NULL) {
			m->used = 1;
			m->more = 0;
			m->next = m->now + IMAGE_AGAIN;
			return KV_OK;
		}
	}
	if (UNLIKELY(st->huge_later)) {
		st->huge_later = false;
		huge_open(st);
		huge_count(st);
	}
	used = disk_maintain(st, m->budget / 2 + 1, m->now, &more, &next);
	used += expiry_pass(st, m->now, used < m->budget ? m->budget - used : 1, m->events, &more);

	if (used < m->budget) {
		uint64_t half = (m->budget - used + 1) / 2;
		uint64_t n = evict_ahead(st, m->now, half, m->events, &more);

		/* A search that finds nobody does not keep memory from being given back. */
		used += n < half ? n : half;
	}
	surplus = extent_surplus(st, m->now);
	for (size_t i = 0; i < sizeof slices / sizeof slices[0]; i++) {
		if (used >= m->budget)
			more |= true;
		else
			used += slices[i](st, m->budget - used, &more);
	}
	m->used = used;
	m->more = more;
	if (surplus != 0 && (next == 0 || surplus < next))
		next = surplus;
	if (next == 0 || expiry_next(st) < next)
		next = expiry_next(st) == INT64_MAX ? next : expiry_next(st);
	m->next = more ? m->now : next;
	return KV_OK;
}

/* ------------------------------------------------------------------------ stat */

uint32_t space_next(const struct kv_store *st, uint32_t number)
{
	uint32_t best = KV_SPACE_ALL;

	for (uint32_t i = 0; i < st->h->space_count; i++) {
		const struct space *sp = &st->spaces[i];

		if (sp->state == SPACE_ACTIVE && sp->entries != 0 && sp->number < best &&
		    (number == KV_SPACE_ALL || sp->number > number))
			best = sp->number;
	}
	return best;
}

int hash_stat(kv_store *st, struct kv_stat *stat)
{
	const struct header *h = st->h;
	const struct space *sp;

	stat->next_space = space_next(st, stat->space);
	if (stat->space == KV_SPACE_ALL) {
		stat->entries = h->entries;
		stat->expiring = h->expiring;
		stat->payload = h->payload;
		stat->memory = h->used;
		stat->reserved_memory = h->committed;
		stat->pins = h->pins;
		return KV_OK;
	}
	sp = space_find(st, stat->space);
	stat->entries = sp != NULL ? sp->entries : 0;
	stat->expiring = sp != NULL ? sp->expiring : 0;
	stat->payload = sp != NULL ? sp->payload : 0;
	stat->memory = 0;
	stat->reserved_memory = 0;
	stat->pins = 0;
	return KV_OK;
}

/* ------------------------------------------------------------------- descriptor */

static const struct kvstore_engine descriptor = {
	.size = sizeof(struct kvstore_engine),
	.abi = KVSTORE_ABI_VERSION,
	.name = "hash",
	.version = KV_ENGINE_VERSION,
	.format = FORMAT,
	.capabilities = KV_CAP_DELETE | KV_CAP_EXPIRY | KV_CAP_SPACES | KV_CAP_TAGS | KV_CAP_SCAN |
			KV_CAP_BINARY | KV_CAP_UPDATE | KV_CAP_DURABLE | KV_CAP_HANDOVER | KV_CAP_LIMIT |
			KV_CAP_PROMPT,
	.thread_model = KV_THREADS_SERIAL,
	.max_key = KEY_MAX,
	.max_value = VALUE_MAX,
	.open = hash_open,
	.close = hash_close,
	.exec = hash_exec,
	.commit = hash_commit,
	.release = hash_release,
	.scan = hash_scan,
	.maintain = hash_maintain,
	.stat = hash_stat,
	.offer = hash_offer,
	.accept = hash_accept,
	.resume = hash_resume,
	.limit = hash_limit,
};

KVSTORE_EXPORT const struct kvstore_engine *kvstore_engine(void)
{
	return &descriptor;
}
