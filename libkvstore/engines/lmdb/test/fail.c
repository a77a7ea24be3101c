/*
 * fail.c - each call of the system fails once: `fail DIR [STEP]`, DIR is empty
 *
 * A store is opened, written to, read, synced and closed while the n-th call of the engine and
 * of liblmdb - open, mmap, ftruncate, flock, pread, write, pwrite, writev, fsync, fdatasync -
 * fails, for every n (every STEP-th) that there is.  Whatever fails is told, nothing that was
 * taken is lost, no descriptor stays open, and the next open() finds a whole store.
 */
#define _GNU_SOURCE
#include "kit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEYS 12
#define FILES 4

/* What the directory holds before: a store that was closed, one that the power was cut
 * from, or nothing. */
enum before { CLOSED, CUT, NOTHING, BEFORE };

static const char *const names[FILES] = {"data.mdb", "steady", "journal-0", "journal-1"};
static const int errors[4] = {EIO, ENOSPC, ENOMEM, EACCES};

/* ------------------------------------------------------------------- stores */

static struct {
	char bytes[1 << 20];
	ssize_t size;
} kept[FILES];

static void keep_files(const char *dir)
{
	char path[4200];

	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		int fd = open(path, O_RDONLY);

		CHECK(fd >= 0);
		kept[i].size = read(fd, kept[i].bytes, sizeof kept[i].bytes);
		CHECK(kept[i].size >= 0 && kept[i].size < (ssize_t)sizeof kept[i].bytes);
		close(fd);
	}
}

static void put_files(const char *dir)
{
	char path[4200];

	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		CHECK(fd >= 0 && write(fd, kept[i].bytes, (size_t)kept[i].size) == kept[i].size);
		close(fd);
	}
}

static uint64_t length_of(uint64_t number)
{
	return sizeof number + number * 131 % 6000;
}

static int set(struct kit *kit, int key, uint64_t number)
{
	static char value[8192];
	char name[16];

	snprintf(name, sizeof name, "key%d", key);
	memset(value, (int)number, sizeof value);
	memcpy(value, &number, sizeof number);
	return kit_set_now(kit, 0, name, value, length_of(number), number % 2 ? 0 : kit->now + 100000);
}

/* Each key has its value; or no key is answered for, if that may be. */
static void check(struct kit *kit, const uint64_t numbers[KEYS])
{
	char name[16];
	uint64_t number;

	for (int key = 0; key < KEYS; key++) {
		snprintf(name, sizeof name, "key%d", key);
		const struct kv_op *op = kit_get(kit, 0, name);

		if (op->status == KV_IO && kit->may_fail)
			return;
		CHECK(op->status == (numbers[key] != 0 ? KV_OK : KV_NOT_FOUND));
		if (numbers[key] == 0)
			continue;
		CHECK(op->value_len == length_of(numbers[key]));
		memcpy(&number, op->value, sizeof number);
		CHECK(number == numbers[key]);
	}
}

/* Makes what the directory holds before, in a process of its own. */
static void make(const char *dir, enum before before)
{
	struct kit kit = {0};
	int status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		setenv("KVSTORED_BOOT_ID", "first", 1);
		CHECK(kit_open(&kit, dir, true, 0) == KV_OK);
		for (int key = 0; key < KEYS; key++) {
			CHECK(set(&kit, key, (uint64_t)key + 1) == KV_OK);
			CHECK(kit_commit(&kit, true) == KV_OK);
		}
		if (before == CLOSED)
			kit_close(&kit);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	keep_files(dir);
	kit_wipe(dir);
}

/* ----------------------------------------------------------------- attempts */

static int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	CHECK(dir != NULL);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

/* Uses the open store; numbers becomes what it took.  Whether a sync was acknowledged. */
static bool use(struct kit *kit, uint64_t numbers[KEYS])
{
	bool synced = false;

	for (uint64_t i = 0; i < 40; i++) {
		int key = (int)(i * 5 % KEYS);

		if (set(kit, key, 100 + i) == KV_OK)
			numbers[key] = 100 + i;
		kit->now += 200;
		if (i % 4 == 1 && kit_commit(kit, true) == KV_OK)
			synced = true;
		if (i % 8 == 3)
			(void)kit_commit(kit, false);
		if (i % 5 == 0)
			kit->may_fail = true, kit_maintain(kit, 10);
		kit->may_fail = atomic_load(&fault_after) == 0;
		if (i % 10 == 0)
			check(kit, numbers);
	}
	return synced;
}

/* One life of a store with the n-th call failing.  Whether one failed. */
static bool live(const char *dir, enum before before, int n)
{
	uint64_t numbers[KEYS] = {0};
	struct kit kit = {0}, again = {0};
	int open_before = descriptors();

	for (int key = 0; before != NOTHING && key < KEYS; key++)
		numbers[key] = (uint64_t)key + 1;
	fault_errno = errors[n % 4];
	atomic_store(&fault_after, n);
	bool opened = kit_open(&kit, dir, before == NOTHING, 0) == KV_OK;
	bool whole = before != NOTHING; /* a new store is none before its first sync */

	if (opened) {
		whole = use(&kit, numbers) || whole;
		kit_close(&kit);
	}
	bool failed = atomic_exchange(&fault_after, 0) == 0;

	CHECK(descriptors() == open_before);
	CHECK(opened || (failed && kit.error[0] != '\0'));
	if (!opened && before == NOTHING)
		return failed; /* what is left of it is of no use to anybody */
	if (kit_open(&again, dir, false, 0) != KV_OK) {
		CHECK(!whole && failed && again.error[0] != '\0');
		return failed;
	}
	check(&again, numbers);
	CHECK(set(&again, 0, 999) == KV_OK);
	kit_close(&again);
	return failed;
}

/* The same in a process of its own. */
static bool try_one(const char *dir, enum before before, int n)
{
	int status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		alarm(60);
		setenv("KVSTORED_BOOT_ID", before == CUT ? "second" : "first", 1);
		_exit(live(dir, before, n) ? 1 : 0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 1) {
		fprintf(stderr, "fail: call %d of kind %d fails with %s: status %#x\n", n, (int)before,
			strerror(errors[n % 4]), status);
		abort();
	}
	return WEXITSTATUS(status) == 1;
}

int main(int argc, char **argv)
{
	int step = argc > 2 ? atoi(argv[2]) : 1, calls[BEFORE] = {0};

	if (argc < 2) {
		fprintf(stderr, "usage: fail DIR [STEP]\n");
		return 2;
	}
	for (enum before before = CLOSED; before < BEFORE; before++) {
		bool failed = true;

		if (before != NOTHING)
			make(argv[1], before);
		for (int n = 1; failed; n += step) {
			if (before != NOTHING)
				put_files(argv[1]);
			failed = try_one(argv[1], before, n);
			kit_wipe(argv[1]);
			calls[before] = n;
		}
	}
	printf("fail: of %d, %d and %d calls every %d. failed: all told, nothing lost\n", calls[CLOSED],
	       calls[CUT], calls[NOTHING], step);
	return 0;
}
