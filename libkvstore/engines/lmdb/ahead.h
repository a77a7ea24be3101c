/*
 * ahead.h - finds many entries together, faster than LMDB does one by one; ahead.c has how
 */
#ifndef LMDB_AHEAD_H
#define LMDB_AHEAD_H

#include "store.h"

#define AHEAD_GROUP 24u /* searches side by side: about as many lines as a core asks for */

/* The table `entries` in a reader's snapshot, as it lies in memory. */
struct ahead {
	const char *base; /* of the map */
	uint64_t page;    /* bytes of a page */
	uint64_t last;    /* number of the last page */
	uint64_t root;
	unsigned depth;
};

/* One entry that is looked for. */
struct sought {
	uint64_t epoch, hash; /* in: with ordinal 0 */
	const char *data;     /* out: the record, unproved; NULL: not found here, ask LMDB */
	uint64_t size;        /* out */
	/* ahead.c's own: where the search is. */
	const char *page, *node;
	uint64_t number;
	uint32_t low, high;
};

/* Makes ready in the present reader; false: it cannot be done here. */
bool ahead_begin(kv_store *store, struct ahead *ahead);

/* Looks for at most AHEAD_GROUP entries.  What it found is good until the reader ends. */
void ahead_find(const struct ahead *ahead, struct sought *group, unsigned n);

#endif
