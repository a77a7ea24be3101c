/*
 * legacy.c - a library that exports plain set() and get(), as an engine
 *
 *	int set(const char *key, const char *value);   negative: it failed
 *	const char *get(const char *key);              NULL: no such key
 *
 * Such a library knows C strings only, keeps its data in static variables and
 * can neither remove nor list: it has no capability, and everything made of
 * reading and writing works.
 */
#include "host.h"

#include <stdlib.h>

struct kv_store {
	kvh_plain_set set;
	kvh_plain_get get;
};

/* A NUL-terminated copy in the batch's memory; NULL with *status on failure. */
static char *text_of(const struct kv_batch *batch, const void *bytes, uint64_t len, int *status)
{
	char *text;

	*status = KV_REFUSED;
	if (len > 0 && memchr(bytes, '\0', len) != NULL)
		return NULL;
	text = kv_alloc(batch->reply, len + 1);
	*status = KV_NO_MEMORY;
	if (text == NULL)
		return NULL;
	if (len > 0)
		memcpy(text, bytes, len);
	text[len] = '\0';
	return text;
}

/* KV_GET and KV_META. */
static int legacy_get(kv_store *store, const struct kv_batch *batch, struct kv_op *op)
{
	int status;
	char *key = text_of(batch, op->key, op->key_len, &status);

	if (key == NULL)
		return status == KV_REFUSED ? KV_NOT_FOUND : status;
	const char *value = store->get(key);

	if (value == NULL)
		return KV_NOT_FOUND;
	uint64_t len = strlen(value);

	op->tag = 0;
	op->expiry = 0;
	op->value = NULL;
	op->value_len = len;
	if (op->code == KV_META)
		return KV_OK;
	uint64_t from = op->offset < len ? op->offset : len;
	uint64_t n = op->length < len - from ? op->length : len - from;
	char *copy = kv_alloc(batch->reply, n);

	if (copy == NULL)
		return KV_NO_MEMORY;
	memcpy(copy, value + from, n);
	op->value = copy;
	op->value_len = n;
	op->pin = 0;
	return KV_OK;
}

static int legacy_set(kv_store *store, const struct kv_batch *batch, const struct kv_op *op)
{
	int status;
	char *key = text_of(batch, op->key, op->key_len, &status);

	if (key == NULL)
		return status;
	char *value = text_of(batch, op->value, op->value_len, &status);

	if (value == NULL)
		return status;
	return store->set(key, value) < 0 ? KV_NO_MEMORY : KV_OK;
}

static int legacy_exec(kv_store *store, struct kv_batch *batch)
{
	for (uint64_t i = 0; i < batch->count; i++) {
		struct kv_op *op = kv_op_at(batch, i);

		if ((op->flags & ~(KV_OP_WITH_NEXT | KV_OP_KEEP_EXPIRY)) != 0)
			op->status = KV_UNSUPPORTED;
		else if (op->code == KV_GET || op->code == KV_META)
			op->status = legacy_get(store, batch, op);
		else if (op->code == KV_SET)
			op->status = legacy_set(store, batch, op);
		else
			op->status = KV_UNSUPPORTED;
	}
	return KV_OK;
}

static void legacy_close(kv_store *store, uint32_t flags)
{
	(void)flags;
	free(store);
}

/* Never called: kvh_open() knows a legacy library. */
static int legacy_refuse_open(const struct kv_open *open, kv_store **store)
{
	(void)open;
	(void)store;
	return KV_UNSUPPORTED;
}

void kvh_legacy_describe(struct kvh_library *library)
{
	library->engine = (struct kvstore_engine){
		.size = sizeof library->engine,
		.abi = KVSTORE_ABI_VERSION,
		.name = "legacy",
		.version = "0",
		.format = "legacy",
		.thread_model = KV_THREADS_SERIAL,
		.open = legacy_refuse_open,
		.close = legacy_close,
		.exec = legacy_exec,
	};
}

int kvh_legacy_open(struct kvh_library *library, kv_store **out)
{
	kv_store *store = malloc(sizeof *store);

	if (store == NULL)
		return KV_NO_MEMORY;
	store->set = library->plain_set;
	store->get = library->plain_get;
	*out = store;
	return KV_OK;
}
