/* image_map.c - the memory of an image in the place of the store's, and its use before all of
 * it was looked at; see image.h */
#include "image.h"
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAP_MOST 8192u /* more runs are read: a process may have so many mappings */

uint64_t image_map_least = 256 * KIB;

/* ------------------------------------------------------------------------- mapping */

/* The header as it is to be here: lengths and limits are those of this start. */
static bool take_header(struct kv_store *st, struct image *im)
{
	struct header *mine = st->h;
	struct header *h = malloc(sizeof *h);
	bool good = h != NULL && image_piece(im, 0, sizeof *h);

	if (good && (im->error = image_read(im->fd, h, sizeof *h, 0)) != 0)
		good = false;
	good = good && h->magic == MAGIC && h->layout == LAYOUT && h->size == sizeof *h &&
	       h->check == header_check(h) && h->committed == im->foot.data &&
	       h->pool.start + h->pool.committed <= mine->pool.end;
	if (good) {
		memcpy(h->reserve, mine->reserve, sizeof h->reserve);
		h->pool.end = mine->pool.end;
		h->check = header_check(h);
		h->max_memory = mine->max_memory;
		h->imaged = 1;
		*mine = *h;
	}
	free(h);
	return good;
}

/* Reads a run into the store's own memory. */
static bool copy_run(struct kv_store *st, struct image *im, uint64_t i)
{
	const struct image_run *r = &im->runs[i];

	if (!image_piece(im, im->from[i], r->len) || memory_commit(st, r->segment, r->at, r->len) != KV_OK)
		return false;
	im->error = image_read(im->fd, st->base[r->segment] + r->at, r->len, im->from[i]);
	return im->error == 0;
}

/* Makes the store's own files as long as they would be; what is mapped from elsewhere is a hole. */
static bool reach(struct kv_store *st, const struct image_run *r)
{
	uint64_t size = disk_calls->size(st->fd[r->segment]);

	return size != UINT64_MAX &&
	       (size >= r->at + r->len || ftruncate(st->fd[r->segment], (off_t)(r->at + r->len)) == 0);
}

bool image_map(struct kv_store *st, struct image *im)
{
	unsigned mapped = 0;

	for (uint64_t i = 1; i < im->foot.runs; i++) {
		const struct image_run *r = &im->runs[i];
		bool apart = r->segment == META && r->at < POOL_AT;

		if (apart || r->len < image_map_least || mapped == MAP_MOST) {
			if (!copy_run(st, im, i))
				return false;
			continue;
		}
		if (!reach(st, r) || disk_calls->map(st->base[r->segment] + r->at, r->len, im->fd, im->from[i]) != 0)
			return false;
		mapped++;
	}
	if (!take_header(st, im))
		return false;
	st->last = NULL;
	evict_attach(st);
	image_start(im);
	return true;
}

/* ------------------------------------------------------------------------- damage */

void image_tell(const struct image *im, char *text, uint64_t size)
{
	uint64_t at = im->bad != 0 ? (im->bad - 1) * im->foot.chunk : 0;

	if (im->error != 0)
		snprintf(text, size, "%s cannot be read at offset %llu: %s; fix: look at the disk (journalctl -k)",
			 im->path, (unsigned long long)at, strerror(im->error));
	else
		snprintf(text, size, "%s is damaged at offset %llu: a piece fails its checksum; "
			 "fix: look at the disk (journalctl -k)", im->path, (unsigned long long)at);
}

/* Says it, and takes care that the next start reads base and log. */
static bool damaged(struct kv_store *st)
{
	struct image *im = st->image;
	char text[700], what[500];

	if (im->said)
		return false;
	im->said = true;
	image_tell(im, what, sizeof what);
	snprintf(text, sizeof text, "the store ends: %s; base and log hold all data, the next start reads them", what);
	if (st->log != NULL)
		st->log(st->log_host, KV_LOG_ERROR, text);
	image_drop(st->disk);
	return false;
}

/* ----------------------------------------------------------------------------- use */

static void finish(struct kv_store *st)
{
	image_end(st->image);
	st->image = NULL;
}

bool image_settle(struct kv_store *st)
{
	if (st->image == NULL)
		return true;
	if (!image_look(st->image, 0, NULL, NULL))
		return damaged(st);
	finish(st);
	return true;
}

bool image_check(struct kv_store *st)
{
	struct image *im = st->image;

	if (im == NULL)
		return true;
	if (__atomic_load_n(&im->bad, __ATOMIC_ACQUIRE) != 0)
		return damaged(st);
	if (__atomic_load_n(&im->good, __ATOMIC_ACQUIRE) == im->foot.chunks)
		finish(st);
	else if (im->threads == 0)
		return image_settle(st);
	return true;
}

/* The run that a place of memory belongs to, NONE64: none. */
static uint64_t run_at(const struct image *im, uint32_t segment, uint64_t at)
{
	uint64_t low = 0, high = im->foot.runs;

	while (high - low > 1) {
		uint64_t mid = low + (high - low) / 2;
		const struct image_run *r = &im->runs[mid];

		if (r->segment < segment || (r->segment == segment && r->at <= at))
			low = mid;
		else
			high = mid;
	}
	return im->runs[low].segment == segment && at - im->runs[low].at < im->runs[low].len ? low : NONE64;
}

/* Whether the n bytes at p, or as many as lie together there, may be looked at. */
static bool sound(struct image *im, const void *p, uint64_t n)
{
	const uint8_t *at = p;

	for (uint32_t seg = 0; seg < SEGMENTS; seg++) {
		const uint8_t *base = im->st->base[seg];
		uint64_t off, i;

		if (at < base || at >= base + im->st->segments[seg].length)
			continue;
		i = run_at(im, seg, (uint64_t)(at - base));
		if (i == NONE64)
			return false;
		off = (uint64_t)(at - base) - im->runs[i].at;
		return image_piece(im, im->from[i] + off, n < im->runs[i].len - off ? n : im->runs[i].len - off);
	}
	return false;
}

static bool entry_sound(struct kv_store *st, uint64_t slot, int64_t now, bool *gone)
{
	struct image *im = st->image;
	const uint8_t *p = entry_at(st, slot);
	const uint8_t *first = slot & SLOT_LARGE ? p - EXTENT_HEAD : p;
	struct entry e;

	if (!sound(im, first, (uint64_t)(p - first) + head_bytes(WIDE << VALUE_SHIFT | HAS_EXPIRY | HAS_TAG)))
		return false;
	entry_read(st, slot, &e);
	*gone |= kv_gone(e.expiry, now);
	if ((slot & SLOT_LARGE) && extent_at(st, slot & SLOT_AT)->lender != 0)
		return sound(im, first, (uint64_t)(e.key - first) + e.key_len) && sound(im, e.value, e.value_len);
	return sound(im, first, (uint64_t)(e.value - first) + e.value_len);
}

/* Looks at all that an operation on this key will read; *gone: it would write, too. */
static bool key_sound(struct kv_store *st, const struct kv_op *op, int64_t now, bool *gone)
{
	struct image *im = st->image;
	const struct space *sp = op->key_len <= KEY_MAX ? space_find(st, op->space) : NULL;
	struct bucket *line;
	uint64_t hash, b;

	if (sp == NULL)
		return true;
	hash = hash_key(st->h->seed, op->key, op->key_len);
	b = index_bucket(sp, hash);
	if (!sound(im, index_dir(st, sp, b), sizeof(struct dir)))
		return false;
	for (line = index_at(st, sp, b); line != NULL; line = index_next(st, line)) {
		if (!sound(im, line, sizeof *line))
			return false;
		for (unsigned bits = index_match(line, hash); bits != 0; bits &= bits - 1) {
			uint64_t slot = line->slot[__builtin_ctz(bits)];

			if ((slot & SLOT_AT) != 0 && !entry_sound(st, slot, now, gone))
				return false;
		}
	}
	return true;
}

bool image_ready(struct kv_store *st, const struct kv_batch *batch)
{
	bool gone = false;

	if (!image_check(st))
		return false;
	for (uint64_t i = 0; i < batch->count && st->image != NULL; i++) {
		const struct kv_op *op = kv_op_at(batch, i);

		if (op->code != KV_GET && op->code != KV_META)
			return image_settle(st);
		if (!key_sound(st, op, batch->now, &gone))
			return damaged(st);
		if (gone)
			return image_settle(st);
	}
	/* What is above its limit is to be evicted at the end of the batch. */
	return !evicts(st->h) || (batch->flags & KV_BATCH_READ_ONLY) || image_settle(st);
}
