/* extent.h - long values: where they lie, who else has them, and how they are received */
#ifndef HASH_EXTENT_H
#define HASH_EXTENT_H

#include "disk.h"
#include "layout.h"

struct entry;

/* ------------------------------------------------------------------ extents */

/* An extent with room for n bytes after its head, and addresses for `spare` more if they can
 * be had: its page, 0 without memory. */
uint64_t extent_alloc(struct kv_store *st, uint64_t n, uint64_t spare);

/* Frees it, or has the last release of its pins and of what was borrowed do so. */
void extent_free(struct kv_store *st, uint64_t page);

/* Makes it hold n bytes in place, if it can. */
bool extent_reach(struct kv_store *st, uint64_t page, uint64_t n);

/* Pins the value of the live extent, which begins at `value`. */
void extent_pin(struct kv_store *st, uint64_t page, const uint8_t *value);

/* Releases one pin; a number that is no pin does nothing. */
void extent_unpin(struct kv_store *st, uint64_t page);

/* The extent in which n bytes lie that are (a part of) a value of which somebody holds a pin;
 * 0: it is not known of such. */
uint64_t extent_lender(const struct kv_store *st, const void *value, uint64_t n);

/* An extent for n bytes that the host fills: it has memory for the first of them, one pin, and no
 * entry.  Its page, 0 without memory. */
uint64_t extent_stage(struct kv_store *st, uint64_t n);

/* Makes it hold n bytes of `total` in the end; memory that it has beyond these goes by and by. */
bool extent_stage_reach(struct kv_store *st, uint64_t page, uint64_t n, uint64_t total);

/* Keeps the value of a long entry as it is, whatever becomes of the entry: the page to let go. */
uint64_t extent_hold(struct kv_store *st, const struct entry *e);
void extent_let(struct kv_store *st, uint64_t page);

/* Has the value of an extent lie in another one, at `value`, from now on. */
void extent_borrow(struct kv_store *st, uint64_t page, uint64_t lender, const uint8_t *value);

/* Gives so many bytes of the memory of free extents back now, if they have them. */
void extent_yield(struct kv_store *st, uint64_t bytes);

/* Gives what extent_surplus() found back; as pool_trim(). */
uint64_t extent_maintain(struct kv_store *st, uint64_t budget, bool *more);

/* Looks what free extents have had too much of; when to look again, 0: when something was freed. */
int64_t extent_surplus(struct kv_store *st, int64_t now);

static inline struct extent *extent_at(const struct kv_store *st, uint64_t page)
{
	return (struct extent *)(void *)(st->base[LARGE] + page * PAGE);
}

/* ------------------------------------------------------------------- stages */

#define STAGE_PIECE MIB
extern uint64_t stage_piece; /* bytes of a long value that are written down at a time */

/* KV_STAGE. */
int stage_exec(struct kv_store *st, struct kv_op *op);

/* A pin was released: if it was a stage's, that ends. */
void stage_end(struct kv_store *st, uint64_t page);

/* The extent of the stage that a value fills, for the most part; 0: it lies in none. */
uint64_t stage_lender(struct kv_store *st, const void *value, uint64_t n);

/* Bytes that the record of a value of n bytes puts into the log. */
uint64_t stage_log_bytes(struct kv_store *st, const void *value, uint64_t n);

/* Puts a RECORD_SET into the log, or what comes to the same where its value is there; there
 * was room for stage_log_bytes(). */
void stage_note(struct kv_store *st, const struct record *r);

#endif
