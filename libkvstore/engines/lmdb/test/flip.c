/*
 * flip.c - damage to the file: `flip DIR STEP [FIRST]`
 *
 * One byte after another of a small store's data is turned, every STEP-th of them, and each
 * key is asked for.  What comes must be what was set, or an error, or nothing: pages of
 * LMDB have no sums, so that a damaged one may hide keys, or end the process.
 */
#define _GNU_SOURCE
#include "kit.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEYS 60

enum outcome { SAME, ABSENT, TOLD, WRONG };

static uint64_t length_of(int key)
{
	return key % 20 == 0 ? 5000 : (uint64_t)key * 7;
}

static void make(int key, char *name, char *value)
{
	snprintf(name, 16, "key%d", key);
	memset(value, 'a' + key % 26, length_of(key));
}

/* What the store says of all keys: the worst. */
static enum outcome ask_all(const char *dir)
{
	static char name[KEYS][16], value[8192];
	struct kit kit = {0};
	enum outcome worst = SAME;

	if (kit_open(&kit, dir, false, 0) != KV_OK)
		return TOLD;
	for (int key = 0; key < KEYS; key++) { /* in one batch: exec.c looks for them together */
		make(key, name[key], value);
		kit_add(&kit, KV_GET, 0, name[key], strlen(name[key]));
	}
	kit_run(&kit);
	for (int key = 0; key < KEYS; key++) {
		const struct kv_op *op = &kit.ops[key];
		enum outcome now = SAME;

		make(key, name[key], value);

		if (op->status == KV_NOT_FOUND)
			now = ABSENT;
		else if (op->status != KV_OK)
			now = TOLD;
		else if (op->value_len != length_of(key) || op->tag != (uint32_t)key ||
			 memcmp(op->value, value, op->value_len) != 0)
			now = WRONG;
		worst = now > worst ? now : worst;
	}
	return worst;
}

/* The same in a process that may end by it; its status. */
static int try_one(const char *dir)
{
	int status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		alarm(60);
		_exit((int)ask_all(dir)); /* without a close: nothing more is written */
	}
	CHECK(waitpid(child, &status, 0) == child);
	return status;
}

static void put(const char *path, const char *bytes, size_t n)
{
	int fd = open(path, O_WRONLY);

	CHECK(fd >= 0 && pwrite(fd, bytes, n, 0) == (ssize_t)n && ftruncate(fd, (off_t)n) == 0);
	close(fd);
}

static void no_event(int fd)
{
	(void)fd;
}

static void no_write(int fd, const void *data, size_t n, off_t offset)
{
	(void)fd, (void)data, (void)n, (void)offset;
}

static const struct watcher no_sync = {no_write, no_event, no_event};

int main(int argc, char **argv)
{
	static char name[KEYS][16], value[KEYS][8192], path[4200], bytes[1 << 20];
	struct kit kit = {0};
	long count[4] = {0}, ended = 0;

	if (argc < 3) {
		fprintf(stderr, "usage: flip DIR STEP [FIRST]\n");
		return 2;
	}
	CHECK(kit_open(&kit, argv[1], true, 0) == KV_OK);
	for (int key = 0; key < KEYS; key++) {
		make(key, name[key], value[key]);
		kit_set(&kit, 0, name[key], value[key], length_of(key), 0)->tag = (uint32_t)key;
	}
	kit_run(&kit);
	kit_close(&kit);
	snprintf(path, sizeof path, "%s/data.mdb", argv[1]);
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, bytes, sizeof bytes);

	CHECK(fd >= 0 && n > 0 && n < (ssize_t)sizeof bytes);
	close(fd);
	watching = &no_sync;
	CHECK(try_one(argv[1]) == 0);
	for (ssize_t at = argc > 3 ? atol(argv[3]) : 0; at < n; at += atol(argv[2])) {
		bytes[at] ^= 0x10;
		put(path, bytes, (size_t)n);
		int status = try_one(argv[1]);

		bytes[at] ^= 0x10;
		if (!WIFEXITED(status)) {
			ended++;
			continue;
		}
		CHECK(WEXITSTATUS(status) <= WRONG);
		count[WEXITSTATUS(status)]++;
		if (WEXITSTATUS(status) == WRONG)
			fprintf(stderr, "flip: byte %zd: a wrong value came\n", at);
	}
	printf("flip: %zd bytes, every %ld.: harmless %ld, told %ld, keys hidden %ld, process ended "
	       "%ld, wrong %ld\n", n, atol(argv[2]), count[SAME], count[TOLD], count[ABSENT], ended,
	       count[WRONG]);
	CHECK(count[WRONG] == 0 && count[TOLD] > 0);
	watching = NULL;
	kit_wipe(argv[1]);
	return 0;
}
