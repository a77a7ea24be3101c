/* crash_image.c - an image with a byte that is not what was written */
#include "crash.h"
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Makes a store in `live` that was stopped cleanly. */
static uint64_t make_stopped(void)
{
	struct host h = {0};
	unsigned run;
	int status;
	kv_store *st = shop_open(live, true, chance, &status);

	FAIL_IF(st == NULL);
	for (uint64_t i = 0; i < 60; i++) {
		FAIL_IF(shop_op(st, &chance, i, &run) != KV_OK);
		FAIL_IF(commit(&h, st, false) != KV_OK);
		end_sync(&h, 0);
	}
	remember(st);
	shop_close(st);
	return past->state[past->count - 1];
}

/* Starts with an image that was spoilt: it must be told, before or while it serves, and the next
 * start, or this one, has everything. */
static void judge_image(uint64_t whole, uint64_t at, uint64_t *later)
{
	int status;
	kv_store *st = shop_open(rebuilt, false, 7, &status);

	FAIL_IF(st == NULL);
	if (st->disk->image) {
		FAIL_IF(!shop_refuses(st) && image_settle(st));
		++*later;
	}
	if (strstr(shop_said, IMAGE_NAME) == NULL)
		fprintf(stderr, "crash: byte %llu of the image: taken in silence (%s)\n", (unsigned long long)at, shop_said);
	FAIL_IF(strstr(shop_said, IMAGE_NAME) == NULL);
	if (st->image != NULL) {
		shop_close(st);
		st = shop_open(rebuilt, false, 7, &status);
		FAIL_IF(st == NULL || st->disk->image);
	}
	FAIL_IF(shop_digest(st) != whole);
	image_least = UINT64_MAX;
	shop_close(st);
	image_least = 0;
}

int spoil_image(uint64_t seed, uint64_t step)
{
	uint64_t whole, size, bytes = 0, later = 0;
	struct image_foot foot;
	uint8_t *good;
	char path[200];
	int fd, status;
	kv_store *st;

	chance = seed;
	shop_longest = step == 1 ? 100 : 70000; /* every byte: of a small one */
	image_map_least = image_chunk = PAGE;
	whole = make_stopped();
	snprintf(path, sizeof path, "%s/" IMAGE_NAME, live);
	fd = open(path, O_RDONLY);
	FAIL_IF(fd < 0);
	size = (uint64_t)lseek(fd, 0, SEEK_END);
	good = malloc(size);
	FAIL_IF(good == NULL || pread(fd, good, size, 0) != (ssize_t)size);
	memcpy(&foot, good + size - sizeof foot, sizeof foot);
	close(fd);
	st = shop_open(live, false, 7, &status);
	FAIL_IF(st == NULL || !st->disk->image || shop_digest(st) != whole);
	FAIL_IF(!image_settle(st));
	shop_note(st);
	verify_store(st);
	shop_close(st);
	copy_directory(live, rebuilt);
	snprintf(path, sizeof path, "%s/" IMAGE_NAME, rebuilt);
	for (uint64_t at = seed % step; at < size; at += at < foot.data ? step : 1) {
		uint8_t byte = good[at] ^ (uint8_t)(at % 9 == 8 ? 255 : 1 << at % 9);
		bool cut = bytes++ % 50 == 0; /* now and then its end is missing, too */

		choose_ways();
		image_map_least = PAGE;
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		FAIL_IF(fd < 0 || write(fd, good, size) != (ssize_t)size || pwrite(fd, &byte, 1, (off_t)at) != 1);
		FAIL_IF(cut && ftruncate(fd, (off_t)at) != 0);
		close(fd);
		judge_image(whole, at, &later);
	}
	free(good);
	printf("crash: %llu bytes of an image of %llu spoilt: always told, %llu times while it served, never wrong data\n",
	       (unsigned long long)bytes, (unsigned long long)size, (unsigned long long)later);
	FAIL_IF(later == 0);
	return 0;
}
