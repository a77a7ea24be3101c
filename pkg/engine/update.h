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
	KVH_EXPIRE_LT = 1 << 8
};

/* struct kvh_arg.outcome */
enum kvh_outcome {
	KVH_DONE = 0,
	KVH_NOT_DONE = 10,
	KVH_ABSENT = 20,
	KVH_NOT_INTEGER = 30,
	KVH_OVERFLOW = 40,
	KVH_NOT_FLOAT = 50,
	KVH_NAN = 60,
	KVH_TOO_LONG = 70,
	KVH_NO_MEMORY = 80
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
	uint32_t reserved;
	struct kv_sink *reply;
};

_Static_assert(sizeof(struct kvh_arg) == 112, "struct kvh_arg mirrors batch.Arg");
_Static_assert(offsetof(struct kvh_arg, result) == 64, "struct kvh_arg mirrors batch.Arg");
_Static_assert(offsetof(struct kvh_arg, old) == 80, "struct kvh_arg mirrors batch.Arg");
_Static_assert(offsetof(struct kvh_arg, reply) == 104, "struct kvh_arg mirrors batch.Arg");

/* One function per batch.Func, in the same order. */
extern const kv_update_fn kvh_updates[];

#endif
