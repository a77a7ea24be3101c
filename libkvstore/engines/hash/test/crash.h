/* crash.h - what the parts of the crash test share */
#ifndef HASH_CRASH_H
#define HASH_CRASH_H

#include "image.h"
#include "power.h"

#define HISTORY 200000

extern char live[64], rebuilt[64]; /* directories */
extern uint64_t chance;
extern uint64_t images; /* starts that mapped one */

/* What a run knows of itself. */
struct past {
	uint64_t count;           /* states: after each operation */
	uint64_t state[HISTORY];  /* digests */
	uint64_t event[HISTORY];  /* events when it was reached */
	uint64_t promises;        /* what syncs promised */
	uint64_t when[HISTORY];   /* events until then */
	uint64_t promised[HISTORY]; /* this state and all before cannot be lost */
};

extern struct past *past;

uint64_t remember(kv_store *st);

/* The newest state from `low` to `high` that this is; -1: none. */
int64_t state_of(uint64_t digest, uint64_t low, uint64_t high);

/* The host's side: syncs that begin and end some time later. */
struct host {
	uint64_t synced;
	int error;
	bool running;
	int fd_of[8];
	uint32_t n;
	uint64_t mark, begun, covers; /* covers: states */
	bool save;                    /* the next commit asks for a snapshot */
	uint64_t save_mark, save_covers, saves; /* the one that is under way; covers 0: none */
};

/* A tick's end: commit, and what follows from it.  `lazy`: syncs end when they please. */
int commit(struct host *h, kv_store *st, bool lazy);
void end_sync(struct host *h, int error);
void keep_house(kv_store *st, int64_t now, uint64_t budget);

/* How images are looked at, by chance. */
void choose_ways(void);

int fault(uint64_t seed, uint64_t runs);
int clock_back(uint64_t seed);
int spoil_image(uint64_t seed, uint64_t step);

#endif
