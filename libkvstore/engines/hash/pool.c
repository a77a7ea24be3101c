/*
 * pool.c - lines for the index: powers of two from 64 bytes to 64 KiB
 *
 * A free run keeps the line of the next one in its first word.  Runs are cut in
 * halves and not joined again, so what is free in a class is bounded by the most
 * that was ever used of it.  Of a free chunk all but the first page is given back.
 */
#include "store.h"

#define POOL_STEP (64 * KIB)
#define KEEP_CHUNKS 2u /* free ones that keep their memory */

static uint32_t *link_of(struct kv_store *st, uint32_t line)
{
	return (uint32_t *)(void *)pool_at(st, line);
}

static uint32_t pop(struct kv_store *st, uint32_t *head)
{
	uint32_t line = *head;

	if (line != 0)
		*head = *link_of(st, line);
	return line;
}

static void push(struct kv_store *st, uint32_t *head, uint32_t line)
{
	*link_of(st, line) = *head;
	*head = line;
}

/* Bytes of a free chunk that are given back, and where. */
static uint64_t hole_at(uint32_t line)
{
	return POOL_AT + (uint64_t)line * LINE + PAGE;
}

static uint32_t fresh_chunk(struct kv_store *st)
{
	struct header *h = st->h;
	uint64_t line = h->pool_top;
	uint64_t end = (line + CHUNK_LINES) * LINE;

	if (end > (uint64_t)UINT32_MAX * LINE)
		return 0;
	if (area_reach(st, &h->pool, end - CHUNK_LINES * LINE, POOL_STEP) != KV_OK)
		return 0;
	h->pool_top = line + CHUNK_LINES;
	return (uint32_t)line;
}

static uint32_t chunk_alloc(struct kv_store *st)
{
	struct header *h = st->h;
	uint32_t line = pop(st, &h->pool_free[CHUNK_CLASS]);

	if (line != 0) {
		h->pool_free_chunks--;
		return line;
	}
	line = h->pool_holes;
	if (line == 0)
		return fresh_chunk(st);
	if (memory_commit(st, META, hole_at(line), CHUNK_LINES * LINE - PAGE) != KV_OK)
		return 0;
	return pop(st, &h->pool_holes);
}

/* A run of `class`, cut from the smallest free one that is long enough. */
static uint32_t run_alloc(struct kv_store *st, uint32_t class)
{
	struct header *h = st->h;
	uint32_t c = class;
	uint32_t line;

	while (c < CHUNK_CLASS && h->pool_free[c] == 0)
		c++;
	line = c == CHUNK_CLASS ? chunk_alloc(st) : pop(st, &h->pool_free[c]);
	if (line == 0)
		return 0;
	while (c > class) {
		c--;
		push(st, &h->pool_free[c], line + (1u << c));
	}
	return line;
}

uint32_t pool_alloc(struct kv_store *st, uint32_t class)
{
	uint32_t line = run_alloc(st, class);

	if (line != 0)
		st->h->used += (uint64_t)LINE << class;
	return line;
}

void pool_free(struct kv_store *st, uint32_t line, uint32_t class)
{
	st->h->used -= (uint64_t)LINE << class;
	push(st, &st->h->pool_free[class], line);
	if (class == CHUNK_CLASS)
		st->h->pool_free_chunks++;
}

bool pool_reserve(struct kv_store *st, uint64_t n)
{
	uint32_t *head = &st->h->pool_free[0];
	uint32_t kept = 0;
	bool enough = true;

	for (; n > 0; n--) {
		uint32_t line = run_alloc(st, 0);

		if (line == 0) {
			enough = false;
			break;
		}
		push(st, &kept, line);
	}
	while (kept != 0)
		push(st, head, pop(st, &kept));
	return enough;
}

uint64_t pool_trim(struct kv_store *st, uint64_t budget, bool *more)
{
	struct header *h = st->h;
	uint64_t used = 0;

	while (h->pool_free_chunks > KEEP_CHUNKS) {
		uint32_t line;

		if (used >= budget) {
			*more = true;
			break;
		}
		line = h->pool_free[CHUNK_CLASS];
		if (!memory_release(st, META, hole_at(line), CHUNK_LINES * LINE - PAGE))
			break;
		pop(st, &h->pool_free[CHUNK_CLASS]);
		h->pool_free_chunks--;
		push(st, &h->pool_holes, line);
		used += 16;
	}
	return used;
}
