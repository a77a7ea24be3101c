/*
 * engine.c - lmdb: the engine for data larger than memory
 *
 * What it keeps is in LMDB, through the system's liblmdb: store.h has the tables,
 * steady.h what survives what.
 */
#include "steady.h"

#include <stdlib.h>

#ifndef KV_ENGINE_VERSION
#define KV_ENGINE_VERSION "0.1.0"
#endif

static void lmdb_close(kv_store *store, uint32_t flags)
{
	(void)flags; /* no store of this engine is ever given away */
	env_close(store);
	spaces_free(store);
	free(store->scratch);
	free(store->hashes);
	free(store);
}

static int lmdb_open(const struct kv_open *open, kv_store **out)
{
	bool fresh = open->state_dir == NULL || (open->flags & KV_OPEN_NEW) != 0;
	kv_store *store;

	if ((open->flags & ~KV_OPEN_NEW) != 0)
		return fail(open, KV_UNSUPPORTED, "open() was given a flag that lmdb does not know");
	store = calloc(1, sizeof *store);
	if (store == NULL)
		return fail(open, KV_NO_MEMORY, "no memory for a store");
	store->max_memory = open->max_memory;
	store->log = open->log;
	store->log_host = open->log_host;
	int status = env_open(store, open, fresh);

	if (status != KV_OK) {
		lmdb_close(store, 0);
		return status;
	}
	*out = store;
	return KV_OK;
}

/*
 * When somebody waits, what is written goes to the journal too, which the host syncs beside the
 * store (steady.h, journal.h); the first such commit() syncs the data itself, and waits.
 * Where nobody does, a thread of the engine syncs, from maintain() on.
 */
static int lmdb_commit(kv_store *store, struct kv_commit *commit)
{
	bool wait = (commit->flags & KV_COMMIT_SYNC) != 0;

	commit->fd_count = 0;
	commit->full = 0;
	commit->flags = 0;
	commit->mark = store->writes;
	if (store->tied && store->steady != NULL)
		steady_wrote(store, store->tied_at);
	store->tied = false;
	return store->steady != NULL ? steady_commit(store, commit, wait) : KV_OK;
}

/* The lowest space above `after` that has entries; of all with KV_SPACE_ALL. */
static uint32_t next_space(const kv_store *store, uint32_t after)
{
	for (size_t i = 0; i < store->space_count; i++) {
		const struct space *space = store->spaces[i];

		if (space->now.figures.entries != 0 && (after == KV_SPACE_ALL || space->id > after))
			return space->id;
	}
	return KV_SPACE_ALL;
}

int lmdb_stat(kv_store *store, struct kv_stat *stat)
{
	bool all = stat->space == KV_SPACE_ALL;
	const struct space *space = all ? NULL : space_find(store, stat->space);
	struct figures f = {0};
	MDB_envinfo envinfo;
	MDB_stat pages;

	if (all)
		f = store->all;
	else if (space != NULL)
		f = space->now.figures;
	stat->entries = f.entries;
	stat->expiring = f.expiring;
	stat->payload = f.payload;
	stat->memory = stat->reserved_memory = stat->pins = 0;
	stat->next_space = next_space(store, stat->space);
	if (!all)
		return KV_OK;
	if (store->lost)
		return KV_IO;
	if (mdb_env_info(store->env, &envinfo) != 0 || mdb_env_stat(store->env, &pages) != 0)
		return KV_ERROR;
	stat->memory = f.stored;
	stat->reserved_memory = ((uint64_t)envinfo.me_last_pgno + 1) * pages.ms_psize;
	if (stat->memory > stat->reserved_memory)
		stat->memory = stat->reserved_memory;
	stat->pins = store->pins;
	return KV_OK;
}

static const struct kvstore_engine engine = {
	.size = sizeof(struct kvstore_engine),
	.abi = KVSTORE_ABI_VERSION,
	.name = "lmdb",
	.version = KV_ENGINE_VERSION,
	.format = LMDB_FORMAT,
	.capabilities = KV_CAP_DELETE | KV_CAP_EXPIRY | KV_CAP_SPACES | KV_CAP_TAGS | KV_CAP_SCAN |
			KV_CAP_BINARY | KV_CAP_UPDATE | KV_CAP_DURABLE | KV_CAP_EXCLUSIVE,
	.thread_model = KV_THREADS_SERIAL,
	.open = lmdb_open,
	.close = lmdb_close,
	.exec = lmdb_exec,
	.commit = lmdb_commit,
	.release = lmdb_release,
	.scan = lmdb_scan,
	.maintain = lmdb_maintain,
	.stat = lmdb_stat,
};

KVSTORE_EXPORT const struct kvstore_engine *kvstore_engine(void)
{
	return &engine;
}
