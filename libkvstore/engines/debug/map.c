#include "map.h"

#include <stdlib.h>

/* Well-mixed bits of x (splitmix64). */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static uint64_t sweep_trash(struct map *map, uint64_t budget);

static int fits(const struct map *map, uint64_t n)
{
	return map->max_memory == 0 ||
	       (n <= map->max_memory && map->memory <= map->max_memory - n);
}

/* n bytes on the map's account; NULL above the limit or without memory.  What
 * was cleared goes first, so that FLUSHALL makes room at once. */
static void *take(struct map *map, uint64_t n)
{
	void *p;

	while (!fits(map, n))
		if (sweep_trash(map, 4096) == 0)
			return NULL;
	p = malloc(n);
	if (p != NULL)
		map->memory += n;
	return p;
}

static void give(struct map *map, void *p, uint64_t n)
{
	map->memory -= n;
	free(p);
}

/* ------------------------------------------------------------------- trees */

static int compare_keys(const void *a, uint64_t a_len, const void *b, uint64_t b_len)
{
	uint64_t n = a_len < b_len ? a_len : b_len;
	int c = n > 0 ? memcmp(a, b, n) : 0;

	return c != 0 ? c : (a_len > b_len) - (a_len < b_len);
}

/* Where a stands towards b; 0 only for the same entry. */
static int compare(enum order order, const struct entry *a, const struct entry *b)
{
	if (order == BY_KEY)
		return compare_keys(a->key, a->key_len, b->key, b->key_len);
	if (order == BY_EXPIRY && a->expiry != b->expiry)
		return a->expiry < b->expiry ? -1 : 1;
	return (a->age > b->age) - (a->age < b->age);
}

/* Hangs an entry in above all of lower rank, sharing those out to its sides. */
static void tree_insert(struct entry **at, enum order order, struct entry *e)
{
	while (*at != NULL && (*at)->rank >= e->rank)
		at = &(*at)->child[order][compare(order, e, *at) > 0];

	struct entry *rest = *at;
	struct entry **side[2] = {&e->child[order][0], &e->child[order][1]};

	while (rest != NULL) {
		int greater = compare(order, rest, e) > 0;

		*side[greater] = rest;
		side[greater] = &rest->child[order][!greater];
		rest = *side[greater];
	}
	*side[0] = *side[1] = NULL;
	*at = e;
}

/* Joins two trees, all of `small` before all of `great`, at `at`. */
static void tree_join(struct entry **at, enum order order, struct entry *small,
		      struct entry *great)
{
	while (small != NULL && great != NULL) {
		if (small->rank >= great->rank) {
			*at = small;
			at = &small->child[order][1];
			small = *at;
		} else {
			*at = great;
			at = &great->child[order][0];
			great = *at;
		}
	}
	*at = small != NULL ? small : great;
}

static void tree_remove(struct entry **at, enum order order, struct entry *e)
{
	while (*at != e)
		at = &(*at)->child[order][compare(order, e, *at) > 0];
	tree_join(at, order, e->child[order][0], e->child[order][1]);
}

/* ------------------------------------------------------------------ values */

struct value *map_value_new(struct map *map, uint64_t n)
{
	struct value *value;

	if (n > UINT64_MAX / 2)
		return NULL;
	value = take(map, sizeof *value + n);
	if (value == NULL)
		return NULL;
	value->holders = 1;
	value->length = n;
	return value;
}

void map_value_drop(struct map *map, struct value *value)
{
	if (--value->holders == 0)
		give(map, value, sizeof *value + value->length);
}

/* ----------------------------------------------------------------- entries */

struct entry *map_find(const struct space *space, const void *key, uint64_t key_len)
{
	struct entry *e = space->root[BY_KEY];

	while (e != NULL) {
		int c = compare_keys(key, key_len, e->key, e->key_len);

		if (c == 0)
			return e;
		e = e->child[BY_KEY][c > 0];
	}
	return NULL;
}

struct entry *map_older(const struct space *space, uint64_t age)
{
	struct entry *found = NULL;

	for (struct entry *e = space->root[BY_AGE]; e != NULL;) {
		if (e->age < age)
			found = e;
		e = e->child[BY_AGE][e->age < age];
	}
	return found;
}

struct entry *map_soonest(const struct space *space)
{
	struct entry *e = space->root[BY_EXPIRY];

	while (e != NULL && e->child[BY_EXPIRY][0] != NULL)
		e = e->child[BY_EXPIRY][0];
	return e;
}

struct entry *map_add(struct map *map, struct space *space, const void *key, uint64_t key_len,
		      struct value *value)
{
	struct entry *e = NULL;

	if (key_len <= UINT64_MAX / 2)
		e = take(map, sizeof *e + key_len);
	if (e == NULL)
		return NULL;
	memset(e, 0, sizeof *e);
	e->age = ++map->last_age;
	e->rank = mix(map->seed ^ mix(e->age));
	e->value = value;
	e->key_len = key_len;
	if (key_len > 0)
		memcpy(e->key, key, key_len);
	tree_insert(&space->root[BY_KEY], BY_KEY, e);
	tree_insert(&space->root[BY_AGE], BY_AGE, e);
	space->entries++;
	space->payload += key_len + value->length;
	return e;
}

void map_replace(struct map *map, struct space *space, struct entry *e, struct value *value)
{
	space->payload += value->length - e->value->length;
	map_value_drop(map, e->value);
	e->value = value;
}

void map_expire_at(struct space *space, struct entry *e, int64_t expiry)
{
	if (e->expiry == expiry)
		return;
	if (e->expiry != 0) {
		tree_remove(&space->root[BY_EXPIRY], BY_EXPIRY, e);
		space->expiring--;
	}
	e->expiry = expiry;
	if (expiry != 0) {
		tree_insert(&space->root[BY_EXPIRY], BY_EXPIRY, e);
		space->expiring++;
	}
}

static void entry_free(struct map *map, struct entry *e)
{
	map_value_drop(map, e->value);
	give(map, e, sizeof *e + e->key_len);
}

void map_remove(struct map *map, struct space *space, struct entry *e)
{
	map_expire_at(space, e, 0);
	tree_remove(&space->root[BY_KEY], BY_KEY, e);
	tree_remove(&space->root[BY_AGE], BY_AGE, e);
	space->entries--;
	space->payload -= e->key_len + e->value->length;
	entry_free(map, e);
}

/* ------------------------------------------------------------------ spaces */

struct space *map_space(const struct map *map, uint32_t id)
{
	struct space *space = map->spaces;

	while (space != NULL && space->id < id)
		space = space->next;
	return space != NULL && space->id == id ? space : NULL;
}

struct space *map_space_made(struct map *map, uint32_t id)
{
	struct space **at = &map->spaces;

	while (*at != NULL && (*at)->id < id)
		at = &(*at)->next;
	if (*at != NULL && (*at)->id == id)
		return *at;

	struct space *space = take(map, sizeof *space);

	if (space == NULL)
		return NULL;
	memset(space, 0, sizeof *space);
	space->id = id;
	space->next = *at;
	*at = space;
	return space;
}

void map_clear(struct map *map, struct space *space)
{
	struct entry *root = space->root[BY_AGE];

	memset(space->root, 0, sizeof space->root);
	space->entries = space->expiring = space->payload = 0;
	if (root == NULL)
		return;
	root->child[BY_EXPIRY][0] = map->trash;
	map->trash = root;
}

/* Frees up to `budget` entries of the trash, a list of trees linked through
 * their roots' BY_EXPIRY.  A left branch is turned up until there is none. */
static uint64_t sweep_trash(struct map *map, uint64_t budget)
{
	uint64_t done = 0;

	while (map->trash != NULL && done < budget) {
		struct entry *e = map->trash;
		struct entry *list = e->child[BY_EXPIRY][0];
		struct entry *left = e->child[BY_AGE][0];
		struct entry *right = e->child[BY_AGE][1];

		done++;
		if (left != NULL) {
			e->child[BY_AGE][0] = left->child[BY_AGE][1];
			left->child[BY_AGE][1] = e;
			left->child[BY_EXPIRY][0] = list;
			map->trash = left;
			continue;
		}
		if (right != NULL)
			right->child[BY_EXPIRY][0] = list;
		map->trash = right != NULL ? right : list;
		entry_free(map, e);
	}
	return done;
}

uint64_t map_sweep(struct map *map, uint64_t budget)
{
	uint64_t done = sweep_trash(map, budget);

	for (struct space **at = &map->spaces; *at != NULL && done < budget;) {
		struct space *space = *at;

		if (space->entries > 0) {
			at = &space->next;
			continue;
		}
		*at = space->next;
		give(map, space, sizeof *space);
		done++;
	}
	return done;
}

struct map *map_new(uint64_t seed, uint64_t max_memory)
{
	struct map *map = calloc(1, sizeof *map);

	if (map == NULL)
		return NULL;
	map->seed = seed;
	map->max_memory = max_memory;
	return map;
}

void map_free(struct map *map)
{
	for (struct space *space = map->spaces; space != NULL; space = space->next)
		map_clear(map, space);
	map_sweep(map, UINT64_MAX);
	free(map);
}
