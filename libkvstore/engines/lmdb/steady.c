/*
 * steady.c - see steady.h
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "journal.h"
#include "moment.h"
#include "steady.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define EVERY 500 /* ms between two syncs in the background */
#define EVERY_NOTED 5000 /* the same while there is a journal */
#define IDLE_MOST 16u /* so many moments without anybody waiting: no journal any more */
#define NOTED_LONG (64ull << 20) /* a journal as long as this: a sync at once */
#ifndef CHURN_LEAST
#define CHURN_LEAST (16ull << 20) /* so much and an eighth of the data: a sync at once */
#endif
#ifndef CHURN_MOST
#define CHURN_MOST 4u /* times that: writers wait for it */
#endif

struct steady {
	int fd; /* of the file, locked */
	int data;
	int dir;
	uint32_t page;
	char boot[BOOT]; /* "": nobody knows */
	uint64_t sequence;
	bool opened; /* the environment is, and what it has is whole */
	uint64_t reported; /* store->writes of which steady_commit() has told the outcome */
	uint64_t mark;     /* the last that a commit told */
	unsigned idle;     /* moments begun since somebody waited for a commit */
	bool cut; /* the power was: the journal is to be done once more */

	MDB_txn *held; /* the reader of the last moment; NULL: there is none yet */
	uint64_t held_writes; /* store->writes then */
	uint64_t held_churn; /* store->churn then */
	int64_t began; /* when the last job was */

	/* The job of the thread: the next moment. */
	MDB_txn *next;
	uint64_t next_writes, next_churn;
	struct moment moment;
	bool threaded;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t change;
	bool busy;  /* guarded by mutex: there is a job */
	bool stop;  /* guarded by mutex */
	int error;  /* of the job that was; the thread's while busy */
};

/* ----------------------------------------------------------------- moments */

static int put_moment(struct steady *s, struct moment *m)
{
	int rc = moment_write(s->fd, m);

	return rc != 0 ? rc : file_sync(s->fd);
}

/* The present moment, which is not yet on disk.  No transaction writes. */
static int describe(struct steady *s, struct moment *m)
{
	memset(m, 0, sizeof *m);
	memcpy(m->magic, MOMENT_MAGIC, sizeof m->magic);
	memcpy(m->boot, s->boot, sizeof m->boot);
	m->sequence = s->sequence + 1;
	m->page = s->page;
	for (unsigned i = 0; i < 2; i++)
		if (!file_read(s->data, m->meta[i], META_BYTES, (off_t)i * s->page))
			return EIO;
	s->sequence++;
	return 0;
}

/* ---------------------------------------------------------------- power cut */

/* Judges what the last user of the store left. */
static int recover(kv_store *store, const struct kv_open *open, const char *data)
{
	struct steady *s = store->steady;
	struct moment m;
	bool found;
	int rc;

	rc = moment_read(s->fd, &m, &found);
	if (rc != 0)
		return fail(open, status_of(rc), "%s/steady cannot be read: %s", open->state_dir,
			    strerror(rc));
	if (!found)
		return fail(open, KV_CORRUPT,
			    "%s/steady is damaged, so nobody can tell whether data.mdb is whole; "
			    "copy the directory away, and try what mdb_dump of LMDB reads there",
			    open->state_dir);
	s->sequence = m.sequence;
	if (m.closed || (s->boot[0] != '\0' && memcmp(s->boot, m.boot, BOOT) == 0))
		return KV_OK;
	s->cut = true;
	rc = moment_put_back(data, &m);
	if (rc != 0)
		return fail(open, status_of(rc), "%s: cannot be recovered: %s", data, strerror(rc));
	say(store, KV_LOG_WARNING, "the machine stopped while the store was open: it goes back to when "
	    "it was last synced, and does once more what its journal has");
	return KV_OK;
}

/* -------------------------------------------------------------------- open */

int steady_open(kv_store *store, const struct kv_open *open, bool fresh)
{
	struct steady *s = calloc(1, sizeof *s);
	char path[4096];

	if (s == NULL)
		return fail(open, KV_NO_MEMORY, "no memory for a store");
	s->fd = s->data = s->dir = -1;
	s->idle = IDLE_MOST;
	store->steady = s;
	pthread_mutex_init(&s->mutex, NULL);
	pthread_cond_init(&s->change, NULL);
	moment_boot(s->boot);
	s->dir = openat(AT_FDCWD, open->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir >= 0)
		s->fd = openat(s->dir, "steady", O_RDWR | O_CLOEXEC | (fresh ? O_CREAT : 0), 0600);
	if (s->fd < 0)
		return fail(open, status_of(errno), "%s holds no store of lmdb: %s/steady: %s",
			    open->state_dir, open->state_dir, strerror(errno));
	if (flock(s->fd, LOCK_EX | LOCK_NB) != 0)
		return fail(open, KV_REFUSED, "the store in %s is open already", open->state_dir);
	int rc = journal_open(store, s->dir);

	if (rc != 0)
		return fail(open, status_of(rc), "the journal in %s cannot be opened: %s",
			    open->state_dir, strerror(rc));
	if (fresh)
		return KV_OK;
	if (snprintf(path, sizeof path, "%s/data.mdb", open->state_dir) >= (int)sizeof path)
		return fail(open, KV_TOO_LARGE, "%s: the path is too long", open->state_dir);
	if (access(path, R_OK | W_OK) != 0)
		return fail(open, status_of(errno), "%s: %s", path, strerror(errno));
	return recover(store, open, path);
}

/* A reader of the present moment. */
static int hold(kv_store *store, MDB_txn **reader)
{
	return store->lost ? MDB_PANIC : mdb_txn_begin(store->env, NULL, MDB_RDONLY, reader);
}

/*
 * Does what the journal has since the moment that was gone back to.  The reader of that moment,
 * for which its pages stay as they are, is *before: the power may be cut again.
 */
static int redo_journal(kv_store *store, MDB_txn **before)
{
	struct steady *s = store->steady;
	uint64_t moment = s->sequence, last;
	int rc = journal_last_moment(store, &last);

	if (s->cut && rc == 0)
		rc = hold(store, before);
	if (s->cut && rc == 0)
		rc = journal_replay(store, moment);
	if (last > s->sequence)
		s->sequence = last;
	return rc;
}

int steady_begin(kv_store *store, bool fresh)
{
	struct steady *s = store->steady;
	MDB_txn *before = NULL;
	MDB_stat stat;
	int rc = mdb_env_get_fd(store->env, &s->data);

	if (rc == 0)
		rc = mdb_env_stat(store->env, &stat);
	if (rc != 0)
		return rc;
	s->page = stat.ms_psize;
	s->opened = fresh;
	if (fresh)
		return 0;
	rc = redo_journal(store, &before);
	if (rc == 0)
		rc = file_sync(s->data);
	if (rc == 0)
		rc = hold(store, &s->held);
	if (before != NULL)
		mdb_txn_abort(before);
	if (rc == 0)
		rc = describe(s, &s->moment);
	if (rc == 0)
		rc = put_moment(s, &s->moment);
	if (rc == 0 && fsync(s->dir) != 0)
		rc = errno;
	s->opened = rc == 0; /* else what is there is not to be taken for closed in order */
	return rc;
}

/* ----------------------------------------------------------------- the job */

/* Data first: what the moment leads to must be there before it is. */
static int do_job(struct steady *s)
{
	int rc = file_sync(s->data);

	return rc != 0 ? rc : put_moment(s, &s->moment);
}

static void *work(void *arg)
{
	struct steady *s = arg;

	pthread_mutex_lock(&s->mutex);
	for (;;) {
		while (!s->busy && !s->stop)
			pthread_cond_wait(&s->change, &s->mutex);
		if (!s->busy)
			break;
		pthread_mutex_unlock(&s->mutex);
		s->error = do_job(s);
		pthread_mutex_lock(&s->mutex);
		s->busy = false;
		pthread_cond_broadcast(&s->change);
	}
	pthread_mutex_unlock(&s->mutex);
	return NULL;
}

/* The thread, without the signals of the process. */
static int start_thread(struct steady *s)
{
	sigset_t all, before;
	int rc;

	if (s->threaded)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&s->thread, NULL, work, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	s->threaded = rc == 0;
	return rc;
}

/*
 * Prepares the job that makes the present moment the steady one.  waits: somebody does, until
 * it is.  A journal that goes on has all since the moment before, too; one that begins is worth
 * nothing until its moment is on disk, so that it begins only where that is waited for.
 */
static int prepare(kv_store *store, bool waits)
{
	struct steady *s = store->steady;
	int rc = hold(store, &s->next);

	if (rc != 0)
		return rc;
	rc = describe(s, &s->moment);
	if (rc != 0) {
		mdb_txn_abort(s->next);
		s->next = NULL;
		return rc;
	}
	if (s->idle++ < IDLE_MOST && (waits || journal_on(store)))
		journal_start(store, s->moment.sequence);
	else
		journal_stop(store);
	s->next_writes = store->writes;
	s->next_churn = store->churn;
	s->error = 0;
	return 0;
}

/* After a failed sync nobody knows what the disk has: nothing is written any more. */
static void sync_failed(kv_store *store, int error)
{
	store->broken = error == ENOSPC ? KV_NO_SPACE : KV_IO;
	journal_fail(store);
	say(store, KV_LOG_ERROR,
	    "the store cannot be synced (%s): writes are refused until it is opened again",
	    strerror(error));
}

/* Takes the outcome of a job that is done. */
static void finish(kv_store *store)
{
	struct steady *s = store->steady;

	if (s->next == NULL)
		return;
	if (s->error == 0) {
		if (s->held != NULL)
			mdb_txn_abort(s->held);
		s->held = s->next;
		s->held_writes = s->next_writes;
		s->held_churn = s->next_churn;
	} else {
		mdb_txn_abort(s->next);
		sync_failed(store, s->error);
	}
	s->next = NULL;
}

static bool is_busy(struct steady *s)
{
	bool busy;

	pthread_mutex_lock(&s->mutex);
	busy = s->busy;
	pthread_mutex_unlock(&s->mutex);
	return busy;
}

static void wait_for_job(kv_store *store)
{
	struct steady *s = store->steady;

	pthread_mutex_lock(&s->mutex);
	while (s->busy)
		pthread_cond_wait(&s->change, &s->mutex);
	pthread_mutex_unlock(&s->mutex);
	finish(store);
}

/* Gives the thread its job.  What cannot be begun now is tried again later. */
static void begin_job(kv_store *store, int64_t now)
{
	struct steady *s = store->steady;

	s->began = now;
	if (start_thread(s) != 0 || prepare(store, false) != 0)
		return;
	pthread_mutex_lock(&s->mutex);
	s->busy = true;
	pthread_cond_broadcast(&s->change);
	pthread_mutex_unlock(&s->mutex);
}

void steady_advance(kv_store *store, int64_t now, int64_t *next)
{
	struct steady *s = store->steady;

	if (!is_busy(s))
		finish(store);
	if (store->broken != KV_OK || s->held == NULL ||
	    (s->next == NULL && store->writes == s->held_writes))
		return;
	int64_t every = journal_on(store) ? EVERY_NOTED : EVERY;

	if (s->next == NULL && (now < s->began || now - s->began >= every))
		begin_job(store, now);
	if (*next == 0 || *next > now + EVERY)
		*next = now + EVERY;
}

/* Bytes that may be written anew before a sync begins, not waiting for its time. */
static uint64_t churn_allowed(const kv_store *store)
{
	return CHURN_LEAST + store->all.stored / 8;
}

/* Whether so much was written since the last moment. */
static bool wrote(const kv_store *store, uint64_t bytes)
{
	return (store->churn - store->steady->held_churn) * store->steady->page >= bytes;
}

void steady_wrote(kv_store *store, int64_t now)
{
	struct steady *s = store->steady;
	uint64_t allowed = churn_allowed(store);

	if (s->held == NULL || store->broken != KV_OK ||
	    (!wrote(store, allowed) && journal_length(store) < NOTED_LONG))
		return;
	if (!is_busy(s))
		finish(store);
	if (wrote(store, CHURN_MOST * allowed))
		wait_for_job(store);
	if (s->next == NULL && store->broken == KV_OK &&
	    (wrote(store, allowed) || journal_length(store) >= NOTED_LONG))
		begin_job(store, now);
}

int steady_sync(kv_store *store, bool noted)
{
	struct steady *s = store->steady;

	wait_for_job(store);
	if (s->held != NULL && store->writes == s->held_writes && (!noted || journal_on(store)))
		return KV_OK;
	if (store->broken != KV_OK)
		return store->broken;
	int rc = prepare(store, true);

	if (rc != 0)
		return status_of(rc);
	s->error = do_job(s);
	finish(store);
	return store->broken;
}

/*
 * The first moment of a new store, which nobody has for its own yet: the host syncs it
 * together with what it leads to, on its own thread, before it makes this the owner.
 */
static int first_moment(kv_store *store, struct kv_commit *commit)
{
	struct steady *s = store->steady;
	int rc = prepare(store, true);

	if (rc != 0)
		return status_of(rc);
	s->error = moment_write(s->fd, &s->moment);
	finish(store);
	commit->fd_count = 3;
	commit->fd[0] = s->data;
	commit->fd[1] = s->fd;
	commit->fd[2] = s->dir;
	commit->full = 1u << 2;
	return store->broken;
}

/* What the host says of its own syncs. */
static void hear(kv_store *store, const struct kv_commit *commit)
{
	if (commit->sync_error != 0 && store->broken == KV_OK)
		sync_failed(store, commit->sync_error);
}

int steady_commit(kv_store *store, struct kv_commit *commit, bool wait)
{
	struct steady *s = store->steady;
	bool news = s->held == NULL || s->reported != store->writes;
	int status = KV_OK;

	hear(store, commit);
	if (wait)
		s->idle = 0;
	if (journal_on(store))
		journal_write(store);
	if (journal_on(store) && s->held != NULL)
		status = news ? store->broken : KV_OK;
	else if (wait && news)
		status = s->held != NULL ? steady_sync(store, true) : first_moment(store, commit);
	else
		news = false;
	if (news)
		s->reported = s->mark = store->writes;
	commit->mark = s->mark;
	journal_descriptors(store, commit);
	return status;
}

/* ------------------------------------------------------------------- close */

static void end_thread(struct steady *s)
{
	if (!s->threaded)
		return;
	pthread_mutex_lock(&s->mutex);
	s->stop = true;
	pthread_cond_broadcast(&s->change);
	pthread_mutex_unlock(&s->mutex);
	pthread_join(s->thread, NULL);
	s->threaded = false;
}

/* Notes that the store was closed with everything on disk. */
static void note_closed(kv_store *store)
{
	struct steady *s = store->steady;
	struct moment m;

	if (steady_sync(store, false) != KV_OK || store->broken != KV_OK || describe(s, &m) != 0)
		return;
	m.closed = 1;
	int rc = put_moment(s, &m);

	if (rc != 0)
		say(store, KV_LOG_WARNING, "the end of the store could not be noted: %s",
		    strerror(rc));
}

void steady_end(kv_store *store)
{
	struct steady *s = store->steady;

	end_thread(s);
	if (s->opened)
		note_closed(store);
	if (s->held != NULL)
		mdb_txn_abort(s->held);
	s->held = NULL;
}

void steady_close(kv_store *store)
{
	struct steady *s = store->steady;

	journal_close(store);
	if (s->fd >= 0)
		close(s->fd);
	if (s->dir >= 0)
		close(s->dir);
	pthread_mutex_destroy(&s->mutex);
	pthread_cond_destroy(&s->change);
	free(s);
	store->steady = NULL;
}
