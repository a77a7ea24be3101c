/*
 * steady.h - what a power cut leaves
 *
 * LMDB syncs at every commit, or (MDB_NOSYNC) never; then a power cut may leave a
 * root page on the disk whose branches are not there.  This engine never has LMDB
 * sync.  Beside the data lies the file `steady`: the two first pages ("meta pages") of
 * data.mdb as they were when everything they lead to was last on the disk.  A
 * reader of that moment stays open, so LMDB uses none of its pages again until
 * the next such moment.
 *
 *  - A killed process loses nothing: the system has all that was committed.
 *  - After a power cut - the store was not closed, and the machine has started anew
 *    since - open() puts those pages back, and the store is as it was then.
 *  - Where somebody waits for each write, the journal has what was written since (journal.h),
 *    and open() does that once more.
 */
#ifndef LMDB_STEADY_H
#define LMDB_STEADY_H

#include "store.h"

/* Before the environment is opened: takes the directory for this store alone and, after
 * a power cut, puts the pages back.  A status, with the error told. */
int steady_open(kv_store *store, const struct kv_open *open, bool fresh);

/*
 * After it was opened: what is there is on disk, or an errno.  A new store has no such
 * moment before steady_commit() was first asked to wait: until then it is of no use to
 * anybody.
 */
int steady_begin(kv_store *store, bool fresh);

/* Has what was committed synced in the background, at most twice a second; lowers
 * *next to when to ask again. */
void steady_advance(kv_store *store, int64_t now, int64_t *next);

/*
 * After writes: begins a sync when so much was written that the file would grow by what the
 * steady moment keeps from being used again, and waits for one that is far behind.
 */
void steady_wrote(kv_store *store, int64_t now);

/* Waits until all that was committed is on disk; noted: and from then on what is written goes to
 * the journal, so that the next one who waits does not wait here.  A status. */
int steady_sync(kv_store *store, bool noted);

/*
 * The engine's commit(); wait: somebody waits for what was written.  The host syncs the journal,
 * and, the first time, what a new store was filled with; without a journal this waits itself, and
 * begins one.  A status, told once.
 */
int steady_commit(kv_store *store, struct kv_commit *commit, bool wait);

/* Before the environment is closed: syncs, and notes that it was closed in order. */
void steady_end(kv_store *store);

/* After it: gives the directory up. */
void steady_close(kv_store *store);

#endif
