/*
 * journal.c - see journal.h
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "journal.h"
#include "moment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#ifndef NOTED_MOST
#define NOTED_MOST (32ull << 20) /* more at once: the data itself is synced */
#endif
#define FILE_KEPT (64ull << 20)  /* a longer file is cut when its turn comes again */

/* Before the effects of one transaction. */
struct head {
	uint64_t moment;
	uint64_t number;
	uint64_t size; /* of the effects; 0: the begin of the file */
	uint64_t sum;  /* of all that, and of them */
};

/* Before key and value.  Not aligned where it lies. */
struct effect {
	uint32_t code; /* KV_SET, KV_DELETE or KV_CLEAR */
	uint32_t space;
	uint32_t tag;
	uint32_t key_len;
	int64_t expiry;
	uint64_t value_len;
};

struct file {
	int fd;
	uint64_t end;
	uint64_t mark; /* store->writes at the last write to it */
};

struct journal {
	struct file files[2];
	unsigned at; /* the present file */
	bool on;
	uint64_t moment, number; /* of the next record */
	char *noted; /* records, the last of them perhaps of a transaction under way */
	uint64_t size, room;
	uint64_t begun; /* where that one begins */
	bool open;   /* it is not complete: transactions that belong together share a record */
	uint64_t kept; /* the end of those before the transaction under way */
	bool within; /* there is one */
};

static uint64_t sum_of(const struct head *head, const char *effects)
{
	return XXH3_64bits_withSeed(effects, head->size, XXH3_64bits(head, offsetof(struct head, sum)));
}

/* -------------------------------------------------------------------- files */

/* Reads up to n bytes at an offset; *got of them were there.  0 or an errno. */
static int read_up_to(int fd, char *to, uint64_t n, uint64_t offset, uint64_t *got)
{
	for (*got = 0; *got < n;) {
		ssize_t r = pread(fd, to + *got, n - *got, (off_t)(offset + *got));

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return errno;
		if (r == 0)
			break;
		*got += (uint64_t)r;
	}
	return 0;
}

int journal_open(kv_store *store, int dir)
{
	static const char *const names[2] = {"journal-0", "journal-1"};
	struct journal *j = calloc(1, sizeof *j);

	if (j == NULL)
		return ENOMEM;
	store->journal = j;
	j->files[0].fd = j->files[1].fd = -1;
	for (unsigned i = 0; i < 2; i++) {
		j->files[i].fd = openat(dir, names[i], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (j->files[i].fd < 0)
			return errno;
	}
	return 0;
}

void journal_close(kv_store *store)
{
	struct journal *j = store->journal;

	if (j == NULL)
		return;
	for (unsigned i = 0; i < 2; i++)
		if (j->files[i].fd >= 0)
			close(j->files[i].fd);
	free(j->noted);
	free(j);
	store->journal = NULL;
}

/* The empty record that a file begins with, if it does.  0 or an errno. */
static int read_begin(const struct file *file, struct head *head, bool *begins)
{
	uint64_t got;
	int rc = read_up_to(file->fd, (char *)head, sizeof *head, 0, &got);

	*begins = rc == 0 && got == sizeof *head && head->size == 0 && head->sum == sum_of(head, "");
	return rc;
}

int journal_last_moment(const kv_store *store, uint64_t *last)
{
	const struct journal *j = store->journal;
	struct head head;
	bool begins;
	int rc = 0;

	*last = 0;
	for (unsigned i = 0; i < 2 && rc == 0; i++) {
		rc = read_begin(&j->files[i], &head, &begins);
		if (begins && head.moment > *last)
			*last = head.moment;
	}
	return rc;
}

/* ------------------------------------------------------------------ writing */

bool journal_on(const kv_store *store)
{
	return store->journal != NULL && store->journal->on;
}

uint64_t journal_length(const kv_store *store)
{
	return journal_on(store) ? store->journal->files[store->journal->at].end : 0;
}

/* n more bytes of what is noted; NULL: the journal had to stop. */
static char *note(kv_store *store, uint64_t n)
{
	struct journal *j = store->journal;
	uint64_t need = j->size + n;

	if (n > NOTED_MOST || need > NOTED_MOST) {
		journal_stop(store);
		return NULL;
	}
	if (need > j->room) {
		uint64_t room = need < 4096 ? 4096 : need * 2;
		char *grown = realloc(j->noted, room);

		if (grown == NULL) {
			journal_stop(store);
			return NULL;
		}
		j->noted = grown;
		j->room = room;
	}
	j->size = need;
	return j->noted + need - n;
}

/* Completes the record that begins at `begun`, to the end of what is noted. */
static void seal(struct journal *j)
{
	struct head head = {.moment = j->moment, .number = j->number++,
			    .size = j->size - j->begun - sizeof head};

	head.sum = sum_of(&head, j->noted + j->begun + sizeof head);
	memcpy(j->noted + j->begun, &head, sizeof head);
}

/* Ends the record that is open, if one is; an empty one goes. */
static void complete(struct journal *j)
{
	if (j->open && j->size > j->begun + sizeof(struct head))
		seal(j);
	else if (j->open)
		j->size = j->begun;
	j->open = false;
}

void journal_write(kv_store *store)
{
	struct journal *j = store->journal;
	struct file *file = &j->files[j->at];

	if (!j->on)
		return;
	complete(j);
	if (j->size == 0)
		return;
	int rc = file_write(file->fd, j->noted, j->size, (off_t)file->end);

	if (rc != 0) {
		say(store, KV_LOG_WARNING, "the journal cannot be written (%s): the data is synced instead",
		    strerror(rc));
		journal_stop(store);
		return;
	}
	file->end += j->size;
	file->mark = store->writes;
	j->size = 0;
	if (j->room > NOTED_MOST / 8) {
		free(j->noted);
		j->noted = NULL;
		j->room = 0;
	}
}

void journal_stop(kv_store *store)
{
	struct journal *j = store->journal;

	if (!j->on)
		return;
	j->on = false;
	j->within = j->open = false;
	j->size = 0;
	j->number += 2; /* what comes is not what follows */
}

void journal_fail(kv_store *store)
{
	journal_stop(store);
	store->journal->files[0].mark = store->journal->files[1].mark = 0;
}

void journal_start(kv_store *store, uint64_t moment)
{
	struct journal *j = store->journal;
	struct file *file;
	bool was = j->on;

	journal_write(store);
	if (was && !j->on)
		return; /* it lacks something, and who waits for that waits for the moment */
	if (!j->on) /* nothing of before counts */
		j->size = 0;
	j->on = true;
	j->at = 1 - j->at;
	j->moment = moment;
	file = &j->files[j->at];
	if (file->end > FILE_KEPT && ftruncate(file->fd, 0) != 0)
		say(store, KV_LOG_DEBUG, "the journal stays long: %s", strerror(errno));
	file->end = 0;
	j->begun = 0;
	if (note(store, sizeof(struct head)) == NULL)
		return;
	seal(j);
	journal_write(store);
}

void journal_descriptors(kv_store *store, struct kv_commit *commit)
{
	struct journal *j = store->journal;

	for (unsigned i = 0; i < 2; i++)
		if (j->files[i].mark > commit->synced)
			commit->fd[commit->fd_count++] = j->files[i].fd;
}

/* ------------------------------------------------------------- transactions */

void journal_begin(kv_store *store)
{
	struct journal *j = store->journal;

	if (!journal_on(store))
		return;
	if (!j->open) {
		j->begun = j->size;
		j->open = note(store, sizeof(struct head)) != NULL;
	}
	j->kept = j->size;
	j->within = j->open;
}

void journal_end(kv_store *store, bool done)
{
	struct journal *j = store->journal;

	if (!journal_on(store) || !j->within)
		return;
	j->within = false;
	if (!done)
		j->size = j->kept;
	if (done && store->tied)
		return;
	if (done || j->kept == j->begun + sizeof(struct head))
		complete(j);
}

/* Notes an effect. */
static void add(kv_store *store, const struct effect *effect, const void *key, const void *value)
{
	struct journal *j = store->journal;
	char *to;

	if (!journal_on(store) || !j->within)
		return;
	if (effect->value_len > NOTED_MOST) {
		journal_stop(store);
		return;
	}
	to = note(store, sizeof *effect + effect->key_len + effect->value_len);
	if (to == NULL)
		return;
	memcpy(to, effect, sizeof *effect);
	to += sizeof *effect;
	if (effect->key_len != 0)
		memcpy(to, key, effect->key_len);
	if (effect->value_len != 0)
		memcpy(to + effect->key_len, value, effect->value_len);
}

void journal_set(kv_store *store, const struct place *place)
{
	struct effect effect = {.code = KV_SET, .space = place->space_id, .tag = place->record.tag,
				.key_len = (uint32_t)place->key_len,
				.expiry = place->record.expiry, .value_len = place->value_len};

	add(store, &effect, place->key, place->value);
}

void journal_remove(kv_store *store, const struct place *place)
{
	struct effect effect = {.code = KV_DELETE, .space = place->space_id,
				.key_len = (uint32_t)place->key_len};

	add(store, &effect, place->key, NULL);
}

void journal_clear(kv_store *store, const struct space *space)
{
	struct effect effect = {.code = KV_CLEAR, .space = space->id};

	add(store, &effect, NULL, NULL);
}

/* ------------------------------------------------------------------- replay */

/* A file read into memory, and how far it was gone through. */
struct tape {
	char *bytes;
	uint64_t size, at;
	bool begins;       /* it begins as it should, with this: */
	struct head first;
};

static int read_tape(const struct file *file, struct tape *tape)
{
	struct stat st;

	*tape = (struct tape){0};
	int rc = read_begin(file, &tape->first, &tape->begins);

	if (rc != 0 || !tape->begins)
		return rc;
	if (fstat(file->fd, &st) != 0)
		return errno;
	tape->bytes = malloc((uint64_t)st.st_size);
	if (tape->bytes == NULL)
		return ENOMEM;
	tape->at = sizeof tape->first;
	return read_up_to(file->fd, tape->bytes, (uint64_t)st.st_size, 0, &tape->size);
}

/* The next record of the tape, if it is whole and of this number. */
static bool next_record(struct tape *tape, uint64_t number, struct head *head, char **effects)
{
	if (tape->size - tape->at < sizeof *head)
		return false;
	memcpy(head, tape->bytes + tape->at, sizeof *head);
	*effects = tape->bytes + tape->at + sizeof *head;
	if (head->moment != tape->first.moment || head->number != number || head->size == 0 ||
	    head->size > tape->size - tape->at - sizeof *head || head->sum != sum_of(head, *effects))
		return false;
	tape->at += sizeof *head + head->size;
	return true;
}

/* The effect at *from as an operation; false: there is none. */
static bool read_effect(char **from, const char *end, struct kv_op *op)
{
	struct effect effect;

	if ((uint64_t)(end - *from) < sizeof effect)
		return false;
	memcpy(&effect, *from, sizeof effect);
	*from += sizeof effect;
	uint64_t left = (uint64_t)(end - *from);

	if (effect.key_len > left || effect.value_len > left - effect.key_len)
		return false;
	*op = (struct kv_op){.code = (uint16_t)effect.code, .space = effect.space, .tag = effect.tag,
			     .key = *from, .key_len = effect.key_len,
			     .value = *from + effect.key_len, .value_len = effect.value_len,
			     .expiry = effect.expiry};
	*from += effect.key_len + effect.value_len;
	return true;
}

/* Does what a record says, as the batch that it was. */
static int redo(kv_store *store, char *effects, uint64_t size)
{
	struct kv_batch batch = {.size = sizeof batch, .op_size = sizeof *batch.ops, .now = INT64_MIN};
	uint64_t room = size / sizeof(struct effect);
	char *end = effects + size;
	int rc = 0;

	batch.ops = calloc(room, sizeof *batch.ops);
	if (batch.ops == NULL)
		return ENOMEM;
	while (batch.count < room && read_effect(&effects, end, &batch.ops[batch.count]))
		batch.count++;
	if (lmdb_exec(store, &batch) != KV_OK)
		rc = EIO;
	for (uint64_t i = 0; i < batch.count && rc == 0; i++) {
		int status = batch.ops[i].status;

		if (status != KV_OK && status != KV_NOT_FOUND)
			rc = status == KV_NO_SPACE ? ENOSPC : status == KV_NO_MEMORY ? ENOMEM : EIO;
	}
	free(batch.ops);
	return rc;
}

/* Does what the rest of a tape says; *number is that of the next record. */
static int play(kv_store *store, struct tape *tape, uint64_t *number, uint64_t *count)
{
	struct head head;
	char *effects;
	int rc = 0;

	for (*number = tape->first.number + 1; rc == 0 && next_record(tape, *number, &head, &effects);) {
		rc = redo(store, effects, head.size);
		++*number;
		++*count;
	}
	return rc;
}

int journal_replay(kv_store *store, uint64_t moment)
{
	struct journal *j = store->journal;
	uint64_t limit = store->max_memory, number = 0, count = 0;
	struct tape tapes[2];
	int rc = read_tape(&j->files[0], &tapes[0]);

	store->max_memory = 0; /* it was allowed when it was done */
	if (rc == 0)
		rc = read_tape(&j->files[1], &tapes[1]);
	else
		tapes[1] = (struct tape){0};
	for (unsigned i = 0; i < 2; i++) {
		struct tape *first = &tapes[i], *second = &tapes[1 - i];

		if (rc != 0 || !first->begins || first->first.moment != moment)
			continue;
		rc = play(store, first, &number, &count);
		if (rc == 0 && second->begins && second->first.moment > moment &&
		    second->first.number == number)
			rc = play(store, second, &number, &count);
		break;
	}
	free(tapes[0].bytes);
	free(tapes[1].bytes);
	store->max_memory = limit;
	if (rc == 0 && count != 0)
		say(store, KV_LOG_INFO, "%llu writes of the journal were done once more",
		    (unsigned long long)count);
	return rc;
}
