/*
 * damage.c - entries whose bytes are spoilt: what is told of them, and that they can be removed
 *
 *	damage DIR     DIR is empty
 */
#define _GNU_SOURCE
#include "kit.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD 24 /* bytes before the key: expiry (8), tag (4), space (4), length of the key (4), sum (4) */
#define SPACE 3u
#define FAR 1000000 /* ms */
#define LONG (3u << 20)

static const char *dir, *named;
static int told;
static char long_value[LONG];

static void listen(const char *text)
{
	told += strstr(text, named) != NULL;
}

/* Turns a byte, `at` from where the key lies, wherever the file has the key and then the value. */
static void spoil(const char *key, const char *value, ptrdiff_t at)
{
	char path[4200], both[256];
	size_t n = (size_t)snprintf(both, sizeof both, "%s%s", key, value);
	struct stat st;
	int times = 0;

	snprintf(path, sizeof path, "%s/data.mdb", dir);
	int fd = open(path, O_RDWR);

	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	char *map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *end = map + st.st_size;

	CHECK(map != MAP_FAILED);
	for (char *p = map; (p = memmem(p, (size_t)(end - p), both, n)) != NULL; p += n, times++)
		p[at] ^= 0x20;
	CHECK(times > 0);
	munmap(map, (size_t)st.st_size);
	close(fd);
}

/* Entries a walk tells of, of keys only; *seen: one of them is `key`. */
static uint64_t keys(struct kit *kit, const char *key, bool *seen)
{
	struct kv_scan scan = {.size = sizeof scan, .space = SPACE, .budget = 1, .now = kit->now};
	uint64_t n = 0;

	*seen = false;
	do {
		scan.sink = &kit->sink;
		CHECK(kvstore_engine()->scan(kit->store, &scan) == KV_OK);
		n += scan.count;
		for (struct kv_item *i = scan.first; i != NULL; i = i->next)
			*seen = *seen || (i->key_len == strlen(key) && memcmp(i->key, key, i->key_len) == 0);
	} while (scan.cursor != 0);
	return n;
}

/* What a walk with values comes to. */
static int walk(struct kit *kit)
{
	struct kv_scan scan = {.size = sizeof scan, .flags = KV_SCAN_VALUES, .space = SPACE,
			       .budget = 100, .now = kit->now, .sink = &kit->sink};

	return kvstore_engine()->scan(kit->store, &scan);
}

static int do_one(struct kit *kit, int code, const char *key)
{
	struct kv_op *op = kit_add(kit, code, SPACE, key, strlen(key));

	kit_run(kit);
	return op->status;
}

static int append(void *arg, const struct kv_entry *entry, struct kv_change *change)
{
	(void)arg;
	CHECK(entry->present == 0); /* a damaged one is never shown */
	change->value = "x";
	change->value_len = 1;
	return KV_REPLACE;
}

static int update(struct kit *kit, const char *key)
{
	struct kv_op *op = kit_add(kit, KV_UPDATE, SPACE, key, strlen(key));

	op->update = append;
	kit_run(kit);
	return op->status;
}

static void reopen(struct kit *kit)
{
	kit_close(kit);
	CHECK(kit_open(kit, dir, false, 0) == KV_OK);
}

/* A store with three entries, two of which expire; figures with and without the second. */
static void make(struct kit *kit, struct kv_stat *with, struct kv_stat *without)
{
	CHECK(kit_open(kit, dir, true, 0) == KV_OK);
	CHECK(kit_set_now(kit, SPACE, "first", "a value", 7, kit->now + FAR) == KV_OK);
	CHECK(kit_set_now(kit, SPACE, "third", "another", 7, 0) == KV_OK);
	*without = kit_stat(kit, SPACE);
	CHECK(kit_set_now(kit, SPACE, "second", "spoilt soon", 11, kit->now + FAR) == KV_OK);
	*with = kit_stat(kit, SPACE);
	named = "\"second\"";
	told = 0;
}

static bool same(struct kv_stat a, struct kv_stat b)
{
	return a.entries == b.entries && a.expiring == b.expiring && a.payload == b.payload;
}

static bool all_same(struct kit *kit, struct kv_stat one)
{
	return same(kit_stat(kit, SPACE), one) && same(kit_stat(kit, KV_SPACE_ALL), one);
}

static void end(struct kit *kit)
{
	CHECK(kit_get(kit, SPACE, "first")->status == KV_OK || kit_stat(kit, SPACE).expiring == 0);
	CHECK(kit_get(kit, SPACE, "third")->status == KV_OK);
	CHECK(walk(kit) == KV_OK);
	kit_close(kit);
	kit_wipe(dir);
}

/* A byte of the entry is turned.  It is told and never served, and DELETE and SET do without it. */
static void test_removed(ptrdiff_t at, bool key_known, bool set)
{
	struct kit kit = {0};
	struct kv_stat with, without;
	bool seen;

	make(&kit, &with, &without);
	spoil("second", "spoilt soon", at);
	reopen(&kit);
	CHECK(do_one(&kit, KV_GET, "second") == KV_CORRUPT && do_one(&kit, KV_META, "second") == KV_CORRUPT);
	CHECK(update(&kit, "second") == KV_CORRUPT && told == 1);
	kit_set(&kit, SPACE, "second", "x", 1, 0)->flags = KV_OP_KEEP_EXPIRY;
	kit_run(&kit);
	CHECK(kit.ops[0].status == KV_CORRUPT && all_same(&kit, with));
	CHECK(keys(&kit, "second", &seen) == (key_known ? 3 : 2) && seen == key_known);
	CHECK(walk(&kit) == KV_CORRUPT && told == 1);
	if (set)
		CHECK(kit_set_now(&kit, SPACE, "second", "new", 3, 0) == KV_OK);
	else
		CHECK(do_one(&kit, KV_DELETE, "second") == KV_OK);
	CHECK(do_one(&kit, KV_GET, "second") == (set ? KV_OK : KV_NOT_FOUND));
	CHECK(do_one(&kit, KV_DELETE, "second") == (set ? KV_OK : KV_NOT_FOUND));
	reopen(&kit);
	CHECK(told == 1 && (at < 8 - RECORD || all_same(&kit, without)));
	end(&kit);
}

/* The expiry time is what is spoilt: what was set instead keeps, and the figures are right in the end. */
static void test_expiry(void)
{
	struct kit kit = {0};
	struct kv_stat with, without;

	make(&kit, &with, &without);
	spoil("second", "spoilt soon", 1 - RECORD);
	reopen(&kit);
	CHECK(kit_set_now(&kit, SPACE, "second", "new", 3, kit.now + 2 * FAR) == KV_OK);
	kit.now += FAR + 10;
	while (kit_maintain(&kit, 10))
		;
	CHECK(kit_stat(&kit, SPACE).entries == 2 && kit_stat(&kit, SPACE).expiring == 1);
	CHECK(do_one(&kit, KV_GET, "second") == KV_OK && do_one(&kit, KV_DELETE, "second") == KV_OK);
	CHECK(kit_stat(&kit, SPACE).expiring == 0 && kit_stat(&kit, KV_SPACE_ALL).expiring == 0);
	end(&kit);
}

/* Its time comes: it goes, as if it were whole; with its name if that can be told. */
static void test_time(ptrdiff_t at, uint64_t events)
{
	struct kit kit = {0};
	struct kv_stat with, without;
	uint64_t n = 0;
	bool more;

	make(&kit, &with, &without);
	CHECK(do_one(&kit, KV_DELETE, "first") == KV_OK);
	spoil("second", "spoilt soon", at);
	reopen(&kit);
	kit.now += FAR + 10;
	do {
		more = kit_maintain(&kit, 10);
		n += kit.events.count;
	} while (more);
	CHECK(n == events && kit_stat(&kit, SPACE).entries == 1);
	CHECK(kit_stat(&kit, SPACE).expiring == 0 && do_one(&kit, KV_GET, "second") == KV_NOT_FOUND);
	end(&kit);
}

/* Lengths that make no sense are no hindrance to CLEAR, nor to what removes the entries after it. */
static void test_clear(void)
{
	struct kit kit = {0};
	struct kv_stat with, without;

	make(&kit, &with, &without);
	spoil("second", "spoilt soon", 19 - RECORD);
	reopen(&kit);
	CHECK(do_one(&kit, KV_CLEAR, "") == KV_OK);
	do
		kit.now += FAR;
	while (kit_maintain(&kit, 10));
	CHECK(kit_stat(&kit, KV_SPACE_ALL).entries == 0 && kit_stat(&kit, KV_SPACE_ALL).expiring == 0);
	kit_close(&kit);
	kit_wipe(dir);
}

/* A long one is looked at when its value is asked for, and where it is to be gone by its time. */
static void test_long(void)
{
	struct kit kit = {0};
	struct kv_stat with, without;

	make(&kit, &with, &without);
	memset(long_value, 'l', sizeof long_value);
	CHECK(kit_set_now(&kit, SPACE, "long", long_value, LONG, kit.now + FAR) == KV_OK);
	CHECK(kit_set_now(&kit, SPACE, "deep", long_value, LONG, 0) == KV_OK);
	CHECK(kit_set_now(&kit, SPACE, "lost", long_value, LONG, 0) == KV_OK);
	named = "is damaged";
	spoil("long", "llllllll", 6 - RECORD); /* its expiry: in the past now, if that is believed */
	spoil("long", "llllllll", 7 - RECORD);
	spoil("deep", "llllllll", 1000);
	spoil("lost", "llllllll", 0);
	reopen(&kit);
	kit.now += 5; /* else the same key is asked for in the same batch */
	CHECK(do_one(&kit, KV_GET, "long") == KV_CORRUPT && do_one(&kit, KV_GET, "deep") == KV_CORRUPT);
	CHECK(do_one(&kit, KV_GET, "lost") == KV_CORRUPT && told == 3);
	CHECK(do_one(&kit, KV_DELETE, "long") == KV_OK && do_one(&kit, KV_DELETE, "deep") == KV_OK);
	CHECK(do_one(&kit, KV_DELETE, "lost") == KV_OK);
	kit.now += 2 * FAR;
	while (kit_maintain(&kit, 10))
		;
	CHECK(kit_stat(&kit, SPACE).entries == 1 && kit_stat(&kit, SPACE).expiring == 0);
	end(&kit);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: damage DIR\n");
		return 2;
	}
	dir = argv[1];
	kit_log = listen;
	for (int set = 0; set < 2; set++) {
		test_removed(8, true, set);             /* the value */
		test_removed(2, false, set);            /* the key */
		test_removed(8 - RECORD, true, set);    /* the tag */
		test_removed(1 - RECORD, true, set);    /* the expiry */
		test_removed(16 - RECORD, false, set);  /* the key's length */
		test_removed(19 - RECORD, false, set);  /* the same: longer than the entry */
		test_removed(20 - RECORD, true, set);   /* the sum */
	}
	test_expiry();
	test_time(8, 1);
	test_time(2, 0);
	test_clear();
	test_long();
	printf("damage: told once, never served, removed and replaced\n");
	return 0;
}
