/*
 * env.c - the LMDB environment: opening, transactions, growth
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "journal.h"
#include "steady.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef LMDB_FIRST_MAP
#define LMDB_FIRST_MAP (64ull << 20) /* a multiple of any page size; tests make it smaller */
#endif
#define MAP_STEP_MOST (64ull << 30) /* the map doubles up to here, then goes by this much */

int fail(const struct kv_open *open, int status, const char *format, ...)
{
	va_list args;

	if (open->error == NULL || open->error_size == 0)
		return status;
	va_start(args, format);
	vsnprintf(open->error, open->error_size, format, args);
	va_end(args);
	return status;
}

void say(const kv_store *store, int level, const char *format, ...)
{
	char line[512];
	va_list args;

	if (store->log == NULL)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	store->log(store->log_host, level, line);
}

int status_of(int error)
{
	switch (error) {
	case 0:
		return KV_OK;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return KV_NO_SPACE;
	case ENOMEM:
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
		return KV_NO_MEMORY;
	case EROFS:
	case EACCES:
	case EPERM:
		return KV_READ_ONLY;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
		return KV_CORRUPT;
	case EIO:
	case MDB_PANIC:
		return KV_IO;
	default:
		return KV_ERROR;
	}
}

int fault(kv_store *store, int error)
{
	if (store->fault == 0)
		store->fault = error;
	return status_of(error);
}

/* ------------------------------------------------------------ transactions */

int txn_read(kv_store *store)
{
	int rc;

	if (store->lost)
		return MDB_PANIC;
	if (store->reader == NULL) {
		rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &store->reader);
		if (rc == 0)
			rc = mdb_cursor_open(store->reader, store->entries, &store->reader_cursor);
	} else {
		rc = mdb_txn_renew(store->reader);
		if (rc == 0)
			rc = mdb_cursor_renew(store->reader, store->reader_cursor);
	}
	if (rc != 0) {
		if (store->reader != NULL)
			mdb_txn_abort(store->reader);
		store->reader = NULL;
		return rc;
	}
	store->txn = store->reader;
	store->cursor = store->reader_cursor;
	store->writing = false;
	store->fault = 0;
	return 0;
}

int txn_write(kv_store *store)
{
	int rc = store->lost ? MDB_PANIC : mdb_txn_begin(store->env, NULL, 0, &store->txn);

	if (rc != 0)
		return rc;
	rc = mdb_cursor_open(store->txn, store->entries, &store->cursor);
	if (rc != 0) {
		mdb_txn_abort(store->txn);
		store->txn = NULL;
		return rc;
	}
	store->writing = true;
	store->fault = 0;
	store->touched = 0;
	journal_begin(store);
	return 0;
}

/* Pages that the transaction writes anew, about: no table has more than it has. */
static uint64_t pages_anew(const kv_store *store)
{
	MDB_stat entries, expiry;
	uint64_t all;

	if (mdb_stat(store->txn, store->entries, &entries) != 0 ||
	    mdb_stat(store->txn, store->expiry, &expiry) != 0)
		return store->touched;
	all = entries.ms_leaf_pages + entries.ms_branch_pages + entries.ms_overflow_pages +
	      expiry.ms_leaf_pages + expiry.ms_branch_pages;
	return (store->touched < all ? store->touched : all) + 8; /* above them, and lists */
}

void txn_abort(kv_store *store)
{
	if (store->writing) {
		mdb_cursor_close(store->cursor);
		mdb_txn_abort(store->txn);
		spaces_revert(store);
		journal_end(store, false);
	} else {
		mdb_txn_reset(store->txn);
	}
	store->txn = NULL;
	store->cursor = NULL;
}

int txn_commit(kv_store *store)
{
	int rc = store->fault;

	if (!store->writing) {
		txn_abort(store);
		return rc;
	}
	if (rc == 0 && spaces_write(store) != KV_OK)
		rc = store->fault;
	if (rc != 0) {
		txn_abort(store);
		return rc;
	}
	uint64_t anew = pages_anew(store);

	mdb_cursor_close(store->cursor);
	rc = mdb_txn_commit(store->txn); /* frees it in any case */
	store->txn = NULL;
	store->cursor = NULL;
	journal_end(store, rc == 0);
	if (rc != 0) {
		spaces_revert(store);
		return rc;
	}
	spaces_keep(store);
	store->writes++;
	store->churn += anew;
	return 0;
}

/* -------------------------------------------------------------------- map */

/* Whether this process may have n more bytes of addresses: a map that was unmapped
 * and cannot be mapped again would be the end of the store. */
static bool addresses_left(uint64_t n)
{
	void *p = mmap(NULL, n, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return false;
	munmap(p, n);
	return true;
}

/* LMDB has no map any more, and does not look whether it has: it is not to be asked again. */
static void lose(kv_store *store, int error)
{
	store->lost = true;
	say(store, KV_LOG_ERROR, "the data cannot be mapped (%s): nothing is read or written until the "
	    "daemon is started again; what was written is kept", mdb_strerror(error));
}

/*
 * LMDB asks for no transaction in this process meanwhile.  The reader is given up;
 * those of steady.c only mark a snapshot in the table of readers, and look at nothing.
 */
int env_grow(kv_store *store, uint64_t need)
{
	uint64_t step = store->map_size < MAP_STEP_MOST ? store->map_size : MAP_STEP_MOST;
	uint64_t size = store->map_size + step;
	int rc;

	need = (need + LMDB_FIRST_MAP - 1) / LMDB_FIRST_MAP * LMDB_FIRST_MAP;
	if (need > step)
		size += need;
	if (!addresses_left(size))
		return ENOMEM;
	if (store->reader != NULL) {
		mdb_cursor_close(store->reader_cursor);
		mdb_txn_abort(store->reader);
		store->reader = NULL;
	}
	rc = mdb_env_set_mapsize(store->env, size);
	if (rc == 0)
		store->map_size = size;
	else
		lose(store, rc);
	return rc;
}

/* ------------------------------------------------------------------- open */

/* Opens the four tables and reads the spaces. */
static int open_tables(kv_store *store, uint64_t seed, bool fresh)
{
	unsigned make = fresh ? MDB_CREATE : 0;
	MDB_txn *txn;
	int rc = mdb_txn_begin(store->env, NULL, fresh ? 0 : MDB_RDONLY, &txn);

	if (rc != 0)
		return rc;
	rc = mdb_dbi_open(txn, NULL, 0, &store->main);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "entries", make, &store->entries);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "expiry", make, &store->expiry);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "spaces", make, &store->spaces_table);
	if (rc == 0)
		rc = mdb_dbi_open(txn, "cleared", make, &store->cleared);
	store->txn = txn;
	if (rc == 0)
		rc = spaces_load(store, seed, fresh);
	store->txn = NULL;
	if (rc == 0)
		return mdb_txn_commit(txn); /* keeps the handles, of a reader too */
	mdb_txn_abort(txn);
	return rc;
}

/* A store in memory: LMDB wants a file, and gets one without a name. */
static int open_in_memory(kv_store *store)
{
	int fd = memfd_create("lmdb", MFD_CLOEXEC);
	char path[64];

	if (fd < 0)
		return errno;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int rc = mdb_env_open(store->env, path,
			      MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS | MDB_NOSYNC, 0600);

	close(fd);
	return rc;
}

static int open_in(kv_store *store, const char *dir)
{
	/* Entries lie by their hashes: what is read ahead is rarely of use. */
	return mdb_env_open(store->env, dir, MDB_NOTLS | MDB_NOSYNC | MDB_NORDAHEAD, 0600);
}

static int prepare(kv_store *store)
{
	int rc = mdb_env_create(&store->env);

	if (rc == 0)
		rc = mdb_env_set_maxdbs(store->env, 8);
	if (rc == 0)
		rc = mdb_env_set_mapsize(store->env, LMDB_FIRST_MAP);
	return rc;
}

/* The map as large as LMDB made it: not below what the file says. */
static int note_map(kv_store *store)
{
	MDB_envinfo envinfo;
	int rc = mdb_env_info(store->env, &envinfo);

	store->map_size = envinfo.me_mapsize;
	return rc;
}

int env_open(kv_store *store, const struct kv_open *open, bool fresh)
{
	const char *dir = open->state_dir;
	int status = dir != NULL ? steady_open(store, open, fresh) : KV_OK;

	if (status != KV_OK)
		return status;
	int rc = prepare(store);

	if (rc == 0)
		rc = dir != NULL ? open_in(store, dir) : open_in_memory(store);
	if (rc == 0)
		rc = note_map(store);
	if (rc == 0)
		rc = open_tables(store, open->seed, fresh);
	if (rc == 0 && dir != NULL)
		rc = steady_begin(store, fresh);
	if (rc == 0)
		return KV_OK;
	return fail(open, status_of(rc), "the store in %s cannot be opened: %s",
		    dir != NULL ? dir : "memory", mdb_strerror(rc));
}

void env_close(kv_store *store)
{
	if (store->steady != NULL)
		steady_end(store);
	if (store->reader != NULL) {
		mdb_cursor_close(store->reader_cursor);
		mdb_txn_abort(store->reader);
	}
	if (store->env != NULL)
		mdb_env_close(store->env);
	if (store->steady != NULL)
		steady_close(store);
}
