/*
 * disk_read.c - reading files frame by frame, and putting their records into the store
 */
#include "disk_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define SEARCH (1 * MIB) /* bytes looked through at a time */

/* ------------------------------------------------------------------------ files */

bool reader_open(struct reader *rd, int dir, const char *prefix, uint64_t number)
{
	memset(rd, 0, sizeof *rd);
	file_name(rd->name, prefix, number);
	rd->number = number;
	rd->fd = disk_calls->open(dir, rd->name, O_RDONLY, 0);
	rd->size = rd->fd < 0 ? UINT64_MAX : disk_calls->size(rd->fd);
	if (rd->size != UINT64_MAX)
		return true;
	rd->io_error = errno == ENOENT ? 0 : errno;
	rd->why = strerror(errno);
	return false;
}

void reader_close(struct reader *rd)
{
	if (rd->fd >= 0)
		disk_calls->close(rd->fd);
	free(rd->bytes);
	rd->fd = -1;
	rd->bytes = NULL;
	rd->room = 0;
}

static bool fail(struct reader *rd, const char *why)
{
	rd->why = why;
	return false;
}

/* Reads n bytes, which must be there. */
static bool read_at(struct reader *rd, uint64_t at, void *to, uint64_t n)
{
	uint8_t *p = to;

	if (at > rd->size || n > rd->size - at)
		return fail(rd, "the file ends in the middle");
	while (n > 0) {
		ssize_t got = disk_calls->pread(rd->fd, p, n, (off_t)at);

		if (got <= 0) {
			rd->io_error = got < 0 ? errno : EIO;
			return fail(rd, "it cannot be read");
		}
		p += got;
		at += (uint64_t)got;
		n -= (uint64_t)got;
	}
	return true;
}

bool reader_head(struct reader *rd, uint32_t kind)
{
	struct file_head *h = &rd->head;

	if (!read_at(rd, 0, h, sizeof *h))
		return false;
	if (h->magic != FILE_MAGIC)
		return fail(rd, "not a file of this engine");
	if (h->sum != file_sum(h) || h->size != sizeof *h || h->zero != 0)
		return fail(rd, "its head fails its checksum");
	if (h->kind != kind || h->number != rd->number)
		return fail(rd, "its name is not the one that its head gives");
	rd->at = sizeof *h;
	return true;
}

static bool reach(struct reader *rd, uint64_t n)
{
	uint8_t *bytes;

	if (n <= rd->room)
		return true;
	bytes = realloc(rd->bytes, n);
	if (bytes == NULL) {
		rd->no_memory = true;
		return fail(rd, "no memory to read it");
	}
	rd->bytes = bytes;
	rd->room = n;
	return true;
}

static bool zeros(const uint8_t *p, uint64_t n)
{
	while (n > 0 && *p == 0) {
		p++;
		n--;
	}
	return n == 0;
}

bool reader_frame(struct reader *rd, struct frame_head *h)
{
	uint64_t end;

	if (!read_at(rd, rd->at, h, sizeof *h))
		return false;
	if (h->magic != FRAME_MAGIC || h->sum != frame_sum(rd->head.id, h))
		return fail(rd, "a frame's head fails its checksum");
	if (h->length > rd->size - rd->at)
		return fail(rd, "the file ends in the middle of a frame");
	end = round_up(rd->at + sizeof *h + h->length, 8);
	if (!reach(rd, end - rd->at - sizeof *h + 1) ||
	    !read_at(rd, rd->at + sizeof *h, rd->bytes, end - rd->at - sizeof *h))
		return false;
	if (h->body != body_sum(rd->head.id, rd->bytes, h->length) ||
	    !zeros(rd->bytes + h->length, end - rd->at - sizeof *h - h->length))
		return fail(rd, "a frame fails its checksum");
	rd->next = end;
	return true;
}

bool reader_seek(struct reader *rd, struct frame_head *h)
{
	uint64_t at = round_up(rd->at, 8);
	uint8_t *bytes = malloc(SEARCH + sizeof *h);
	bool found = false;

	while (bytes != NULL && !found && at < rd->size && rd->size - at >= sizeof *h) {
		uint64_t n = rd->size - at < SEARCH + sizeof *h ? rd->size - at : SEARCH + sizeof *h;
		uint64_t i;

		if (!read_at(rd, at, bytes, n))
			break;
		for (i = 0; i + sizeof *h <= n && !found; i += 8) {
			if (load32(bytes + i) != FRAME_MAGIC)
				continue;
			memcpy(h, bytes + i, sizeof *h);
			if (h->sum == frame_sum(rd->head.id, h)) {
				rd->at = at + i;
				found = true;
			}
		}
		at += i;
	}
	free(bytes);
	return found;
}

/* ----------------------------------------------------------------------- replay */

static int do_patch(void *arg, const struct kv_entry *entry, struct kv_change *change)
{
	const struct record *r = arg;

	if (!entry->present) /* a later record removes it, whose effect was seen before */
		return KV_KEEP;
	change->expiry = r->expiry;
	change->tag = r->tag;
	if (r->type == RECORD_RETAG)
		return KV_RETAG;
	change->value = r->value;
	change->value_len = r->total;
	change->patch_offset = r->offset;
	change->patch_len = r->value_len;
	return KV_PATCH;
}

static void make_op(struct kv_op *op, struct record *r)
{
	static const uint16_t codes[RECORD_TYPES] = {
		[RECORD_SET] = KV_SET, [RECORD_DELETE] = KV_DELETE, [RECORD_CLEAR] = KV_CLEAR,
		[RECORD_PATCH] = KV_UPDATE, [RECORD_RETAG] = KV_UPDATE};

	*op = (struct kv_op){.code = codes[r->type], .space = r->space, .tag = r->tag, .key = r->key,
			     .key_len = r->key_len, .value = r->value, .value_len = r->value_len,
			     .expiry = r->expiry, .update = do_patch, .arg = r};
}

/* Carries out what was gathered; a status. */
static int carry_out(struct kv_store *st, struct replay *re)
{
	struct kv_batch batch = {.size = sizeof batch, .op_size = sizeof re->ops[0], .count = re->count,
				 .ops = re->ops, .now = INT64_MIN};

	if (hash_exec(st, &batch) != KV_OK)
		return KV_ERROR;
	for (unsigned i = 0; i < re->count; i++) {
		if (re->ops[i].status != KV_OK && re->ops[i].status != KV_NOT_FOUND)
			return re->ops[i].status;
	}
	re->count = 0;
	return KV_OK;
}

/* KV_STAGE for a stage of the log; a status. */
static int do_stage(struct kv_store *st, struct replay_stage *s, uint64_t length)
{
	struct kv_op op = {.code = KV_STAGE, .pin = s->pin, .value_len = s->total, .offset = s->filled, .length = length};
	struct kv_batch batch = {.size = sizeof batch, .op_size = sizeof op, .count = 1, .ops = &op, .now = INT64_MIN};

	if (hash_exec(st, &batch) != KV_OK)
		return KV_ERROR;
	if (op.status == KV_OK) {
		s->pin = op.pin;
		s->bytes = (uint8_t *)(uintptr_t)op.value;
	}
	return op.status;
}

static void forget(struct kv_store *st, struct replay_stage *s)
{
	if (s->pin != 0)
		hash_release(st, &s->pin, 1);
	*s = (struct replay_stage){0};
}

void replay_end(struct kv_store *st, struct replay *re)
{
	for (unsigned i = 0; i < STAGES; i++)
		forget(st, &re->stages[i]);
}

/* Puts bytes of a long value where the store takes them from. */
static int read_stage(struct kv_store *st, struct replay *re, const struct record *r)
{
	struct replay_stage *s = &re->stages[r->stage];
	int rc;

	if (r->offset == 0) {
		forget(st, s);
		s->total = r->total;
	}
	if (r->offset == 0 && r->total == 0)
		return KV_OK;
	if (r->total != s->total || r->offset != s->filled || r->value_len > s->total - s->filled || s->total < KV_PIN_LENGTH)
		return KV_CORRUPT;
	rc = do_stage(st, s, s->filled + r->value_len);
	if (rc != KV_OK)
		return rc;
	memcpy(s->bytes + s->filled, r->value, r->value_len);
	s->filled += r->value_len;
	return KV_OK;
}

/* Makes an entry of such a value. */
static int read_take(struct kv_store *st, struct replay *re, struct record *r)
{
	struct replay_stage *s = &re->stages[r->stage];
	int rc;

	if (s->pin == 0 || r->offset > s->filled || r->total > s->filled - r->offset)
		return KV_CORRUPT;
	rc = do_stage(st, s, s->filled);
	if (rc != KV_OK)
		return rc;
	r->type = RECORD_SET;
	r->value = s->bytes + r->offset;
	r->value_len = r->total;
	make_op(&re->ops[re->count++], r);
	rc = carry_out(st, re);
	forget(st, s);
	return rc;
}

/* One record of those; what was gathered comes before it. */
static int long_value(struct kv_store *st, struct replay *re, struct record *r)
{
	struct record mine = *r;
	int rc = re->count != 0 ? carry_out(st, re) : KV_OK;

	if (rc != KV_OK)
		return rc;
	if (mine.stage >= STAGES)
		return KV_CORRUPT;
	re->records[0] = mine;
	return mine.type == RECORD_STAGE ? read_stage(st, re, &mine) : read_take(st, re, &re->records[0]);
}

int replay_frame(struct kv_store *st, struct replay *re, const struct reader *rd, const struct frame_head *h)
{
	const uint8_t *p = rd->bytes;
	uint64_t left = h->length;
	uint64_t records = 0;
	int rc = KV_OK;

	while (left > 0 && rc == KV_OK) {
		struct record *r = &re->records[re->count];
		uint64_t n = record_read(p, left, r);

		if (n == 0)
			return KV_CORRUPT;
		if (UNLIKELY(r->type == RECORD_STAGE || r->type == RECORD_TAKE))
			rc = long_value(st, re, r);
		else
			make_op(&re->ops[re->count++], r);
		p += n;
		left -= n;
		records++;
		if (re->count == REPLAY_GROUP)
			rc = carry_out(st, re);
	}
	if (rc == KV_OK && re->count != 0)
		rc = carry_out(st, re);
	re->count = 0;
	return rc == KV_OK && records != h->count ? KV_CORRUPT : rc;
}
