/* memory.c - the files behind a store: made, mapped, grown, given back */
#include "huge.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* One fallocate() is undone as a whole by a signal, so large pieces are cut. */
#define COMMIT_PIECE (8 * MIB)

static const char *const file_names[SEGMENTS] = {"kv-hash-meta", "kv-hash-small", "kv-hash-large"};
static const uint64_t reserves[SEGMENTS] = {META_RESERVE, SMALL_RESERVE, LARGE_RESERVE};
#define RESERVE_SHIFTS 10 /* by then all are at their least */
static const uint64_t reserves_min[SEGMENTS] = {POOL_AT + GIB, GIB, 4 * GIB};

static int file_make(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC);
	return fd;
}

/* A range of addresses that begins where a huge page can. */
static uint8_t *range_find(uint64_t length)
{
	uint8_t *p = mmap(NULL, length + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t before;

	if (p == MAP_FAILED)
		return NULL;
	before = round_up((uintptr_t)p, HUGE_PAGE) - (uintptr_t)p;
	if (before != 0)
		munmap(p, before);
	if (before != HUGE_PAGE)
		munmap(p + before + length, HUGE_PAGE - before);
	return p + before;
}

/*
 * Maps a file over a range of addresses.  The range stays out of core dumps, which
 * would go through all of it page by page.
 */
static void *file_map(int fd, uint64_t length)
{
	uint8_t *at = range_find(length);
	void *p;

	if (at == NULL)
		return NULL;
	p = mmap(at, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd, 0);
	if (p == MAP_FAILED) {
		munmap(at, length);
		return NULL;
	}
	(void)madvise(p, length, MADV_DONTDUMP);
	return p;
}

static int open_one(struct kv_store *st, int seg, unsigned shift)
{
	uint64_t length = reserves[seg] >> shift;

	if (length < reserves_min[seg])
		length = reserves_min[seg];
	st->segments[seg].length = length;
	st->fd[seg] = file_make(file_names[seg]);
	if (st->fd[seg] < 0)
		return -1;
	st->base[seg] = file_map(st->fd[seg], length);
	return st->base[seg] != NULL ? 0 : -1;
}

/* Opens all three; the number of the one that failed, or SEGMENTS. */
static int open_all(struct kv_store *st, unsigned shift)
{
	int seg = 0;

	while (seg < SEGMENTS && open_one(st, seg, shift) == 0)
		seg++;
	return seg;
}

/*
 * A limit may stand against the whole range of addresses: then all three get less,
 * by the same measure, so that something is left for the rest of the process.
 */
int memory_open(struct kv_store *st, char *why, uint64_t why_size)
{
	int failed = 0;

	for (int seg = 0; seg < SEGMENTS; seg++)
		st->fd[seg] = -1;
	for (unsigned shift = 0; shift <= RESERVE_SHIFTS; shift++) {
		failed = open_all(st, shift);
		if (failed == SEGMENTS) {
			huge_open(st);
			return KV_OK;
		}
		snprintf(why, why_size, "cannot make %s: %s; fix: raise the limit of open files "
			 "and of address space (LimitNOFILE=, LimitAS=)",
			 file_names[failed], strerror(errno));
		memory_close(st);
	}
	return KV_NO_MEMORY;
}

void memory_close(struct kv_store *st)
{
	huge_end(st);
	for (int seg = 0; seg < SEGMENTS; seg++) {
		if (st->base[seg] != NULL)
			munmap(st->base[seg], st->segments[seg].length);
		if (st->fd[seg] >= 0)
			close(st->fd[seg]);
		st->base[seg] = NULL;
		st->fd[seg] = -1;
	}
}

void memory_attach(struct kv_store *st)
{
	uint8_t *meta = st->base[META];

	st->h = (struct header *)(void *)meta;
	st->regions = (struct region *)(void *)(meta + REGIONS_AT);
	st->spaces = (struct space *)(void *)(meta + SPACES_AT);
	st->pool = (struct bucket *)(void *)(meta + POOL_AT);
}

static int allocate(int fd, int mode, uint64_t at, uint64_t len)
{
	int rc;

	do
		rc = fallocate(fd, mode, (off_t)at, (off_t)len);
	while (rc != 0 && errno == EINTR);
	return rc;
}

/* Page tables now, in one go, rather than by a fault for every page. */
static void populate(struct kv_store *st, enum segment seg, uint64_t at, uint64_t len)
{
	(void)madvise(st->base[seg] + at, len, MADV_POPULATE_WRITE);
}

int memory_commit(struct kv_store *st, enum segment seg, uint64_t at, uint64_t len)
{
	struct header *h = st->h;
	uint64_t done = 0;

	if (len > st->segments[seg].length || at > st->segments[seg].length - len)
		return KV_NO_MEMORY;
	if (h->max_memory != 0 && (h->committed > h->max_memory || len > h->max_memory - h->committed)) {
		st->lacking = len;
		return KV_NO_MEMORY;
	}
	while (done < len) {
		uint64_t n = len - done < COMMIT_PIECE ? len - done : COMMIT_PIECE;

		if (allocate(st->fd[seg], 0, at + done, n) != 0) {
			allocate(st->fd[seg], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
				 done + n);
			return KV_NO_MEMORY;
		}
		populate(st, seg, at + done, n);
		done += n;
	}
	h->committed += len;
	huge_note(st, seg, at, len);
	return KV_OK;
}

/* What is mapped from an image is mapped from the store's own file again. */
static bool part_from_image(struct kv_store *st, enum segment seg, uint64_t at, uint64_t len)
{
	void *p = mmap(st->base[seg] + at, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED,
		       st->fd[seg], (off_t)at);

	if (p == MAP_FAILED)
		return false;
	(void)madvise(p, len, MADV_DONTDUMP);
	return true;
}

bool memory_release(struct kv_store *st, enum segment seg, uint64_t at, uint64_t len)
{
	huge_leave(st, seg, at, len);
	if ((UNLIKELY(st->h->imaged) && !part_from_image(st, seg, at, len)) ||
	    allocate(st->fd[seg], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, len) != 0) {
		huge_note(st, seg, at, len);
		return false;
	}
	st->h->committed -= len;
	return true;
}

int area_reach(struct kv_store *st, struct area *area, uint64_t need, uint64_t step)
{
	uint64_t at = area->start + area->committed;
	uint64_t want = round_up(need, step);
	uint64_t least = round_up(need, PAGE);

	if (need <= area->committed)
		return KV_OK;
	if (want > area->end - area->start)
		want = least;
	if (want > area->end - area->start)
		return KV_NO_MEMORY;
	if (memory_commit(st, area->segment, at, want - area->committed) != KV_OK) {
		if (want == least)
			return KV_NO_MEMORY;
		want = least;
		if (memory_commit(st, area->segment, at, want - area->committed) != KV_OK)
			return KV_NO_MEMORY;
	}
	area->committed = want;
	return KV_OK;
}
