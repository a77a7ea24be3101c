/* image_write.c - a clean stop writes the store's memory down; see image.h */
#include "image.h"
#include "store.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define SYNC_EVERY (64 * MIB) /* so that the time is known before it is too late */
#define JUDGE_AFTER 1000      /* ms: from then on it shows whether it will do */

uint64_t image_least = 32 * MIB;
int64_t image_patience = 30000;
uint64_t image_chunk = IMAGE_CHUNK;

/* ------------------------------------------------------------------ what both sides need */

uint64_t image_build(void)
{
	static const char text[] = "what the hash of a key comes to is a part of the layout";
	static const uint64_t seed[4] = {1, 2, 3, 4};
	uint64_t facts[40] = {sizeof(struct header), sizeof(struct region), sizeof(struct space),
			      sizeof(struct dir), sizeof(struct extent), sizeof(struct bucket), PAGE,
			      REGION_SIZE, POOL_AT, SPACES_AT, REGIONS_AT, SMALL_MAX, BINS, PRINT_SHIFT};

	for (unsigned i = 0; i < 20; i++)
		facts[20 + i] = hash_key(seed, text, i * 2 + i % 2);
	return XXH3_64bits(facts, sizeof facts);
}

uint64_t image_foot_sum(const struct image_foot *f)
{
	return XXH3_64bits(f, offsetof(struct image_foot, sum));
}

uint64_t image_chunk_sum(const struct image_foot *f, uint64_t chunk, const void *p, uint64_t n)
{
	return XXH3_64bits_withSeed(p, n, f->id + chunk);
}

void image_drop(struct disk *d)
{
	d->image = 0;
	(void)disk_calls->unlink(d->dir, IMAGE_NAME); /* where it stays it is seen to be old */
}

/* ------------------------------------------------------------------------- runs */

struct runs {
	struct image_run *run;
	uint64_t count;
	uint64_t room;
	uint64_t bytes;
	bool failed;
};

static void add_run(struct runs *rs, enum segment seg, uint64_t at, uint64_t len)
{
	struct image_run *last = rs->count > 0 ? &rs->run[rs->count - 1] : NULL;

	rs->bytes += len;
	if (len == 0 || rs->failed)
		return;
	if (last != NULL && last->segment == seg && last->at + last->len == at && rs->count > 1) {
		last->len += len;
		return;
	}
	if (rs->count == rs->room) {
		uint64_t room = rs->room == 0 ? 64 : rs->room * 2;
		struct image_run *more = realloc(rs->run, room * sizeof *more);

		rs->failed = more == NULL;
		if (rs->failed)
			return;
		rs->run = more;
		rs->room = room;
	}
	rs->run[rs->count++] = (struct image_run){.at = at, .len = len, .segment = seg};
}

static int by_line(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The pool, without what was given back of its free chunks. */
static void add_pool(struct kv_store *st, struct runs *rs)
{
	const struct header *h = st->h;
	uint64_t at = h->pool.start, end = h->pool.start + h->pool.committed;
	uint64_t n = 0;
	uint32_t *holes;

	for (uint32_t line = h->pool_holes; line != 0; line = load32(pool_at(st, line)))
		n++;
	holes = malloc((n + 1) * sizeof *holes);
	rs->failed |= holes == NULL;
	if (holes == NULL)
		return;
	n = 0;
	for (uint32_t line = h->pool_holes; line != 0; line = load32(pool_at(st, line)))
		holes[n++] = line;
	qsort(holes, n, sizeof *holes, by_line);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t chunk = POOL_AT + (uint64_t)holes[i] * LINE;

		add_run(rs, META, at, chunk + PAGE - at);
		at = chunk + CHUNK_LINES * LINE;
	}
	add_run(rs, META, at, end - at);
	free(holes);
}

/* All memory that the store holds; the header first and by itself. */
static void find_runs(struct kv_store *st, struct runs *rs)
{
	const struct header *h = st->h;

	add_run(rs, META, 0, round_up(sizeof *h, PAGE));
	add_run(rs, META, h->regions.start, h->regions.committed);
	add_run(rs, META, h->spaces.start, h->spaces.committed);
	add_pool(st, rs);
	for (uint32_t r = 0; r < h->region_count; r++)
		add_run(rs, SMALL, (uint64_t)r * REGION_SIZE, st->regions[r].committed);
	for (uint64_t page = 1; page < h->large_top;) {
		const struct extent *x = extent_at(st, page);

		add_run(rs, LARGE, page * PAGE, x->pages * PAGE);
		page += 1ull << x->order;
	}
}

/* ------------------------------------------------------------------------ writing */

struct writing {
	struct kv_store *st;
	struct disk_file file;
	struct image_foot foot;
	uint64_t *sums;
	uint64_t total;
	uint64_t synced;
	int64_t began;
	XXH3_state_t sum; /* of the chunk that is being written */
};

static int write_bytes(struct writing *w, const void *p, uint64_t n)
{
	struct iovec vec = {(void *)(uintptr_t)p, n};

	return file_write(&w->file, &vec, 1);
}

/* Whether it still comes to an end in time; syncs now and then, or nobody could tell. */
static int keep_time(struct writing *w)
{
	int64_t spent;

	if (w->file.size - w->synced < SYNC_EVERY)
		return 0;
	w->synced = w->file.size;
	if (disk_calls->fsync(w->file.fd) != 0)
		return -1;
	spent = disk_calls->clock() - w->began;
	if (spent < JUDGE_AFTER || (double)spent * (double)w->total <= (double)image_patience * (double)w->file.size)
		return 0;
	errno = ETIME;
	return -1;
}

static void end_chunk(struct writing *w)
{
	w->sums[w->foot.chunks++] = XXH3_64bits_digest(&w->sum);
	XXH3_64bits_reset_withSeed(&w->sum, w->foot.id + w->foot.chunks);
}

static int write_run(struct writing *w, const uint8_t *p, uint64_t len)
{
	while (len > 0) {
		uint64_t left = w->foot.chunk - w->foot.data % w->foot.chunk;
		uint64_t n = len < left ? len : left;

		XXH3_64bits_update(&w->sum, p, n);
		if (write_bytes(w, p, n) != 0)
			return -1;
		w->foot.data += n;
		if (n == left)
			end_chunk(w);
		p += n;
		len -= n;
	}
	return keep_time(w);
}

/* Base and logs as they lie there. */
static int weigh(struct disk *d, struct image_foot *f)
{
	char name[NAME_ROOM];

	for (uint64_t n = d->oldest; n <= d->log.number + 1; n++) {
		uint64_t size;
		int fd;

		file_name(name, n <= d->log.number ? "log" : "base", n <= d->log.number ? n : d->oldest);
		fd = disk_calls->open(d->dir, name, O_RDONLY, 0);
		if (fd < 0 && errno == ENOENT)
			continue;
		size = fd >= 0 ? disk_calls->size(fd) : UINT64_MAX;
		if (fd >= 0)
			disk_calls->close(fd);
		if (size == UINT64_MAX)
			return -1;
		f->files++;
		f->total += size;
		f->log_size = n == d->log.number ? size : f->log_size;
	}
	return 0;
}

static int write_end(struct writing *w, const struct runs *rs)
{
	XXH3_state_t tables;

	if (w->foot.data % w->foot.chunk != 0)
		end_chunk(w);
	XXH3_INITSTATE(&tables);
	XXH3_64bits_reset_withSeed(&tables, w->foot.id);
	XXH3_64bits_update(&tables, rs->run, rs->count * sizeof *rs->run);
	XXH3_64bits_update(&tables, w->sums, w->foot.chunks * sizeof *w->sums);
	w->foot.tables = XXH3_64bits_digest(&tables);
	w->foot.runs = rs->count;
	w->foot.sum = image_foot_sum(&w->foot);
	if (write_bytes(w, rs->run, rs->count * sizeof *rs->run) != 0 ||
	    write_bytes(w, w->sums, w->foot.chunks * sizeof *w->sums) != 0 ||
	    write_bytes(w, &w->foot, sizeof w->foot) != 0)
		return -1;
	return disk_calls->fsync(w->file.fd);
}

static int write_file(struct writing *w, const struct runs *rs)
{
	XXH3_INITSTATE(&w->sum);
	XXH3_64bits_reset_withSeed(&w->sum, w->foot.id);
	for (uint64_t i = 0; i < rs->count; i++) {
		if (write_run(w, w->st->base[rs->run[i].segment] + rs->run[i].at, rs->run[i].len) != 0)
			return -1;
	}
	return write_end(w, rs);
}

/* Writes it under another name, then gives it its own. */
static int write_and_name(struct writing *w, const struct runs *rs)
{
	struct disk *d = w->st->disk;

	w->file.fd = disk_calls->open(d->dir, IMAGE_NEW, O_RDWR | O_APPEND | O_CREAT | O_TRUNC, 0600);
	if (w->file.fd < 0)
		return -1;
	if (write_file(w, rs) == 0 && disk_calls->rename(d->dir, IMAGE_NEW, IMAGE_NAME) == 0 &&
	    disk_calls->fsync(d->dir) == 0) {
		file_close(&w->file);
		return 0;
	}
	int error = errno;

	file_close(&w->file);
	disk_calls->unlink(d->dir, IMAGE_NEW);
	errno = error;
	return -1;
}

static void tell(struct kv_store *st, int level, const char *text)
{
	if (st->log != NULL)
		st->log(st->log_host, level, text);
}

static void tell_failure(struct kv_store *st, int error)
{
	char text[256];

	if (error == ENOENT)
		return; /* the directory is gone: its data has moved to another store */
	snprintf(text, sizeof text, "the next start reads the log instead of mapping an image: none could be written: %s",
		 error == ETIME ? "it would have taken too long" : strerror(error));
	tell(st, KV_LOG_WARNING, text);
}

static void make_image(struct kv_store *st, const struct runs *rs)
{
	struct disk *d = st->disk;
	struct writing w = {.st = st, .total = rs->bytes, .began = disk_calls->clock(), .file.fd = -1};
	uint64_t chunks = rs->bytes / image_chunk + 1;

	w.foot = (struct image_foot){.magic = IMAGE_MAGIC, .layout = LAYOUT, .size = sizeof w.foot,
				     .build = image_build(), .id = hash_step(&d->ids), .store = d->store,
				     .oldest = d->oldest, .log = d->log.number, .log_id = d->log.id,
				     .chunk = image_chunk, .seq = d->seq, .grown = d->grown, .base_size = d->base_size};
	w.sums = malloc(chunks * sizeof *w.sums);
	errno = ENOMEM;
	if (w.sums == NULL || weigh(d, &w.foot) != 0 || write_and_name(&w, rs) != 0)
		tell_failure(st, errno);
	free(w.sums);
}

void image_write(struct kv_store *st)
{
	struct header *h = st->h;
	struct runs rs = {0};
	bool more = false;

	/* While not all of an image was looked at nothing has changed, or it is damaged. */
	if (h->pins != 0 || h->used < image_least || st->disk->image || st->image != NULL)
		return;
	extent_yield(st, UINT64_MAX);
	arena_trim(st, UINT64_MAX, &more);
	pool_trim(st, UINT64_MAX, &more);
	find_runs(st, &rs);
	if (rs.failed)
		tell_failure(st, ENOMEM);
	else if (rs.bytes != h->committed)
		tell(st, KV_LOG_WARNING, "no image was written for the next start: the figures of the store contradict each other");
	else
		make_image(st, &rs);
	free(rs.run);
}
