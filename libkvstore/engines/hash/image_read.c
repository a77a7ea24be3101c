/* image_read.c - an image found, mapped, and read through by threads; see image.h */
#include "image.h"
#include "store.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

#define RUNS_MOST (1ull << 32)

uint32_t image_threads = IMAGE_THREADS;
uint64_t image_later = IMAGE_LATER;

/* ------------------------------------------------------------------------ finding */

int image_read(int fd, void *to, uint64_t n, uint64_t at)
{
	uint8_t *p = to;

	while (n > 0) {
		ssize_t got = disk_calls->pread(fd, p, n, (off_t)at);

		if (got <= 0)
			return got < 0 ? errno : EIO;
		p += got;
		at += (uint64_t)got;
		n -= (uint64_t)got;
	}
	return 0;
}

/* What is wrong with a foot that was written as it stands, or NULL. */
static const char *judge_foot(const struct image_foot *f, uint64_t size)
{
	uint64_t chunks;

	if (f->magic != IMAGE_MAGIC || f->sum != image_foot_sum(f))
		return "its end fails its checksum";
	if (f->chunk < PAGE || f->chunk > IMAGE_CHUNK_MOST || f->data > UINT64_MAX / 2)
		return "it is not made of chunks";
	chunks = (f->data + f->chunk - 1) / f->chunk;
	if (f->data > size || f->runs > RUNS_MOST || f->chunks != chunks ||
	    size != f->data + f->runs * sizeof(struct image_run) + chunks * sizeof(uint64_t) + sizeof *f)
		return "it is not as long as it says";
	return NULL;
}

/* Runs and sums; what is wrong with them, or NULL. */
static const char *read_tables(struct image *im)
{
	const struct image_foot *f = &im->foot;
	uint64_t runs = f->runs * sizeof *im->runs, sums = f->chunks * sizeof *im->sums, at = 0;
	XXH3_state_t tables;

	im->runs = malloc(runs + 1);
	im->from = malloc(runs + 1);
	im->sums = malloc(sums + 1);
	im->state = calloc(f->chunks + 1, 1);
	if (im->runs == NULL || im->from == NULL || im->sums == NULL || im->state == NULL)
		return "no memory to read it";
	im->error = image_read(im->fd, im->runs, runs, f->data);
	if (im->error == 0)
		im->error = image_read(im->fd, im->sums, sums, f->data + runs);
	if (im->error != 0)
		return "it cannot be read";
	XXH3_INITSTATE(&tables);
	XXH3_64bits_reset_withSeed(&tables, f->id);
	XXH3_64bits_update(&tables, im->runs, runs);
	XXH3_64bits_update(&tables, im->sums, sums);
	if (f->tables != XXH3_64bits_digest(&tables))
		return "its tables fail their checksum";
	for (uint64_t i = 0; i < f->runs; i++) {
		im->from[i] = at;
		at += im->runs[i].len;
	}
	return at == f->data ? NULL : "its tables contradict its end";
}

/* Whether each run has a place in this store; code and limits of another start may differ. */
static bool runs_fit(const struct kv_store *st, const struct image *im)
{
	for (uint64_t i = 0; i < im->foot.runs; i++) {
		const struct image_run *r = &im->runs[i];

		if (r->segment >= SEGMENTS || r->at % PAGE != 0 || r->len % PAGE != 0 || r->len == 0 ||
		    r->at > st->segments[r->segment].length || r->len > st->segments[r->segment].length - r->at)
			return false;
		if ((i == 0) != (r->segment == META && r->at == 0) ||
		    (i == 0 && r->len != round_up(sizeof(struct header), PAGE)))
			return false;
	}
	return im->foot.runs != 0;
}

struct image *image_find(struct kv_store *st, struct disk *d, const char **why, uint64_t *at)
{
	struct image *im = calloc(1, sizeof *im);
	uint64_t size;

	*why = NULL;
	*at = 0;
	if (im == NULL)
		return NULL;
	im->st = st;
	im->fd = disk_calls->open(d->dir, IMAGE_NAME, O_RDONLY, 0);
	size = im->fd >= 0 ? disk_calls->size(im->fd) : UINT64_MAX;
	if (size == UINT64_MAX) {
		*why = im->fd < 0 && errno == ENOENT ? NULL : strerror(errno);
	} else if (size < sizeof im->foot) {
		*why = "it is cut off";
	} else {
		*at = size - sizeof im->foot;
		im->error = image_read(im->fd, &im->foot, sizeof im->foot, *at);
		*why = im->error != 0 ? "it cannot be read" : judge_foot(&im->foot, size);
		if (*why == NULL && im->foot.layout == LAYOUT && im->foot.build == image_build() &&
		    im->foot.size == sizeof im->foot) {
			*at = im->foot.data;
			*why = read_tables(im);
			if (*why == NULL && runs_fit(st, im))
				return im;
		}
	}
	image_end(im);
	return NULL;
}

void image_join(struct image *im)
{
	__atomic_store_n(&im->next, im->foot.chunks, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < im->threads; i++)
		pthread_join(im->thread[i], NULL);
	im->threads = 0;
}

void image_end(struct image *im)
{
	if (im == NULL)
		return;
	image_join(im);
	if (im->fd >= 0)
		disk_calls->close(im->fd);
	free(im->path);
	free(im->runs);
	free(im->from);
	free(im->sums);
	free(im->state);
	free(im);
}

/* ------------------------------------------------------------------- looking at chunks */

/* Looks at one chunk, by way of `room`; false: it is damaged, which is noted. */
static bool look_at(struct image *im, uint64_t chunk, uint8_t *room)
{
	uint64_t at = chunk * im->foot.chunk;
	uint64_t n = im->foot.data - at < im->foot.chunk ? im->foot.data - at : im->foot.chunk;
	int error;

	if (__atomic_load_n(&im->state[chunk], __ATOMIC_ACQUIRE) == CHUNK_GOOD)
		return true;
	error = image_read(im->fd, room, n, at);
	if (error == 0 && image_chunk_sum(&im->foot, chunk, room, n) == im->sums[chunk]) {
		if (__atomic_exchange_n(&im->state[chunk], CHUNK_GOOD, __ATOMIC_ACQ_REL) != CHUNK_GOOD)
			__atomic_fetch_add(&im->good, 1, __ATOMIC_RELAXED);
		return true;
	}
	if (error != 0)
		__atomic_store_n(&im->error, error, __ATOMIC_RELAXED);
	__atomic_store_n(&im->bad, chunk + 1, __ATOMIC_RELEASE);
	return false;
}

/* The run that a place of the file belongs to. */
static uint64_t run_of(const struct image *im, uint64_t from)
{
	uint64_t low = 0, high = im->foot.runs;

	while (high - low > 1) {
		uint64_t mid = low + (high - low) / 2;

		if (im->from[mid] <= from)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* Page tables for a chunk that is mapped, now rather than by a fault for every few pages. */
static void populate(struct image *im, uint64_t chunk)
{
	uint64_t at = chunk * im->foot.chunk;
	uint64_t end = im->foot.data - at < im->foot.chunk ? im->foot.data : at + im->foot.chunk;

	for (uint64_t i = run_of(im, at); at < end && i < im->foot.runs; i++) {
		const struct image_run *r = &im->runs[i];
		uint64_t stop = im->from[i] + r->len < end ? im->from[i] + r->len : end;

		(void)madvise(im->st->base[r->segment] + r->at + (at - im->from[i]), stop - at, MADV_POPULATE_READ);
		at = stop;
	}
}

static void *look_through(void *arg)
{
	struct image *im = arg;
	uint8_t *room = malloc(im->foot.chunk);
	uint64_t chunk;

	while (room != NULL && __atomic_load_n(&im->bad, __ATOMIC_RELAXED) == 0 &&
	       (chunk = __atomic_fetch_add(&im->next, 1, __ATOMIC_RELAXED)) < im->foot.chunks) {
		if (look_at(im, chunk, room))
			populate(im, chunk);
	}
	free(room);
	return NULL;
}

/* They take no signals; without them whoever waits does it all. */
void image_start(struct image *im)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (im->threads < image_threads &&
	       pthread_create(&im->thread[im->threads], NULL, look_through, im) == 0)
		im->threads++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

bool image_piece(struct image *im, uint64_t from, uint64_t len)
{
	uint8_t *room = NULL;
	bool good = true;

	for (uint64_t c = from / im->foot.chunk; good && c * im->foot.chunk < from + len; c++) {
		if (__atomic_load_n(&im->state[c], __ATOMIC_ACQUIRE) == CHUNK_GOOD)
			continue;
		room = room != NULL ? room : malloc(im->foot.chunk);
		good = room != NULL && look_at(im, c, room);
	}
	free(room);
	return good;
}

bool image_look(struct image *im, uint64_t left, void (*tell)(void *arg, uint64_t good), void *arg)
{
	uint8_t *room = malloc(im->foot.chunk);
	uint64_t good, chunk;

	while (room != NULL && __atomic_load_n(&im->bad, __ATOMIC_ACQUIRE) == 0 &&
	       im->foot.chunks - (good = __atomic_load_n(&im->good, __ATOMIC_RELAXED)) > left &&
	       (chunk = __atomic_fetch_add(&im->next, 1, __ATOMIC_RELAXED)) < im->foot.chunks) {
		(void)look_at(im, chunk, room);
		if (tell != NULL)
			tell(arg, good * im->foot.chunk);
	}
	if (room == NULL)
		im->error = ENOMEM;
	free(room);
	if (left == 0)
		image_join(im);
	return __atomic_load_n(&im->bad, __ATOMIC_ACQUIRE) == 0 && (left != 0 || im->good == im->foot.chunks);
}
