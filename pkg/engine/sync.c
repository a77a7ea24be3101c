/*
 * sync.c - the thread that waits for disks
 *
 * It is a thread of C and not a goroutine: fdatasync(2) would hold, and on its way back wait
 * for, the processor that the reactor works with.
 */
#define _GNU_SOURCE
#include "host.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum state { IDLE, BEGUN, DONE, LEAVING };

struct kvh_syncer {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum state state;     /* guarded by lock, as is all below */
	struct kv_commit work; /* descriptors are duplicates, ours */
	int error;
	int fail;
	int bell;
};

/* Syncs and closes one descriptor; 0 or an errno. */
static int sync_one(int fd, int full)
{
	int rc, error;

	do
		rc = full ? fsync(fd) : fdatasync(fd);
	while (rc != 0 && errno == EINTR);
	error = rc != 0 ? errno : 0;
	close(fd);
	return error;
}

static int sync_all(const struct kv_commit *work, int fail)
{
	int error = fail;

	for (uint32_t i = 0; i < work->fd_count; i++) {
		if (error != 0) {
			close(work->fd[i]);
			continue;
		}
		error = sync_one(work->fd[i], (int)(work->full >> i & 1));
	}
	return error;
}

static void ring(int bell)
{
	const uint64_t one = 1;
	ssize_t n;

	do
		n = write(bell, &one, sizeof one);
	while (n < 0 && errno == EINTR);
}

static void *serve(void *arg)
{
	struct kvh_syncer *s = arg;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (s->state != BEGUN && s->state != LEAVING)
			pthread_cond_wait(&s->changed, &s->lock);
		if (s->state == LEAVING)
			break;
		struct kv_commit work = s->work;
		int fail = s->fail;

		s->fail = 0;
		pthread_mutex_unlock(&s->lock);
		int error = sync_all(&work, fail);

		pthread_mutex_lock(&s->lock);
		s->error = error;
		s->state = DONE;
		pthread_cond_broadcast(&s->changed);
		ring(s->bell);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* The thread takes no signal: they are the host's. */
static int start(struct kvh_syncer *s)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&s->thread, NULL, serve, s);

	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

struct kvh_syncer *kvh_syncer_new(void)
{
	struct kvh_syncer *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	s->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->bell >= 0 && start(s) == 0)
		return s;
	if (s->bell >= 0)
		close(s->bell);
	free(s);
	return NULL;
}

void kvh_syncer_free(struct kvh_syncer *s)
{
	int ignored;

	kvh_syncer_end(s, 1, &ignored);
	pthread_mutex_lock(&s->lock);
	s->state = LEAVING;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	close(s->bell);
	free(s);
}

int kvh_syncer_bell(const struct kvh_syncer *s)
{
	return s->bell;
}

/* Duplicates the descriptors of a commit; 0, or an errno with none of them open. */
static int duplicate(struct kv_commit *work)
{
	for (uint32_t i = 0; i < work->fd_count; i++) {
		int fd = dup(work->fd[i]);

		if (fd < 0) {
			int error = errno;

			while (i-- > 0)
				close(work->fd[i]);
			return error;
		}
		work->fd[i] = fd;
	}
	return 0;
}

void kvh_syncer_begin(struct kvh_syncer *s, const struct kv_commit *commit)
{
	struct kv_commit work = *commit;
	int error = duplicate(&work);

	pthread_mutex_lock(&s->lock);
	if (error == 0) {
		s->work = work;
		s->state = BEGUN;
		pthread_cond_broadcast(&s->changed);
	} else {
		s->error = error;
		s->state = DONE;
		ring(s->bell);
	}
	pthread_mutex_unlock(&s->lock);
}

int kvh_syncer_end(struct kvh_syncer *s, int wait, int *error)
{
	uint64_t count;
	int done;

	pthread_mutex_lock(&s->lock);
	while (wait && s->state == BEGUN)
		pthread_cond_wait(&s->changed, &s->lock);
	done = s->state == DONE;
	if (done) {
		*error = s->error;
		s->state = IDLE;
	}
	/* Who waited has not told those that the bell is for. */
	if (!wait && read(s->bell, &count, sizeof count) < 0)
		errno = 0; /* it was silent already */
	pthread_mutex_unlock(&s->lock);
	return done;
}

void kvh_syncer_fail(struct kvh_syncer *s, int error)
{
	pthread_mutex_lock(&s->lock);
	s->fail = error;
	pthread_mutex_unlock(&s->lock);
}
