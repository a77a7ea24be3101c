/*
 * stage.c - memory of the store that the host fills itself (KV_STAGE)
 *
 * A long value is received into an extent of its own, which gets memory, and is put into the
 * log, as it fills.  The entry that is made of it in the end borrows the value (extent.c), and
 * its record (RECORD_TAKE) names what stands in the log already.  That must be the log that
 * the record itself stands in, since older ones go: where the log went on in a new file
 * meanwhile, all of it is written again, in pieces, too.
 *
 * Stages change hands with the store.
 */
#include "store.h"

#define STAGE_HEAD 64u   /* bytes before it in its extent */
#define STAGE_PIECES 2u /* that one call puts into the log at most */

uint64_t stage_piece = STAGE_PIECE;

static uint8_t *bytes_of(const struct kv_store *st, const struct stage *s)
{
	return entry_at(st, s->page | SLOT_LARGE) + STAGE_HEAD;
}

static struct stage *find(struct kv_store *st, uint64_t page)
{
	for (unsigned i = 0; i < STAGES; i++) {
		if (st->stages[i].page == page)
			return &st->stages[i];
	}
	return NULL;
}

/* How much of it has memory. */
static uint64_t fit(const struct kv_store *st, const struct stage *s)
{
	uint64_t n = extent_at(st, s->page)->pages * PAGE - EXTENT_HEAD - STAGE_HEAD;

	return n < s->total ? n : s->total;
}

/* The stage in which a value lies, as far as it is filled, or NULL. */
static struct stage *stage_of(struct kv_store *st, const void *value, uint64_t n)
{
	if (LIKELY(st->staged == 0) || n < KV_PIN_LENGTH)
		return NULL;
	for (unsigned i = 0; i < STAGES; i++) {
		struct stage *s = &st->stages[i];
		uintptr_t from;

		if (s->page == 0)
			continue;
		from = (uintptr_t)value - (uintptr_t)bytes_of(st, s);
		if (from < s->filled && n <= s->filled - from)
			return s;
	}
	return NULL;
}

uint64_t stage_lender(struct kv_store *st, const void *value, uint64_t n)
{
	const struct stage *s = stage_of(st, value, n);

	return s != NULL && n >= s->total / 2 ? s->page : 0; /* what is beside it stays as long */
}

/* ------------------------------------------------------------------------ the log */

/* Puts n bytes more into the log; false when that is not to be had now. */
static bool write_down(struct kv_store *st, struct stage *s, uint64_t n)
{
	struct record r = {.type = RECORD_STAGE, .stage = (uint32_t)(s - st->stages), .offset = s->logged,
			   .total = s->total, .value = bytes_of(st, s) + s->logged, .value_len = n};

	disk_note(st, &r);
	s->logged += n;
	return st->disk->status == KV_OK;
}

/* Puts what is filled into the log, but for a short rest; true when there is more than one call does. */
static bool note(struct kv_store *st, struct stage *s)
{
	struct disk *d = st->disk;
	uint64_t least = stage_piece < DISK_BIG ? stage_piece : DISK_BIG;
	unsigned pieces = 0;

	if (d == NULL || d->status != KV_OK)
		return false;
	if (s->log != d->log.number) {
		s->log = d->log.number;
		s->logged = 0;
	}
	while (s->filled - s->logged >= least) {
		uint64_t n = s->filled - s->logged < stage_piece ? s->filled - s->logged : stage_piece;

		if (pieces++ == STAGE_PIECES)
			return true;
		if (disk_reserve(st, 0, n) != KV_OK || !write_down(st, s, n))
			return false;
	}
	return false;
}

/* The stage of a value of which the log has bytes, or NULL. */
static struct stage *in_log(struct kv_store *st, const void *value, uint64_t n)
{
	struct stage *s = st->disk == NULL ? NULL : stage_of(st, value, n);

	return s != NULL && s->logged != 0 && s->log == st->disk->log.number && st->disk->status == KV_OK ? s : NULL;
}

uint64_t stage_log_bytes(struct kv_store *st, const void *value, uint64_t n)
{
	const struct stage *s = in_log(st, value, n);
	uint64_t end;

	if (LIKELY(s == NULL))
		return n;
	end = (uint64_t)((const uint8_t *)value - bytes_of(st, s)) + n;
	return (end > s->logged ? end - s->logged : 0) + RECORD_HEAD_MAX;
}

void stage_note(struct kv_store *st, const struct record *r)
{
	struct stage *s = in_log(st, r->value, r->value_len);
	struct record take = *r;

	if (LIKELY(s == NULL)) {
		disk_note(st, r);
		return;
	}
	take.type = RECORD_TAKE;
	take.stage = (uint32_t)(s - st->stages);
	take.offset = (uint64_t)(r->value - bytes_of(st, s));
	take.total = r->value_len;
	take.value_len = 0;
	if (take.offset + take.total > s->logged)
		write_down(st, s, take.offset + take.total - s->logged);
	disk_note(st, &take);
	s->log = 0; /* a stage is taken once: whoever reads the log may then forget it */
}

/* ---------------------------------------------------------------------- the operation */

static int begin(struct kv_store *st, struct stage *s, uint64_t total)
{
	uint64_t page = extent_stage(st, STAGE_HEAD + total);

	if (page == 0)
		return KV_NO_MEMORY;
	store32(entry_at(st, page | SLOT_LARGE), BLOCK_BUSY);
	*s = (struct stage){.page = page, .total = total};
	st->staged++;
	return KV_OK;
}

/* Has it fit to be filled up to `length`. */
static int reach(struct kv_store *st, const struct stage *s, uint64_t length)
{
	return extent_stage_reach(st, s->page, STAGE_HEAD + length, STAGE_HEAD + s->total) ? KV_OK : KV_NO_MEMORY;
}

int stage_exec(struct kv_store *st, struct kv_op *op)
{
	struct stage *s = find(st, op->pin);
	int rc;

	if (s == NULL)
		return op->pin == 0 ? KV_REFUSED : KV_NOT_FOUND;
	if (op->value_len > VALUE_MAX)
		return KV_TOO_LARGE;
	if (op->value_len < KV_PIN_LENGTH || op->length > op->value_len || op->offset > op->length ||
	    op->offset > (op->pin == 0 ? 0 : fit(st, s)) || (op->pin != 0 && (op->value_len != s->total || op->offset < s->filled)))
		return KV_REFUSED;
	if (op->pin == 0) {
		rc = begin(st, s, op->value_len);
		if (rc == KV_OK && reach(st, s, op->length) != KV_OK) {
			extent_unpin(st, s->page);
			stage_end(st, s->page);
			rc = KV_NO_MEMORY;
		}
	} else {
		rc = reach(st, s, op->length);
	}
	if (rc != KV_OK)
		return rc;
	s->filled = op->offset;
	op->tag = note(st, s);
	op->pin = s->page;
	op->value = bytes_of(st, s);
	op->length = fit(st, s);
	return KV_OK;
}

/* Puts into the log that nothing takes what stands there: whoever reads it would keep that, beyond
 * any limit, until the number is used again. */
static void note_end(struct kv_store *st, const struct stage *s)
{
	struct record r = {.type = RECORD_STAGE, .stage = (uint32_t)(s - st->stages)};

	if (st->disk != NULL && s->log != 0 && s->logged != 0 && disk_reserve(st, 0, 0) == KV_OK)
		disk_note(st, &r);
}

void stage_end(struct kv_store *st, uint64_t page)
{
	struct stage *s = LIKELY(st->staged == 0) || page == 0 ? NULL : find(st, page);

	if (s == NULL)
		return;
	note_end(st, s);
	*s = (struct stage){0};
	st->staged--;
}
