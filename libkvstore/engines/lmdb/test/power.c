/*
 * power.c - what is left when the power goes
 *
 *	power DIR [CUTS] [SEED]       DIR is empty
 *
 * A store is written to while every write and sync below it is recorded.  Then, at
 * CUTS moments of the record, the files are made as a disk could have them - what was
 * synced is there; of the rest each write, or each 512 bytes of it, may be missing or
 * may have come before others - and opened as after a new start of the machine.  The
 * store must be as it was after some batch, whole, and not before the last batch
 * that was acknowledged as synced.
 */
#define _GNU_SOURCE
#include "kit.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEYS 60
#define BATCHES 400
#define FILES 4
#define SECTOR 512
#define FILE_MOST (8u << 20)

static const char *const names[FILES] = {"data.mdb", "steady", "journal-0", "journal-1"};

enum kind { WROTE, BEGINS, ENDED, SYNCED };

struct event {
	enum kind kind;
	int file;
	uint64_t n; /* bytes; of ENDED: index of its BEGINS; of SYNCED: the batch */
	off_t offset;
	char *data;
};

static struct event *events;
static size_t event_count;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards events */
static struct stat files[FILES];

static int file_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0)
		for (int i = 0; i < FILES; i++)
			if (st.st_ino == files[i].st_ino && st.st_dev == files[i].st_dev)
				return i;
	return -1;
}

static size_t record(struct event e)
{
	static size_t room;
	size_t at;

	pthread_mutex_lock(&mutex);
	if (event_count == room) {
		room = room != 0 ? room * 2 : 1024;
		events = realloc(events, room * sizeof *events);
		CHECK(events != NULL);
	}
	at = event_count++;
	events[at] = e;
	pthread_mutex_unlock(&mutex);
	return at;
}

static void wrote(int fd, const void *data, size_t n, off_t offset)
{
	struct event e = {.kind = WROTE, .file = file_of(fd), .n = n, .offset = offset};

	if (e.file < 0)
		return;
	e.data = malloc(n);
	CHECK(e.data != NULL && (uint64_t)offset + n <= FILE_MOST);
	memcpy(e.data, data, n);
	record(e);
}

static _Thread_local size_t begun;

static void sync_begins(int fd)
{
	struct event e = {.kind = BEGINS, .file = file_of(fd)};

	begun = e.file >= 0 ? record(e) : 0;
	if (e.file >= 0)
		usleep(200); /* others write meanwhile */
}

static void sync_ended(int fd)
{
	struct event e = {.kind = ENDED, .file = file_of(fd), .n = begun};

	if (e.file >= 0)
		record(e);
}

static const struct watcher watcher = {wrote, sync_begins, sync_ended};

/* -------------------------------------------------------------------- model */

/* The batch that set each key last, 0: none; by batch. */
static uint16_t history[BATCHES + 1][2][KEYS];

static uint64_t length_of(unsigned batch, int key)
{
	return sizeof(uint64_t) + (uint64_t)(batch * 31 + (unsigned)key * 7) % 97 * (batch % 11 == 0 ? 60 : 3);
}

static void write_batch(struct kit *kit, unsigned batch, uint64_t *dice)
{
	static char names[2][KEYS][16], values[16][8192];
	uint64_t number = batch;

	memcpy(history[batch], history[batch - 1], sizeof history[batch]);
	for (int i = 0; i < 8; i++) {
		int space = (int)(draw(dice) % 2), key = (int)(draw(dice) % KEYS);
		char *name = names[space][key];

		snprintf(name, 16, "key%d", key);
		if (draw(dice) % 4 == 0) {
			kit_add(kit, KV_DELETE, (uint32_t)space, name, strlen(name));
			history[batch][space][key] = 0;
			continue;
		}
		memset(values[i], (int)batch, sizeof values[i]);
		memcpy(values[i], &number, sizeof number);
		kit_set(kit, (uint32_t)space, name, values[i], length_of(batch, key),
			draw(dice) % 2 ? kit->now + 1000000000 : 0);
		history[batch][space][key] = (uint16_t)batch;
	}
	if (draw(dice) % 40 == 0) {
		kit_add(kit, KV_CLEAR, 1, NULL, 0);
		memset(history[batch][1], 0, sizeof history[batch][1]);
	}
	memcpy(values[15], &number, sizeof number);
	kit_set(kit, 0, "last", values[15], sizeof number, 0);
	kit_run(kit);
}

/* --------------------------------------------------------------------- disk */

/* A file as a disk may have it. */
struct image {
	char *bytes;
	uint64_t size;
};

static void apply(struct image *image, const struct event *e, uint64_t from, uint64_t n)
{
	uint64_t end = (uint64_t)e->offset + from + n;

	memcpy(image->bytes + e->offset + from, e->data + from, n);
	if (end > image->size)
		image->size = end;
}

/* A write that was not synced: there, not there, or in part. */
static void perhaps(struct image *image, const struct event *e, unsigned mode, uint64_t *dice)
{
	if (mode == 0)
		return;
	if (mode == 1 || (mode == 2 && draw(dice) % 2)) {
		apply(image, e, 0, e->n);
		return;
	}
	for (uint64_t at = 0; mode == 3 && at < e->n; at += SECTOR)
		if (draw(dice) % 2)
			apply(image, e, at, e->n - at < SECTOR ? e->n - at : SECTOR);
}

/* Which writes are on disk for certain at a cut: those before the begin of a sync of their
 * file that has ended.  The last such begin, by file. */
static void find_synced(size_t cut, size_t synced[FILES], uint64_t *acknowledged)
{
	memset(synced, 0, FILES * sizeof *synced);
	*acknowledged = 0;
	for (size_t i = 0; i < cut; i++) {
		if (events[i].kind == ENDED && events[i].n > synced[events[i].file])
			synced[events[i].file] = events[i].n;
		if (events[i].kind == SYNCED && events[i].n > *acknowledged)
			*acknowledged = events[i].n;
	}
}

static void make_images(size_t cut, const struct image start[FILES], struct image made[FILES],
			uint64_t *acknowledged, uint64_t *dice)
{
	size_t synced[FILES];
	unsigned mode = (unsigned)(draw(dice) % 4);

	find_synced(cut, synced, acknowledged);
	for (int i = 0; i < FILES; i++) {
		memset(made[i].bytes, 0, made[i].size);
		memcpy(made[i].bytes, start[i].bytes, start[i].size);
		made[i].size = start[i].size;
	}
	for (size_t i = 0; i < cut; i++) {
		const struct event *e = &events[i];

		if (e->kind == WROTE && i < synced[e->file])
			apply(&made[e->file], e, 0, e->n);
		else if (e->kind == WROTE)
			perhaps(&made[e->file], e, mode, dice);
	}
}

static void put_file(const char *dir, const char *name, const struct image *image)
{
	char path[4200];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0);
	for (uint64_t done = 0; done < image->size;) {
		ssize_t n = write(fd, image->bytes + done, image->size - done);

		CHECK(n > 0);
		done += (uint64_t)n;
	}
	close(fd);
}

static void take_file(const char *dir, const char *name, struct image *image)
{
	char path[4200];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	int fd = open(path, O_RDONLY);
	ssize_t n;

	image->bytes = calloc(1, FILE_MOST);
	image->size = 0;
	CHECK(fd >= 0 && image->bytes != NULL);
	while ((n = read(fd, image->bytes + image->size, 1 << 20)) > 0)
		image->size += (uint64_t)n;
	close(fd);
}

static void acknowledge(uint64_t batch)
{
	record((struct event){.kind = SYNCED, .file = -1, .n = batch});
}

/* A commit that is waited for, as the host does it: one sync at a time, behind which the
 * next ones gather; end: the one that runs ends now. */
static void commit_one(struct kit *kit, unsigned batch, bool end)
{
	static struct kit_sync running;
	static unsigned covers; /* the last batch of it; 0: none runs */
	struct kit_sync wanted;

	CHECK(kit_commit_begin(kit, true, &wanted) == KV_OK);
	if (wanted.fd_count == 0) {
		acknowledge(batch);
	} else if (covers == 0) {
		running = wanted;
		covers = batch;
	}
	if (covers == 0 || !end)
		return;
	CHECK(kit_commit_end(kit, &running) == KV_OK);
	acknowledge(covers);
	covers = 0;
}

/* The run that is recorded. */
static void write_all(const char *dir, uint64_t seed, struct image start[FILES])
{
	struct kit kit = {0};
	uint64_t dice = seed * 2654435761u + 1;
	char path[4200];

	CHECK(kit_open(&kit, dir, true, 0) == KV_OK);
	kit_close(&kit);
	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		CHECK(stat(path, &files[i]) == 0);
		take_file(dir, names[i], &start[i]);
	}
	watching = &watcher;
	CHECK(kit_open(&kit, dir, false, 0) == KV_OK);
	for (unsigned batch = 1; batch <= BATCHES; batch++) {
		write_batch(&kit, batch, &dice);
		kit.now += (int64_t)(draw(&dice) % 300);
		if (draw(&dice) % 3 == 0)
			kit_maintain(&kit, 20);
		if (batch > BATCHES / 3 || draw(&dice) % 12 == 0)
			commit_one(&kit, batch, batch < BATCHES / 3 || draw(&dice) % 3 == 0);
		else if (draw(&dice) % 2)
			CHECK(kit_commit(&kit, false) == KV_OK);
	}
	kit_close(&kit);
	watching = NULL;
}

/* -------------------------------------------------------------------- judge */

static uint64_t last_batch(struct kit *kit)
{
	const struct kv_op *op = kit_get(kit, 0, "last");
	uint64_t n = 0;

	if (op->status == KV_OK && op->value_len == sizeof n)
		memcpy(&n, op->value, sizeof n);
	return n;
}

static void check_key(struct kit *kit, unsigned space, int key, unsigned batch)
{
	char name[16];
	uint64_t number;

	snprintf(name, sizeof name, "key%d", key);
	const struct kv_op *op = kit_get(kit, space, name);

	if (batch == 0) {
		CHECK(op->status == KV_NOT_FOUND);
		return;
	}
	CHECK(op->status == KV_OK && op->value_len == length_of(batch, key));
	memcpy(&number, op->value, sizeof number);
	CHECK(number == batch);
	for (uint64_t i = sizeof number; i < op->value_len; i++)
		CHECK(((const unsigned char *)op->value)[i] == (unsigned char)batch);
}

/* Opens what the disk has and compares.  How many acknowledged batches it goes beyond. */
static uint64_t judge(const char *dir, uint64_t acknowledged, int more)
{
	struct kit kit = {0};
	uint64_t entries[2] = {0};
	char text[300];

	if (kit_open(&kit, dir, false, 0) != KV_OK) {
		fprintf(stderr, "power: %s\n", kit.error);
		abort();
	}
	uint64_t batch = last_batch(&kit);

	CHECK(batch >= acknowledged && batch <= BATCHES);
	for (unsigned space = 0; space < 2; space++) {
		for (int key = 0; key < KEYS; key++) {
			check_key(&kit, space, key, history[batch][space][key]);
			entries[space] += history[batch][space][key] != 0;
		}
		entries[space] += space == 0 ? (uint64_t)(batch > 0) + (uint64_t)more : 0;
		CHECK(kit_walk(&kit, space) == entries[space]);
		CHECK(kit_stat(&kit, space).entries == entries[space]);
	}
	for (int i = 0; i < more; i++) {
		snprintf(text, sizeof text, "more%d", i);
		CHECK(kit_get(&kit, 0, text)->status == KV_OK);
	}
	memset(text, 'x', sizeof text);
	CHECK(kit_set_now(&kit, 0, "after", text, sizeof text, 0) == KV_OK);
	while (kit_maintain(&kit, 1000))
		;
	kit_close(&kit);
	CHECK(kit_open(&kit, dir, false, 0) == KV_OK);
	CHECK(kit_get(&kit, 0, "after")->status == KV_OK);
	kit_close(&kit);
	return batch - acknowledged;
}

/* Opens it, writes as many keys, each waited for, and has the power cut again, now with all
 * on disk.  How many. */
static int go_on(const char *dir, int more)
{
	struct kit kit = {0};
	char name[16];
	int status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		CHECK(kit_open(&kit, dir, false, 0) == KV_OK);
		for (int i = 0; i < more; i++) {
			snprintf(name, sizeof name, "more%d", i);
			CHECK(kit_set_now(&kit, 0, name, name, sizeof name, 0) == KV_OK);
			CHECK(kit_commit(&kit, true) == KV_OK);
		}
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	setenv("KVSTORED_BOOT_ID", "third", 1);
	return more;
}

int main(int argc, char **argv)
{
	struct image start[FILES], made[FILES];
	uint64_t acknowledged, beyond = 0, seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
	size_t cuts = argc > 2 ? strtoull(argv[2], NULL, 10) : 500;
	uint64_t dice = seed * 0x9e3779b97f4a7c15ull + 7;

	if (argc < 2) {
		fprintf(stderr, "usage: power DIR [CUTS] [SEED]\n");
		return 2;
	}
	setenv("KVSTORED_BOOT_ID", "first", 1);
	write_all(argv[1], seed, start);
	for (int i = 0; i < FILES; i++)
		take_file(argv[1], names[i], &made[i]);
	for (size_t i = 0; i < cuts; i++) {
		size_t cut = (size_t)(draw(&dice) % event_count) + 1;

		make_images(cut, start, made, &acknowledged, &dice);
		for (int f = 0; f < FILES; f++)
			put_file(argv[1], names[f], &made[f]);
		setenv("KVSTORED_BOOT_ID", "second", 1);
		int more = i % 4 == 0 ? go_on(argv[1], (int)(draw(&dice) % 4)) : 0;

		beyond += judge(argv[1], acknowledged, more);
	}
	printf("power: %zu cuts of %zu writes and syncs: each store whole, none behind what was "
	       "acknowledged, on average %.1f batches beyond\n", cuts, event_count,
	       (double)beyond / (double)cuts);
	kit_wipe(argv[1]);
	for (int f = 0; f < FILES; f++) {
		free(start[f].bytes);
		free(made[f].bytes);
	}
	for (size_t i = 0; i < event_count; i++)
		free(events[i].data);
	free(events);
	return 0;
}
