/* host.h - what the C tests of the ABI need to play the host */
#ifndef ABI_HOST_H
#define ABI_HOST_H

#include <kvstore.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* A loaded library and its descriptor. */
struct library {
	void *handle;
	struct kvstore_engine engine; /* the smaller size, the rest zero */
};

/* Loads an engine or ends the program with the reason. */
void library_load(struct library *library, const char *path);
void library_unload(struct library *library);

/* Opens a store or ends the program with the engine's reason. */
kv_store *store_open(const struct library *library, int64_t now, uint64_t max_memory);

/* Hands a store over from one library to the other or ends the program. */
kv_store *store_hand_over(const struct library *from, kv_store *old, const struct library *to,
			  int64_t now);

/* A sink over malloc'ed pieces.  `left` bounds what it gives in all. */
struct memory {
	struct kv_sink sink;
	struct piece *pieces;
	uint64_t left;
};

void memory_init(struct memory *memory);
void memory_free(struct memory *memory); /* and it can be used again */

/* Ends the program, saying where and what; for checks that failed. */
#define FAIL(...) \
	do { \
		fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
		fprintf(stderr, __VA_ARGS__); \
		fputc('\n', stderr); \
		abort(); \
	} while (0)

#define CHECK(condition) \
	do { \
		if (!(condition)) \
			FAIL("not true: %s", #condition); \
	} while (0)

/* The next number of a repeatable sequence (xorshift). */
static inline uint64_t draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#endif
