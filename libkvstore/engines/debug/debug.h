/* debug.h - what the files of the debug engine share */
#ifndef DEBUG_H
#define DEBUG_H

#include "map.h"

#include <stdbool.h>

/* What offer() gives and accept() reads, at kv_offer.state. */
struct handed {
	char format[16];      /* DEBUG_FORMAT */
	uint32_t size;        /* of this structure */
	uint32_t entry_size;  /* of struct entry: a build that disagrees refuses */
	uint32_t map_size;
	uint32_t reserved;
	struct map *map;
};

/* One generation's hold on a map. */
struct kv_store {
	struct map *map;
	struct handed handed; /* valid from offer() to resume() or close() */
	uint64_t ops;  /* operations so far, for faults that wait */
	uint64_t sets; /* KV_SET so far, likewise */
};

/* The complete, well-behaved engine; kvstore_engine() is in fault.c. */
extern const struct kvstore_engine debug_engine;

/* Leaves a sentence about a failed open() or accept(); returns the status. */
int debug_fail(const struct kv_open *open, int status, const char *text);

#endif
