/* fault.c - stands before the C library: liblmdb and the engine write and sync through here */
#define _GNU_SOURCE
#include "kit.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

volatile int fault_sync;
const struct watcher *volatile watching;

#define REAL(type, name, ...)                                              \
	static type (*real)(__VA_ARGS__);                                  \
	if (real == NULL) {                                                \
		void *symbol = dlsym(RTLD_NEXT, name);                     \
		memcpy(&real, &symbol, sizeof real);                       \
	}

ssize_t pwrite(int fd, const void *data, size_t n, off_t offset)
{
	REAL(ssize_t, "pwrite", int, const void *, size_t, off_t)
	const struct watcher *w = watching;
	ssize_t put = real(fd, data, n, offset);

	if (w != NULL && put > 0)
		w->wrote(fd, data, (size_t)put, offset);
	return put;
}

ssize_t write(int fd, const void *data, size_t n)
{
	REAL(ssize_t, "write", int, const void *, size_t)
	const struct watcher *w = watching;
	off_t offset = w != NULL ? lseek(fd, 0, SEEK_CUR) : -1;
	ssize_t put = real(fd, data, n);

	if (offset >= 0 && put > 0)
		w->wrote(fd, data, (size_t)put, offset);
	return put;
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
	REAL(ssize_t, "writev", int, const struct iovec *, int)
	const struct watcher *w = watching;
	off_t offset = w != NULL ? lseek(fd, 0, SEEK_CUR) : -1;
	ssize_t put = real(fd, iov, count);
	size_t left = put > 0 ? (size_t)put : 0;

	for (int i = 0; offset >= 0 && i < count && left > 0; i++) {
		size_t n = iov[i].iov_len < left ? iov[i].iov_len : left;

		w->wrote(fd, iov[i].iov_base, n, offset);
		offset += (off_t)n;
		left -= n;
	}
	return put;
}

int fdatasync(int fd)
{
	REAL(int, "fdatasync", int)
	const struct watcher *w = watching;
	int rc;

	if (fault_sync != 0) {
		errno = fault_sync;
		return -1;
	}
	if (w == NULL)
		return real(fd);
	w->sync_begins(fd); /* the model of the disk needs no real sync */
	rc = 0;
	w->sync_ended(fd);
	return rc;
}
