/*
 * update.h - the host's update functions and what they are given
 *
 * An update function runs inside an engine's KV_UPDATE; kvstore.h states its
 * rules (pure, never blocks, called any number of times, the last one counts).
 * What each function reads from its argument block and what it leaves there
 * stands in package batch, at the constant of the same name.
 */
#ifndef KVH_UPDATE_H
#define KVH_UPDATE_H

#include "kvstore.h"

#include <stddef.h>

/* struct kvh_arg.flags */
enum kvh_flag {
	KVH_IF_ABSENT = 1 << 0,
	KVH_IF_PRESENT = 1 << 1,
	KVH_KEEP_TTL = 1 << 2,
	KVH_WANT_OLD = 1 << 3,
	KVH_PERSIST = 1 << 4,
	KVH_EXPIRE_NX = 1 << 5,
	KVH_EXPIRE_XX = 1 << 6,
	KVH_EXPIRE_GT = 1 << 7,
	KVH_EXPIRE_LT = 1 << 8,
	KVH_IF_EQUAL = 1 << 9,
	KVH_IF_DIFFERENT = 1 << 10,
	KVH_PF_DENSE = 1 << 11,
	KVH_PF_FORGET = 1 << 12,
	KVH_BY_DIGEST = 1 << 13
};

/* struct kvh_arg.flags of kvh_update_field, besides the width in bits. */
enum kvh_field {
	KVH_FIELD_WIDTH = 0x7f,
	KVH_FIELD_SIGNED = 1 << 8,
	KVH_FIELD_ADD = 1 << 9,
	KVH_FIELD_SAT = 1 << 10,
	KVH_FIELD_FAIL = 1 << 11
};

/* struct kvh_arg.outcome */
enum kvh_outcome {
	KVH_DONE = 0,
	KVH_SAME = 5, /* done, and the entry is as it was */
	KVH_NOT_DONE = 10,
	KVH_ABSENT = 20,
	KVH_NOT_INTEGER = 30,
	KVH_OVERFLOW = 40,
	KVH_NOT_FLOAT = 50,
	KVH_NAN = 60,
	KVH_TOO_LONG = 70,
	KVH_NO_MEMORY = 80,
	KVH_NOT_HLL = 90,
	KVH_BROKEN_HLL = 100
};

/* Mirrors batch.Arg. */
struct kvh_arg {
	/* in */
	int64_t number;
	uint64_t flags; /* enum kvh_flag */
	int64_t expiry;
	int64_t now;
	const char *value;
	uint64_t value_len;
	uint64_t offset;
	uint64_t limit;
	/* out */
	int64_t result;
	int32_t outcome;  /* enum kvh_outcome */
	uint32_t existed; /* 1: there was an entry before */
	const char *old;  /* NULL: none; in the memory of `reply` */
	uint64_t old_len;
	uint32_t old_tag;
	uint32_t answer;  /* what `function` answered; noted.c sets it */
	struct kv_sink *reply;
	/* in */
	const char *compare;
	uint64_t compare_len;
	kv_update_fn function; /* what noted.c calls */
	/* The KV_GET of this key just before, which the reply is made of; NULL: none.  When it
	 * could not be answered the entry stays as it is. */
	const struct kv_op *got;
};

_Static_assert(sizeof(struct kvh_arg) == 144, "struct kvh_arg mirrors batch.Arg");
_Static_assert(offsetof(struct kvh_arg, result) == 64, "struct kvh_arg mirrors batch.Arg");
_Static_assert(offsetof(struct kvh_arg, old) == 80, "struct kvh_arg mirrors batch.Arg");
_Static_assert(offsetof(struct kvh_arg, reply) == 104, "struct kvh_arg mirrors batch.Arg");

/* Forgets what an earlier call left, and notes whether there is an entry. */
static inline struct kvh_arg *kvh_begin(void *p, const struct kv_entry *entry)
{
	struct kvh_arg *a = p;

	a->result = 0;
	a->outcome = KVH_DONE;
	a->existed = entry->present != 0;
	a->old = NULL;
	a->old_len = 0;
	a->old_tag = entry->tag;
	return a;
}

/* Whether the value of before, if it is wanted, could be read. */
static inline int kvh_got(const struct kvh_arg *a)
{
	return a->got == NULL || a->got->status == KV_OK || a->got->status == KV_NOT_FOUND;
}

/* Leaves `outcome` and the entry as it is. */
static inline int kvh_stop(struct kvh_arg *a, int outcome)
{
	a->outcome = outcome;
	return KV_KEEP;
}

/* update_bits.c */
int kvh_update_set_bit(void *p, const struct kv_entry *entry, struct kv_change *change);
int kvh_update_grow(void *p, const struct kv_entry *entry, struct kv_change *change);
int kvh_update_field(void *p, const struct kv_entry *entry, struct kv_change *change);

/* update_hll.c */
int kvh_update_pf_add(void *p, const struct kv_entry *entry, struct kv_change *change);

/* One function per batch.Func, in the same order. */
extern const kv_update_fn kvh_updates[];

#endif
