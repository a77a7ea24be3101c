/*
 * disk_base.c - the base: all entries, written beside the log
 *
 * A walk over the index in slices, as for SCAN.  Before it begins the log goes on in a new file, so
 * whatever the walk sees of an entry, early or late, the records of that log come to the
 * same in the end.  The base ends by saying how far the log had come: only together
 * with that much of the log is it a state that the store was in.
 */
#include "disk.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define GATHER (256 * KIB)
#define RETRY 1000        /* ms, when writes wait for it */
#define RETRY_QUIET 10000 /* ms, else */
#define UNIT_BYTES 256u   /* of a value, count as an entry */

#ifndef DISK_BASE_LEAST
#define DISK_BASE_LEAST (64 * MIB)
#endif
uint64_t disk_base_least = DISK_BASE_LEAST;
uint64_t disk_wear = DISK_WEAR;

/* The first of them is done with. */
static void held_end(struct kv_store *st, struct disk *d)
{
	struct held *h = d->held;

	d->held = h->next;
	extent_let(st, h->page);
	free(h);
}

/* The base that was asked for does not come. */
static void refuse_asked(struct disk *d)
{
	d->asked = DISK_UNASKED;
	d->not_saved = 1;
}

void base_abandon(struct kv_store *st, struct disk *d)
{
	char name[NAME_ROOM];

	if (d->asked == DISK_ANSWERED)
		refuse_asked(d);

	if (d->phase == DISK_WALK || d->phase == DISK_SYNC) {
		file_name(name, "new", d->base.number);
		disk_calls->unlink(d->dir, name);
	}
	while (d->held != NULL)
		held_end(st, d);
	file_close(&d->base);
	d->base_buffer.records = 0;
	if (d->base_buffer.room != 0)
		d->base_buffer.used = sizeof(struct frame_head);
	d->phase = DISK_LOG;
}

/* It did not work out: says so, and when to try again. */
static void base_failed(struct kv_store *st, int error, int64_t now)
{
	struct disk *d = st->disk;
	char text[200];

	if (d->status == KV_OK && st->log != NULL) {
		snprintf(text, sizeof text, "the log cannot be shortened now: no snapshot could be written: %s", strerror(error));
		st->log(st->log_host, KV_LOG_WARNING, text);
	}
	if (d->asked == DISK_ASKED && d->phase == DISK_LOG)
		refuse_asked(d); /* it could not even be begun */
	base_abandon(st, d);
	d->retry_at = now + (d->status == KV_OK ? RETRY_QUIET : RETRY);
}

static int flush(struct disk *d, const void *more, uint64_t more_len)
{
	struct frame_head h = {.kind = FRAME_RECORDS, .count = d->base_buffer.records};

	if (h.count == 0)
		return 0;
	h.seq = ++d->base_frames;
	return frame_write(&d->base, &d->base_buffer, &h, more, more_len);
}

/* ------------------------------------------------------------------------- walk */

struct walk {
	struct kv_store *st;
	uint64_t used;
	int error;
};

/* Has a long value written after this. */
static void hold(struct walk *w, const struct entry *e)
{
	struct disk *d = w->st->disk;
	struct held *h = malloc(sizeof *h + e->key_len);

	if (h == NULL) {
		w->error = ENOMEM;
		return;
	}
	*h = (struct held){.next = d->held, .value = e->value, .page = extent_hold(w->st, e),
			   .take = {.type = RECORD_TAKE, .space = d->space, .tag = e->tag, .expiry = e->expiry,
				    .stage = BASE_STAGE, .key = (uint8_t *)(h + 1), .key_len = e->key_len,
				    .total = e->value_len}};
	memcpy(h + 1, e->key, e->key_len);
	d->held = h;
}

/* Writes a piece of the first long value that waits, after the last one its key. */
static void write_held(struct walk *w)
{
	struct disk *d = w->st->disk;
	struct held *h = d->held;
	uint64_t left = h->take.total - h->written;
	uint64_t most = stage_piece < GATHER ? stage_piece : GATHER;
	struct record r = {.type = RECORD_STAGE, .stage = BASE_STAGE, .offset = h->written, .total = h->take.total,
			   .value = h->value + h->written, .value_len = left < most ? left : most};

	w->used += 1 + r.value_len / UNIT_BYTES;
	if (!buffer_reach(&d->base_buffer, 2 * RECORD_HEAD_MAX + h->take.key_len)) {
		w->error = ENOMEM;
		return;
	}
	buffer_put(&d->base_buffer, &r, false);
	d->base_records++;
	if (flush(d, r.value, r.value_len) != 0) {
		w->error = errno;
		return;
	}
	h->written += r.value_len;
	if (h->written < h->take.total)
		return;
	/* The flush may have given the buffer back. */
	if (!buffer_reach(&d->base_buffer, RECORD_HEAD_MAX + h->take.key_len)) {
		w->error = ENOMEM;
		return;
	}
	buffer_put(&d->base_buffer, &h->take, false);
	d->base_records++;
	held_end(w->st, d);
}

/* Also of one whose time has passed: it is there until it is noted that it has gone.  The clock
 * may be set back before that, and what is then told of it in the log has to find it. */
static void write_entry(void *arg, const struct entry *e)
{
	struct walk *w = arg;
	struct disk *d = w->st->disk;
	struct record r = {.type = RECORD_SET, .space = d->space, .tag = e->tag, .expiry = e->expiry,
			   .key = e->key, .key_len = e->key_len, .value = e->value, .value_len = e->value_len};
	bool big = e->value_len >= DISK_BIG;

	if (w->error != 0)
		return;
	if (e->value_len >= stage_piece && e->value_len >= KV_PIN_LENGTH) {
		hold(w, e);
		return;
	}
	w->used += 1 + (e->key_len + e->value_len) / UNIT_BYTES;
	if (!buffer_reach(&d->base_buffer, RECORD_HEAD_MAX + e->key_len + (big ? 0 : e->value_len))) {
		w->error = ENOMEM;
		return;
	}
	buffer_put(&d->base_buffer, &r, !big);
	d->base_records++;
	if ((big && flush(d, e->value, e->value_len) != 0) ||
	    (!big && d->base_buffer.used >= GATHER && flush(d, NULL, 0) != 0))
		w->error = errno;
}

/* The next space to be walked; false when there is none. */
static bool next_space(struct kv_store *st)
{
	struct disk *d = st->disk;
	uint32_t next = space_next(st, d->space);

	if (next == KV_SPACE_ALL)
		return false;
	d->space = next;
	d->place = 0;
	d->walking = 1;
	return true;
}

/* Walks on; true at the end. */
static bool walk_on(struct walk *w, uint64_t budget)
{
	struct disk *d = w->st->disk;

	while (w->used < budget && w->error == 0) {
		const struct space *sp;

		if (d->held != NULL) {
			write_held(w);
			continue;
		}
		if (!d->walking && !next_space(w->st))
			return true;
		sp = space_find(w->st, d->space);
		d->place = sp != NULL ? scan_walk(w->st, sp, d->place, write_entry, w) : 0;
		w->used++;
		if (d->place == 0)
			d->walking = 0;
	}
	return false;
}

/* ------------------------------------------------------------------ begin and end */

/* Whether the log is one that an attempt before this one made, with nothing in it: else each
 * would leave one, every second while the disk refuses the base. */
static bool log_is_new(const struct disk *d)
{
	return d->log.size == sizeof(struct file_head) && d->log.number > d->oldest && !d->log.doubted;
}

static int begin(struct kv_store *st)
{
	struct disk *d = st->disk;

	disk_flush(st);
	if (!log_is_new(d) && log_rotate(d) != 0)
		return -1;
	if (d->status != KV_OK)
		file_close(&d->before); /* what it holds counts no more */
	if (disk_make(d, &d->base, "new", d->log.number, FILE_BASE) != 0)
		return -1;
	d->phase = DISK_WALK;
	if (d->asked == DISK_ASKED)
		d->asked = DISK_ANSWERED;
	d->space = KV_SPACE_ALL;
	d->walking = 0;
	d->base_frames = 0;
	d->base_records = 0;
	d->grown = 0;
	return 0;
}

static int finish(struct disk *d)
{
	struct frame_head h = {.kind = FRAME_END, .count = d->base_records,
			       .synced = d->seq + (d->buffer.records != 0)};

	if (flush(d, NULL, 0) != 0)
		return -1;
	if (!buffer_reach(&d->base_buffer, 1)) {
		errno = ENOMEM;
		return -1;
	}
	h.seq = ++d->base_frames;
	if (frame_write(&d->base, &d->base_buffer, &h, NULL, 0) != 0)
		return -1;
	d->phase = DISK_SYNC;
	d->base_mark = 0;
	d->extra++;
	return 0;
}

/* Cuts a piece from the end of a file that counts no more, or removes it; true when it is gone.
 * To remove a long one at once takes the system as long as to write it. */
static bool wear(struct disk *d, const char *prefix, uint64_t number, bool all)
{
	char name[NAME_ROOM];
	uint64_t size = 0;
	int fd;

	file_name(name, prefix, number);
	fd = all ? -1 : disk_calls->open(d->dir, name, O_RDWR, 0);
	if (fd >= 0) {
		size = disk_calls->size(fd);
		if (size != UINT64_MAX && size > disk_wear)
			size = disk_calls->truncate(fd, (off_t)(size - disk_wear)) == 0 ? size - disk_wear : 0;
		disk_calls->close(fd);
	}
	if (size != UINT64_MAX && size > disk_wear)
		return false;
	disk_calls->unlink(d->dir, name);
	return true;
}

/* Removes what the newest base stands for: short files, and a piece of the first long one; all of
 * it: at the end. */
static void remove_old(struct disk *d, bool all)
{
	while (d->worn < d->oldest) {
		if (!wear(d, "base", d->worn, all) || !wear(d, "log", d->worn, all))
			return;
		d->worn++;
	}
}

void base_end(struct disk *d)
{
	remove_old(d, true);
}

void base_ask(struct disk *d, struct kv_commit *c, bool wanted)
{
	if (wanted && d->asked == DISK_UNASKED) {
		d->asked = DISK_ASKED;
		d->not_saved = 0;
	}
	if (d->asked == DISK_ASKED && d->status != KV_OK)
		refuse_asked(d);
	if (d->asked != DISK_UNASKED)
		c->flags |= KV_COMMIT_SAVING;
	else if (d->not_saved)
		c->flags |= KV_COMMIT_NOT_SAVED;
}

void base_synced(struct kv_store *st, uint64_t mark)
{
	struct disk *d = st->disk;
	char from[NAME_ROOM], to[NAME_ROOM];

	if (d->phase < DISK_SYNC || d->base_mark == 0 || mark < d->base_mark)
		return;
	if (d->phase == DISK_SYNC) {
		file_name(from, "new", d->base.number);
		file_name(to, "base", d->base.number);
		if (disk_calls->rename(d->dir, from, to) != 0) {
			base_failed(st, errno, st->kept_at);
			return;
		}
		d->phase = DISK_NAMED;
		d->base_mark = 0;
		d->extra++;
		return;
	}
	d->oldest = d->base.number;
	remove_old(d, false);
	d->base_size = d->base.size;
	file_close(&d->base);
	d->phase = DISK_LOG;
	if (d->asked == DISK_ANSWERED)
		d->asked = DISK_UNASKED;
	if (d->status != KV_OK && st->log != NULL)
		st->log(st->log_host, KV_LOG_WARNING, "writes are taken again: all data is in new files");
	d->status = KV_OK;
	d->said = 0;
}

/* ---------------------------------------------------------------------- maintain */

/* Whether the next attempt is to come later.  One that is far ahead is of a clock that was set back. */
static bool waits(const struct disk *d, int64_t now)
{
	return now < d->retry_at && d->retry_at - now <= RETRY_QUIET;
}

static bool wanted(const struct disk *d, int64_t now)
{
	uint64_t least = d->base_size > disk_base_least ? d->base_size : disk_base_least;

	if (d->phase != DISK_LOG)
		return false;
	if (d->asked == DISK_ASKED && d->status == KV_OK)
		return d->before.fd < 0;
	if (waits(d, now))
		return false;
	if (d->status != KV_OK)
		return true;
	return d->grown >= least && d->before.fd < 0;
}

uint64_t disk_maintain(struct kv_store *st, uint64_t budget, int64_t now, bool *more, int64_t *next)
{
	struct disk *d = st->disk;
	struct walk w = {.st = st};

	if (d == NULL)
		return 0;
	st->kept_at = now;
	if (d->worn < d->oldest) {
		remove_old(d, false);
		w.used += disk_wear / UNIT_BYTES / 8;
		*more |= d->worn < d->oldest;
	}
	if (wanted(d, now) && begin(st) != 0)
		base_failed(st, errno, now);
	if (d->phase == DISK_WALK) {
		bool end = walk_on(&w, budget);

		if (w.error == 0 && end && finish(d) != 0)
			w.error = errno;
		if (w.error != 0)
			base_failed(st, w.error, now);
		*more |= d->phase == DISK_WALK;
	}
	if (d->asked == DISK_ASKED || d->phase >= DISK_SYNC) /* something is on its way to the disk */
		*next = now + RETRY;
	if (d->status != KV_OK && d->phase == DISK_LOG)
		*next = waits(d, now) ? d->retry_at : now + RETRY;
	else if (d->said && evict_due(st->h)) /* which waits for room in the log */
		*next = now + RETRY;
	return w.used;
}
