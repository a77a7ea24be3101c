/*
 * disk_recover.c - opening what a directory holds
 *
 * The newest base, then its log and all later ones.  Where the log stops making
 * sense it was torn by a crash, or it is damaged; a frame beyond that says which.  A torn
 * end is cut and told of; damage is not touched.
 */
#include "disk_read.h"
#include "image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TELL_EVERY (64 * MIB)

/* An opening under way. */
struct opening {
	struct kv_store *st;
	struct disk *d;
	const struct kv_open *open;
	struct replay replay;
	uint64_t *logs; /* numbers, ascending */
	uint64_t log_count;
	uint64_t base;   /* number, 0: none */
	uint64_t must;   /* the log must reach this seq */
	uint64_t first_seq;
	uint64_t total;  /* bytes to be read */
	uint64_t read;
	uint64_t told;
};

/* ---------------------------------------------------------------------- listing */

/* The number behind a prefix, 0 if it is none of these. */
static uint64_t number_of(const char *name, const char *prefix)
{
	size_t n = strlen(prefix);
	char *end;
	uint64_t number;

	if (strncmp(name, prefix, n) != 0 || name[n] < '1' || name[n] > '9')
		return 0;
	number = strtoull(name + n, &end, 10);
	return *end == '\0' && number < UINT64_MAX / 2 ? number : 0;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static bool add_log(struct opening *o, uint64_t number)
{
	uint64_t *more = realloc(o->logs, (o->log_count + 1) * sizeof *more);

	if (more == NULL)
		return false;
	o->logs = more;
	o->logs[o->log_count++] = number;
	return true;
}

/* Notes the logs and the newest base. */
static bool list(struct opening *o)
{
	int fd = openat(o->d->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	bool good = dir != NULL;
	struct dirent *e;

	if (dir == NULL && fd >= 0)
		close(fd);
	while (good && (e = readdir(dir)) != NULL) {
		uint64_t log = number_of(e->d_name, "log-");
		uint64_t base = number_of(e->d_name, "base-");

		o->base = base > o->base ? base : o->base;
		if (log != 0)
			good = add_log(o, log);
	}
	if (dir != NULL)
		closedir(dir);
	if (o->logs != NULL)
		qsort(o->logs, o->log_count, sizeof *o->logs, by_number);
	return good;
}

/* ------------------------------------------------------------------------ telling */

#define WAY_OUT "fix: sudo kvctl engine repair %s, which copies what is whole; or restore a backup"

static int damaged(struct opening *o, const struct reader *rd, uint64_t at, const char *why)
{
	if (rd->no_memory) {
		snprintf(o->open->error, o->open->error_size, "no memory to read %s", rd->name);
		return KV_NO_MEMORY;
	}
	if (rd->io_error != 0) {
		snprintf(o->open->error, o->open->error_size, "%s/%s cannot be read at offset %" PRIu64 ": %s; "
			 "fix: look at the disk (journalctl -k)", o->open->state_dir, rd->name, at, strerror(rd->io_error));
		return KV_IO;
	}
	snprintf(o->open->error, o->open->error_size, "%s/%s is damaged at offset %" PRIu64 ": %s; " WAY_OUT,
		 o->open->state_dir, rd->name, at, why, o->open->state_dir);
	return KV_CORRUPT;
}

static int missing(struct opening *o, const char *what)
{
	snprintf(o->open->error, o->open->error_size, "%s lacks %s; " WAY_OUT, o->open->state_dir, what, o->open->state_dir);
	return KV_CORRUPT;
}

/* A record could not be put into the store. */
static int unfit(struct opening *o, const struct reader *rd, int rc)
{
	if (rc == KV_CORRUPT)
		return damaged(o, rd, rd->at, "a frame with a good checksum holds no records of this engine");
	snprintf(o->open->error, o->open->error_size, "no memory for all that %s holds; fix: raise the memory limit",
		 o->open->state_dir);
	return rc;
}

static void say(struct opening *o, int level, const char *text)
{
	if (o->open->log != NULL)
		o->open->log(o->open->log_host, level, text);
}

static void tell(struct opening *o, const struct reader *rd, uint64_t n)
{
	char text[160];

	o->read += n;
	if (o->read - o->told < TELL_EVERY)
		return;
	o->told = o->read;
	if (o->total < o->read)
		o->total = o->read;
	snprintf(text, sizeof text, "reading %s, %llu MiB of %llu, %" PRIu64 " entries", rd->name,
		 o->read / MIB, o->total / MIB, o->st->h->entries);
	say(o, KV_LOG_STATUS, text);
}

/* ------------------------------------------------------------------------- base */

static int read_base(struct opening *o, struct reader *rd)
{
	uint64_t frames = 0;
	uint64_t records = 0;

	for (;;) {
		struct frame_head h;
		int rc;

		if (!reader_frame(rd, &h))
			return damaged(o, rd, rd->at, rd->why);
		if (h.seq != ++frames)
			return damaged(o, rd, rd->at, "a frame is missing before it");
		if (h.kind == FRAME_END) {
			if (rd->next != rd->size)
				return damaged(o, rd, rd->next, "something stands behind its end");
			if (h.length != 0 || h.count != records)
				return damaged(o, rd, rd->at, "it does not hold as many entries as it says");
			o->must = h.synced;
			return KV_OK;
		}
		if (h.kind != FRAME_RECORDS)
			return damaged(o, rd, rd->at, "a frame of an unknown kind");
		rc = replay_frame(o->st, &o->replay, rd, &h);
		if (rc != KV_OK)
			return unfit(o, rd, rc);
		records += h.count;
		tell(o, rd, rd->next - rd->at);
		rd->at = rd->next;
	}
}

static int load_base(struct opening *o)
{
	struct reader rd;
	int rc;

	if (!reader_open(&rd, o->d->dir, "base", o->base) || !reader_head(&rd, FILE_BASE)) {
		rc = damaged(o, &rd, 0, rd.why);
	} else {
		rc = read_base(o, &rd);
		o->first_seq = rd.head.first_seq;
		o->d->store = rd.head.store;
		o->d->base_size = rd.size;
	}
	reader_close(&rd);
	return rc;
}

/* ------------------------------------------------------------------------- logs */

/* Where the log stopped making sense. */
struct stop {
	bool stopped;
	uint64_t log; /* index */
	uint64_t at;
	const char *why;
};

/* Whether a frame from there on says that frame `seq` was on disk. */
static bool evidence(struct reader *rd, uint64_t seq)
{
	struct frame_head h;

	while (reader_seek(rd, &h)) {
		if (h.seq > seq && h.synced >= seq)
			return true;
		rd->at += 8;
	}
	return false;
}

/* The same, in all logs from i on but the first, where it begins at `at`. */
static bool evidence_from(struct opening *o, uint64_t i, uint64_t at, uint64_t seq)
{
	bool found = false;

	for (; i < o->log_count && !found; i++) {
		struct reader rd;

		if (reader_open(&rd, o->d->dir, "log", o->logs[i]) && reader_head(&rd, FILE_LOG)) {
			rd.at = at > rd.at ? at : rd.at;
			found = evidence(&rd, seq);
		}
		reader_close(&rd);
		at = 0;
	}
	return found;
}

/* The frames of one log; what is not KV_OK ends the opening. */
static int read_log(struct opening *o, struct reader *rd, struct stop *stop)
{
	while (rd->at < rd->size) {
		struct frame_head h;
		int rc;

		if (!reader_frame(rd, &h)) {
			if (rd->io_error != 0 || rd->no_memory)
				return damaged(o, rd, rd->at, rd->why);
			stop->stopped = true;
			stop->why = rd->why;
			break;
		}
		if (h.seq != o->d->seq + 1 || h.kind != FRAME_RECORDS) {
			stop->stopped = true;
			stop->why = "a frame is missing before it";
			break;
		}
		rc = replay_frame(o->st, &o->replay, rd, &h);
		if (rc != KV_OK)
			return unfit(o, rd, rc);
		o->d->seq = h.seq;
		tell(o, rd, rd->next - rd->at);
		rd->at = rd->next;
	}
	stop->at = rd->at;
	return KV_OK;
}

/* Whether a log goes on where the one before it ended. */
static bool follows(struct opening *o, struct reader *rd, bool first)
{
	if (!reader_head(rd, FILE_LOG))
		return false;
	if (first && o->base == 0) {
		o->d->store = rd->head.store;
		o->first_seq = 1;
	}
	if (first)
		o->d->seq = o->first_seq - 1;
	if (rd->head.store != o->d->store)
		rd->why = "it belongs to another store";
	else if (rd->head.first_seq != o->d->seq + 1)
		rd->why = "what stood before it is missing";
	else
		return true;
	return false;
}

/* Opens the log for more. */
static int log_continue(struct opening *o, const struct reader *rd)
{
	struct disk_file *f = &o->d->log;

	file_close(f);
	*f = (struct disk_file){.number = rd->number, .id = rd->head.id, .size = rd->at};
	f->fd = disk_calls->open(o->d->dir, rd->name, O_RDWR | O_APPEND, 0);
	if (f->fd >= 0 && disk_calls->fsync(f->fd) == 0)
		return KV_OK;
	snprintf(o->open->error, o->open->error_size, "cannot write to %s/%s: %s; fix: make the disk and the file writable",
		 o->open->state_dir, rd->name, strerror(errno));
	return disk_status(errno);
}

static int load_log(struct opening *o, uint64_t i, struct stop *stop)
{
	struct reader rd;
	int rc = KV_OK;

	if (!reader_open(&rd, o->d->dir, "log", o->logs[i])) {
		rc = damaged(o, &rd, 0, rd.why);
	} else if (!follows(o, &rd, i == 0)) {
		if (i == 0 || rd.io_error != 0)
			rc = damaged(o, &rd, 0, rd.why);
		stop->stopped = true;
		stop->why = rd.why;
		stop->at = 0;
	} else {
		rc = read_log(o, &rd, stop);
		if (rc == KV_OK && stop->stopped && evidence_from(o, i, rd.at + 8, o->d->seq + 1))
			rc = damaged(o, &rd, rd.at, stop->why);
		if (rc == KV_OK)
			rc = log_continue(o, &rd);
		o->d->grown += rd.size;
	}
	if (rc == KV_OK && stop->stopped && stop->at == 0 && evidence_from(o, i, 0, o->d->seq + 1))
		rc = damaged(o, &rd, 0, stop->why);
	stop->log = i;
	reader_close(&rd);
	return rc;
}

/* ------------------------------------------------------------------------ cutting */

/* Takes away what a crash tore; the directory is synced later. */
static int cut(struct opening *o, const struct stop *stop)
{
	struct disk *d = o->d;
	char name[NAME_ROOM];
	char text[400];
	uint64_t torn = 0;

	for (uint64_t i = o->log_count; i-- > stop->log;) {
		struct reader rd;

		if (reader_open(&rd, d->dir, "log", o->logs[i]))
			torn += i == stop->log ? rd.size - stop->at : rd.size;
		reader_close(&rd);
		file_name(name, "log", o->logs[i]);
		if ((i > stop->log || stop->at == 0) && disk_calls->unlink(d->dir, name) != 0)
			break;
	}
	if (stop->at != 0 && (disk_calls->truncate(d->log.fd, (off_t)stop->at) != 0 ||
			      disk_calls->fsync(d->log.fd) != 0)) {
		snprintf(o->open->error, o->open->error_size, "cannot cut the torn end of %s/log-%" PRIu64 ": %s",
			 o->open->state_dir, d->log.number, strerror(errno));
		return disk_status(errno);
	}
	d->cut = torn;
	snprintf(text, sizeof text, "cut %" PRIu64 " bytes at offset %" PRIu64 " of %s/log-%" PRIu64
		 ": a crash tore the end of the log (%s); all before it is whole", torn, stop->at, o->open->state_dir,
		 o->logs[stop->log], stop->why);
	say(o, KV_LOG_WARNING, text);
	return KV_OK;
}

/* Removes what no longer counts: the newest base is on disk, whatever a crash left. */
static int sweep(struct opening *o)
{
	DIR *dir;
	struct dirent *e;
	int fd;

	if (disk_calls->fsync(o->d->dir) != 0) {
		snprintf(o->open->error, o->open->error_size, "cannot sync %s: %s", o->open->state_dir, strerror(errno));
		return disk_status(errno);
	}
	fd = openat(o->d->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return KV_OK; /* the next opening will */
	}
	while ((e = readdir(dir)) != NULL) {
		uint64_t log = number_of(e->d_name, "log-");
		uint64_t base = number_of(e->d_name, "base-");
		uint64_t new = number_of(e->d_name, "new-");

		o->d->next = log >= o->d->next ? log + 1 : o->d->next;
		o->d->next = new >= o->d->next ? new + 1 : o->d->next;
		if (strcmp(e->d_name, IMAGE_NEW) == 0 || (strcmp(e->d_name, IMAGE_NAME) == 0 && !o->d->image))
			disk_calls->unlink(o->d->dir, e->d_name);
		if (new != 0 || (log != 0 && log < o->d->oldest) || (base != 0 && base < o->d->oldest))
			disk_calls->unlink(o->d->dir, e->d_name);
	}
	closedir(dir);
	return KV_OK;
}

/* ------------------------------------------------------------------------- opening */

/* Leaves the logs that the base goes with. */
static int choose(struct opening *o)
{
	uint64_t first = o->base != 0 ? o->base : 1;
	uint64_t i = 0;

	if (o->log_count == 0 && o->base == 0)
		return missing(o, "all of its files");
	while (i < o->log_count && o->logs[i] < first)
		i++;
	if (i == o->log_count || o->logs[i] != first) {
		char name[64];

		snprintf(name, sizeof name, "the file log-%" PRIu64, first);
		return missing(o, o->base == 0 && i < o->log_count ? "a file base-N, and log-1" : name);
	}
	o->log_count -= i;
	memmove(o->logs, o->logs + i, o->log_count * sizeof *o->logs);
	o->d->oldest = first;
	return KV_OK;
}

static void weigh(struct opening *o)
{
	struct reader rd;

	for (uint64_t i = 0; i <= o->log_count; i++) {
		if (i == o->log_count ? o->base != 0 && reader_open(&rd, o->d->dir, "base", o->base)
				      : reader_open(&rd, o->d->dir, "log", o->logs[i]))
			o->total += rd.size;
		else
			continue;
		reader_close(&rd);
	}
}

/* ------------------------------------------------------------------------- image */

/* Says what is wrong with an image: what follows is as if there were none. */
static void doubt(struct opening *o, const char *what)
{
	char text[700];

	snprintf(text, sizeof text, "%s; base and log hold all data and are read instead", what);
	say(o, KV_LOG_WARNING, text);
}

/* The image, if it stands for just these files. */
static struct image *find_image(struct opening *o)
{
	const char *why;
	uint64_t at;
	char text[500];
	struct image *im = image_find(o->st, o->d, &why, &at);

	if (im == NULL) {
		snprintf(text, sizeof text, "%s/" IMAGE_NAME " is damaged at offset %" PRIu64 ": %s", o->open->state_dir, at,
			 why != NULL ? why : "");
		if (why != NULL)
			doubt(o, text);
		return NULL;
	}
	snprintf(text, sizeof text, "%s/" IMAGE_NAME, o->open->state_dir);
	im->path = strdup(text);
	if (im->path != NULL && im->foot.oldest == o->d->oldest && im->foot.log == o->logs[o->log_count - 1] &&
	    im->foot.files == o->log_count + (o->base != 0) && im->foot.total == o->total)
		return im;
	image_end(im);
	return NULL;
}

/* Goes on in the log where the image stands; false: it is another log. */
static bool log_of_image(struct opening *o, const struct image *im)
{
	struct reader rd;
	bool good = reader_open(&rd, o->d->dir, "log", im->foot.log) && reader_head(&rd, FILE_LOG) &&
		    rd.head.id == im->foot.log_id && rd.head.store == im->foot.store && rd.size == im->foot.log_size;

	rd.at = rd.size;
	good = good && log_continue(o, &rd) == KV_OK;
	reader_close(&rd);
	return good;
}

static void tell_looked(void *arg, uint64_t bytes)
{
	struct opening *o = arg;
	char text[100];

	if (bytes - o->told < TELL_EVERY)
		return;
	o->told = bytes;
	snprintf(text, sizeof text, "looking through the image, %llu MiB", bytes / MIB);
	say(o, KV_LOG_STATUS, text);
}

/* An empty store in new memory. */
static int begin_again(struct opening *o)
{
	int rc;

	memory_close(o->st);
	rc = store_begin(o->st, o->open);
	if (rc == KV_OK)
		o->st->h->max_memory = 0;
	else
		o->st->h = NULL;
	return rc;
}

/* Opens by way of the image.  False: as if it were not there; *rc is KV_OK if that can go on. */
static bool from_image(struct opening *o, int *rc)
{
	struct kv_store *st = o->st;
	struct image *im = find_image(o);
	char text[600];

	*rc = KV_OK;
	if (im == NULL)
		return false;
	if (log_of_image(o, im)) {
		if (image_map(st, im) && image_look(im, image_later / im->foot.chunk, tell_looked, o)) {
			o->d->store = im->foot.store;
			o->d->seq = im->foot.seq;
			o->d->grown = im->foot.grown;
			o->d->base_size = im->foot.base_size;
			o->d->image = 1;
			st->image = im;
			return true;
		}
		image_join(im);
		image_tell(im, text, sizeof text);
		doubt(o, im->bad != 0 || im->error != 0 ? text : "the image of the last stop cannot be mapped");
		*rc = begin_again(o);
	}
	o->told = 0;
	image_end(im);
	return false;
}

static int load(struct opening *o)
{
	struct stop stop = {0};
	int rc;

	if (from_image(o, &rc))
		return sweep(o);
	if (rc == KV_OK && o->base != 0)
		rc = load_base(o);
	for (uint64_t i = 0; rc == KV_OK && i < o->log_count && !stop.stopped; i++)
		rc = load_log(o, i, &stop);
	if (rc != KV_OK)
		return rc;
	if (o->d->seq < o->must) {
		snprintf(o->open->error, o->open->error_size, "%s/log-%" PRIu64 " is damaged at offset %" PRIu64
			 ": it ends before what base-%" PRIu64 " goes with; " WAY_OUT, o->open->state_dir, o->logs[stop.log],
			 stop.at, o->base, o->open->state_dir);
		return KV_CORRUPT;
	}
	if (stop.stopped)
		rc = cut(o, &stop);
	return rc == KV_OK ? sweep(o) : rc;
}

int disk_recover(struct kv_store *st, struct disk *d, const struct kv_open *open)
{
	struct opening *o = calloc(1, sizeof *o);
	uint64_t limit = st->h->max_memory;
	uint64_t state = open->seed;
	int rc;

	if (o == NULL)
		return KV_NO_MEMORY;
	o->st = st;
	o->d = d;
	o->open = open;
	st->h->max_memory = 0; /* what was there is taken, whatever the limit is now */
	rc = list(o) ? choose(o) : missing(o, "a list of its files");
	if (rc == KV_OK) {
		weigh(o);
		rc = load(o);
	}
	replay_end(st, &o->replay);
	if (st->h != NULL)
		st->h->max_memory = limit;
	if (rc == KV_OK) {
		d->ids = hash_step(&state);
		d->synced = d->seq;
		d->reserved = d->log.size;
	}
	free(o->logs);
	free(o);
	return rc;
}
