#define _GNU_SOURCE
#include "kit.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

const struct kvstore_engine *kvstore_engine(void);

static int more(struct kv_sink *sink, uint64_t need)
{
	uint64_t size = need > (1u << 20) ? need : 1u << 20;
	char *piece = malloc(size + 16);

	CHECK(piece != NULL);
	memcpy(piece, &sink->host, sizeof sink->host);
	sink->host = piece;
	sink->next = piece + 16;
	sink->end = piece + 16 + size;
	return KV_OK;
}

static void sink_reset(struct kit *kit)
{
	while (kit->sink.host != NULL) {
		void *before;

		memcpy(&before, kit->sink.host, sizeof before);
		free(kit->sink.host);
		kit->sink.host = before;
	}
	kit->sink = (struct kv_sink){.more = more};
	kit->events = (struct kv_events){.sink = &kit->sink};
}

void (*kit_log)(const char *text);

static void hear(void *host, int level, const char *text)
{
	(void)host;
	(void)level;
	if (kit_log != NULL)
		kit_log(text);
}

int kit_open(struct kit *kit, const char *dir, bool fresh, uint64_t max_memory)
{
	struct kv_open open = {.size = sizeof open, .flags = fresh ? KV_OPEN_NEW : 0,
			       .state_dir = dir, .max_memory = max_memory, .now = kit->now,
			       .seed = 0x5eed, .log = hear, .error = kit->error,
			       .error_size = sizeof kit->error};

	if (kit->now == 0)
		kit->now = open.now = 1700000000000;
	kit->store = NULL;
	return kvstore_engine()->open(&open, &kit->store);
}

static void release_pins(struct kit *kit)
{
	for (uint64_t i = 0; i < kit->count; i++)
		if (kit->ops[i].code == KV_GET && kit->ops[i].status == KV_OK && kit->ops[i].pin != 0)
			kvstore_engine()->release(kit->store, &kit->ops[i].pin, 1);
	kit->count = 0;
}

void kit_close(struct kit *kit)
{
	if (kit->room == 1) { /* the last batch was carried out */
		release_pins(kit);
		kit->room = 0;
	}
	kvstore_engine()->close(kit->store, 0);
	sink_reset(kit);
	free(kit->ops);
	*kit = (struct kit){.now = kit->now};
}

#define OPS 4096

struct kv_op *kit_add(struct kit *kit, int code, uint32_t space, const void *key, uint64_t key_len)
{
	if (kit->ops == NULL)
		kit->ops = calloc(OPS, sizeof *kit->ops);
	CHECK(kit->ops != NULL);
	if (kit->room == 1) {
		release_pins(kit);
		kit->room = 0;
	}
	CHECK(kit->count < OPS);
	struct kv_op *op = &kit->ops[kit->count++];

	*op = (struct kv_op){.code = (uint16_t)code, .space = space, .key = key,
			     .key_len = key_len, .length = UINT64_MAX};
	return op;
}

struct kv_op *kit_set(struct kit *kit, uint32_t space, const char *key, const void *value,
		      uint64_t value_len, int64_t expiry)
{
	struct kv_op *op = kit_add(kit, KV_SET, space, key, strlen(key));

	op->value = value;
	op->value_len = value_len;
	op->expiry = expiry;
	return op;
}

void kit_run(struct kit *kit)
{
	struct kv_batch batch = {.size = sizeof batch, .op_size = sizeof *kit->ops,
				 .count = kit->count, .ops = kit->ops, .now = kit->now,
				 .reply = &kit->sink, .events = &kit->events};

	sink_reset(kit);
	CHECK(kvstore_engine()->exec(kit->store, &batch) == KV_OK);
	kit->room = 1;
}

int kit_set_now(struct kit *kit, uint32_t space, const char *key, const void *value,
		uint64_t value_len, int64_t expiry)
{
	const struct kv_op *op = kit_set(kit, space, key, value, value_len, expiry);

	kit_run(kit);
	return op->status;
}

const struct kv_op *kit_get(struct kit *kit, uint32_t space, const char *key)
{
	const struct kv_op *op = kit_add(kit, KV_GET, space, key, strlen(key));

	kit_run(kit);
	return op;
}

static int commit(struct kit *kit, bool sync, int sync_error, struct kit_sync *wanted)
{
	struct kv_commit c = {.size = sizeof c, .flags = sync ? KV_COMMIT_SYNC : 0,
			      .synced = kit->synced, .sync_error = sync_error};
	int status = kvstore_engine()->commit(kit->store, &c);

	*wanted = (struct kit_sync){.fd_count = status == KV_OK ? c.fd_count : 0, .mark = c.mark};
	memcpy(wanted->fd, c.fd, sizeof c.fd);
	CHECK(c.fd_count <= 8 && (c.flags & KV_COMMIT_AGAIN) == 0);
	return status;
}

int kit_commit_begin(struct kit *kit, bool sync, struct kit_sync *wanted)
{
	return commit(kit, sync, 0, wanted);
}

int kit_commit_end(struct kit *kit, const struct kit_sync *wanted)
{
	struct kit_sync more;

	for (uint32_t i = 0; i < wanted->fd_count; i++) {
		if (fdatasync(wanted->fd[i]) == 0)
			continue;
		commit(kit, false, errno, &more);
		return KV_IO;
	}
	if (wanted->fd_count != 0 && wanted->mark > kit->synced)
		kit->synced = wanted->mark;
	return KV_OK;
}

int kit_commit(struct kit *kit, bool sync)
{
	struct kit_sync wanted;
	int status = kit_commit_begin(kit, sync, &wanted);

	return status == KV_OK && sync ? kit_commit_end(kit, &wanted) : status;
}

bool kit_maintain(struct kit *kit, uint64_t budget)
{
	struct kv_maintain m = {.size = sizeof m, .budget = budget, .now = kit->now,
				.events = &kit->events};

	sink_reset(kit);
	CHECK(kvstore_engine()->maintain(kit->store, &m) == KV_OK || kit->may_fail);
	return m.more != 0;
}

uint64_t kit_walk(struct kit *kit, uint32_t space)
{
	struct kv_scan scan = {.size = sizeof scan, .flags = KV_SCAN_VALUES, .space = space,
			       .budget = 50, .now = kit->now};
	uint64_t n = 0;

	do {
		sink_reset(kit);
		scan.sink = &kit->sink;
		CHECK(kvstore_engine()->scan(kit->store, &scan) == KV_OK);
		n += scan.count;
	} while (scan.cursor != 0);
	return n;
}

struct kv_stat kit_stat(struct kit *kit, uint32_t space)
{
	struct kv_stat stat = {.size = sizeof stat, .space = space};

	CHECK(kvstore_engine()->stat(kit->store, &stat) == KV_OK);
	return stat;
}

uint64_t draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x9e3779b97f4a7c15ull >> 16;
}

void kit_wipe(const char *dir)
{
	static const char *const names[] = {"data.mdb", "lock.mdb", "steady", "journal-0",
					   "journal-1"};
	char path[4200];

	for (unsigned i = 0; i < 5; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		unlink(path);
	}
}
