/* model.h - the simplest store there is, to compare the engine with */
#ifndef HASH_MODEL_H
#define HASH_MODEL_H

#include "kvstore.h"

#include <stdbool.h>

#define SPACES 4
#define KEYS 6000

struct fact {
	bool there;
	bool must;   /* a running scan has to return it */
	bool seen;
	uint32_t tag;
	int64_t expiry;
	uint64_t len;
	uint8_t *value;
};

struct model {
	struct fact fact[SPACES][KEYS];
	uint32_t numbers[SPACES];
	uint64_t entries[SPACES];
	uint64_t expiring[SPACES];
	uint64_t payload[SPACES];
};

#define FAIL_IF(cond)                                                               \
	do {                                                                        \
		if (cond) {                                                         \
			fprintf(stderr, "model: %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                    \
		}                                                                   \
	} while (0)

/* The bytes of key k, the same at every call; returns its length. */
uint64_t model_key(uint32_t k, uint8_t *to);
#define KEY_ROOM 400

/* The number of a key that the engine gave back. */
uint32_t model_key_number(const void *key, uint64_t len);

void model_set(struct model *m, unsigned sp, uint32_t k, const void *value, uint64_t len,
	       int64_t expiry, uint32_t tag);
void model_delete(struct model *m, unsigned sp, uint32_t k);
void model_clear(struct model *m, unsigned sp);

/* The index of a space by its number. */
unsigned model_space(const struct model *m, uint32_t number);

#endif
