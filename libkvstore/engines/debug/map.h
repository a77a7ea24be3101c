/*
 * map.h - the memory of the debug engine: spaces of ordered entries
 *
 * An entry hangs in three ordered trees of its space at once: by key, by age
 * and by expiry time.  The trees are treaps: the rank of an entry, a random
 * number, says how high it hangs in each.
 *
 * All of it together is the format "debug-1": a build of this engine takes
 * over what another build with the same format has made.  Who changes a
 * structure below changes DEBUG_FORMAT.  No pointer to code or to static
 * data may be kept in here, since the code that made it goes away.
 */
#ifndef DEBUG_MAP_H
#define DEBUG_MAP_H

#include <kvstore.h>

#define DEBUG_FORMAT "debug-1"

/* Bytes of a value.  Shared by its entry and the pins that hold it. */
struct value {
	uint64_t holders; /* entry (0 or 1) and pins; freed with the last one */
	uint64_t length;
	char bytes[];
};

enum order { BY_KEY, BY_AGE, BY_EXPIRY, ORDERS };

struct entry {
	struct entry *child[ORDERS][2]; /* smaller, greater */
	uint64_t rank;
	uint64_t age;     /* number of insertion; kept when the value changes */
	int64_t expiry;   /* in BY_EXPIRY only when not 0 */
	struct value *value;
	uint64_t key_len;
	uint32_t tag;
	uint32_t reserved;
	char key[];
};

/* What one space holds; without entries it may go away. */
struct space {
	struct space *next; /* with a higher id */
	struct entry *root[ORDERS];
	uint64_t entries;
	uint64_t expiring;
	uint64_t payload;
	uint32_t id;
	uint32_t reserved;
};

/* Everything that a hand-over passes on. */
struct map {
	struct space *spaces;
	struct entry *trash; /* cleared trees BY_AGE, their roots linked BY_EXPIRY */
	uint64_t last_age;
	uint64_t seed;
	uint64_t memory;     /* bytes of all entries, values and spaces, trash and pinned included */
	uint64_t max_memory; /* 0: no limit */
	uint64_t pins;
};

struct map *map_new(uint64_t seed, uint64_t max_memory);

/* Frees all but values that are still pinned. */
void map_free(struct map *map);

/* The space with this id; NULL when there is none. */
struct space *map_space(const struct map *map, uint32_t id);

/* The same, made if need be; NULL: no memory. */
struct space *map_space_made(struct map *map, uint32_t id);

/* Throws a space's entries away in constant time; map_sweep() frees them. */
void map_clear(struct map *map, struct space *space);

/* Frees up to `budget` thrown-away entries and empty spaces; how many. */
uint64_t map_sweep(struct map *map, uint64_t budget);

/* The entry of a key, its time passed or not; NULL when there is none.  */
struct entry *map_find(const struct space *space, const void *key, uint64_t key_len);

/* The youngest entry with an age below `age`; NULL when there is none. */
struct entry *map_older(const struct space *space, uint64_t age);

/* The entry whose time passes first; NULL when none has one. */
struct entry *map_soonest(const struct space *space);

/* A value of n bytes, not initialised, held once; NULL: no memory, or the limit. */
struct value *map_value_new(struct map *map, uint64_t n);

/* Lets go of a value; the last one frees it. */
void map_value_drop(struct map *map, struct value *value);

/* Adds an entry for a key that is not there.  Takes over the holding of
 * `value` on success only; NULL: no memory. */
struct entry *map_add(struct map *map, struct space *space, const void *key, uint64_t key_len,
		      struct value *value);

/* Gives an entry another value, whose holding it takes over. */
void map_replace(struct map *map, struct space *space, struct entry *entry, struct value *value);

/* Gives an entry another expiry time. */
void map_expire_at(struct space *space, struct entry *entry, int64_t expiry);

void map_remove(struct map *map, struct space *space, struct entry *entry);

#endif
