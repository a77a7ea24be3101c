/* fault.c - stands before the C library: liblmdb and the engine write and sync through here */
#define _GNU_SOURCE
#include "kit.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

volatile int fault_sync, fault_errno;
atomic_int fault_after;
const struct watcher *volatile watching;

#define REAL(type, name, ...)                                              \
	static type (*real)(__VA_ARGS__);                                  \
	if (real == NULL) {                                                \
		void *symbol = dlsym(RTLD_NEXT, name);                     \
		memcpy(&real, &symbol, sizeof real);                       \
	}

/* Whether this call is to fail; errno is set then. */
static bool fails(void)
{
	int left = atomic_load(&fault_after);

	while (left > 0 && !atomic_compare_exchange_weak(&fault_after, &left, left - 1))
		;
	if (left != 1)
		return false;
	errno = fault_errno;
	return true;
}

/* Permissions where a file may be made. */
static mode_t mode_of(int flags, va_list *args)
{
	return (flags & O_CREAT) != 0 ? va_arg(*args, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
	REAL(int, "open", const char *, int, ...)
	va_list args;

	va_start(args, flags);
	mode_t mode = mode_of(flags, &args);

	va_end(args);
	return fails() ? -1 : real(path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
	REAL(int, "openat", int, const char *, int, ...)
	va_list args;

	va_start(args, flags);
	mode_t mode = mode_of(flags, &args);

	va_end(args);
	return fails() ? -1 : real(dir, path, flags, mode);
}

void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
	REAL(void *, "mmap", void *, size_t, int, int, int, off_t)

	return fails() ? MAP_FAILED : real(at, n, protection, flags, fd, offset);
}

int ftruncate(int fd, off_t n)
{
	REAL(int, "ftruncate", int, off_t)

	return fails() ? -1 : real(fd, n);
}

int flock(int fd, int operation)
{
	REAL(int, "flock", int, int)

	return fails() ? -1 : real(fd, operation);
}

int fsync(int fd)
{
	REAL(int, "fsync", int)

	return fails() ? -1 : real(fd);
}

ssize_t pread(int fd, void *to, size_t n, off_t offset)
{
	REAL(ssize_t, "pread", int, void *, size_t, off_t)

	return fails() ? -1 : real(fd, to, n, offset);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t offset)
{
	REAL(ssize_t, "pwrite", int, const void *, size_t, off_t)
	const struct watcher *w = watching;

	if (fails())
		return -1;
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

	if (fails())
		return -1;
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

	if (fails())
		return -1;
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

	if (fails())
		return -1;
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
