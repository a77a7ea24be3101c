/*
 * fault.c - the descriptor of the debug engine, and everything that can be
 * made to go wrong around it
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dladdr(), RTLD_NODELETE */
#endif
#include "fault.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* ----------------------------------------------------------------- mischief */

static void crash(void)
{
	raise(SIGSEGV);
	abort();
}

static void hang(void)
{
	for (;;)
		pause();
}

static void pass_time(long microseconds)
{
	struct timespec now, start;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - start.tv_sec) * 1000000 + (now.tv_nsec - start.tv_nsec) / 1000 <
	       microseconds);
}

/* Stays for ever, and in libc: unmapping the engine does not bring it down. */
static void *linger(void *arg)
{
	sigset_t all;

	(void)arg;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	hang();
	return NULL;
}

static void leak_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, linger, NULL) == 0)
		pthread_detach(thread);
}

/* Makes this library one that dlclose() leaves mapped. */
static void stay_mapped(void)
{
	static const char here;
	Dl_info info;

	if (dladdr(&here, &info) != 0)
		dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

__attribute__((constructor)) static void on_load(void)
{
	if (FAULT_IS(crash_in_constructor))
		crash();
	if (FAULT_IS(hang_in_constructor))
		hang();
	if (FAULT_IS(exit_in_constructor))
		_exit(0);
	if (FAULT_IS(no_unload))
		stay_mapped();
}

/* --------------------------------------------------------------- operations */

#ifdef DEBUG_KEYS
static bool is(const struct kv_op *op, const char *name)
{
	return op->key_len == strlen(name) && memcmp(op->key, name, op->key_len) == 0;
}

static enum fault_verdict magic_key(const struct kv_op *op)
{
	if (op->code != KV_GET)
		return FAULT_GO_ON;
	if (is(op, "debug:crash"))
		crash();
	if (is(op, "debug:hang"))
		hang();
	if (is(op, "debug:slow"))
		pass_time(1000000);
	return is(op, "debug:fail") ? FAULT_FAIL : FAULT_GO_ON;
}

/* Whether the store holds this key in space 0. */
static bool has_key(const struct map *map, const char *name)
{
	const struct space *space = map_space(map, 0);

	return space != NULL && map_find(space, name, strlen(name)) != NULL;
}
#else
static enum fault_verdict magic_key(const struct kv_op *op)
{
	(void)op;
	return FAULT_GO_ON;
}

static bool has_key(const struct map *map, const char *name)
{
	(void)map;
	(void)name;
	return false;
}
#endif

enum fault_verdict fault_before(kv_store *store, const struct kv_op *op)
{
	bool due = ++store->ops > DEBUG_AFTER;

	store->sets += op->code == KV_SET;
	if (FAULT_IS(crash_in_exec) && due)
		crash();
	if (FAULT_IS(stall_exec) && due)
		hang();
	if (FAULT_IS(fail_exec) && due)
		return FAULT_FAIL;
	if (FAULT_IS(slow))
		pass_time(DEBUG_MICROSECONDS);
	if (FAULT_IS(wrong_answers) && op->code == KV_DELETE)
		return FAULT_SKIP;
	if (FAULT_IS(lose_key) && op->code == KV_SET && store->sets % DEBUG_EVERY == 0)
		return FAULT_SKIP;
	return magic_key(op);
}

/* ---------------------------------------------------- open, offer and accept */

static int fault_open(const struct kv_open *open, kv_store **store)
{
	if (FAULT_IS(crash_in_open))
		crash();
	if (FAULT_IS(hang_in_open))
		hang();
	if (FAULT_IS(fail_open))
		return debug_fail(open, KV_IO,
				  "debug: it was built to fail at open; use another build");
	if (FAULT_IS(leak_thread))
		leak_thread();
	if (FAULT_IS(leak_fd) && openat(AT_FDCWD, "/", O_RDONLY | O_CLOEXEC) < 0)
		return debug_fail(open, KV_IO, "debug: it got no descriptor to leak");
	return debug_engine.open(open, store);
}

static int fault_offer(kv_store *store, struct kv_offer *offer)
{
	if (FAULT_IS(fail_offer) || has_key(store->map, "debug:fail-offer"))
		return KV_ERROR;
	return debug_engine.offer(store, offer);
}

static int fault_accept(const struct kv_open *open, const struct kv_offer *offer, kv_store **store)
{
	const struct handed *handed = offer->state;

	if (FAULT_IS(refuse_accept) || (handed != NULL && offer->state_len == sizeof *handed &&
					has_key(handed->map, "debug:refuse-accept")))
		return debug_fail(open, KV_REFUSED,
				  "debug: it was built to refuse what is handed over");
	return debug_engine.accept(open, offer, store);
}

/* --------------------------------------------------------------- descriptor */

static const struct kvstore_engine *describe(void)
{
	static struct kvstore_engine engine;

	engine = debug_engine;
	engine.open = fault_open;
	engine.offer = fault_offer;
	engine.accept = fault_accept;
	if (FAULT_IS(no_descriptor))
		return NULL;
	if (FAULT_IS(future_abi))
		engine.abi = KVSTORE_ABI_VERSION + 1;
	if (FAULT_IS(small_size))
		engine.size = offsetof(struct kvstore_engine, open);
	if (FAULT_IS(missing_callbacks))
		engine.exec = NULL;
	if (FAULT_IS(unknown_capability))
		engine.capabilities |= 1ull << 31;
	if (FAULT_IS(unknown_threads))
		engine.thread_model = KV_THREADS_SERIAL + 100;
	if (FAULT_IS(bad_name))
		engine.name = "De Bug";
	return &engine;
}

#if FAULT_IS(no_symbol)
KVSTORE_EXPORT const struct kvstore_engine *another_engine(void);
#define entry_name another_engine
#else
#define entry_name kvstore_engine
#endif

const struct kvstore_engine *entry_name(void)
{
	return describe();
}
