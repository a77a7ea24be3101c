/*
 * disk.c - a store that is kept: reopened, grown, full, failing, killed
 *
 *	disk DIR [ROUNDS]       DIR is empty; ROUNDS of kill -9
 */
#define _GNU_SOURCE
#include "kit.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void reopen(struct kit *kit, const char *dir)
{
	kit_close(kit);
	CHECK(kit_open(kit, dir, false, 0) == KV_OK);
}

/* What was set is there after a close and an open, in every space, with its time. */
static void test_reopen(const char *dir)
{
	struct kit kit = {0}, other = {0};
	char longer[3000];
	struct kv_stat before, after;

	memset(longer, 'k', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	CHECK(kit_open(&kit, dir, false, 0) != KV_OK && kit.error[0] != '\0');
	CHECK(kit_open(&kit, dir, true, 0) == KV_OK);
	CHECK(kit_set_now(&kit, 0, "a", "one", 3, 0) == KV_OK);
	CHECK(kit_set_now(&kit, 7, longer, "long", 4, kit.now + 5000) == KV_OK);
	CHECK(kit_set_now(&kit, 9, "cleared", "x", 1, kit.now + 5000) == KV_OK);
	kit_add(&kit, KV_CLEAR, 9, NULL, 0);
	kit_run(&kit);
	CHECK(kit_open(&other, dir, false, 0) == KV_REFUSED);
	before = kit_stat(&kit, KV_SPACE_ALL);
	reopen(&kit, dir);
	after = kit_stat(&kit, KV_SPACE_ALL);
	CHECK(before.entries == 2 && after.entries == 2 && after.expiring == 1);
	CHECK(before.payload == after.payload && after.next_space == 0);
	CHECK(kit_get(&kit, 0, "a")->status == KV_OK);
	CHECK(kit_get(&kit, 7, longer)->status == KV_OK);
	CHECK(kit_get(&kit, 9, "cleared")->status == KV_NOT_FOUND);
	CHECK(kit_walk(&kit, 7) == 1 && kit_walk(&kit, 9) == 0);
	kit.now += 6000;
	while (kit_maintain(&kit, 10))
		;
	CHECK(kit_stat(&kit, KV_SPACE_ALL).entries == 1);
	kit_close(&kit);
	kit_wipe(dir);
}

/* The map grows to what is put in, long values too. */
static void test_growth(const char *dir)
{
	struct kit kit = {0};
	uint64_t n = 48u << 20;
	char *value = malloc(n);
	char key[32];

	CHECK(value != NULL);
	for (uint64_t i = 0; i < n; i++)
		value[i] = (char)(i * 2654435761u >> 13);
	CHECK(kit_open(&kit, dir, true, 0) == KV_OK);
	CHECK(kit_set_now(&kit, 0, "big", value, n, 0) == KV_OK);
	for (int i = 0; i < 3000; i++) {
		snprintf(key, sizeof key, "key%d", i);
		CHECK(kit_set_now(&kit, 0, key, value, 1 + (uint64_t)i % 900, 0) == KV_OK);
	}
	reopen(&kit, dir);
	const struct kv_op *op = kit_get(&kit, 0, "big");

	CHECK(op->status == KV_OK && op->value_len == n && memcmp(op->value, value, n) == 0);
	CHECK(kit_walk(&kit, 0) == 3001);
	kit_close(&kit);
	kit_wipe(dir);
	free(value);
}

/* A full disk refuses writes, reads go on, and room lets it go on by itself. */
static void test_full(const char *dir)
{
	struct kit kit = {0};
	struct rlimit limit, small;
	char key[32], value[5000] = "v";
	int i, status = KV_OK;

	CHECK(kit_open(&kit, dir, true, 0) == KV_OK);
	signal(SIGXFSZ, SIG_IGN);
	CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
	small = limit;
	small.rlim_cur = 1 << 20;
	CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
	for (i = 0; i < 1000 && status == KV_OK; i++) {
		snprintf(key, sizeof key, "key%d", i);
		status = kit_set_now(&kit, 0, key, value, sizeof value, 0);
	}
	CHECK(status == KV_NO_SPACE);
	CHECK(kit_stat(&kit, 0).entries == (uint64_t)i - 1);
	CHECK(kit_get(&kit, 0, "key0")->status == KV_OK);
	CHECK(kit_get(&kit, 0, key)->status == KV_NOT_FOUND);
	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	CHECK(kit_set_now(&kit, 0, key, value, sizeof value, 0) == KV_OK);
	reopen(&kit, dir);
	CHECK(kit_walk(&kit, 0) == (uint64_t)i);
	kit_close(&kit);
	kit_wipe(dir);
}

/* After a failed sync nothing is written any more, until the store is opened again. */
static void test_sync_failure(const char *dir)
{
	struct kit kit = {0};

	CHECK(kit_open(&kit, dir, true, 0) == KV_OK);
	CHECK(kit_set_now(&kit, 0, "a", "one", 3, 0) == KV_OK);
	CHECK(kit_commit(&kit, true) == KV_OK);
	CHECK(kit_set_now(&kit, 0, "a", "two", 3, 0) == KV_OK);
	fault_sync = EIO;
	CHECK(kit_commit(&kit, true) == KV_IO);
	fault_sync = 0;
	CHECK(kit_commit(&kit, true) == KV_OK); /* it was told */
	CHECK(kit_set_now(&kit, 0, "b", "x", 1, 0) == KV_IO);
	CHECK(kit_get(&kit, 0, "a")->status == KV_OK);
	CHECK(kit_get(&kit, 0, "b")->status == KV_NOT_FOUND);
	reopen(&kit, dir);
	CHECK(kit_set_now(&kit, 0, "b", "x", 1, 0) == KV_OK);
	fault_sync = EIO; /* in the background */
	for (kit.now += 1000; kit_set_now(&kit, 0, "c", "x", 1, 0) == KV_OK; kit.now += 1000) {
		kit_maintain(&kit, 1);
		usleep(1000);
	}
	fault_sync = 0;
	CHECK(kit_get(&kit, 0, "b")->status == KV_OK);
	kit_close(&kit);
	kit_wipe(dir);
}

/* However long the same keys are overwritten, and nobody asks for a sync: the file keeps
 * below two and a half times the data and what may be written anew while one sync is waited for. */
static void test_overwriting(const char *dir)
{
	static char keys[200][32];
	struct kit kit = {0};
	uint64_t dice = 3, allowed, most;
	char value[40] = "v";

	CHECK(kit_open(&kit, dir, true, 0) == KV_OK);
	CHECK(kit_commit(&kit, true) == KV_OK);
	for (int round = 0; round < 500; round++) {
		for (int i = 0; i < 200; i++) {
			snprintf(keys[i], sizeof keys[i], "key%d", (int)(draw(&dice) % 20000));
			kit_set(&kit, 0, keys[i], value, sizeof value, kit.now + 1000000);
		}
		kit_run(&kit);
		CHECK(kit.ops[0].status == KV_OK && kit.ops[199].status == KV_OK);
	}
	struct kv_stat stat = kit_stat(&kit, KV_SPACE_ALL);

	most = stat.reserved_memory;
	allowed = 5 * stat.memory / 2 + 5 * (CHURN_LEAST + stat.memory / 8);
	printf("disk: %llu entries overwritten 5 times: %.1f MB of data in a file of %.1f MB\n",
	       (unsigned long long)stat.entries, (double)stat.memory / 1e6, (double)most / 1e6);
	CHECK(most <= allowed);
	kit_close(&kit);
	kit_wipe(dir);
}

static int syncs;

static void count_sync(int fd)
{
	(void)fd;
	syncs++;
}

static void no_sync(int fd)
{
	(void)fd;
}

static void no_write(int fd, const void *data, size_t n, off_t offset)
{
	(void)fd, (void)data, (void)n, (void)offset;
}

static const struct watcher counter = {no_write, count_sync, no_sync};

/* However long nobody waited: the first commit that somebody waits for may sync by itself; from then
 * on that is the host's, beside the store. */
static void test_waiting(const char *dir)
{
	static char value[200000];
	struct kit kit = {0};
	struct kit_sync wanted;

	CHECK(kit_open(&kit, dir, true, 0) == KV_OK);
	CHECK(kit_commit(&kit, true) == KV_OK);
	for (int i = 0; i < 80; i++) { /* moments come by what is written: so many that the journal ends */
		kit_set_now(&kit, 0, "k", value, sizeof value, 0);
		CHECK(kit_commit(&kit, false) == KV_OK);
		usleep(1000);
	}
	for (int i = 0; i < 20; i++) { /* and one that has all of it */
		kit.now += 10000;
		kit_maintain(&kit, 10);
		usleep(1000);
	}
	watching = &counter;
	CHECK(kit_commit_begin(&kit, true, &wanted) == KV_OK && kit_commit_end(&kit, &wanted) == KV_OK);
	for (int i = 0; i < 3; i++) {
		kit_set_now(&kit, 0, "k", &i, sizeof i, 0);
		syncs = 0;
		CHECK(kit_commit_begin(&kit, true, &wanted) == KV_OK);
		CHECK(syncs == 0 && wanted.fd_count > 0);
		CHECK(kit_commit_end(&kit, &wanted) == KV_OK);
	}
	for (int i = 0; i < 50; i++) { /* some moments more, which are no reason to end the journal */
		kit_set_now(&kit, 0, "k", value, 10000, 0);
		CHECK(kit_commit(&kit, false) == KV_OK);
		usleep(200);
	}
	usleep(100000); /* the last of them has ended */
	syncs = 0;
	CHECK(kit_commit_begin(&kit, true, &wanted) == KV_OK && syncs == 0 && wanted.fd_count > 0);
	watching = NULL;
	kit_close(&kit);
	kit_wipe(dir);
}

#define MIXED_KEYS 4000
#define MIXED_ROUNDS 400

/* One round of a long life: values of all sizes come and go, some by their time, some by CLEAR. */
static void live(struct kit *kit, uint64_t *dice)
{
	static char keys[64][32], value[20000];

	for (int i = 0; i < 64; i++) {
		uint64_t n = draw(dice);

		snprintf(keys[i], sizeof keys[i], "key%d", (int)(n % MIXED_KEYS));
		if (n / MIXED_KEYS % 4 == 0)
			kit_add(kit, KV_DELETE, 0, keys[i], strlen(keys[i]));
		else
			kit_set(kit, n / MIXED_KEYS % 16 == 1 ? 5 : 0, keys[i], value,
				n % 100 == 0 ? n / 100 % sizeof value : n / 100 % 500,
				n / MIXED_KEYS % 8 == 2 ? kit->now + 200 : 0);
	}
	kit_run(kit);
	for (uint64_t i = 0; i < kit->count; i++)
		CHECK(kit->ops[i].status == KV_OK || kit->ops[i].status == KV_NOT_FOUND);
	kit->now += 20;
	kit_maintain(kit, 100);
}

/* Entries in all spaces are removed, by CLEAR and one by one. */
static void empty(struct kit *kit)
{
	char key[32];

	kit_add(kit, KV_CLEAR, 5, NULL, 0);
	kit_run(kit);
	for (int i = 0; i < MIXED_KEYS; i++) {
		snprintf(key, sizeof key, "key%d", i);
		kit_add(kit, KV_DELETE, 0, key, strlen(key));
		kit_run(kit);
	}
	while (kit_maintain(kit, 100))
		;
	CHECK(kit_stat(kit, KV_SPACE_ALL).entries == 0);
}

/*
 * What is removed gives its room back for what comes: a long mixed life, in which the data itself
 * stays as large as it is, does not make the file grow, and neither does a store that is emptied and
 * filled again.  The bound is what operations.md says of the file.
 */
static void test_mixed(const char *dir)
{
	struct kit kit = {0};
	uint64_t dice = 11, most = 0, early = 0, allowed;

	CHECK(kit_open(&kit, dir, true, 0) == KV_OK);
	CHECK(kit_commit(&kit, true) == KV_OK);
	for (int life = 0; life < 3; life++) {
		for (int round = 0; round < MIXED_ROUNDS; round++) {
			live(&kit, &dice);
			struct kv_stat stat = kit_stat(&kit, KV_SPACE_ALL);

			most = stat.memory > most ? stat.memory : most;
			early = round < MIXED_ROUNDS / 2 && life == 0 ? stat.reserved_memory : early;
		}
		empty(&kit);
	}
	uint64_t file = kit_stat(&kit, KV_SPACE_ALL).reserved_memory;

	allowed = 3 * most + 5 * CHURN_LEAST;
	printf("disk: a long mixed life of at most %.1f MB of data: a file of %.1f MB, of %.1f MB after a sixth\n",
	       (double)most / 1e6, (double)file / 1e6, (double)early / 1e6);
	CHECK(file <= allowed);
	kit_close(&kit);
	kit_wipe(dir);
}

/* ------------------------------------------------------------------ kill -9 */

#define KILL_KEYS 500

/* Writes until it is killed; tells each batch that was acknowledged. */
static void write_on(const char *dir, int to, uint64_t next)
{
	struct kit kit = {0};
	uint64_t dice = next * 77 + 1;
	char keys[8][32];

	CHECK(kit_open(&kit, dir, false, 0) == KV_OK);
	for (;; next++) {
		for (int i = 0; i < 8; i++) {
			snprintf(keys[i], sizeof keys[i], "k%d", (int)(draw(&dice) % KILL_KEYS));
			kit_set(&kit, 0, keys[i], &next, sizeof next, kit.now + 1000000);
		}
		kit_set(&kit, 0, "last", &next, sizeof next, 0);
		kit_run(&kit);
		CHECK(kit_commit(&kit, next % 16 == 0) == KV_OK);
		CHECK(write(to, &next, sizeof next) == sizeof next);
		kit.now += 7;
		if (next % 5 == 0)
			kit_maintain(&kit, 100);
	}
}

static uint64_t number_at(struct kit *kit, const char *key)
{
	const struct kv_op *op = kit_get(kit, 0, key);
	uint64_t n = 0;

	if (op->status == KV_OK && op->value_len == sizeof n)
		memcpy(&n, op->value, sizeof n);
	return n;
}

/* Everything up to `last` must be as the batches wrote it, one after another. */
static void replay(struct kit *kit, uint64_t last, uint64_t *expected, uint64_t from)
{
	char key[32];

	uint64_t dice = from * 77 + 1;

	for (uint64_t n = from; n <= last; n++)
		for (int i = 0; i < 8; i++)
			expected[draw(&dice) % KILL_KEYS] = n;
	for (int i = 0; i < KILL_KEYS; i++) {
		snprintf(key, sizeof key, "k%d", i);
		CHECK(number_at(kit, key) == expected[i]);
	}
}

/* Has a process killed while it writes; the last batch that it acknowledged. */
static uint64_t kill_one(const char *dir, uint64_t first, uint64_t *dice)
{
	uint64_t acknowledged = first - 1, told;
	int ends[2], status;

	CHECK(pipe(ends) == 0);
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		close(ends[0]);
		write_on(dir, ends[1], first);
		_exit(0);
	}
	close(ends[1]);
	for (uint64_t left = 1 + draw(dice) % 200; left > 0; left--) {
		CHECK(read(ends[0], &told, sizeof told) == sizeof told);
		acknowledged = told;
	}
	struct timespec moment = {.tv_nsec = (long)(draw(dice) % 2000000)};

	nanosleep(&moment, NULL);
	CHECK(kill(child, SIGKILL) == 0);
	while (read(ends[0], &told, sizeof told) == sizeof told)
		acknowledged = told;
	close(ends[0]);
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
	return acknowledged;
}

static void test_kill(const char *dir, int rounds)
{
	static uint64_t expected[KILL_KEYS];
	struct kit kit = {0};
	uint64_t dice = 99, first = 1, batches = 0;

	CHECK(kit_open(&kit, dir, true, 0) == KV_OK);
	kit_close(&kit);
	for (int i = 0; i < rounds; i++) {
		uint64_t acknowledged = kill_one(dir, first, &dice);

		CHECK(kit_open(&kit, dir, false, 0) == KV_OK);
		uint64_t last = number_at(&kit, "last");

		CHECK(last == acknowledged || last == acknowledged + 1);
		if (last >= first)
			replay(&kit, last, expected, first);
		CHECK(kit_walk(&kit, 0) == kit_stat(&kit, 0).entries);
		kit_close(&kit);
		batches += last - first + 1;
		first = last + 1;
	}
	kit_wipe(dir);
	printf("disk: killed %d times in %llu batches, nothing acknowledged lost\n", rounds,
	       (unsigned long long)batches);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: disk DIR [ROUNDS]\n");
		return 2;
	}
	test_reopen(argv[1]);
	test_growth(argv[1]);
	test_full(argv[1]);
	test_sync_failure(argv[1]);
	test_overwriting(argv[1]);
	test_mixed(argv[1]);
	test_waiting(argv[1]);
	test_kill(argv[1], argc > 2 ? atoi(argv[2]) : 40);
	return 0;
}
