/*
 * huge.c - huge pages under the index and under short values
 *
 * A lookup waits for memory twice, and with small pages nearly as long for the places of
 * those pages.  Linux makes no huge pages for a memfd unless told to for the whole machine
 * (shmem_enabled), so a thread asks for each stretch of 2 MiB (MADV_COLLAPSE, Linux 6.1) as
 * soon as all of it is in use: no byte more is held than without.  It takes about a
 * millisecond of copying, and much longer on a busy machine, so never in the lane.
 *
 * Pages are given back only outside of what the thread has in hands: it says what it takes,
 * then looks whether all of that is still in use; the lane notes what leaves, then looks what
 * the thread has, and waits if it is that.  A stretch of which something was given back and
 * taken again becomes huge again only when it has been quiet for a while, so that a store
 * which evicts is not copied again and again.
 */
#include "huge.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define SWITCH "/sys/kernel/mm/transparent_hugepage/enabled"
#define WHOLE ((int16_t)(HUGE_PAGE / PAGE)) /* pages in use */
#define QUEUE 4096u
#define STACK (128 * KIB)
#define QUIET 100 /* ms */
#define LIVES 1000 /* ms: a store that is closed before, as those of a trial, needs none */

static bool const kept[SEGMENTS] = {[META] = true, [SMALL] = true};

/* 2 MiB of a segment.  Only the lane writes. */
struct stretch {
	int16_t in_use; /* pages; fewer, even less than none, where some came from an image */
	bool broken;    /* pages were given back after all were in use */
};

struct huge {
	struct kv_store *st;
	struct stretch *all[SEGMENTS]; /* or NULL */
	pthread_mutex_t hands;         /* the thread's while it has something in them: */
	uint64_t in_hands;             /* the place of a stretch, see place_of() */
	pthread_t thread;
	bool runs; /* the lane's: there is a thread to be waited for */

	pthread_mutex_t lock;
	pthread_cond_t wake;
	uint64_t queue[QUEUE];
	uint64_t head, tail;
	bool ends;
};

/* A stretch of a segment in one word, never 0. */
static uint64_t place_of(unsigned seg, uint64_t stretch)
{
	return (stretch << 2 | seg) + 1;
}

/* ------------------------------------------------------------------------ thread */

static struct stretch *stretch_at(const struct huge *hg, uint64_t place)
{
	return &hg->all[(place - 1) & 3][(place - 1) >> 2];
}

/* Asks for one stretch; false: this system has none to give. */
static bool ask(struct huge *hg, uint64_t place)
{
	uint8_t *at = hg->st->base[(place - 1) & 3] + ((place - 1) >> 2) * HUGE_PAGE;
	bool known = true;

	pthread_mutex_lock(&hg->hands);
	__atomic_store_n(&hg->in_hands, place, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&stretch_at(hg, place)->in_use, __ATOMIC_SEQ_CST) == WHOLE &&
	    madvise(at, HUGE_PAGE, MADV_COLLAPSE) != 0)
		known = errno != EINVAL;
	__atomic_store_n(&hg->in_hands, 0, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&hg->hands);
	return known;
}

/* Waits so long, with the lock held, or until all is over. */
static void wait_for(struct huge *hg, long ms)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += ms % 1000 * 1000000l;
	end.tv_sec += ms / 1000 + end.tv_nsec / 1000000000l;
	end.tv_nsec %= 1000000000l;
	while (!hg->ends && pthread_cond_timedwait(&hg->wake, &hg->lock, &end) == 0)
		;
}

static void *ask_all(void *arg)
{
	struct huge *hg = arg;
	bool known = true;

	pthread_mutex_lock(&hg->lock);
	wait_for(hg, LIVES);
	while (known && !hg->ends) {
		uint64_t place;

		if (hg->head == hg->tail) {
			pthread_cond_wait(&hg->wake, &hg->lock);
			continue;
		}
		place = hg->queue[hg->head++ % QUEUE];
		if (__atomic_load_n(&stretch_at(hg, place)->broken, __ATOMIC_RELAXED))
			wait_for(hg, QUIET);
		if (hg->ends)
			break;
		pthread_mutex_unlock(&hg->lock);
		known = ask(hg, place);
		pthread_mutex_lock(&hg->lock);
	}
	hg->ends = true;
	pthread_mutex_unlock(&hg->lock);
	return NULL;
}

/* It takes no signals.  Without it all pages stay small. */
static bool begin(struct huge *hg)
{
	pthread_attr_t how;
	sigset_t all, before;

	if (pthread_attr_init(&how) != 0)
		return false;
	(void)pthread_attr_setstacksize(&how, STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	hg->runs = pthread_create(&hg->thread, &how, ask_all, hg) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&how);
	return hg->runs;
}

/* ---------------------------------------------------------------------- the lane */

/* Has the thread ask for a stretch; what finds no place in the queue stays as it is. */
static void put(struct huge *hg, uint64_t place)
{
	pthread_mutex_lock(&hg->lock);
	if (!hg->ends && hg->tail - hg->head < QUEUE) {
		hg->queue[hg->tail++ % QUEUE] = place;
		hg->ends = !hg->runs && !begin(hg);
		pthread_cond_signal(&hg->wake);
	}
	pthread_mutex_unlock(&hg->lock);
}

/* Counts pages of [at, at + len) as in use, or not (sign -1); asks for what is whole by that. */
static void count(struct huge *hg, enum segment seg, uint64_t at, uint64_t len, int sign, bool asks)
{
	for (uint64_t end = at + len; at < end;) {
		uint64_t n = at / HUGE_PAGE;
		uint64_t next = (n + 1) * HUGE_PAGE < end ? (n + 1) * HUGE_PAGE : end;
		struct stretch *s = &hg->all[seg][n];

		if (sign < 0 && s->in_use == WHOLE)
			__atomic_store_n(&s->broken, true, __ATOMIC_RELAXED);
		__atomic_store_n(&s->in_use, (int16_t)(s->in_use + sign * (int)((next - at) / PAGE)),
				 __ATOMIC_SEQ_CST);
		if (asks && s->in_use == WHOLE)
			put(hg, place_of(seg, n));
		at = next;
	}
}

void huge_note(struct kv_store *st, enum segment seg, uint64_t at, uint64_t len)
{
	if (st->huge != NULL && kept[seg])
		count(st->huge, seg, at, len, 1, true);
}

void huge_leave(struct kv_store *st, enum segment seg, uint64_t at, uint64_t len)
{
	struct huge *hg = st->huge;
	uint64_t place;

	if (hg == NULL || !kept[seg])
		return;
	count(hg, seg, at, len, -1, false);
	place = __atomic_load_n(&hg->in_hands, __ATOMIC_SEQ_CST);
	if (place != 0 && ((place - 1) & 3) == (uint64_t)seg && (place - 1) >> 2 >= at / HUGE_PAGE &&
	    (place - 1) >> 2 <= (at + len - 1) / HUGE_PAGE) {
		pthread_mutex_lock(&hg->hands);
		pthread_mutex_unlock(&hg->hands);
	}
}

/* ------------------------------------------------------------------- open, close */

/* Whether huge pages are wanted on this machine at all. */
static bool wanted(void)
{
	char text[64] = "";
	int fd = open(SWITCH, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;

	if (fd >= 0)
		close(fd);
	return n > 0 && strstr(text, "[never]") == NULL;
}

static void huge_free(struct huge *hg)
{
	for (unsigned seg = 0; seg < SEGMENTS; seg++)
		free(hg->all[seg]);
	pthread_cond_destroy(&hg->wake);
	pthread_mutex_destroy(&hg->lock);
	pthread_mutex_destroy(&hg->hands);
	free(hg);
}

void huge_open(struct kv_store *st)
{
	struct huge *hg = wanted() ? calloc(1, sizeof *hg) : NULL;
	pthread_condattr_t clock;

	if (hg == NULL)
		return;
	hg->st = st;
	pthread_mutex_init(&hg->hands, NULL);
	pthread_mutex_init(&hg->lock, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&hg->wake, &clock);
	pthread_condattr_destroy(&clock);
	for (unsigned seg = 0; seg < SEGMENTS; seg++) {
		if (!kept[seg])
			continue;
		hg->all[seg] = calloc(st->segments[seg].length / HUGE_PAGE + 1, sizeof *hg->all[seg]);
		if (hg->all[seg] == NULL || (uintptr_t)st->base[seg] % HUGE_PAGE != 0) {
			huge_free(hg);
			return;
		}
	}
	/* Nothing is ever put before the pool's first chunk: it is as good as used. */
	hg->all[META][POOL_AT / HUGE_PAGE].in_use = CHUNK_LINES * LINE / PAGE;
	st->huge = hg;
}

void huge_count(struct kv_store *st)
{
	const struct header *h = st->h;

	if (st->huge == NULL || h->imaged)
		return; /* what is mapped from an image stays so */
	for (uint32_t line = h->pool_holes; line != 0; line = *(const uint32_t *)(const void *)pool_at(st, line))
		count(st->huge, META, POOL_AT + (uint64_t)line * LINE + PAGE, CHUNK_LINES * LINE - PAGE, -1, false);
	for (uint32_t r = 0; r < h->region_count; r++)
		count(st->huge, SMALL, (uint64_t)r * REGION_SIZE, st->regions[r].committed, 1, false);
	count(st->huge, META, h->pool.start, h->pool.committed, 1, false);
}

void huge_go_on(struct kv_store *st)
{
	struct huge *hg = st->huge;

	if (hg == NULL || !hg->ends)
		return;
	if (hg->runs)
		pthread_join(hg->thread, NULL);
	hg->runs = false;
	hg->ends = hg->head != hg->tail && !begin(hg);
}

void huge_stop(struct kv_store *st)
{
	struct huge *hg = st->huge;

	if (hg == NULL)
		return;
	pthread_mutex_lock(&hg->lock);
	hg->ends = true;
	pthread_cond_signal(&hg->wake);
	pthread_mutex_unlock(&hg->lock);
}

void huge_end(struct kv_store *st)
{
	struct huge *hg = st->huge;

	if (hg == NULL)
		return;
	huge_stop(st);
	if (hg->runs)
		pthread_join(hg->thread, NULL);
	huge_free(hg);
	st->huge = NULL;
}
