/* shop.h - a small durable store that random operations are done on, its states known by digests */
#ifndef HASH_SHOP_H
#define HASH_SHOP_H

#include "store.h"

#include <stdio.h>
#include <stdlib.h>

#define FAIL_IF(cond)                                                                \
	do {                                                                         \
		if (cond) {                                                          \
			fprintf(stderr, "crash: %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                     \
		}                                                                    \
	} while (0)

#define SHOP_KEYS 10u
#define SHOP_SPACES 2u
#define SHOP_NOW 1700000000000

/* The lines that the engine said at the last opening. */
extern char shop_said[1024];
extern char shop_error[512];

/* How many entries were made of what was received into the store. */
extern uint64_t shop_stages;

/* The longest value. */
extern uint64_t shop_longest;

uint64_t shop_draw(uint64_t *chance, uint64_t below);

/* Opens; NULL and shop_error. */
kv_store *shop_open(const char *dir, bool fresh, uint64_t seed, int *status);

/* Has a key of space 0 hold a value that was received into the store. */
void shop_long(kv_store *st, uint64_t k);

/* Closes, with nothing left that the host had from it. */
void shop_close(kv_store *st);

/* One random operation (a run of up to three, sometimes): the status of the last. */
int shop_op(kv_store *st, uint64_t *chance, uint64_t number, unsigned *run);

/* A number for all that can be read. */
uint64_t shop_digest(kv_store *st);

/* Notes what each key has; whether a lookup of one is refused, all others being as noted. */
void shop_note(kv_store *st);
bool shop_refuses(kv_store *st);

#endif
