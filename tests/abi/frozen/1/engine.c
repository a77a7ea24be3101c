/*
 * An engine as it was written on the day of the freeze, built against the headers of that
 * day beside this file: a table of chains that is never resized.  Leave it as it is.
 */
#include "kvstore.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define CHAINS 65536u

struct item {
	struct item *next;
	uint64_t key_len, value_len;
	int64_t expiry;
	uint32_t space, tag;
	char bytes[]; /* key, then value */
};

struct kv_store {
	struct item *chains[CHAINS];
	uint64_t memory, max_memory; /* about what malloc holds; 0: no limit */
	uint64_t sweep; /* the chain that maintain() looks at next */
};

/* Where the item with this key is linked, or would be. */
static struct item **place(kv_store *store, const struct kv_op *op)
{
	const unsigned char *key = op->key;
	uint64_t sum = 14695981039346656037u + op->space;

	for (uint64_t i = 0; i < op->key_len; i++)
		sum = (sum ^ key[i]) * 1099511628211u;
	struct item **at = &store->chains[(sum ^ sum >> 32) % CHAINS];

	for (; *at != NULL; at = &(*at)->next)
		if ((*at)->space == op->space && (*at)->key_len == op->key_len &&
		    memcmp((*at)->bytes, key, op->key_len) == 0)
			break;
	return at;
}

/* What an item takes, about, with what malloc adds. */
static uint64_t cost(uint64_t key_len, uint64_t value_len)
{
	return sizeof(struct item) + key_len + value_len + 32;
}

static void drop(kv_store *store, struct item **at)
{
	struct item *item = *at;

	store->memory -= cost(item->key_len, item->value_len);
	*at = item->next;
	free(item);
}

static int get(const struct kv_batch *batch, struct kv_op *op, const struct item *item)
{
	op->value = NULL;
	op->value_len = item->value_len;
	op->tag = item->tag;
	op->expiry = item->expiry;
	if (op->code == KV_META)
		return KV_OK;
	uint64_t from = op->offset < item->value_len ? op->offset : item->value_len;
	uint64_t n = op->length < item->value_len - from ? op->length : item->value_len - from;
	char *copy = kv_alloc(batch->reply, n);

	if (copy == NULL)
		return KV_NO_MEMORY;
	memcpy(copy, item->bytes + item->key_len + from, n);
	op->value = copy;
	op->value_len = n;
	op->pin = 0;
	return KV_OK;
}

static int set(kv_store *store, const struct kv_op *op, struct item **at, bool there)
{
	uint64_t more = cost(op->key_len, op->value_len);

	if (store->max_memory != 0 && store->memory + more > store->max_memory)
		return KV_NO_MEMORY;
	struct item *item = malloc(sizeof *item + op->key_len + op->value_len);

	if (item == NULL)
		return KV_NO_MEMORY;
	*item = (struct item){.key_len = op->key_len, .value_len = op->value_len,
			      .expiry = op->expiry, .space = op->space, .tag = op->tag};
	if ((op->flags & KV_OP_KEEP_EXPIRY) != 0 && there)
		item->expiry = (*at)->expiry;
	if (op->key_len > 0)
		memcpy(item->bytes, op->key, op->key_len);
	if (op->value_len > 0)
		memcpy(item->bytes + op->key_len, op->value, op->value_len);
	if (*at != NULL)
		drop(store, at);
	store->memory += more;
	item->next = *at;
	*at = item;
	return KV_OK;
}

static void clear(kv_store *store, uint32_t space)
{
	for (uint64_t i = 0; i < CHAINS; i++)
		for (struct item **at = &store->chains[i]; *at != NULL;)
			if (space == KV_SPACE_ALL || (*at)->space == space)
				drop(store, at);
			else
				at = &(*at)->next;
}

static int one(kv_store *store, const struct kv_batch *batch, struct kv_op *op)
{
	if ((op->flags & ~(KV_OP_WITH_NEXT | KV_OP_KEEP_EXPIRY)) != 0)
		return KV_UNSUPPORTED;
	if (op->code == KV_CLEAR) {
		clear(store, op->space);
		return KV_OK;
	}
	struct item **at = place(store, op);
	bool there = *at != NULL && !kv_gone((*at)->expiry, batch->now);

	switch (op->code) {
	case KV_GET:
	case KV_META:
		return there ? get(batch, op, *at) : KV_NOT_FOUND;
	case KV_SET:
		return set(store, op, at, there);
	case KV_DELETE:
		if (*at != NULL && there)
			drop(store, at);
		return there ? KV_OK : KV_NOT_FOUND;
	}
	return KV_UNSUPPORTED;
}

static int exec(kv_store *store, struct kv_batch *batch)
{
	for (uint64_t i = 0; i < batch->count; i++) {
		struct kv_op *op = kv_op_at(batch, i);

		op->status = one(store, batch, op);
	}
	return KV_OK;
}

static int found(struct kv_scan *scan, const struct item *item)
{
	bool values = (scan->flags & KV_SCAN_VALUES) != 0;
	uint64_t extra = item->key_len + (values ? item->value_len : 0);
	struct kv_item *out = kv_alloc(scan->sink, sizeof *out + extra);

	if (out == NULL)
		return KV_NO_MEMORY;
	memcpy(out + 1, item->bytes, extra);
	*out = (struct kv_item){.key = out + 1, .key_len = item->key_len,
				.value = values ? (char *)(out + 1) + item->key_len : NULL,
				.value_len = item->value_len, .expiry = item->expiry,
				.tag = item->tag, .space = item->space};
	if (scan->last != NULL)
		scan->last->next = out;
	else
		scan->first = out;
	scan->last = out;
	scan->count++;
	return KV_OK;
}

/* The cursor is the next chain.  A random entry: the first at or after a drawn chain. */
static int scan(kv_store *store, struct kv_scan *scan)
{
	if ((scan->flags & ~(KV_SCAN_VALUES | KV_SCAN_RANDOM)) != 0)
		return KV_UNSUPPORTED;
	bool random = (scan->flags & KV_SCAN_RANDOM) != 0;
	uint64_t looked = 0, bytes = 0, chain = scan->cursor, start = scan->seed % CHAINS;

	scan->first = scan->last = NULL;
	scan->count = 0;
	for (uint64_t i = 0; random && i < CHAINS; i++)
		for (struct item *item = store->chains[(start + i) % CHAINS]; item; item = item->next)
			if (item->space == scan->space && !kv_gone(item->expiry, scan->now))
				return found(scan, item);
	while (!random && chain < CHAINS && looked < scan->budget &&
	       (scan->budget_bytes == 0 || bytes < scan->budget_bytes)) {
		for (struct item *item = store->chains[chain]; item != NULL; item = item->next) {
			looked++;
			if (item->space != scan->space || kv_gone(item->expiry, scan->now))
				continue;
			if (found(scan, item) != KV_OK)
				return KV_NO_MEMORY;
			bytes += item->value_len;
		}
		chain++;
	}
	scan->cursor = random || chain >= CHAINS ? 0 : chain;
	return KV_OK;
}

/* Looks at every chain in turn, and at the whole table about once a second. */
static int maintain(kv_store *store, struct kv_maintain *m)
{
	m->used = 0;
	m->more = 0;
	m->next = m->now + 1000;
	for (; store->sweep < CHAINS; store->sweep++)
		for (struct item **at = &store->chains[store->sweep]; *at != NULL;) {
			if (m->used >= m->budget) {
				m->more = 1;
				m->next = m->now;
				return KV_OK;
			}
			m->used++;
			if (!kv_gone((*at)->expiry, m->now)) {
				at = &(*at)->next;
				continue;
			}
			if (kv_event_add(m->events, KV_EXPIRED, (*at)->space, (*at)->bytes,
					 (*at)->key_len) != KV_OK)
				return KV_OK;
			drop(store, at);
		}
	store->sweep = 0;
	return KV_OK;
}

static int stat(kv_store *store, struct kv_stat *stat)
{
	stat->next_space = KV_SPACE_ALL;
	stat->entries = stat->expiring = stat->payload = 0;
	stat->memory = stat->space == KV_SPACE_ALL ? store->memory : 0;
	for (uint64_t i = 0; i < CHAINS; i++)
		for (struct item *item = store->chains[i]; item != NULL; item = item->next) {
			if ((stat->space == KV_SPACE_ALL || item->space > stat->space) &&
			    item->space < stat->next_space)
				stat->next_space = item->space;
			if (stat->space != KV_SPACE_ALL && stat->space != item->space)
				continue;
			stat->entries++;
			stat->expiring += item->expiry != 0;
			stat->payload += item->key_len + item->value_len;
		}
	stat->reserved_memory = stat->memory;
	return KV_OK;
}

static int open(const struct kv_open *open, kv_store **store)
{
	if (open->flags != 0) {
		snprintf(open->error, open->error_size, "a flag of open that is not known here");
		return KV_UNSUPPORTED;
	}
	*store = calloc(1, sizeof **store);
	if (*store == NULL) {
		snprintf(open->error, open->error_size, "no memory for a table");
		return KV_NO_MEMORY;
	}
	(*store)->memory = sizeof **store;
	(*store)->max_memory = open->max_memory;
	return KV_OK;
}

static void close(kv_store *store, uint32_t flags)
{
	(void)flags;
	clear(store, KV_SPACE_ALL);
	free(store);
}

static const struct kvstore_engine engine = {
	.size = sizeof engine,
	.abi = KVSTORE_ABI_VERSION,
	.name = "frozen",
	.version = "1.0.0",
	.format = "frozen-1",
	.capabilities = KV_CAP_DELETE | KV_CAP_EXPIRY | KV_CAP_SPACES | KV_CAP_TAGS | KV_CAP_SCAN |
			KV_CAP_BINARY,
	.thread_model = KV_THREADS_SERIAL,
	.open = open,
	.close = close,
	.exec = exec,
	.scan = scan,
	.maintain = maintain,
	.stat = stat,
};

KVSTORE_EXPORT const struct kvstore_engine *kvstore_engine(void)
{
	return &engine;
}
