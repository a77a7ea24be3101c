/*
 * simple - a complete engine in thirty lines: a table of chains.
 *
 * kvstore_simple.h says what each function promises.  The bucket is the
 * position of an entry, so that a walk misses nothing.
 */
#include "kvstore_simple.h"

#ifndef KV_ENGINE_VERSION
#define KV_ENGINE_VERSION "0.1.0"
#endif

#define BUCKETS 65536u

static struct node {
	struct node *next;
	size_t key_len, value_len;
	char bytes[]; /* the key, then the value */
} *table[BUCKETS];

/* Where the pointer to the node of `key` is, or would be. */
static struct node **find(const void *key, size_t key_len)
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a */

	for (size_t i = 0; i < key_len; i++)
		hash = (hash ^ ((const unsigned char *)key)[i]) * 1099511628211u;
	struct node **at = &table[(hash ^ hash >> 32) % BUCKETS];

	while (*at && ((*at)->key_len != key_len || memcmp((*at)->bytes, key, key_len) != 0))
		at = &(*at)->next;
	return at;
}

static const void *get(const void *key, size_t key_len, size_t *value_len)
{
	struct node *node = *find(key, key_len);

	*value_len = node ? node->value_len : 0;
	return node ? node->bytes + key_len : NULL;
}

static int del(const void *key, size_t key_len)
{
	struct node **at = find(key, key_len), *node = *at;

	if (!node)
		return KV_NOT_FOUND;
	*at = node->next;
	free(node);
	return KV_OK;
}

static int set(const void *key, size_t key_len, const void *value, size_t value_len)
{
	struct node **at = find(key, key_len), *old = *at;
	struct node *node = malloc(sizeof *node + key_len + value_len);

	if (!node)
		return KV_NO_MEMORY;
	*node = (struct node){old ? old->next : NULL, key_len, value_len};
	memcpy(node->bytes, key, key_len);
	memcpy(node->bytes + key_len, value, value_len);
	*at = node;
	free(old);
	return KV_OK;
}

static uint64_t each(uint64_t position, kv_simple_found found, void *to)
{
	while (position < BUCKETS && !table[position])
		position++;
	if (position >= BUCKETS)
		return 0;
	for (struct node *node = table[position]; node; node = node->next)
		found(to, node->bytes, node->key_len, node->bytes + node->key_len, node->value_len);
	return position + 1;
}

KVSTORE_SIMPLE_ENGINE(.name = "simple", .version = KV_ENGINE_VERSION, .get = get, .set = set,
		      .del = del, .each = each)
