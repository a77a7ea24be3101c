/*
 * handover.c - a store passes from one generation of the code to the next
 *
 * offer() only describes; the files stay as they are, so resume() undoes next to nothing.
 * accept() reads, checks, and takes the descriptors and mappings over as its last act.
 */
#include "huge.h"
#include "image.h"
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* A checksum of n bytes. */
static uint64_t sum(const void *p, uint64_t n)
{
	static const uint64_t seed[4] = {0x243f6a8885a308d3ull, 0x13198a2e03707344ull,
					 0xa4093822299f31d0ull, 0x082efa98ec4e6c89ull};

	return hash_key(seed, p, n);
}

uint64_t header_check(const struct header *h)
{
	return sum(h, offsetof(struct header, check));
}

uint64_t header_sum(const struct header *h)
{
	return sum(h, sizeof *h);
}

int hash_offer(kv_store *st, struct kv_offer *offer)
{
	if (!image_settle(st))
		return KV_CORRUPT;
	for (int seg = 0; seg < SEGMENTS; seg++) {
		struct kv_segment *s = &st->segments[seg];

		s->fd = st->fd[seg];
		s->flags = (uint32_t)seg;
		s->address = st->base[seg];
		s->offset = 0;
	}
	st->state = (struct offer_state){.magic = MAGIC, .header_size = sizeof *st->h,
					 .header_sum = header_sum(st->h)};
	st->state.disk = st->disk;
	memcpy(st->state.stages, st->stages, sizeof st->stages);
	for (int seg = 0; seg < SEGMENTS; seg++) {
		struct stat file;

		if (fstat(st->fd[seg], &file) != 0)
			return KV_IO;
		st->state.inode[seg] = file.st_ino;
	}
	st->state.sum = sum(&st->state, offsetof(struct offer_state, sum));
	offer->segments = st->segments;
	offer->segment_count = SEGMENTS;
	offer->state = &st->state;
	offer->state_len = sizeof st->state;
	huge_stop(st);
	return KV_OK;
}

int hash_resume(kv_store *st)
{
	huge_go_on(st);
	return KV_OK;
}

/* ----------------------------------------------------------------------- checks */

/* What is wrong with the pieces of an offer, or NULL. */
static const char *judge_segments(const struct kv_offer *offer)
{
	if (offer->segment_count != SEGMENTS || offer->segments == NULL)
		return "not three segments";
	if (offer->state == NULL || offer->state_len != sizeof(struct offer_state))
		return "no state of this format";
	for (uint32_t i = 0; i < SEGMENTS; i++) {
		const struct kv_segment *s = &offer->segments[i];
		const struct offer_state *state = offer->state;
		struct stat file;

		if (s->flags != i || s->offset != 0 || s->address == NULL)
			return "a segment is not mapped as it should be";
		if ((uintptr_t)s->address % PAGE != 0 || s->length % PAGE != 0)
			return "a segment is not made of whole pages";
		if (fstat(s->fd, &file) != 0)
			return "a descriptor is not open";
		if (file.st_ino != state->inode[i])
			return "a descriptor is not that of its segment";
		if (i == META && (uint64_t)file.st_size < sizeof(struct header))
			return "the header is cut off";
	}
	return NULL;
}

static bool area_sound(const struct area *a, uint64_t start, uint64_t end)
{
	return a->segment == META && a->start == start && a->end == end &&
	       a->committed <= end - start && a->committed % PAGE == 0;
}

/* What is wrong with a header, or NULL. */
static const char *judge_header(const struct header *h, const struct kv_offer *offer)
{
	const struct offer_state *state = offer->state;

	if (h->magic != MAGIC || state->magic != MAGIC)
		return "the header has another magic number";
	if (h->layout != LAYOUT || h->size != sizeof *h || state->header_size != sizeof *h)
		return "the header has another layout";
	if (h->check != header_check(h) || state->header_sum != header_sum(h))
		return "the header fails its checksum";
	for (int seg = 0; seg < SEGMENTS; seg++) {
		if (h->reserve[seg] != offer->segments[seg].length)
			return "a segment has another length than the header says";
	}
	if (!area_sound(&h->regions, REGIONS_AT, REGIONS_END) ||
	    !area_sound(&h->spaces, SPACES_AT, SPACES_END) ||
	    !area_sound(&h->pool, POOL_AT + CHUNK_LINES * LINE, h->reserve[META]))
		return "an area of the header is out of bounds";
	if (h->used > h->committed || h->space_count > h->spaces.committed / sizeof(struct space) ||
	    h->region_count > h->regions.committed / sizeof(struct region) ||
	    h->region_now > h->region_count || h->pool_top < CHUNK_LINES ||
	    h->large_top * PAGE > h->reserve[LARGE])
		return "the figures of the header contradict each other";
	return NULL;
}

/* Whether each file is long enough for what the header says is in it. */
static bool long_enough(const struct header *h, const struct kv_offer *offer)
{
	const struct area *last = h->pool.committed != 0 ? &h->pool : &h->spaces;
	uint64_t need[SEGMENTS] = {0};

	if (last->committed != 0)
		need[META] = last->start + last->committed;
	if (h->region_count > 1)
		need[SMALL] = (uint64_t)(h->region_count - 1) * REGION_SIZE;
	need[LARGE] = h->large_top > 1 ? 2 * PAGE : 0;
	for (int seg = 0; seg < SEGMENTS; seg++) {
		struct stat file;

		if (fstat(offer->segments[seg].fd, &file) != 0 || (uint64_t)file.st_size < need[seg])
			return false;
	}
	return true;
}

static const char *judge(const struct kv_offer *offer)
{
	const char *why = judge_segments(offer);
	const struct offer_state *state = offer->state;
	const struct header *h;

	if (why != NULL)
		return why;
	if (state->sum != sum(state, offsetof(struct offer_state, sum)))
		return "the state fails its checksum";
	h = offer->segments[META].address;
	why = judge_header(h, offer);
	if (why != NULL)
		return why;
	if (!disk_sound(state->disk))
		return "what is on disk is kept in another way";
	return long_enough(h, offer) ? NULL : "a file is cut off";
}

/* ----------------------------------------------------------------------- accept */

static void take_over(struct kv_store *st, const struct kv_open *open, const struct kv_offer *offer)
{
	const struct offer_state *state = offer->state;

	for (int seg = 0; seg < SEGMENTS; seg++) {
		st->segments[seg] = offer->segments[seg];
		st->base[seg] = offer->segments[seg].address;
		st->fd[seg] = offer->segments[seg].fd;
	}
	memory_attach(st);
	st->disk = state->disk;
	for (unsigned i = 0; i < STAGES; i++) {
		st->stages[i] = state->stages[i];
		st->staged += st->stages[i].page != 0;
	}
	st->log = open->log;
	st->log_host = open->log_host;
	st->h->max_memory = open->max_memory;
	evict_attach(st);
	st->huge_later = true;
}

int hash_accept(const struct kv_open *open, const struct kv_offer *offer, kv_store **store)
{
	const char *why = judge(offer);
	struct kv_store *st;

	if (why != NULL) {
		snprintf(open->error, open->error_size,
			 "the store offered is not sound: %s; fix: load the engine by a restart", why);
		return KV_CORRUPT;
	}
	st = calloc(1, sizeof *st);
	if (st == NULL) {
		snprintf(open->error, open->error_size, "no memory for the store");
		return KV_NO_MEMORY;
	}
	take_over(st, open, offer);
	*store = st;
	return KV_OK;
}
