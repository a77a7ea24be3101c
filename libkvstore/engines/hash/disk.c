/* disk.c - the log: noted in exec(), written in commit(), and what a failing disk means */
#include "disk.h"
#include "image.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>

#define DISK_MAGIC 0x6b7369642d766bull
#define DISK_SIZE (sizeof(struct disk) + sizeof(struct held)) /* of what changes hands as it lies */
#define RESERVE_STEP (8 * MIB)
#define UNRESERVED (UINT64_MAX / 2)

static void say(struct kv_store *st, int level, const char *what, int error)
{
	char text[256];

	if (st->log == NULL)
		return;
	if (error != 0)
		snprintf(text, sizeof text, "%s: %s", what, strerror(error));
	else
		snprintf(text, sizeof text, "%s", what);
	st->log(st->log_host, level, text);
}

/* ------------------------------------------------------------- open and close */

static struct disk *disk_new(const struct kv_open *open)
{
	struct disk *d = calloc(1, sizeof *d);

	if (d == NULL)
		return NULL;
	d->magic = DISK_MAGIC;
	d->size = DISK_SIZE;
	d->ids = open->seed;
	d->log.fd = d->before.fd = d->base.fd = -1;
	d->next = d->oldest = d->worn = 1;
	d->dir = disk_calls->open(AT_FDCWD, open->state_dir, O_RDONLY | O_DIRECTORY, 0);
	return d;
}

static void disk_free(struct disk *d)
{
	file_close(&d->log);
	file_close(&d->before);
	file_close(&d->base);
	if (d->dir >= 0)
		disk_calls->close(d->dir);
	free(d->buffer.bytes);
	free(d->base_buffer.bytes);
	free(d);
}

/* The first log of a new store. */
static int first_log(struct disk *d, const struct kv_open *open)
{
	uint64_t state = open->seed ^ (uint64_t)open->now;

	d->store = hash_step(&state);
	d->ids = hash_step(&state);
	if (disk_make(d, &d->log, "log", 1, FILE_LOG) != 0) {
		snprintf(open->error, open->error_size, "cannot make %s/log-1: %s; fix: make room, or see who may write there",
			 open->state_dir, strerror(errno));
		return disk_status(errno);
	}
	d->next = 2;
	d->names = 1;
	d->reserved = d->log.size;
	d->extra = 1;
	return KV_OK;
}

int disk_open(struct kv_store *st, const struct kv_open *open)
{
	struct disk *d = disk_new(open);
	int rc;

	if (d == NULL) {
		snprintf(open->error, open->error_size, "no memory");
		return KV_NO_MEMORY;
	}
	if (d->dir < 0) {
		snprintf(open->error, open->error_size, "cannot open %s: %s", open->state_dir, strerror(errno));
		rc = KV_IO;
	} else if (open->flags & KV_OPEN_NEW) {
		rc = first_log(d, open);
	} else {
		rc = disk_recover(st, d, open);
	}
	if (rc != KV_OK) {
		disk_free(d);
		return rc;
	}
	d->worn = d->oldest;
	st->disk = d;
	return KV_OK;
}

bool disk_sound(const struct disk *d)
{
	return d == NULL || (d->magic == DISK_MAGIC && d->size == DISK_SIZE);
}

void disk_close(struct kv_store *st)
{
	struct disk *d = st->disk;

	if (d == NULL)
		return;
	disk_flush(st);
	base_abandon(st, d);
	base_end(d);
	if (d->status == KV_OK) {
		/* Gives the reserved rest back; it does no harm where it stays. */
		(void)disk_calls->truncate(d->log.fd, (off_t)d->log.size);
		if ((d->before.fd >= 0 && disk_calls->fsync(d->before.fd) != 0) ||
		    disk_calls->fsync(d->log.fd) != 0 || (d->names && disk_calls->fsync(d->dir) != 0))
			say(st, KV_LOG_ERROR, "the last writes may not be on disk", errno);
		else
			image_write(st);
	}
	disk_free(d);
	st->disk = NULL;
}

/* ---------------------------------------------------------------------- failure */

void disk_fail(struct kv_store *st, int error)
{
	struct disk *d = st->disk;

	if (d->status == KV_OK || !d->said)
		say(st, KV_LOG_ERROR, "no write is taken until all data is in new files, which is tried every second: "
		    "the disk failed", error);
	d->said = 1;
	d->status = disk_status(error);
	d->lost |= d->buffer.records != 0;
	d->buffer.records = 0;
	if (d->buffer.room != 0)
		d->buffer.used = sizeof(struct frame_head);
	base_abandon(st, d);
	d->log.doubted = 1;
	d->retry_at = INT64_MIN;
}

/* ------------------------------------------------------------------ while it runs */

/* Has the disk reserve room for n bytes more than are gathered. */
static int reserve(struct disk *d, uint64_t n)
{
	uint64_t need = d->log.size + d->buffer.used + n + DISK_SPARE;
	uint64_t step = need - d->reserved < RESERVE_STEP ? RESERVE_STEP : round_up(need - d->reserved, RESERVE_STEP);
	int tries = 2;

	while (tries-- > 0) {
		if (disk_calls->fallocate(d->log.fd, FALLOC_FL_KEEP_SIZE, (off_t)d->reserved, (off_t)step) == 0) {
			d->reserved += step;
			return KV_OK;
		}
		if (errno == EOPNOTSUPP || errno == ENOSYS) {
			d->reserved = UNRESERVED;
			return KV_OK;
		}
		step = round_up(need - d->reserved, 64 * KIB);
	}
	return disk_status(errno);
}

int disk_reserve(struct kv_store *st, uint64_t key_len, uint64_t value_len)
{
	struct disk *d = st->disk;
	uint64_t n = RECORD_HEAD_MAX + key_len + value_len;
	bool big = value_len >= DISK_BIG && !d->joined;
	int rc;

	if (d->status != KV_OK)
		return d->status;
	if (!buffer_reach(&d->buffer, big ? n - value_len : n))
		return KV_NO_MEMORY;
	if (d->log.size + d->buffer.used + n + DISK_SPARE <= d->reserved)
		return KV_OK;
	rc = reserve(d, n);
	if (rc != KV_OK && !d->said) {
		say(st, KV_LOG_ERROR, "writes are refused: no room for the log", errno);
		d->said = 1;
	} else if (rc == KV_OK && d->said) {
		say(st, KV_LOG_WARNING, "writes are taken again", 0);
		d->said = 0;
	}
	return rc;
}

static void write_frame(struct kv_store *st, const void *more, uint64_t more_len)
{
	struct disk *d = st->disk;
	struct frame_head h = {.kind = FRAME_RECORDS, .seq = d->seq + 1, .synced = d->synced,
			       .count = d->buffer.records};
	uint64_t before = d->log.size;

	if (UNLIKELY(d->image))
		image_drop(d);
	if (frame_write(&d->log, &d->buffer, &h, more, more_len) != 0) {
		d->lost = 1;
		disk_fail(st, errno);
		return;
	}
	d->seq++;
	d->grown += d->log.size - before;
}

void disk_flush(struct kv_store *st)
{
	if (st->disk->buffer.records != 0 && st->disk->status == KV_OK)
		write_frame(st, NULL, 0);
}

void disk_note(struct kv_store *st, const struct record *r)
{
	struct disk *d = st->disk;

	if (d->status != KV_OK) {
		d->lost = 1;
		return;
	}
	if (r->value_len >= DISK_BIG && !d->joined) {
		if (!buffer_reach(&d->buffer, RECORD_HEAD_MAX + r->key_len)) {
			d->lost = 1;
			disk_fail(st, ENOMEM);
			return;
		}
		buffer_put(&d->buffer, r, false);
		write_frame(st, r->value, r->value_len);
		return;
	}
	if (d->log.size + d->buffer.used + r->key_len + DISK_SPARE > d->reserved)
		(void)reserve(d, r->key_len); /* what made room had not asked: without it the write may fail */
	if (!buffer_reach(&d->buffer, RECORD_HEAD_MAX + r->key_len + r->value_len)) {
		d->lost = 1;
		disk_fail(st, ENOMEM);
		return;
	}
	buffer_put(&d->buffer, r, true);
	if (d->buffer.used >= DISK_GATHER && !d->joined)
		write_frame(st, NULL, 0);
}

int log_rotate(struct disk *d)
{
	struct disk_file next;
	uint64_t number = d->next++;

	if (d->image)
		image_drop(d);
	if (disk_make(d, &next, "log", number, FILE_LOG) != 0)
		return -1;
	/* Gives the reserved rest back; it does no harm where it stays. */
	(void)disk_calls->truncate(d->log.fd, (off_t)d->log.size);
	file_close(&d->before);
	d->before = d->log;
	d->before_mark = 0;
	d->log = next;
	d->reserved = next.size;
	d->names = 1;
	d->names_mark = 0;
	d->extra++;
	return 0;
}

/* ----------------------------------------------------------------------- commit */

static void take_synced(struct kv_store *st, uint64_t mark)
{
	struct disk *d = st->disk;
	uint64_t seq = mark > d->extra ? mark - d->extra : 0;

	if (seq > d->synced)
		d->synced = seq;
	if (d->names && d->names_mark != 0 && mark >= d->names_mark)
		d->names = 0;
	if (d->before.fd >= 0 && d->before_mark != 0 && mark >= d->before_mark)
		file_close(&d->before);
	base_synced(st, mark);
}

static void ask(struct kv_commit *c, int fd, bool full)
{
	c->full |= (uint32_t)full << c->fd_count;
	c->fd[c->fd_count++] = fd;
}

/* What is not on disk yet. */
static void ask_all(struct disk *d, struct kv_commit *c)
{
	c->mark = d->seq + d->extra;
	if (d->before.fd >= 0) {
		ask(c, d->before.fd, false);
		d->before_mark = d->before_mark == 0 ? c->mark : d->before_mark;
	}
	if (d->seq > d->synced || d->names || d->phase >= DISK_SYNC)
		ask(c, d->log.fd, false);
	if (d->phase == DISK_SYNC)
		ask(c, d->base.fd, true);
	if (d->names || d->phase == DISK_NAMED) {
		ask(c, d->dir, true);
		d->names_mark = d->names_mark == 0 ? c->mark : d->names_mark;
	}
	if (d->phase >= DISK_SYNC) {
		d->base_mark = d->base_mark == 0 ? c->mark : d->base_mark;
		c->flags |= KV_COMMIT_AGAIN;
	}
}

int disk_commit(struct kv_store *st, struct kv_commit *c)
{
	struct disk *d = st->disk;
	bool snapshot = (c->flags & KV_COMMIT_SNAPSHOT) != 0;
	int rc;

	c->fd_count = 0;
	c->full = 0;
	c->flags = 0;
	if (c->sync_error != 0)
		disk_fail(st, c->sync_error);
	else
		take_synced(st, c->synced);
	disk_flush(st);
	d->joined = 0;
	base_ask(d, c, snapshot);
	if (d->status == KV_OK || d->phase >= DISK_SYNC)
		ask_all(d, c);
	else
		c->mark = d->seq + d->extra;
	rc = d->lost ? d->status : KV_OK;
	d->lost = 0;
	return rc;
}

int hash_commit(kv_store *st, struct kv_commit *commit)
{
	if (st->disk == NULL) {
		commit->fd_count = 0;
		commit->flags = 0;
		return KV_OK;
	}
	return disk_commit(st, commit);
}
