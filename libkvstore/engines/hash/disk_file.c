/* disk_file.c - files, frames, records, and the system calls under them */
#include "disk.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ------------------------------------------------------------ system calls */

static int call_open(int dir, const char *name, int flags, int mode)
{
	int fd;

	do
		fd = openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW, mode);
	while (fd < 0 && errno == EINTR);
	return fd;
}

static ssize_t call_writev(int fd, const struct iovec *vec, int n)
{
	ssize_t got;

	do
		got = writev(fd, vec, n);
	while (got < 0 && errno == EINTR);
	return got;
}

static ssize_t call_pread(int fd, void *to, size_t n, off_t at)
{
	ssize_t got;

	do
		got = pread(fd, to, n, at);
	while (got < 0 && errno == EINTR);
	return got;
}

static int call_fallocate(int fd, int mode, off_t at, off_t n)
{
	int rc;

	do
		rc = fallocate(fd, mode, at, n);
	while (rc != 0 && errno == EINTR);
	return rc;
}

static int call_truncate(int fd, off_t n)
{
	int rc;

	do
		rc = ftruncate(fd, n);
	while (rc != 0 && errno == EINTR);
	return rc;
}

static int call_fsync(int fd)
{
	int rc;

	do
		rc = fsync(fd);
	while (rc != 0 && errno == EINTR);
	return rc;
}

static int call_rename(int dir, const char *from, const char *to)
{
	return renameat(dir, from, dir, to);
}

static int call_unlink(int dir, const char *name)
{
	return unlinkat(dir, name, 0);
}

static uint64_t call_size(int fd)
{
	struct stat file;

	return fstat(fd, &file) == 0 ? (uint64_t)file.st_size : UINT64_MAX;
}

static int call_map(void *at, uint64_t n, int fd, uint64_t from)
{
	void *p = mmap(at, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd, (off_t)from);

	if (p == MAP_FAILED)
		return -1;
	(void)madvise(at, n, MADV_DONTDUMP);
	return 0;
}

static int64_t call_clock(void)
{
	struct timespec t;

	return clock_gettime(CLOCK_MONOTONIC, &t) == 0 ? t.tv_sec * 1000 + t.tv_nsec / 1000000 : 0;
}

static const struct disk_calls system_calls = {
	.open = call_open, .close = close, .writev = call_writev, .pread = call_pread,
	.fallocate = call_fallocate, .truncate = call_truncate, .fsync = call_fsync,
	.rename = call_rename, .unlink = call_unlink, .size = call_size,
	.map = call_map, .clock = call_clock,
};

const struct disk_calls *disk_calls = &system_calls;

int disk_status(int error)
{
	switch (error) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return KV_NO_SPACE;
	case EROFS:
		return KV_READ_ONLY;
	case ENOMEM:
		return KV_NO_MEMORY;
	default:
		return KV_IO;
	}
}

/* ------------------------------------------------------------------ checksums */

uint64_t file_sum(const struct file_head *h)
{
	return XXH3_64bits(h, offsetof(struct file_head, sum));
}

uint64_t frame_sum(uint64_t id, const struct frame_head *h)
{
	return XXH3_64bits_withSeed(h, offsetof(struct frame_head, sum), id);
}

uint64_t body_sum(uint64_t id, const void *p, uint64_t n)
{
	return XXH3_64bits_withSeed(p, n, id);
}

/* The checksum of two pieces as one. */
static uint64_t body_sum2(uint64_t id, const void *a, uint64_t na, const void *b, uint64_t nb)
{
	XXH3_state_t state;

	XXH3_INITSTATE(&state);
	XXH3_64bits_reset_withSeed(&state, id);
	XXH3_64bits_update(&state, a, na);
	XXH3_64bits_update(&state, b, nb);
	return XXH3_64bits_digest(&state);
}

/* -------------------------------------------------------------------- records */

#define RECORD_TYPE 7u
#define RECORD_SPACE 8u  /* a space other than 0 follows */
#define RECORD_TAG 16u
#define RECORD_EXPIRY 32u

static bool in_stage(uint32_t type)
{
	return type == RECORD_STAGE || type == RECORD_TAKE;
}

static bool has_value(uint32_t type)
{
	return type == RECORD_SET || type == RECORD_PATCH || type == RECORD_STAGE;
}

static uint8_t *put_number(uint8_t *p, uint64_t v)
{
	for (; v >= 128; v >>= 7)
		*p++ = (uint8_t)(v | 128);
	*p++ = (uint8_t)v;
	return p;
}

uint64_t record_write(uint8_t *to, const struct record *r)
{
	uint8_t *p = to + 1;

	*to = (uint8_t)(r->type | (r->space != 0 ? RECORD_SPACE : 0) | (r->tag != 0 ? RECORD_TAG : 0) |
			(r->expiry != 0 ? RECORD_EXPIRY : 0));
	if (r->space != 0)
		p = put_number(p, r->space);
	if (r->type == RECORD_CLEAR)
		return (uint64_t)(p - to);
	if (r->tag != 0)
		p = put_number(p, r->tag);
	if (r->expiry != 0) {
		store64(p, (uint64_t)r->expiry);
		p += 8;
	}
	p = put_number(p, r->key_len);
	if (in_stage(r->type))
		p = put_number(p, r->stage);
	if (r->type == RECORD_PATCH || in_stage(r->type)) {
		p = put_number(p, r->offset);
		p = put_number(p, r->total);
	}
	if (has_value(r->type))
		p = put_number(p, r->value_len);
	return (uint64_t)(p - to);
}

/* Where reading a record is. */
struct reading {
	const uint8_t *p;
	const uint8_t *end;
	bool bad;
};

static uint64_t get_number(struct reading *rd)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (rd->p == rd->end)
			break;
		v |= (uint64_t)(*rd->p & 127) << shift;
		if (*rd->p++ < 128)
			return v;
	}
	rd->bad = true;
	return 0;
}

static const uint8_t *get_bytes(struct reading *rd, uint64_t n)
{
	const uint8_t *at = rd->p;

	if (n > (uint64_t)(rd->end - rd->p)) {
		rd->bad = true;
		return NULL;
	}
	rd->p += n;
	return at;
}

static void read_entry(struct reading *rd, struct record *r, uint8_t flags)
{
	const uint8_t *expiry;

	r->tag = flags & RECORD_TAG ? (uint32_t)get_number(rd) : 0;
	if (flags & RECORD_EXPIRY) {
		expiry = get_bytes(rd, 8);
		r->expiry = expiry != NULL ? (int64_t)load64(expiry) : 0;
	}
	r->key_len = get_number(rd);
	if (in_stage(r->type))
		r->stage = (uint32_t)get_number(rd);
	if (r->type == RECORD_PATCH || in_stage(r->type)) {
		r->offset = get_number(rd);
		r->total = get_number(rd);
	}
	if (has_value(r->type))
		r->value_len = get_number(rd);
	r->key = get_bytes(rd, r->key_len);
	r->value = get_bytes(rd, r->value_len);
}

uint64_t record_read(const uint8_t *p, uint64_t n, struct record *r)
{
	struct reading rd = {.p = p + 1, .end = p + n};

	memset(r, 0, sizeof *r);
	if (n == 0)
		return 0;
	r->type = *p & RECORD_TYPE;
	if (r->type == 0 || r->type >= RECORD_TYPES || *p >= RECORD_EXPIRY * 2)
		return 0;
	if (*p & RECORD_SPACE)
		r->space = (uint32_t)get_number(&rd);
	if (r->type != RECORD_CLEAR)
		read_entry(&rd, r, *p);
	return rd.bad ? 0 : (uint64_t)(rd.p - p);
}

/* -------------------------------------------------------------------- buffers */

bool buffer_reach(struct disk_buffer *b, uint64_t n)
{
	uint64_t room = b->room < 64 * KIB ? 64 * KIB : b->room;
	uint8_t *bytes;

	if (b->used + n <= b->room)
		return true;
	while (room < b->used + n)
		room += room / 2;
	bytes = realloc(b->bytes, room);
	if (bytes == NULL)
		return false;
	b->bytes = bytes;
	b->room = room;
	if (b->used == 0) {
		memset(bytes, 0, sizeof(struct frame_head));
		b->used = sizeof(struct frame_head);
	}
	return true;
}

void buffer_put(struct disk_buffer *b, const struct record *r, bool with_value)
{
	b->used += record_write(b->bytes + b->used, r);
	if (r->key_len != 0)
		memcpy(b->bytes + b->used, r->key, r->key_len);
	b->used += r->key_len;
	if (with_value && r->value_len != 0)
		memcpy(b->bytes + b->used, r->value, r->value_len);
	b->used += with_value ? r->value_len : 0;
	b->records++;
}

/* Empties it; a large one gives its memory back. */
static void buffer_reset(struct disk_buffer *b)
{
	if (b->room > 2 * DISK_GATHER + DISK_BIG) {
		free(b->bytes);
		*b = (struct disk_buffer){0};
		return;
	}
	b->used = b->room != 0 ? sizeof(struct frame_head) : 0;
	b->records = 0;
}

/* ---------------------------------------------------------------------- files */

void file_name(char *to, const char *prefix, uint64_t number)
{
	snprintf(to, NAME_ROOM, "%s-%llu", prefix, (unsigned long long)number);
}

int file_write(struct disk_file *f, struct iovec *vec, int n)
{
	while (n > 0) {
		ssize_t got = disk_calls->writev(f->fd, vec, n);

		if (got <= 0) {
			errno = got == 0 ? EIO : errno;
			return -1;
		}
		f->size += (uint64_t)got;
		while (n > 0 && (size_t)got >= vec->iov_len) {
			got -= (ssize_t)vec->iov_len;
			vec++;
			n--;
		}
		if (n > 0) {
			vec->iov_base = (char *)vec->iov_base + got;
			vec->iov_len -= (size_t)got;
		}
	}
	return 0;
}

int disk_make(struct disk *d, struct disk_file *f, const char *prefix, uint64_t number, uint32_t kind)
{
	struct file_head h = {.magic = FILE_MAGIC, .kind = kind, .size = sizeof h, .number = number,
			      .id = d->ids, .first_seq = d->seq + 1, .store = d->store};
	struct iovec vec = {&h, sizeof h};
	char name[NAME_ROOM];

	d->ids = XXH3_64bits_withSeed(&d->ids, sizeof d->ids, d->store);
	h.sum = file_sum(&h);
	file_name(name, prefix, number);
	*f = (struct disk_file){.fd = -1, .number = number, .id = h.id};
	f->fd = disk_calls->open(d->dir, name, O_RDWR | O_APPEND | O_CREAT | O_TRUNC, 0600);
	if (f->fd < 0)
		return -1;
	if (file_write(f, &vec, 1) == 0)
		return 0;
	int error = errno;

	file_close(f);
	disk_calls->unlink(d->dir, name);
	errno = error;
	return -1;
}

void file_close(struct disk_file *f)
{
	if (f->fd >= 0)
		disk_calls->close(f->fd);
	f->fd = -1;
}

int frame_write(struct disk_file *f, struct disk_buffer *b, struct frame_head *h, const void *more,
		uint64_t more_len)
{
	static const uint8_t zero[8];
	uint64_t gathered = b->used - sizeof *h;
	struct iovec vec[3];
	int rc;

	h->magic = FRAME_MAGIC;
	h->length = gathered + more_len;
	h->body = more_len == 0 ? body_sum(f->id, b->bytes + sizeof *h, gathered)
				: body_sum2(f->id, b->bytes + sizeof *h, gathered, more, more_len);
	h->sum = frame_sum(f->id, h);
	memcpy(b->bytes, h, sizeof *h);
	vec[0] = (struct iovec){b->bytes, b->used};
	vec[1] = (struct iovec){(void *)(uintptr_t)(more != NULL ? more : zero), more_len};
	vec[2] = (struct iovec){(void *)(uintptr_t)zero, (8 - (b->used + more_len) % 8) % 8};
	if (more_len == 0) {
		vec[1] = vec[2];
		rc = file_write(f, vec, vec[1].iov_len != 0 ? 2 : 1);
	} else {
		rc = file_write(f, vec, vec[2].iov_len != 0 ? 3 : 2);
	}
	buffer_reset(b);
	return rc;
}
