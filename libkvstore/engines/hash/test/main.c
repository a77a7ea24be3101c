/*
 * main.c - random operations on the engine and on a model, compared throughout
 *
 *   model FIRST.so SECOND.so [SEED] [ROUNDS] [LIMIT] [poor]
 *
 * Two copies of the library hand the store to each other.  LIMIT is max_memory;
 * `poor` makes the host's own memory fail now and then.  Equal arguments give an
 * equal run.
 */
#include "world.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static const struct kvstore_engine *load(const char *path)
{
	typedef const struct kvstore_engine *entry_fn(void);
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	entry_fn *entry;
	void *symbol;

	if (lib == NULL) {
		fprintf(stderr, "model: %s\n", dlerror());
		exit(2);
	}
	symbol = dlsym(lib, "kvstore_engine");
	FAIL_IF(symbol == NULL);
	memcpy(&entry, &symbol, sizeof entry);
	return entry();
}

static void start(struct world *w, uint64_t seed)
{
	char error[256] = "";
	struct kv_open open = {.size = sizeof open, .max_memory = w->limit, .now = w->now,
			       .seed = seed, .error = error, .error_size = sizeof error};
	static const uint32_t numbers[SPACES] = {0, 1, 7, 4000000000u};

	w->chance = seed * 0x9e3779b97f4a7c15ull + 1;
	w->now = 1700000000000;
	open.now = w->now;
	w->model = calloc(1, sizeof *w->model);
	FAIL_IF(w->model == NULL);
	memcpy(w->model->numbers, numbers, sizeof numbers);
	if (w->engine[0]->open(&open, &w->store) != KV_OK) {
		fprintf(stderr, "model: %s\n", error);
		exit(2);
	}
}

/* Many batches that set, or that delete: the table grows and shrinks over chunks. */
static void flood(struct world *w, unsigned grow)
{
	for (int i = 0; i < 250; i++)
		random_batch(w, KEYS, grow);
	verify_store(w->store);
}

static void round_of(struct world *w, uint64_t i)
{
	static const uint32_t ranges[] = {8, 300, KEYS, KEYS};
	static const unsigned grows[] = {60, 30, 5, 45};
	uint32_t range = ranges[i / 50 % 4];

	random_batch(w, range, grows[i / 200 % 4]);
	if (i % 500 == 250 || i % 500 == 450)
		flood(w, i % 500 == 250 ? 74 : 0);
	check_figures(w);
	if (draw(w, 4) == 0)
		w->now += (int64_t)draw(w, 300);
	if (draw(w, 5) == 0)
		random_maintain(w, 1 + draw(w, draw(w, 2) ? 20 : 2000));
	if (draw(w, 3) == 0)
		random_scan(w);
	if (draw(w, 40) == 0)
		random_swap(w);
	if (draw(w, 20) == 0)
		release_some(w, (unsigned)draw(w, PIN_ROOM));
	if (draw(w, 50) == 0)
		verify_store(w->store);
	if (draw(w, 200) == 0)
		settle(w);
}

static void clear_all(struct world *w)
{
	struct kv_op op[SPACES];
	struct kv_batch batch = {.size = sizeof batch, .op_size = sizeof op[0], .count = SPACES,
				 .ops = op, .now = w->now, .reply = &w->sink, .events = &w->events};

	memset(op, 0, sizeof op);
	for (unsigned sp = 0; sp < SPACES; sp++) {
		op[sp].code = KV_CLEAR;
		op[sp].space = w->model->numbers[sp];
		model_clear(w->model, sp);
	}
	call_begin(w);
	FAIL_IF(w->engine[w->which]->exec(w->store, &batch) != KV_OK);
	call_end(w);
}

static void finish(struct world *w)
{
	struct kv_stat s = {.size = sizeof s, .space = KV_SPACE_ALL};
	struct kv_stat before = s;

	w->engine[w->which]->stat(w->store, &before);
	release_some(w, 0);
	clear_all(w);
	check_figures(w);
	settle(w);
	verify_store(w->store);
	w->engine[w->which]->stat(w->store, &s);
	FAIL_IF(s.entries != 0 || s.payload != 0 || s.pins != 0 || s.memory > 65536);
	printf("model: memory at the end %llu held, %llu used; with nothing in it %llu held, %llu used\n",
	       (unsigned long long)before.reserved_memory, (unsigned long long)before.memory,
	       (unsigned long long)s.reserved_memory, (unsigned long long)s.memory);
	w->engine[w->which]->close(w->store, 0);
	free(w->model);
}

int main(int argc, char **argv)
{
	static struct world w;
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
	uint64_t rounds = argc > 4 ? strtoull(argv[4], NULL, 10) : 2000;

	if (argc < 3) {
		fprintf(stderr, "usage: model FIRST.so SECOND.so [SEED] [ROUNDS] [LIMIT] [poor]\n");
		return 2;
	}
	w.engine[0] = load(argv[1]);
	w.engine[1] = load(argv[2]);
	w.limit = argc > 5 ? strtoull(argv[5], NULL, 10) : 0;
	w.poor = argc > 6;
	start(&w, seed);
	for (uint64_t i = 0; i < rounds; i++)
		round_of(&w, i);
	verify_store(w.store);
	printf("model: seed %llu: %llu get, %llu meta, %llu set, %llu delete, %llu clear, %llu update, "
	       "%llu expired, %llu refused, %llu scans, %llu swaps\n", (unsigned long long)seed,
	       (unsigned long long)w.done[KV_GET], (unsigned long long)w.done[KV_META],
	       (unsigned long long)w.done[KV_SET], (unsigned long long)w.done[KV_DELETE],
	       (unsigned long long)w.done[KV_CLEAR], (unsigned long long)w.done[KV_UPDATE],
	       (unsigned long long)w.expired, (unsigned long long)w.refused,
	       (unsigned long long)w.scans, (unsigned long long)w.swaps);
	finish(&w);
	return 0;
}
