/*
 * syncs.c - counts how often a server has the kernel write to the disk.
 *
 * Preloaded into a server (LD_PRELOAD) it stands before the calls of the C
 * library that wait for a disk, and adds one to the 64-bit number in the file
 * that KVBENCH_SYNCS names, which the load generator reads (--syncs).  It takes
 * no privilege and slows nothing down, unlike a tracer, and is the same for
 * every server.  What a program calls past the library is not seen.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint64_t *count;

__attribute__((constructor)) static void open_count(void)
{
	const char *path = getenv("KVBENCH_SYNCS");
	if (path == NULL)
		return;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	void *at = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at != MAP_FAILED)
		count = at;
	close(fd);
}

static void add(void)
{
	if (count != NULL)
		__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
}

int fsync(int fd)
{
	add();
	return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	add();
	return (int)syscall(SYS_fdatasync, fd);
}

int syncfs(int fd)
{
	add();
	return (int)syscall(SYS_syncfs, fd);
}

int msync(void *at, size_t size, int flags)
{
	if (flags & MS_SYNC)
		add();
	return (int)syscall(SYS_msync, at, size, flags);
}

int sync_file_range(int fd, off64_t from, off64_t size, unsigned flags)
{
	if (flags & (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER))
		add();
	return (int)syscall(SYS_sync_file_range, fd, from, size, flags);
}
