/*
 * moment.h - the file `steady`: one moment at which everything was on disk
 */
#ifndef LMDB_MOMENT_H
#define LMDB_MOMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MOMENT_MAGIC "kvlmdb-1"
#define META_BYTES 512u /* of a meta page: more than LMDB uses of it */
#define BOOT 40u

/* As the file has it. */
struct moment {
	char magic[8];
	uint64_t sequence;
	uint32_t page; /* bytes of a page of the data */
	uint32_t closed; /* 1: the store was closed in order after this */
	char boot[BOOT]; /* which start of the machine it was in */
	unsigned char meta[2][META_BYTES];
	uint64_t sum;
};

/* The newest whole moment of the file, if there is one.  0 or an errno: an older one is of no
 * use when the newer could not be read. */
int moment_read(int fd, struct moment *newest, bool *found);

/* Writes a moment, with its sum, in place of the one before the last.  0 or an errno. */
int moment_write(int fd, struct moment *m);

/* Which start of the machine this is: 32 digits, or "" when nobody says.  A service that
 * sees no /proc/sys is told by its unit. */
void moment_boot(char boot[BOOT]);

/* Puts the meta pages of a moment back into the data, on disk.  0 or an errno. */
int moment_put_back(const char *path, const struct moment *m);

/* Reads all n bytes at an offset; false: an error, or errno is 0 and there are not as many. */
bool file_read(int fd, void *to, size_t n, off_t offset);

/* Writes all n bytes at an offset.  0 or an errno. */
int file_write(int fd, const void *from, size_t n, off_t offset);

/* fdatasync(2).  0 or an errno. */
int file_sync(int fd);

#endif
