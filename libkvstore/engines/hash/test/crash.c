/*
 * crash.c - what the engine keeps when something breaks
 *
 *   crash power SEED CUTS   a run recorded, the power cut at CUTS points of it
 *   crash flip              every byte of every file of a small store changed, one at a time
 *   crash image SEED STEP   the same for the image of a clean stop; of its data every STEP-th byte
 *   crash kill SEED N       a process that writes, killed N times
 *   crash fault SEED N      N runs with calls that fail
 *   crash clock SEED        keys that expired, and a clock that is set back
 *
 * A store that opens must be in a state that it was in: not before what was promised, not
 * in the middle of a run, and nothing else.
 */
#include "crash.h"
#include "verify.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

char live[64], rebuilt[64];
uint64_t chance;
uint64_t images;
static uint64_t saves; /* snapshots that were asked for and acknowledged */

struct past *past;

static void make_directories(void)
{
	const char *where = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	snprintf(live, sizeof live, "%s/kv-crash-XXXXXX", where);
	snprintf(rebuilt, sizeof rebuilt, "%s/kv-crash-XXXXXX", where);
	FAIL_IF(mkdtemp(live) == NULL || mkdtemp(rebuilt) == NULL);
}

static void remove_directories(void)
{
	empty_directory(live);
	empty_directory(rebuilt);
	rmdir(live);
	rmdir(rebuilt);
}

uint64_t remember(kv_store *st)
{
	FAIL_IF(past->count == HISTORY);
	past->state[past->count] = shop_digest(st);
	past->event[past->count] = power_events();
	return past->count++;
}

int64_t state_of(uint64_t digest, uint64_t low, uint64_t high)
{
	for (uint64_t i = high + 1; i-- > low;) {
		if (past->state[i] == digest)
			return (int64_t)i;
	}
	return -1;
}

/* --------------------------------------------------------------------------- host */

static void begin_sync(struct host *h, const struct kv_commit *c)
{
	h->running = true;
	h->n = c->fd_count;
	h->mark = c->mark;
	h->begun = power_sync_begin();
	h->covers = past->count;
	for (uint32_t i = 0; i < c->fd_count; i++)
		h->fd_of[i] = c->fd[i];
}

void end_sync(struct host *h, int error)
{
	h->running = false;
	if (error != 0) {
		h->error = error;
		return;
	}
	for (uint32_t i = 0; i < h->n; i++)
		power_sync_end(h->fd_of[i], h->begun);
	h->synced = h->mark;
	past->when[past->promises] = power_events();
	past->promised[past->promises++] = h->covers - 1;
}

/* What SAVE acknowledges is there from then on. */
static void note_save(struct host *h, const struct kv_commit *c)
{
	if (h->save) {
		h->save = false;
		h->save_mark = c->mark;
		h->save_covers = past->count;
	} else if (h->save_covers != 0 && !(c->flags & KV_COMMIT_SAVING) && h->synced >= h->save_mark) {
		FAIL_IF(c->flags & KV_COMMIT_NOT_SAVED);
		past->when[past->promises] = power_events();
		past->promised[past->promises++] = h->save_covers - 1;
		h->save_covers = 0;
		h->saves++;
	}
}

int commit(struct host *h, kv_store *st, bool lazy)
{
	struct kv_commit c = {.size = sizeof c, .synced = h->synced, .sync_error = h->error,
			      .flags = h->save ? KV_COMMIT_SNAPSHOT | KV_COMMIT_SYNC : 0};
	int rc = hash_commit(st, &c);

	if (rc == KV_OK)
		note_save(h, &c);
	h->error = 0;
	if (!h->running && c.fd_count > 0 && (!lazy || shop_draw(&chance, 3) == 0))
		begin_sync(h, &c);
	return rc;
}

void keep_house(kv_store *st, int64_t now, uint64_t budget)
{
	static char memory[1 << 16];
	struct kv_sink sink = {.next = memory, .end = memory + sizeof memory};
	struct kv_events events = {.sink = &sink};
	struct kv_maintain m = {.size = sizeof m, .budget = budget, .now = now, .events = &events};

	FAIL_IF(hash_maintain(st, &m) != KV_OK);
}

/* -------------------------------------------------------------------------- power */

/* A clean stop, after which nothing can be lost, and a start. */
static kv_store *restart(struct host *h, kv_store *st)
{
	uint64_t digest = shop_digest(st);
	int status;

	shop_close(st);
	past->when[past->promises] = power_events();
	past->promised[past->promises++] = past->count - 1;
	*h = (struct host){0};
	st = shop_open(live, false, shop_draw(&chance, 1000000), &status);
	if (st == NULL)
		fprintf(stderr, "crash: after a clean stop: %s\n", shop_error);
	FAIL_IF(st == NULL || shop_digest(st) != digest || (!st->disk->image && shop_said[0] != '\0'));
	FAIL_IF(!image_settle(st));
	verify_store(st);
	return st;
}

void choose_ways(void)
{
	image_later = shop_draw(&chance, 2) ? IMAGE_LATER : 0;
	image_threads = (uint32_t)shop_draw(&chance, IMAGE_THREADS + 1);
	image_map_least = shop_draw(&chance, 3) ? PAGE : 256 * KIB;
	image_chunk = shop_draw(&chance, 2) ? PAGE : IMAGE_CHUNK;
	stage_piece = shop_draw(&chance, 2) ? 20000 : STAGE_PIECE;
	disk_wear = shop_draw(&chance, 2) ? 3000 : DISK_WEAR;
}

static uint64_t run_recorded(uint64_t ticks)
{
	struct host h = {0};
	uint64_t number = 0;
	int status;
	kv_store *st;

	power_record();
	st = shop_open(live, true, chance, &status);
	FAIL_IF(st == NULL);
	remember(st);
	FAIL_IF(commit(&h, st, false) != KV_OK);
	end_sync(&h, 0);
	for (uint64_t t = 0; t < ticks; t++) {
		for (uint64_t n = 1 + shop_draw(&chance, 4); n > 0; n--) {
			unsigned run;

			FAIL_IF(shop_op(st, &chance, number++, &run) != KV_OK);
			remember(st);
		}
		keep_house(st, SHOP_NOW, 1 + shop_draw(&chance, 8));
		h.save = h.save_covers == 0 && shop_draw(&chance, 25) == 0;
		FAIL_IF(commit(&h, st, true) != KV_OK);
		if (h.running && shop_draw(&chance, 2) == 0)
			end_sync(&h, 0);
		if (shop_draw(&chance, 50) == 0) {
			saves += h.saves;
			st = restart(&h, st);
			images += st->disk->image;
		}
	}
	saves += h.saves;
	number = st->disk->oldest;
	shop_close(st);
	power_stop();
	return number;
}

/* The last state that nothing may lose when so many events have happened. */
static uint64_t promised_at(uint64_t event)
{
	uint64_t i = past->promises;

	while (i > 0 && past->when[i - 1] > event)
		i--;
	return i > 0 ? past->promised[i - 1] : 0;
}

/* The last state reached before an event. */
static uint64_t last_state(uint64_t event)
{
	uint64_t i = 0;

	while (i + 1 < past->count && past->event[i + 1] <= event)
		i++;
	return i;
}

static void go_on(kv_store *st)
{
	uint64_t digest;
	int status;

	for (uint64_t i = 0; i < 5; i++) {
		unsigned run;
		struct host h = {0};

		FAIL_IF(shop_op(st, &chance, 1000000 + i, &run) != KV_OK);
		keep_house(st, SHOP_NOW, 100);
		FAIL_IF(commit(&h, st, false) != KV_OK);
	}
	digest = shop_digest(st);
	shop_close(st);
	st = shop_open(rebuilt, false, chance, &status);
	if (st == NULL)
		fprintf(stderr, "crash: after going on: %s\n", shop_error);
	FAIL_IF(st == NULL || shop_digest(st) != digest);
	shop_close(st);
}

static void cut_once(uint64_t event, uint64_t *torn)
{
	uint64_t low = promised_at(event);
	uint64_t high = last_state(event);
	kv_store *st;
	int status;
	int64_t at;

	empty_directory(rebuilt);
	power_cut(event, &chance, rebuilt);
	st = shop_open(rebuilt, false, chance, &status);
	if (st == NULL)
		fprintf(stderr, "crash: power cut after event %llu: %s\n", (unsigned long long)event, shop_error);
	FAIL_IF(st == NULL);
	images += st->disk->image;
	if (strstr(shop_said, IMAGE_NAME) != NULL)
		fprintf(stderr, "crash: power cut after event %llu: %s\n", (unsigned long long)event, shop_said);
	FAIL_IF(strstr(shop_said, IMAGE_NAME) != NULL); /* it got its name when it was whole */
	*torn += shop_said[0] != '\0';
	at = state_of(shop_digest(st), low, high);
	if (at < 0)
		fprintf(stderr, "crash: power cut after event %llu: not a state from %llu to %llu (of all: %lld); %s\n",
			(unsigned long long)event, (unsigned long long)low, (unsigned long long)high,
			(long long)state_of(shop_digest(st), 0, past->count - 1), shop_said);
	FAIL_IF(at < 0);
	if (shop_draw(&chance, 8) == 0)
		go_on(st);
	else
		shop_close(st);
}

static int power(uint64_t seed, uint64_t cuts)
{
	uint64_t done = 0, torn = 0, runs = 0, bases = 0;

	for (; done < cuts; runs++) {
		uint64_t first, events;

		chance = seed * 1000003 + runs;
		disk_base_least = shop_draw(&chance, 2) ? 20000 : 300000;
		choose_ways();
		past->count = past->promises = 0;
		empty_directory(live);
		power_forget();
		bases += run_recorded(150) - 1;
		events = power_events();
		first = past->when[0]; /* before, nothing was served */
		for (uint64_t i = 0; i < 400 && done < cuts; i++, done++)
			cut_once(first + shop_draw(&chance, events - first + 1), &torn);
	}
	printf("crash: power cut %llu times in %llu runs with %llu snapshots (%llu asked for): %llu torn ends were cut, "
	       "%llu images mapped, every state was one that had been\n", (unsigned long long)done,
	       (unsigned long long)runs, (unsigned long long)bases, (unsigned long long)saves,
	       (unsigned long long)torn, (unsigned long long)images);
	printf("crash: %llu values were received into the store\n", (unsigned long long)shop_stages);
	FAIL_IF(torn == 0 || bases == 0 || images == 0 || saves == 0 || shop_stages == 0);
	return 0;
}

/* --------------------------------------------------------------------------- flip */

static void keep(struct host *h, kv_store *st)
{
	remember(st);
	keep_house(st, SHOP_NOW, 1000);
	FAIL_IF(commit(h, st, false) != KV_OK);
	end_sync(h, 0);
}

/* Makes a store with a base and a log, as a kill leaves it, in `live`; in each of them a value in pieces. */
static uint64_t make_small(void)
{
	struct host h = {0};
	unsigned run;
	int status;
	kv_store *st = shop_open(live, true, chance, &status);

	disk_base_least = 600;
	shop_longest = 100;
	stage_piece = 20000;
	FAIL_IF(st == NULL);
	remember(st);
	shop_long(st, 0);
	keep(&h, st);
	for (uint64_t i = 0; i < 30 || st->disk->oldest == 1 || st->disk->phase != DISK_LOG || i % 8 != 5; i++) {
		if (st->disk->oldest != 1)
			disk_base_least = 1 << 20;
		FAIL_IF(shop_op(st, &chance, i, &run) != KV_OK);
		keep(&h, st);
	}
	shop_long(st, 1);
	for (uint64_t i = 0; i < 4; i++) {
		keep(&h, st);
		FAIL_IF(shop_op(st, &chance, i, &run) != KV_OK);
	}
	keep(&h, st);
	copy_directory(live, rebuilt);
	shop_close(st);
	copy_directory(rebuilt, live);
	return past->state[past->count - 1];
}

/*
 * Opens what was spoilt: refused (0), harmless (1), or told of and a state that was (2).  Of a log
 * that ends between two frames nobody can tell that there were more.
 */
static int judge(uint64_t whole, const char *name, uint64_t at, bool shortened)
{
	bool told;
	int status;
	kv_store *st = shop_open(rebuilt, false, 7, &status);
	uint64_t digest;

	if (st == NULL) {
		FAIL_IF(shop_error[0] == '\0' || status == KV_OK);
		return 0;
	}
	digest = shop_digest(st);
	shop_close(st);
	if (digest == whole)
		return 1;
	told = shop_said[0] != '\0' || shortened;
	if (!told || state_of(digest, 0, past->count - 1) < 0)
		fprintf(stderr, "crash: %s, byte %llu: wrong data in silence (%s)\n", name, (unsigned long long)at, shop_said);
	FAIL_IF(!told || state_of(digest, 0, past->count - 1) < 0);
	return 2;
}

static int flip(uint64_t seed)
{
	uint64_t came_to[3] = {0}, bytes = 0, whole;
	DIR *d;
	struct dirent *e;

	chance = seed;
	whole = make_small();
	d = opendir(live);
	FAIL_IF(d == NULL);
	while ((e = readdir(d)) != NULL) {
		struct stat file;
		int was = openat(dirfd(d), e->d_name, O_RDONLY);

		if (e->d_name[0] == '.' || fstat(was, &file) != 0)
			continue;
		/* Of the long values every eleventh. */
		for (off_t at = 0; at < file.st_size; at += file.st_size > 10000 && at > 3000 ? 11 : 1) {
			char path[400];
			uint8_t byte;
			int fd;

			copy_directory(live, rebuilt);
			snprintf(path, sizeof path, "%s/%s", rebuilt, e->d_name);
			fd = open(path, O_RDWR);
			FAIL_IF(fd < 0 || pread(was, &byte, 1, at) != 1);
			byte ^= (uint8_t)(at % 9 == 8 ? 255 : 1 << at % 9);
			FAIL_IF(pwrite(fd, &byte, 1, at) != 1);
			came_to[judge(whole, e->d_name, (uint64_t)at, false)]++;
			if (at % 3 == 0) { /* and what is cut off there */
				copy_directory(live, rebuilt);
				FAIL_IF(truncate(path, at) != 0);
				came_to[judge(whole, e->d_name, (uint64_t)at, true)]++;
			}
			close(fd);
			bytes++;
		}
		close(was);
	}
	closedir(d);
	printf("crash: %llu bytes spoilt: %llu times refused, %llu times the end was cut and told of, %llu harmless\n",
	       (unsigned long long)bytes, (unsigned long long)came_to[0], (unsigned long long)came_to[2],
	       (unsigned long long)came_to[1]);
	FAIL_IF(came_to[0] < bytes / 2);
	return 0;
}

/* --------------------------------------------------------------------------- kill */

/* What the process that is killed leaves in shared memory. */
struct shared {
	volatile uint64_t known; /* states whose digest stands in past */
	volatile uint64_t kept;  /* states that commit() has returned for */
};

static void write_until_killed(struct shared *sh, uint64_t number)
{
	struct host h = {0};
	int status;
	kv_store *st = shop_open(live, sh->known == 0, chance, &status);

	FAIL_IF(st == NULL);
	if (sh->known == 0) {
		remember(st);
		FAIL_IF(commit(&h, st, false) != KV_OK);
		sh->known = sh->kept = 1;
	}
	for (;;) {
		for (uint64_t n = 1 + shop_draw(&chance, 4); n > 0; n--) {
			unsigned run;

			FAIL_IF(shop_op(st, &chance, number++, &run) != KV_OK);
			remember(st);
			sh->known = past->count;
		}
		keep_house(st, SHOP_NOW, 1 + shop_draw(&chance, 30));
		FAIL_IF(commit(&h, st, true) != KV_OK);
		sh->kept = past->count;
		if (h.running && shop_draw(&chance, 2) == 0)
			end_sync(&h, 0);
		if (shop_draw(&chance, 60) == 0) {
			shop_close(st);
			h = (struct host){0};
			st = shop_open(live, false, chance, &status);
			FAIL_IF(st == NULL);
		}
		if (past->count > HISTORY - 100)
			pause();
	}
}

static int kill_often(uint64_t seed, uint64_t times)
{
	struct shared *sh = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t states = 0, unknown = 0;

	FAIL_IF(sh == MAP_FAILED);
	disk_base_least = 100000;
	shop_longest = 40000; /* longer ones are written before the state is known here */
	for (uint64_t i = 0; i < times; i++) {
		kv_store *st;
		int status;
		int64_t at;
		pid_t pid;

		chance = seed * 7919 + i;
		choose_ways();
		if (i % 50 == 0) {
			empty_directory(live);
			past->count = sh->known = sh->kept = 0;
		}
		past->promises = 0;
		pid = fork();
		FAIL_IF(pid < 0);
		if (pid == 0) {
			write_until_killed(sh, i << 32);
			_exit(0);
		}
		while (sh->kept == 0)
			usleep(100);
		usleep((useconds_t)shop_draw(&chance, 15000));
		kill(pid, SIGKILL);
		FAIL_IF(waitpid(pid, &status, 0) != pid);
		FAIL_IF(!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL);
		st = shop_open(live, false, chance, &status);
		if (st == NULL)
			fprintf(stderr, "crash: after kill %llu: %s\n", (unsigned long long)i, shop_error);
		FAIL_IF(st == NULL);
		images += st->disk->image;
		at = state_of(shop_digest(st), sh->kept - 1, sh->known - 1);
		FAIL_IF(at < 0);
		unknown += (uint64_t)at > sh->kept - 1;
		states += (uint64_t)at + 1 - (past->count = (uint64_t)at + 1);
		sh->known = sh->kept = past->count;
		shop_close(st);
		if (i % 50 == 49)
			states += past->count;
	}
	printf("crash: killed %llu times (%llu times within a commit): nothing lost of %llu writes, %llu images mapped\n",
	       (unsigned long long)times, (unsigned long long)unknown, (unsigned long long)states, (unsigned long long)images);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t a = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	uint64_t b = argc > 3 ? strtoull(argv[3], NULL, 10) : 100;
	int rc = 2;

	past = mmap(NULL, sizeof *past, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	FAIL_IF(past == MAP_FAILED || argc < 2);
	make_directories();
	image_least = 0;
	if (strcmp(argv[1], "power") == 0)
		rc = power(a, b);
	else if (strcmp(argv[1], "flip") == 0)
		rc = flip(a);
	else if (strcmp(argv[1], "image") == 0)
		rc = spoil_image(a, b);
	else if (strcmp(argv[1], "kill") == 0)
		rc = kill_often(a, b);
	else if (strcmp(argv[1], "fault") == 0)
		rc = fault(a, b);
	else if (strcmp(argv[1], "clock") == 0)
		rc = clock_back(a);
	remove_directories();
	return rc;
}
