/*
 * journal.h - what was written since the last steady moment, for Sync=always
 *
 * A sync of the data touches as many places of the disk as pages were written, and the
 * moment that makes it good must be written and synced after it.  So a client that waits
 * for its write waits for less: what each transaction did to which key goes to the end of
 * a file, which the host syncs on its own thread while the store goes on.  After a power cut
 * the store goes back to the steady moment, and what the journal has is done once more.
 *
 * Two files take turns, `journal-0` and `journal-1`: when the next moment begins, what
 * comes after it goes to the other one.  Until that moment is on disk both are needed, after
 * it the first is free.  Each begins with an empty record.  Records have a
 * checksum, the number of the moment that their file follows and a number of their own,
 * one more than that of the record before, in whichever file: a
 * torn end, or a file that is of no use any more, shows.
 */
#ifndef LMDB_JOURNAL_H
#define LMDB_JOURNAL_H

#include "store.h"

/* Opens the files in a directory, makes them if need be.  0 or an errno. */
int journal_open(kv_store *store, int dir);
void journal_close(kv_store *store);

/* The highest number of a moment that a file follows: none of these is to be used again.  0 or
 * an errno. */
int journal_last_moment(const kv_store *store, uint64_t *last);

/* Does once more what was done after a moment.  0 or an error of LMDB or the system. */
int journal_replay(kv_store *store, uint64_t moment);

/* Whether what transactions do is noted. */
bool journal_on(const kv_store *store);

/* From here on it is, after this moment, which nothing was written since; what was noted
 * before is written to the file before. */
void journal_start(kv_store *store, uint64_t moment);

/* No more, until journal_start(): nothing waits for it. */
void journal_stop(kv_store *store);

/* It did not reach the disk: it stops, and nothing of it is waited for. */
void journal_fail(kv_store *store);

/* Writes what was noted.  When that fails the journal stops. */
void journal_write(kv_store *store);

/* Bytes of the present file. */
uint64_t journal_length(const kv_store *store);

/* Adds to a commit the files that have something beyond what is synced. */
void journal_descriptors(kv_store *store, struct kv_commit *commit);

/* Of a transaction: its begin, what it does, and whether it stays. */
void journal_begin(kv_store *store);
void journal_set(kv_store *store, const struct place *place);
void journal_remove(kv_store *store, const struct place *place);
void journal_clear(kv_store *store, const struct space *space);
void journal_end(kv_store *store, bool done);

#endif
