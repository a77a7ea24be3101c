/* world.h - an open store, its model, and the chance that drives both */
#ifndef HASH_WORLD_H
#define HASH_WORLD_H

#include "model.h"
#include "verify.h"

#define PIN_ROOM 32
#define BATCH_ROOM 128

struct pinned {
	uint64_t pin;
	const uint8_t *value;
	uint8_t *copy;
	uint64_t len;
};

struct piece {
	struct piece *next;
};

struct world {
	const struct kvstore_engine *engine[2];
	unsigned which;
	kv_store *store;
	struct model *model;
	uint64_t chance;
	int64_t now;
	uint64_t limit;
	bool poor; /* the sink may find no memory */
	/* The sink of the present call. */
	struct kv_sink sink;
	struct kv_events events;
	const struct kv_event *event; /* the next one to be explained */
	struct piece *pieces;
	/* Pins that are out. */
	struct pinned pins[PIN_ROOM];
	unsigned pin_count;
	/* The walk that is under way. */
	bool scanning;
	unsigned scan_space;
	uint32_t scan_flags;
	uint64_t scan_cursor;
	/* Figures to see that the test tests. */
	uint64_t done[128];
	uint64_t expired;
	uint64_t refused;
	uint64_t scans;
	uint64_t swaps;
};

uint64_t draw(struct world *w, uint64_t below);

/* A sink and an event list for one call, and the end of both. */
void call_begin(struct world *w);
void call_end(struct world *w);

/* The next event, if it is of this key: takes it and the key out of the model. */
bool explain_event(struct world *w, unsigned sp, uint32_t k);

/* What is left of the events, whatever the order of keys. */
void explain_rest(struct world *w);

/* One batch of random operations, compared with the model.  `grow`: of 100, how many set;
 * with 0 all delete. */
void random_batch(struct world *w, uint32_t range, unsigned grow);

void random_scan(struct world *w);
void random_maintain(struct world *w, uint64_t budget);
void random_swap(struct world *w);
void release_some(struct world *w, unsigned keep);
void check_figures(struct world *w);

/* Housekeeping until there is nothing left to do. */
void settle(struct world *w);

#endif
