/* power.c - see power.h */
#include "power.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512u
#define FILES 4096
#define FDS 256

enum kind { WRITE, TRUNCATE, SYNC, CREATE, RENAME, UNLINK };

struct event {
	enum kind kind;
	int file;      /* -1: the directory */
	uint64_t at;   /* WRITE: offset; TRUNCATE: size; SYNC: events that it covers */
	uint64_t n;
	uint8_t *bytes;
	char from[NAME_ROOM];
	char to[NAME_ROOM];
};

static struct event *events;
static uint64_t event_count, event_room;
static int file_of[FDS];
static uint64_t size_of[FILES];
static char name_of[FILES][NAME_ROOM]; /* "": it has none any more */
static int file_count;
static const struct disk_calls *real;

static struct {
	enum fault_kind kind;
	uint64_t n, times, hits;
	int error;
} fault;

void fault_set(enum fault_kind kind, uint64_t n, uint64_t times, int error)
{
	fault.kind = kind;
	fault.n = n;
	fault.times = times;
	fault.error = error;
}

uint64_t fault_hits(void)
{
	return fault.hits;
}

static bool fails(enum fault_kind kind)
{
	if (fault.kind != kind || fault.times == 0)
		return false;
	if (fault.n > 0) {
		fault.n--;
		return false;
	}
	fault.times--;
	fault.hits++;
	errno = fault.error;
	return true;
}

static struct event *add(enum kind kind, int file)
{
	if (event_count == event_room) {
		event_room = event_room == 0 ? 1024 : event_room * 2;
		events = realloc(events, event_room * sizeof *events);
		FAIL_IF(events == NULL);
	}
	memset(&events[event_count], 0, sizeof *events);
	events[event_count].kind = kind;
	events[event_count].file = file;
	return &events[event_count++];
}

static int find(const char *name)
{
	for (int i = 0; i < file_count; i++) {
		if (strcmp(name_of[i], name) == 0)
			return i;
	}
	return -1;
}

/* ------------------------------------------------------------------------- calls */

static int on_open(int dir, const char *name, int flags, int mode)
{
	int fd, file;

	if (fails(FAULT_OPEN))
		return -1;
	fd = real->open(dir, name, flags, mode);
	if (fd < 0)
		return -1;
	FAIL_IF(fd >= FDS);
	file_of[fd] = -1;
	if (flags & O_DIRECTORY)
		return fd;
	file = find(name);
	if (file < 0) {
		FAIL_IF(file_count == FILES);
		file = file_count++;
		snprintf(name_of[file], NAME_ROOM, "%s", name);
		size_of[file] = 0;
		snprintf(add(CREATE, file)->to, NAME_ROOM, "%s", name);
	} else if (flags & O_TRUNC) {
		add(TRUNCATE, file)->at = 0;
		size_of[file] = 0;
	}
	file_of[fd] = file;
	return fd;
}

static ssize_t on_writev(int fd, const struct iovec *vec, int n)
{
	ssize_t got;
	struct event *e;
	struct iovec first = vec[0];

	if (fails(FAULT_WRITE))
		return -1;
	if (fails(FAULT_SHORT)) {
		first.iov_len = first.iov_len / 2 + 1 < first.iov_len ? first.iov_len / 2 + 1 : first.iov_len;
		vec = &first;
		n = 1;
	}
	got = real->writev(fd, vec, n);
	if (got <= 0)
		return got;
	e = add(WRITE, file_of[fd]);
	e->at = size_of[file_of[fd]];
	e->n = (uint64_t)got;
	e->bytes = malloc((size_t)got);
	FAIL_IF(e->bytes == NULL);
	for (uint64_t at = 0, left = e->n; left > 0; vec++) {
		uint64_t part = vec->iov_len < left ? vec->iov_len : left;

		memcpy(e->bytes + at, vec->iov_base, part);
		at += part;
		left -= part;
	}
	size_of[file_of[fd]] += e->n;
	return got;
}

static ssize_t on_pread(int fd, void *to, size_t n, off_t at)
{
	return fails(FAULT_READ) ? -1 : real->pread(fd, to, n, at);
}

static int on_fallocate(int fd, int mode, off_t at, off_t n)
{
	(void)fd;
	(void)mode;
	(void)at;
	(void)n;
	return fails(FAULT_RESERVE) ? -1 : 0;
}

static int on_truncate(int fd, off_t n)
{
	if (fails(FAULT_TRUNCATE))
		return -1;
	if (size_of[file_of[fd]] != (uint64_t)n) {
		add(TRUNCATE, file_of[fd])->at = (uint64_t)n;
		size_of[file_of[fd]] = (uint64_t)n;
	}
	return real->truncate(fd, n);
}

static int on_fsync(int fd)
{
	uint64_t covers = event_count;

	if (fails(FAULT_SYNC))
		return -1;
	add(SYNC, file_of[fd])->at = covers;
	return 0;
}

static int on_rename(int dir, const char *from, const char *to)
{
	struct event *e;
	int file = find(from), gone = find(to);

	if (fails(FAULT_RENAME))
		return -1;
	e = add(RENAME, file);
	snprintf(e->from, NAME_ROOM, "%s", from);
	snprintf(e->to, NAME_ROOM, "%s", to);
	if (gone >= 0)
		name_of[gone][0] = '\0';
	snprintf(name_of[file], NAME_ROOM, "%s", to);
	return real->rename(dir, from, to);
}

static int on_unlink(int dir, const char *name)
{
	int file = find(name);

	if (fails(FAULT_UNLINK))
		return -1;
	if (file >= 0) {
		snprintf(add(UNLINK, file)->from, NAME_ROOM, "%s", name);
		name_of[file][0] = '\0';
	}
	return real->unlink(dir, name);
}

static int on_map(void *at, uint64_t n, int fd, uint64_t from)
{
	return fails(FAULT_MAP) ? -1 : real->map(at, n, fd, from);
}

static struct disk_calls recording;

void power_record(void)
{
	if (real == NULL)
		real = disk_calls;
	recording = *real;
	recording.open = on_open;
	recording.writev = on_writev;
	recording.pread = on_pread;
	recording.fallocate = on_fallocate;
	recording.truncate = on_truncate;
	recording.fsync = on_fsync;
	recording.rename = on_rename;
	recording.unlink = on_unlink;
	recording.map = on_map;
	disk_calls = &recording;
}

void power_stop(void)
{
	disk_calls = real;
}

uint64_t power_events(void)
{
	return event_count;
}

uint64_t power_sync_begin(void)
{
	return event_count;
}

void power_sync_end(int fd, uint64_t begun)
{
	add(SYNC, file_of[fd])->at = begun;
}

void power_forget(void)
{
	for (uint64_t i = 0; i < event_count; i++)
		free(events[i].bytes);
	event_count = 0;
	file_count = 0;
	memset(name_of, 0, sizeof name_of);
}

/* --------------------------------------------------------------------------- cut */

struct image {
	uint8_t *bytes;
	uint64_t size;
	uint64_t room;
};

static void image_reach(struct image *im, uint64_t size)
{
	if (size > im->room) {
		im->bytes = realloc(im->bytes, size * 2);
		FAIL_IF(im->bytes == NULL);
		memset(im->bytes + im->room, 0, size * 2 - im->room);
		im->room = size * 2;
	}
	if (size > im->size)
		im->size = size;
}

static void image_cut(struct image *im, uint64_t size)
{
	image_reach(im, size);
	memset(im->bytes + size, 0, im->room - size);
	im->size = size;
}

/* A write that may have reached the disk in any part. */
static void write_torn(struct image *im, const struct event *e, uint64_t *chance)
{
	unsigned luck = (unsigned)shop_draw(chance, 4); /* 0: none, 3: all */

	if (luck == 0 && shop_draw(chance, 2) == 0)
		return; /* not even its length */
	image_reach(im, e->at + e->n);
	for (uint64_t at = e->at, next; at < e->at + e->n; at = next) {
		next = (at / SECTOR + 1) * SECTOR;
		next = next < e->at + e->n ? next : e->at + e->n;
		if (luck == 3 || (luck != 0 && shop_draw(chance, 2) == 0))
			memcpy(im->bytes + at, e->bytes + (at - e->at), next - at);
	}
}

/* How far each file, and at FILES the directory, was synced. */
static uint64_t synced[FILES + 1];
static char kept_name[FILES][NAME_ROOM];

static void find_synced(uint64_t cut)
{
	memset(synced, 0, sizeof synced);
	for (uint64_t i = 0; i < cut; i++) {
		const struct event *e = &events[i];
		int slot = e->file < 0 ? FILES : e->file;

		if (e->kind == SYNC && e->at > synced[slot])
			synced[slot] = e->at;
	}
}

static void keep_names(uint64_t cut, uint64_t *chance)
{
	bool in_order = shop_draw(chance, 2) == 0;
	uint64_t until = synced[FILES] + shop_draw(chance, cut - synced[FILES] + 1);

	memset(kept_name, 0, sizeof kept_name);
	for (uint64_t i = 0; i < cut; i++) {
		const struct event *e = &events[i];

		if (e->kind < CREATE || (i >= synced[FILES] && (in_order ? i >= until : shop_draw(chance, 2))))
			continue;
		if (e->kind == RENAME && kept_name[e->file][0] == '\0')
			continue; /* its creation did not happen */
		if (e->kind != UNLINK) {
			for (int f = 0; f < file_count; f++) {
				if (f != e->file && strcmp(kept_name[f], e->to) == 0)
					kept_name[f][0] = '\0';
			}
			snprintf(kept_name[e->file], NAME_ROOM, "%s", e->to);
		} else if (strcmp(kept_name[e->file], e->from) == 0) {
			kept_name[e->file][0] = '\0';
		}
	}
}

static void make_file(int file, uint64_t cut, uint64_t *chance, const char *dir)
{
	struct image im = {0};
	char path[300];
	int fd;

	image_reach(&im, 1);
	im.size = 0;
	for (uint64_t i = 0; i < cut; i++) {
		const struct event *e = &events[i];
		bool sure = i < synced[file];

		if (e->file != file)
			continue;
		if (e->kind == WRITE && sure) {
			image_reach(&im, e->at + e->n);
			memcpy(im.bytes + e->at, e->bytes, e->n);
		} else if (e->kind == WRITE) {
			write_torn(&im, e, chance);
		} else if (e->kind == TRUNCATE && (sure || shop_draw(chance, 2))) {
			image_cut(&im, e->at);
		}
	}
	snprintf(path, sizeof path, "%s/%s", dir, kept_name[file]);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	FAIL_IF(fd < 0 || write(fd, im.bytes, im.size) != (ssize_t)im.size);
	close(fd);
	free(im.bytes);
}

void power_cut(uint64_t cut, uint64_t *chance, const char *dir)
{
	find_synced(cut);
	keep_names(cut, chance);
	for (int f = 0; f < file_count; f++) {
		if (kept_name[f][0] != '\0')
			make_file(f, cut, chance, dir);
	}
}

/* -------------------------------------------------------------------- directories */

void empty_directory(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	FAIL_IF(d == NULL);
	while ((e = readdir(d)) != NULL)
		unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
}

void copy_directory(const char *from, const char *to)
{
	static uint8_t bytes[1 << 16];
	DIR *d = opendir(from);
	struct dirent *e;

	FAIL_IF(d == NULL);
	empty_directory(to);
	while ((e = readdir(d)) != NULL) {
		char path[600];
		ssize_t n;
		int in, out;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", to, e->d_name);
		in = openat(dirfd(d), e->d_name, O_RDONLY);
		out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		FAIL_IF(in < 0 || out < 0);
		while ((n = read(in, bytes, sizeof bytes)) > 0)
			FAIL_IF(write(out, bytes, (size_t)n) != n);
		close(in);
		close(out);
	}
	closedir(d);
}
