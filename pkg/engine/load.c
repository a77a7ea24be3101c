/*
 * load.c - bringing a library in and taking it out again
 *
 * dlerror() belongs to a thread and goroutines change theirs: everything that
 * reads it happens inside the one call that caused it.
 */
#define _GNU_SOURCE
#include "host.h"

#include <dlfcn.h>
#include <link.h>
#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* Copies what dlerror() says. */
static void copy_error(char *text, uint64_t size)
{
	const char *said = dlerror();

	snprintf(text, size, "%s", said != NULL ? said : "no reason given");
}

/*
 * The library's own symbol `name`: NULL when there is none, or when it is one
 * of a library that this one needs.
 */
static void *own_symbol(void *handle, const char *name)
{
	struct link_map *wanted = NULL, *found = NULL;
	void *symbol = dlsym(handle, name);
	Dl_info info;

	if (symbol == NULL || dlinfo(handle, RTLD_DI_LINKMAP, &wanted) != 0)
		return NULL;
	if (dladdr1(symbol, &info, (void **)&found, RTLD_DL_LINKMAP) == 0)
		return NULL;
	return found == wanted ? symbol : NULL;
}

/* A function pointer out of an object pointer, which C does not convert. */
#define AS_FUNCTION(to, symbol)                    \
	do {                                       \
		void *object_ = (symbol);          \
		memcpy(&(to), &object_, sizeof(to)); \
	} while (0)

/* Copies the smaller of both sizes into the zeroed descriptor. */
static int copy_descriptor(struct kvh_library *library,
			   const struct kvstore_engine *(*entry)(void), char *text, uint64_t size)
{
	const struct kvstore_engine *given = entry();
	size_t n = sizeof library->engine;

	if (given == NULL) {
		snprintf(text, size, "kvstore_engine() returned no descriptor");
		return KVH_NO_DESCRIPTOR;
	}
	library->given_size = given->size;
	if (given->size < offsetof(struct kvstore_engine, name)) {
		snprintf(text, size, "the descriptor says it is %u bytes long", given->size);
		return KVH_NO_DESCRIPTOR;
	}
	if (given->size < n)
		n = given->size / sizeof(void *) * sizeof(void *); /* whole members only */
	memcpy(&library->engine, given, n);
	return KVH_LOADED;
}

/* Finds what the library exports. */
static int find_engine(struct kvh_library *library, char *text, uint64_t size)
{
	const struct kvstore_engine *(*entry)(void) = NULL;

	AS_FUNCTION(entry, own_symbol(library->handle, "kvstore_engine"));
	if (entry != NULL)
		return copy_descriptor(library, entry, text, size);
	AS_FUNCTION(library->plain_set, own_symbol(library->handle, "set"));
	AS_FUNCTION(library->plain_get, own_symbol(library->handle, "get"));
	if (library->plain_set == NULL || library->plain_get == NULL) {
		snprintf(text, size, "no symbol kvstore_engine");
		return KVH_NO_SYMBOL;
	}
	kvh_legacy_describe(library);
	return KVH_LOADED;
}

int kvh_load(const char *path, struct kvh_library **out, char *text, uint64_t text_size)
{
	struct kvh_library *library = calloc(1, sizeof *library);

	if (library == NULL)
		return KVH_NO_HOST_MEMORY;
	library->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (library->handle == NULL) {
		copy_error(text, text_size);
		free(library);
		return KVH_NO_LOAD;
	}
	int status = find_engine(library, text, text_size);

	if (status != KVH_LOADED) {
		dlclose(library->handle);
		free(library);
		return status;
	}
	*out = library;
	return KVH_LOADED;
}

uint64_t kvh_text_length(const char *text, uint64_t most)
{
	return strnlen(text, most);
}

int kvh_unload(struct kvh_library *library, char *text, uint64_t text_size)
{
	int failed = dlclose(library->handle);

	if (failed != 0)
		copy_error(text, text_size);
	free(library);
	malloc_trim(0); /* what its stores had lies between pieces of others */
	return failed != 0 ? -1 : 0;
}
