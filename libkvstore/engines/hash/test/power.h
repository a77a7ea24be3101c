/* power.h - a disk that remembers the order in which things were done to it */
#ifndef HASH_POWER_H
#define HASH_POWER_H

#include "shop.h"

/* Has all calls of the engine recorded from now on; `into` is where they really go. */
void power_record(void);

/* No more recording; the engine calls the system. */
void power_stop(void);

/* The number of things done so far: where the power can be cut. */
uint64_t power_events(void);

/* The host began to sync these descriptors, and that is now done. */
uint64_t power_sync_begin(void);
void power_sync_end(int fd, uint64_t begun);

/*
 * What a disk may hold when the power is cut after so many events, made as files in `dir`,
 * an empty directory: what was synced, and any part of the rest, by sectors of 512 bytes.
 */
void power_cut(uint64_t events, uint64_t *chance, const char *dir);

void power_forget(void);

/* A call that is to fail: the n-th of that kind from now on, `times` times. */
enum fault_kind { FAULT_NONE, FAULT_OPEN, FAULT_WRITE, FAULT_SHORT, FAULT_RESERVE, FAULT_TRUNCATE, FAULT_SYNC,
		  FAULT_RENAME, FAULT_UNLINK, FAULT_READ, FAULT_MAP, FAULTS };
void fault_set(enum fault_kind kind, uint64_t n, uint64_t times, int error);
uint64_t fault_hits(void);

void empty_directory(const char *dir);
void copy_directory(const char *from, const char *to);

#endif
