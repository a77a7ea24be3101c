#include "host.h"

#include <dlfcn.h>

struct piece {
	struct piece *next;
	uint64_t size;
	char bytes[];
};

static int more(struct kv_sink *sink, uint64_t need)
{
	struct memory *memory = sink->host;
	uint64_t size = need > 65536 ? need : 65536;

	if (need > memory->left)
		return KV_NO_MEMORY;
	struct piece *piece = malloc(sizeof *piece + size);

	if (piece == NULL)
		return KV_NO_MEMORY;
	memory->left -= need;
	piece->next = memory->pieces;
	piece->size = size;
	memory->pieces = piece;
	sink->next = piece->bytes;
	sink->end = piece->bytes + size;
	return KV_OK;
}

void memory_init(struct memory *memory)
{
	*memory = (struct memory){.left = UINT64_MAX};
	memory->sink.more = more;
	memory->sink.host = memory;
}

void memory_free(struct memory *memory)
{
	while (memory->pieces != NULL) {
		struct piece *piece = memory->pieces;

		memory->pieces = piece->next;
		free(piece);
	}
	memory_init(memory);
}

void library_load(struct library *library, const char *path)
{
	const struct kvstore_engine *(*entry)(void);

	library->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (library->handle == NULL)
		FAIL("cannot load: %s", dlerror());
	*(void **)&entry = dlsym(library->handle, "kvstore_engine");
	if (entry == NULL)
		FAIL("cannot load %s: no symbol kvstore_engine", path);
	const struct kvstore_engine *engine = entry();
	uint32_t size = engine->size < sizeof *engine ? engine->size : sizeof *engine;

	memset(&library->engine, 0, sizeof library->engine);
	memcpy(&library->engine, engine, size);
	CHECK(engine->abi <= KVSTORE_ABI_VERSION);
	CHECK(library->engine.exec != NULL);
}

void library_unload(struct library *library)
{
	dlclose(library->handle);
}

static void quiet(void *host, int level, const char *text)
{
	(void)host;
	if (level <= KV_LOG_WARNING)
		fprintf(stderr, "engine: %s\n", text);
}

static struct kv_open how_to_open(char *error, uint64_t error_size, int64_t now)
{
	error[0] = '\0';
	return (struct kv_open){.size = sizeof(struct kv_open),
				.now = now,
				.seed = 0x5eed,
				.log = quiet,
				.error = error,
				.error_size = error_size};
}

kv_store *store_open(const struct library *library, int64_t now, uint64_t max_memory)
{
	char error[1024];
	struct kv_open open = how_to_open(error, sizeof error, now);
	kv_store *store = NULL;

	open.max_memory = max_memory;
	if (library->engine.open(&open, &store) != KV_OK)
		FAIL("cannot open a store of %s: %s", library->engine.name, error);
	return store;
}

kv_store *store_hand_over(const struct library *from, kv_store *old, const struct library *to,
			  int64_t now)
{
	char error[1024];
	struct kv_open open = how_to_open(error, sizeof error, now);
	struct kv_offer offer = {.size = sizeof offer};
	kv_store *store = NULL;

	CHECK(from->engine.offer(old, &offer) == KV_OK);
	CHECK(from->engine.resume(old) == KV_OK);
	CHECK(from->engine.offer(old, &offer) == KV_OK);
	if (to->engine.accept(&open, &offer, &store) != KV_OK)
		FAIL("%s did not accept: %s", to->engine.name, error);
	from->engine.close(old, KV_CLOSE_GIVEN);
	return store;
}
