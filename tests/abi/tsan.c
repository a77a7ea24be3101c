/*
 * tsan - many threads on one store, as reactors are, for ThreadSanitizer
 *
 *	tsan ENGINE.so [OTHER.so] [milliseconds=N]
 *
 * Every call into the engine is made under one lock, the lane.  What a call
 * returned - replies, pinned values, scanned entries, events - is read
 * outside of it while other threads write, maintain and, with a second
 * library of the same format, hand the store over.  The sanitizer reports
 * every access that the lane does not order.
 */
#include "host.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define KEYS 64
#define BIG (2 * KV_PIN_LENGTH)
#define BATCH 16
#define WORKERS 3

static pthread_mutex_t lane = PTHREAD_MUTEX_INITIALIZER;

/* Set before the threads start. */
static struct library libraries[2];
static int library_count;

static atomic_llong now = 1000;

/* Guarded by the lane. */
static int current;
static kv_store *store;
static uint64_t pinned; /* pins not given back; they cross hand-overs */
static uint64_t hand_overs, values, pins, scanned, slices;

static atomic_bool stop;
static unsigned char *runs; /* what is written; not changed once threads run */

static const struct kvstore_engine *engine(void)
{
	return &libraries[current].engine;
}

/* One thread's batch and the memory that its answers are in. */
struct tick {
	struct kv_op ops[BATCH];
	char keys[BATCH][16];
	uint64_t counters[BATCH];
	struct memory reply, told;
	struct kv_events events;
	struct kv_batch batch;
	uint64_t dice;
	const unsigned char *value; /* 256 runs of BIG bytes, each of one byte */
};

/* Adds one to an 8-byte counter, as INCR does. */
static int count_up(void *arg, const struct kv_entry *entry, struct kv_change *change)
{
	uint64_t *counter = arg;

	*counter = 0;
	if (entry->value_len == sizeof *counter)
		memcpy(counter, entry->value, sizeof *counter);
	++*counter;
	change->value = counter;
	change->value_len = sizeof *counter;
	return KV_REPLACE;
}

static void draw_op(struct tick *tick, int i)
{
	struct kv_op *op = &tick->ops[i];
	uint64_t key = draw(&tick->dice) % KEYS;
	uint64_t chance = draw(&tick->dice) % 100;
	uint64_t can = libraries[0].engine.capabilities;

	snprintf(tick->keys[i], sizeof tick->keys[i], "key%d", (int)key);
	*op = (struct kv_op){.key = tick->keys[i],
			     .key_len = strlen(tick->keys[i]),
			     .length = UINT64_MAX,
			     .code = KV_GET};
	if (chance < 25) {
		op->code = KV_SET;
		op->value = tick->value + draw(&tick->dice) % 256 * BIG;
		op->value_len = key % 8 == 0 ? BIG : draw(&tick->dice) % 200;
		op->expiry = (can & KV_CAP_EXPIRY) != 0 && chance < 8 ? now + 20 : 0;
	} else if (chance < 40) {
		op->code = KV_UPDATE;
		op->update = count_up;
		op->arg = &tick->counters[i];
		op->key = "counter";
		op->key_len = 7;
	} else if (chance < 50 && (can & KV_CAP_DELETE) != 0) {
		op->code = KV_DELETE;
	}
}

/* The values of one tick, whole and of one byte each: no write was seen halfway. */
static void read_replies(const struct tick *tick)
{
	for (int i = 0; i < BATCH; i++) {
		const struct kv_op *op = &tick->ops[i];
		const unsigned char *bytes = op->value;

		if (op->code != KV_GET || op->status != KV_OK)
			continue;
		for (uint64_t at = 1; at < op->value_len; at += 1 + at / 64)
			CHECK(bytes[at] == bytes[0]);
	}
	for (const struct kv_event *e = tick->events.first; e != NULL; e = e->next)
		CHECK(e->key_len >= 3 && memcmp(e->key, "key", 3) == 0);
}

static void give_back(struct tick *tick)
{
	uint64_t list[BATCH];
	uint64_t count = 0;

	for (int i = 0; i < BATCH; i++)
		if (tick->ops[i].code == KV_GET && tick->ops[i].status == KV_OK &&
		    tick->ops[i].pin != 0)
			list[count++] = tick->ops[i].pin;
	if (count > 0)
		engine()->release(store, list, count);
	pinned -= count;
}

static void tick_exec(struct tick *tick)
{
	tick->events = (struct kv_events){.sink = &tick->told.sink};
	tick->batch = (struct kv_batch){.size = sizeof tick->batch,
					.op_size = sizeof(struct kv_op),
					.count = BATCH,
					.ops = tick->ops,
					.now = ++now,
					.reply = &tick->reply.sink,
					.events = &tick->events};
	CHECK(engine()->exec(store, &tick->batch) == KV_OK);
	for (int i = 0; i < BATCH; i++) {
		const struct kv_op *op = &tick->ops[i];

		CHECK(op->status == KV_OK || op->status == KV_NOT_FOUND);
		values += op->code == KV_GET && op->status == KV_OK;
		pinned += op->code == KV_GET && op->status == KV_OK && op->pin != 0;
		pins += op->code == KV_GET && op->status == KV_OK && op->pin != 0;
	}
}

static void *worker(void *arg)
{
	struct tick tick = {.dice = 88172645463325252u ^ (uint64_t)(uintptr_t)arg << 20};

	tick.value = runs;
	while (!stop) {
		memory_init(&tick.reply);
		memory_init(&tick.told);
		for (int i = 0; i < BATCH; i++)
			draw_op(&tick, i);
		pthread_mutex_lock(&lane);
		tick_exec(&tick);
		pthread_mutex_unlock(&lane);

		read_replies(&tick);

		pthread_mutex_lock(&lane);
		give_back(&tick);
		pthread_mutex_unlock(&lane);
		memory_free(&tick.reply);
		memory_free(&tick.told);
	}
	return NULL;
}

static void read_items(const struct kv_scan *scan)
{
	for (const struct kv_item *item = scan->first; item != NULL; item = item->next) {
		const unsigned char *bytes = item->value;

		if (item->key_len == 7) /* the counter */
			continue;
		for (uint64_t at = 1; at < item->value_len; at += 1 + at / 64)
			CHECK(bytes[at] == bytes[0]);
	}
}

/* Walks and keeps house, in slices, like a copying swap beside the traffic. */
static void *walker(void *arg)
{
	struct memory memory, told;
	struct kv_scan scan = {.size = sizeof scan, .flags = KV_SCAN_VALUES, .budget = 8};

	(void)arg;
	while (!stop) {
		memory_init(&memory);
		memory_init(&told);
		struct kv_events events = {.sink = &told.sink};
		struct kv_maintain maintain = {
			.size = sizeof maintain, .budget = 8, .events = &events};

		pthread_mutex_lock(&lane);
		scan.sink = &memory.sink;
		scan.now = maintain.now = now;
		CHECK(engine()->scan(store, &scan) == KV_OK);
		if (engine()->maintain != NULL)
			CHECK(engine()->maintain(store, &maintain) == KV_OK);
		scanned += scan.count;
		slices++;
		pthread_mutex_unlock(&lane);
		read_items(&scan);
		memory_free(&memory);
		memory_free(&told);
	}
	return NULL;
}

/* Puts the other library in the place of this one, pins and all. */
static void *swapper(void *arg)
{
	(void)arg;
	while (!stop) {
		struct timespec pause = {.tv_nsec = 2000000};

		nanosleep(&pause, NULL);
		pthread_mutex_lock(&lane);
		store = store_hand_over(&libraries[current], store, &libraries[!current], now);
		current = !current;
		hand_overs++;
		pthread_mutex_unlock(&lane);
	}
	return NULL;
}

static void run(long milliseconds)
{
	pthread_t threads[WORKERS + 2];
	int count = 0;
	struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};

	for (; count < WORKERS; count++)
		CHECK(pthread_create(&threads[count], NULL, worker,
				     (void *)(uintptr_t)(count + 1)) == 0);
	if (engine()->capabilities & KV_CAP_SCAN)
		CHECK(pthread_create(&threads[count++], NULL, walker, NULL) == 0);
	if (library_count == 2)
		CHECK(pthread_create(&threads[count++], NULL, swapper, NULL) == 0);
	nanosleep(&time, NULL);
	stop = true;
	while (count > 0)
		pthread_join(threads[--count], NULL);
}

int main(int argc, char **argv)
{
	long milliseconds = 2000;

	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "milliseconds=", 13) == 0)
			milliseconds = atol(argv[i] + 13);
		else if (library_count < 2)
			library_load(&libraries[library_count++], argv[i]);
	}
	if (library_count == 0) {
		fprintf(stderr, "usage: tsan ENGINE.so [OTHER.so] [milliseconds=N]\n");
		return 2;
	}
	runs = malloc(256 * BIG);
	for (size_t i = 0; i < 256; i++)
		memset(runs + i * BIG, (int)i, BIG);
	store = store_open(&libraries[0], now, 0);
	run(milliseconds);
	CHECK(pinned == 0);
	engine()->close(store, 0);
	free(runs);
	printf("tsan: %s: %llu values, %llu of them pinned, %llu scanned in %llu slices, "
	       "%llu hand-overs: no data race\n",
	       argv[1], (unsigned long long)values, (unsigned long long)pins,
	       (unsigned long long)scanned, (unsigned long long)slices,
	       (unsigned long long)hand_overs);
	return 0;
}
