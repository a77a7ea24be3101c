/*
 * moment.c - see moment.h
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "moment.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SLOT 4096u      /* two of them take turns: one is whole, whatever happens */

static uint64_t sum_of(const struct moment *m)
{
	return XXH3_64bits(m, offsetof(struct moment, sum));
}

bool file_read(int fd, void *to, size_t n, off_t offset)
{
	ssize_t got;

	do
		got = pread(fd, to, n, offset);
	while (got < 0 && errno == EINTR);
	if (got >= 0)
		errno = 0;
	return got == (ssize_t)n;
}

int file_write(int fd, const void *from, size_t n, off_t offset)
{
	const char *p = from;

	while (n > 0) {
		ssize_t put = pwrite(fd, p, n, offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put < 0 ? errno : EIO;
		p += put;
		n -= (size_t)put;
		offset += put;
	}
	return 0;
}

int file_sync(int fd)
{
	int rc;

	do
		rc = fdatasync(fd);
	while (rc != 0 && errno == EINTR);
	return rc != 0 ? errno : 0;
}

int moment_read(int fd, struct moment *newest, bool *found)
{
	struct moment m;

	*found = false;
	for (off_t slot = 0; slot < 2; slot++) {
		if (!file_read(fd, &m, sizeof m, slot * SLOT)) {
			if (errno != 0)
				return errno;
			continue;
		}
		if (m.sum != sum_of(&m) || memcmp(m.magic, MOMENT_MAGIC, sizeof m.magic) != 0)
			continue;
		if (!*found || m.sequence > newest->sequence)
			*newest = m;
		*found = true;
	}
	return 0;
}

int moment_write(int fd, struct moment *m)
{
	m->sum = sum_of(m);
	return file_write(fd, m, sizeof *m, (off_t)(m->sequence % 2) * SLOT);
}

void moment_boot(char boot[BOOT])
{
	const char *told = getenv("KVSTORED_BOOT_ID");
	char text[BOOT] = "";
	size_t n = 0;

	if (told == NULL || told[0] == '\0') {
		int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

		if (fd >= 0) {
			if (read(fd, text, sizeof text - 1) < 0)
				text[0] = '\0';
			close(fd);
		}
		told = text;
	}
	memset(boot, 0, BOOT);
	for (; *told != '\0' && n < BOOT - 1; told++)
		if (*told != '-' && *told != '\n')
			boot[n++] = *told;
}

int moment_put_back(const char *path, const struct moment *m)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int rc = 0;

	if (fd < 0)
		return errno;
	for (unsigned i = 0; i < 2 && rc == 0; i++)
		rc = file_write(fd, m->meta[i], META_BYTES, (off_t)i * m->page);
	if (rc == 0)
		rc = file_sync(fd);
	close(fd);
	return rc;
}
