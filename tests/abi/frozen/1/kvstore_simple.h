/*
 * kvstore_simple.h - a storage engine from a get and a set
 *
 * The other end of the scale of kvstore.h: write two static functions over
 * bytes, name them in one macro, and the library is a complete engine.
 *
 *	#include "kvstore_simple.h"
 *
 *	static const void *get(const void *key, size_t key_len, size_t *value_len) { ... }
 *	static int set(const void *key, size_t key_len, const void *value, size_t value_len) { ... }
 *
 *	KVSTORE_SIMPLE_ENGINE(.name = "mine", .version = "1.0.0", .get = get, .set = set)
 *
 *	gcc -fPIC -fvisibility=hidden -shared -o mine.so mine.c
 *	kvctl engine check ./mine.so
 *
 * CAVEATS, first:
 *
 *  - Such an engine keeps no expiry times, no tags and only space 0.  What
 *    needs them answers KV_UNSUPPORTED, and the host says so to the client,
 *    naming the engine.  INCR, APPEND, SETNX and the like work: they are
 *    made of get and set here.
 *  - Keys and values are bytes: they may hold NUL and may be empty.  They
 *    are never a null pointer, and belong to the caller: copy what must stay.
 *  - Never two calls at once, but not always from the same thread.
 *  - The functions keep their data where they like, static variables
 *    included; therefore one loaded library holds one open store.
 *  - No thread, open file or exit handler may be left when the store is
 *    closed.
 *  - In C++ (C++20, or any with GNU extensions) no exception may leave a
 *    function, data must not hang on static objects with destructors, and
 *    g++ needs -fno-gnu-unique or the library can never be unloaded.
 *
 * The members of the macro, in the order that C++ insists on; only the first
 * four are needed:
 *
 *	.name .version .get .set .del .each .clear .open .close .max_key .max_value
 *
 * The contracts stand at struct kv_simple below.  What was left out shows in
 * the engine's capabilities: no del, no KV_CAP_DELETE; no each, no KV_CAP_SCAN.
 */
#ifndef KVSTORE_SIMPLE_H
#define KVSTORE_SIMPLE_H

#include "kvstore.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What each() calls for every entry it comes to.  `to` is what each() got. */
typedef void (*kv_simple_found)(void *to, const void *key, size_t key_len, const void *value,
				size_t value_len);

/* What an author gives to KVSTORE_SIMPLE_ENGINE.  "A status" is an enum
 * kv_status: KV_OK (0), or the reason why not. */
struct kv_simple {
	/* [a-z0-9-]{1,32}, and printable without blanks. */
	const char *name;
	const char *version;

	/*
	 * The value of `key` and its length, or NULL when there is none.  An
	 * empty value is a pointer, not NULL.  The bytes stay the engine's and
	 * need to be good only until the next call of any function here.
	 */
	const void *(*get)(const void *key, size_t key_len, size_t *value_len);

	/*
	 * Stores a copy of `value` under a copy of `key`, in place of what was
	 * there.  Returns a status; unless it is KV_OK the old value is still
	 * there.  `value` never points into what get() returned.
	 */
	int (*set)(const void *key, size_t key_len, const void *value, size_t value_len);

	/* Removes `key`.  KV_OK, KV_NOT_FOUND when it was not there, or another
	 * status.  `key` may point into what each() has just reported. */
	int (*del)(const void *key, size_t key_len);

	/*
	 * Walks the entries.  Each entry lives at a position, a number of the
	 * author's choice, which it keeps for as long as it is there, also when
	 * its value changes; several may share one, as the chain of a bucket does.
	 * The call reports *all* entries of the lowest used position that is at
	 * least `position`, and returns a number above that position to go on
	 * with, or 0 when nothing can follow.  The walk begins with 0; any other
	 * number may come too and must do no harm.
	 *
	 * Because no entry changes its position, a walk meets every entry that
	 * was there all the time, whatever is added and removed meanwhile: that
	 * is what SCAN promises.  A table that grows needs positions that survive
	 * the growth, such as a number given at insertion.
	 *
	 * `found` copies; it calls nothing of the engine.
	 */
	uint64_t (*each)(uint64_t position, kv_simple_found found, void *to);

	/* Removes everything.  Without it each() and del() are used, which takes
	 * time that grows with the number of entries; without those either,
	 * FLUSHDB is not supported. */
	void (*clear)(void);

	/* Called before anything else.  A status; without it a store just starts. */
	int (*open)(void);

	/* Called last: frees what the store holds.  Without it everything is
	 * removed as by clear. */
	void (*close)(void);

	/* The longest key and value in bytes; 0: any length. */
	uint64_t max_key;
	uint64_t max_value;
};

/*
 * Makes the engine.  Once per library, after the functions, without a
 * semicolon behind it.
 */
#define KVSTORE_SIMPLE_ENGINE(...)                                                   \
	KV_SIMPLE_QUIET                                                              \
	static const struct kv_simple *kv_simple_author(void)                        \
	{                                                                            \
		static const struct kv_simple author = {__VA_ARGS__};                \
		return &author;                                                      \
	}                                                                            \
	KV_SIMPLE_LOUD                                                               \
	KV_SIMPLE_C KVSTORE_EXPORT const struct kvstore_engine *kvstore_engine(void) \
	{                                                                            \
		static struct kvstore_engine engine;                                 \
		kv_simple_describe(&engine);                                         \
		return &engine;                                                      \
	}

/* ---------------------------------------------------------------------------
 * The rest is how it is done; an author need not read on.
 */
#ifdef __cplusplus
#define KV_SIMPLE_C extern "C"
/* C++ warns of members left out, which is the point here. */
#define KV_SIMPLE_QUIET        \
	_Pragma("GCC diagnostic push") \
	_Pragma("GCC diagnostic ignored \"-Wmissing-field-initializers\"")
#define KV_SIMPLE_LOUD _Pragma("GCC diagnostic pop")
#else
#define KV_SIMPLE_C
#define KV_SIMPLE_QUIET
#define KV_SIMPLE_LOUD
#endif

/* What the macro was given. */
static const struct kv_simple *kv_simple_author(void);

/* The one store of the library; guarded by the host, which calls serially. */
struct kv_store {
	int is_open;
	uint64_t entries;
	uint64_t payload;    /* bytes of keys and values */
	uint64_t max_memory; /* bound on payload, 0: none */
};

static inline struct kv_store *kv_simple_store(void)
{
	static struct kv_store store;

	return &store;
}

/* An entry without bytes may come with a null pointer; authors never see one. */
static inline const void *kv_simple_bytes(const void *p)
{
	return p != NULL ? p : "";
}

/* The value of op's key, or NULL; *len is 0 then. */
static inline const char *kv_simple_get(const struct kv_op *op, uint64_t *len)
{
	size_t n = 0;
	const void *value = kv_simple_author()->get(kv_simple_bytes(op->key), (size_t)op->key_len, &n);

	*len = value != NULL ? n : 0;
	return (const char *)value;
}

/* KV_GET and KV_META. */
static inline int kv_simple_op_read(const struct kv_batch *batch, struct kv_op *op)
{
	uint64_t len;
	const char *value = kv_simple_get(op, &len);
	char *copy = NULL;

	if (value == NULL)
		return KV_NOT_FOUND;
	if (op->code == KV_GET) {
		uint64_t from = op->offset < len ? op->offset : len;

		len = op->length < len - from ? op->length : len - from;
		copy = (char *)kv_alloc(batch->reply, len);
		if (copy == NULL)
			return KV_NO_MEMORY;
		memcpy(copy, value + from, (size_t)len);
	}
	op->value = copy;
	op->value_len = len;
	op->tag = 0;
	op->expiry = 0;
	op->pin = 0;
	return KV_OK;
}

/* Sets op's key and keeps the figures; old_len is UINT64_MAX for a new key. */
static inline int kv_simple_put(struct kv_store *store, const struct kv_op *op, const void *value,
				uint64_t len, uint64_t old_len)
{
	const struct kv_simple *author = kv_simple_author();
	uint64_t without = store->payload;

	if ((author->max_key != 0 && op->key_len > author->max_key) ||
	    (author->max_value != 0 && len > author->max_value))
		return KV_TOO_LARGE;
	if (old_len != UINT64_MAX)
		without -= op->key_len + old_len;
	if (store->max_memory != 0 && without + op->key_len + len > store->max_memory)
		return KV_NO_MEMORY;
	int status = author->set(kv_simple_bytes(op->key), (size_t)op->key_len,
				 kv_simple_bytes(value), (size_t)len);
	if (status != KV_OK)
		return status;
	store->entries += old_len == UINT64_MAX;
	store->payload = without + op->key_len + len;
	return KV_OK;
}

static inline int kv_simple_op_set(struct kv_store *store, const struct kv_op *op)
{
	uint64_t old_len;

	if (op->expiry != 0 || op->tag != 0)
		return KV_UNSUPPORTED;
	if (kv_simple_get(op, &old_len) == NULL)
		old_len = UINT64_MAX;
	return kv_simple_put(store, op, op->value, op->value_len, old_len);
}

static inline int kv_simple_op_delete(struct kv_store *store, const struct kv_op *op)
{
	uint64_t old_len;

	if (kv_simple_author()->del == NULL)
		return KV_UNSUPPORTED;
	if (kv_simple_get(op, &old_len) == NULL)
		return KV_NOT_FOUND;
	int status = kv_simple_author()->del(kv_simple_bytes(op->key), (size_t)op->key_len);
	if (status == KV_OK) {
		store->entries--;
		store->payload -= op->key_len + old_len;
	}
	return status;
}

/* A private copy of a key on its way from each() to del(). */
struct kv_simple_victim {
	char *key;
	size_t key_len;
	int found;
};

/* Remembers the first entry that each() reports. */
static inline void kv_simple_remember(void *to, const void *key, size_t key_len, const void *value,
				      size_t value_len)
{
	struct kv_simple_victim *victim = (struct kv_simple_victim *)to;

	(void)value;
	(void)value_len;
	if (victim->found)
		return;
	victim->found = 1;
	victim->key_len = key_len;
	victim->key = (char *)malloc(key_len + 1);
	if (victim->key != NULL)
		memcpy(victim->key, key, key_len);
}

/* Removes everything by walking: KV_UNSUPPORTED when the engine cannot. */
static inline int kv_simple_clear_by_walk(const struct kv_simple *author)
{
	uint64_t position = 0;
	int status = KV_OK;

	if (author->each == NULL || author->del == NULL)
		return KV_UNSUPPORTED;
	while (status == KV_OK) {
		struct kv_simple_victim victim = {NULL, 0, 0};
		uint64_t next = author->each(position, kv_simple_remember, &victim);

		if (victim.found)
			status = victim.key != NULL ? author->del(victim.key, victim.key_len)
						    : KV_NO_MEMORY;
		else if (next == 0)
			break;
		else
			position = next;
		free(victim.key);
	}
	return status;
}

static inline int kv_simple_op_clear(struct kv_store *store)
{
	const struct kv_simple *author = kv_simple_author();
	int status = author->clear == NULL ? kv_simple_clear_by_walk(author) : KV_OK;

	if (author->clear != NULL)
		author->clear();
	if (status == KV_OK)
		store->entries = store->payload = 0;
	return status;
}

/*
 * The new value that a change asks for, in memory of its own because the
 * change may point into the old value, which set() frees; NULL: no memory.
 */
static inline char *kv_simple_changed(int answer, const struct kv_change *change, const char *old,
				      uint64_t old_len)
{
	char *value = (char *)malloc((size_t)change->value_len + 1);
	uint64_t keep = old_len < change->value_len ? old_len : change->value_len;

	if (value == NULL)
		return NULL;
	if (answer == KV_REPLACE)
		return (char *)memcpy(value, kv_simple_bytes(change->value),
				      (size_t)change->value_len);
	memcpy(value, kv_simple_bytes(old), (size_t)keep);
	memset(value + keep, 0, (size_t)(change->value_len - keep));
	memcpy(value + change->patch_offset, kv_simple_bytes(change->value),
	       (size_t)change->patch_len);
	return value;
}

/* KV_UPDATE made of get, set and del: for changes of the value alone. */
static inline int kv_simple_op_update(struct kv_store *store, const struct kv_op *op)
{
	struct kv_entry entry = {sizeof entry, 0, NULL, 0, 0, 0, 0};
	struct kv_change change = {sizeof change, 0, 0, NULL, 0, 0, 0};
	const char *old = kv_simple_get(op, &entry.value_len);
	entry.value = old;
	entry.present = old != NULL;
	int answer = op->update(op->arg, &entry, &change);

	if (answer == KV_KEEP)
		return KV_OK;
	if (answer == KV_REMOVE)
		return old != NULL ? kv_simple_op_delete(store, op) : KV_OK;
	if (change.expiry != 0 || change.tag != 0)
		return KV_UNSUPPORTED;
	if (answer == KV_RETAG)
		return KV_OK;
	if (answer != KV_REPLACE && answer != KV_PATCH)
		return KV_UNSUPPORTED;
	if (answer == KV_PATCH && (change.patch_offset > change.value_len ||
				   change.patch_len > change.value_len - change.patch_offset))
		return KV_ERROR;
	char *value = kv_simple_changed(answer, &change, old, entry.value_len);

	if (value == NULL)
		return KV_NO_MEMORY;
	int status = kv_simple_put(store, op, value, change.value_len,
				   old != NULL ? entry.value_len : UINT64_MAX);
	free(value);
	return status;
}

static inline int kv_simple_op(struct kv_store *store, const struct kv_batch *batch,
			       struct kv_op *op)
{
	if (op->space != 0 || (op->flags & ~(KV_OP_WITH_NEXT | KV_OP_KEEP_EXPIRY)) != 0)
		return KV_UNSUPPORTED;
	switch (op->code) {
	case KV_GET:
	case KV_META:
		return kv_simple_op_read(batch, op);
	case KV_SET:
		return kv_simple_op_set(store, op);
	case KV_DELETE:
		return kv_simple_op_delete(store, op);
	case KV_CLEAR:
		return kv_simple_op_clear(store);
	case KV_UPDATE:
		return kv_simple_op_update(store, op);
	default:
		return KV_UNSUPPORTED;
	}
}

static inline int kv_simple_exec(struct kv_store *store, struct kv_batch *batch)
{
	for (uint64_t i = 0; i < batch->count; i++) {
		struct kv_op *op = kv_op_at(batch, i);

		op->status = kv_simple_op(store, batch, op);
	}
	return KV_OK;
}

/* One step of a walk on its way through each(). */
struct kv_simple_walk {
	struct kv_scan *scan;
	int status;       /* KV_NO_MEMORY: the sink is full */
	uint64_t looked;  /* entries reported */
	uint64_t bytes;   /* of their values */
	uint64_t skip;    /* leave out this many entries */
	uint64_t take;    /* then take at most this many */
};

static inline struct kv_item *kv_simple_item(struct kv_scan *scan, const void *key, size_t key_len,
					     const void *value, size_t value_len)
{
	uint64_t copied = (scan->flags & KV_SCAN_VALUES) != 0 ? value_len : 0;
	struct kv_item *item =
		(struct kv_item *)kv_alloc(scan->sink, sizeof *item + key_len + copied);

	if (item == NULL)
		return NULL;
	memset(item, 0, sizeof *item);
	item->key = item + 1;
	item->key_len = key_len;
	item->value_len = value_len;
	memcpy(item + 1, key, key_len);
	if ((scan->flags & KV_SCAN_VALUES) != 0) {
		item->value = (char *)(item + 1) + key_len;
		memcpy((char *)(item + 1) + key_len, value, value_len);
	}
	return item;
}

/* Takes one entry that each() reports into the scan. */
static inline void kv_simple_take(void *to, const void *key, size_t key_len, const void *value,
				  size_t value_len)
{
	struct kv_simple_walk *walk = (struct kv_simple_walk *)to;
	struct kv_scan *scan = walk->scan;

	walk->looked++;
	if (walk->status != KV_OK || walk->take == 0 || walk->skip > 0) {
		walk->skip -= walk->skip > 0;
		return;
	}
	struct kv_item *item = kv_simple_item(scan, key, key_len, value, value_len);

	if (item == NULL) {
		walk->status = KV_NO_MEMORY;
		return;
	}
	*(scan->last != NULL ? &scan->last->next : &scan->first) = item;
	scan->last = item;
	scan->count++;
	walk->take--;
	walk->bytes += value_len;
}

/* One entry, every one as likely as the next: by counting. */
static inline int kv_simple_random(struct kv_store *store, struct kv_simple_walk *walk)
{
	uint64_t position = 0;

	if (store->entries == 0)
		return KV_OK;
	walk->skip = walk->scan->seed % store->entries;
	walk->take = 1;
	do
		position = kv_simple_author()->each(position, kv_simple_take, walk);
	while (position != 0 && walk->take > 0);
	return walk->status;
}

/*
 * Position by position, since a cursor can only name a position as a whole:
 * what did not fit is given back and met again by the next step.
 */
static inline int kv_simple_scan(struct kv_store *store, struct kv_scan *scan)
{
	struct kv_simple_walk walk = {scan, KV_OK, 0, 0, 0, UINT64_MAX};
	uint64_t steps = 0;

	scan->first = scan->last = NULL;
	scan->count = 0;
	if (kv_simple_author()->each == NULL ||
	    (scan->flags & ~(KV_SCAN_VALUES | KV_SCAN_RANDOM)) != 0)
		return KV_UNSUPPORTED;
	if (scan->space != 0) {
		scan->cursor = 0;
		return KV_OK;
	}
	if ((scan->flags & KV_SCAN_RANDOM) != 0)
		return kv_simple_random(store, &walk);
	do {
		struct kv_item *last = scan->last;
		uint64_t count = scan->count;
		uint64_t next = kv_simple_author()->each(scan->cursor, kv_simple_take, &walk);

		if (walk.status != KV_OK) {
			scan->count = count;
			scan->last = last;
			*(last != NULL ? &last->next : &scan->first) = NULL;
			return steps > 0 ? KV_OK : walk.status;
		}
		scan->cursor = next;
		steps++;
	} while (scan->cursor != 0 && walk.looked < scan->budget && steps < scan->budget &&
		 (scan->budget_bytes == 0 || walk.bytes < scan->budget_bytes));
	return KV_OK;
}

static inline int kv_simple_stat(struct kv_store *store, struct kv_stat *stat)
{
	int all = stat->space == KV_SPACE_ALL;

	stat->entries = all || stat->space == 0 ? store->entries : 0;
	stat->payload = all || stat->space == 0 ? store->payload : 0;
	stat->memory = stat->reserved_memory = all ? store->payload : 0;
	stat->expiring = stat->pins = 0;
	stat->next_space = all && store->entries > 0 ? 0 : KV_SPACE_ALL;
	return KV_OK;
}

/* Leaves a sentence about a failed open() and returns the status. */
static inline int kv_simple_fail(const struct kv_open *open, int status, const char *text)
{
	if (open->error != NULL && open->error_size > 0)
		snprintf(open->error, (size_t)open->error_size, "%s: %s", kv_simple_author()->name,
			 text);
	return status;
}

static inline int kv_simple_open(const struct kv_open *open, struct kv_store **out)
{
	struct kv_store *store = kv_simple_store();

	if (open->flags != 0)
		return kv_simple_fail(open, KV_UNSUPPORTED, "a flag of open() that it does not know");
	if (store->is_open)
		return kv_simple_fail(open, KV_REFUSED,
				      "its store is open already; a simple engine has only one");
	int status = kv_simple_author()->open != NULL ? kv_simple_author()->open() : KV_OK;

	if (status != KV_OK)
		return kv_simple_fail(open, status, "its open function failed");
	memset(store, 0, sizeof *store);
	store->is_open = 1;
	store->max_memory = open->max_memory;
	*out = store;
	return KV_OK;
}

static inline void kv_simple_close(struct kv_store *store, uint32_t flags)
{
	(void)flags;
	if (kv_simple_author()->close != NULL)
		kv_simple_author()->close();
	else
		kv_simple_op_clear(store);
	store->is_open = 0;
}

/* Fills in the descriptor from what the author gave. */
static inline void kv_simple_describe(struct kvstore_engine *engine)
{
	const struct kv_simple *author = kv_simple_author();

	engine->size = sizeof *engine;
	engine->abi = KVSTORE_ABI_VERSION;
	engine->name = author->name;
	engine->version = author->version;
	engine->format = author->name;
	engine->capabilities = KV_CAP_BINARY | KV_CAP_UPDATE;
	engine->capabilities |= author->del != NULL ? KV_CAP_DELETE : 0;
	engine->capabilities |= author->each != NULL ? KV_CAP_SCAN : 0;
	engine->thread_model = KV_THREADS_SERIAL;
	engine->max_key = author->max_key;
	engine->max_value = author->max_value;
	engine->open = kv_simple_open;
	engine->close = kv_simple_close;
	engine->exec = kv_simple_exec;
	engine->scan = author->each != NULL ? kv_simple_scan : NULL;
	engine->stat = kv_simple_stat;
}

#ifdef __cplusplus
}
#endif

#endif
