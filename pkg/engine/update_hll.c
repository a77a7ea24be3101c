/*
 * update_hll.c - what becomes of a HyperLogLog whose registers rise
 *
 * The value is Redis's: 16 bytes of head ("HYLL", the encoding, three zero
 * bytes, the cached count whose highest bit says that it is stale), then
 * 16384 registers. Dense: six bits each, lowest first. Sparse: runs of
 *
 *	00nnnnnn            1 to 64 registers that are 0
 *	01nnnnnn nnnnnnnn   1 to 16384 registers that are 0
 *	1vvvvvnn            1 to 4 registers that are 1 to 32
 *
 * A sparse one becomes dense when it would be longer than 3000 bytes, or a
 * register higher than 32.  Runs are split and joined where Redis does it, so
 * that the bytes are the same.
 */
#include "update.h"

#define HEAD 16u
#define REGISTERS 16384u
#define DENSE_SIZE (HEAD + REGISTERS * 6 / 8)
#define SPARSE_MOST 3000u
#define SPARSE_VALUE_MOST 32u
#define RUN_MOST 4u       /* registers of a run that are not 0 */
#define SHORT_ZEROS 64u   /* registers of the shorter kind of run of zeros */
#define LONGER 8u         /* bytes by which one change can make a sparse one longer, and more */

/* Byte 4 and what it can be. */
enum encoding { DENSE = 0, SPARSE = 1 };

/* Byte 15: the cached count does not hold. */
#define STALE 0x80u

/* A HyperLogLog being changed. */
struct sketch {
	unsigned char *bytes;
	uint64_t len;
};

/* One run of a sparse one. */
struct run {
	unsigned registers;
	unsigned value; /* of each, 0 to 32 */
	unsigned size;  /* bytes */
};

static int is_sketch(const struct kv_entry *entry)
{
	const unsigned char *v = entry->value;

	if (entry->value_len < HEAD || memcmp(v, "HYLL", 4) != 0)
		return 0;
	return v[4] == SPARSE || (v[4] == DENSE && entry->value_len == DENSE_SIZE);
}

/* The run at `at`, which is below `len`; a second byte that is cut off is 0. */
static struct run read_run(const unsigned char *bytes, uint64_t at, uint64_t len)
{
	unsigned c = bytes[at];
	unsigned second = at + 1 < len ? bytes[at + 1] : 0;

	if (c & 0x80)
		return (struct run){(c & 3) + 1, (c >> 2 & 31) + 1, 1};
	if (c & 0x40)
		return (struct run){((c & 63) << 8 | second) + 1, 0, 2};
	return (struct run){(c & 63) + 1, 0, 1};
}

/* Writes a run of any kind; returns where the next one goes. */
static unsigned char *write_run(unsigned char *to, unsigned registers, unsigned value)
{
	if (registers == 0)
		return to;
	if (value > 0) {
		*to++ = (unsigned char)(0x80 | (value - 1) << 2 | (registers - 1));
	} else if (registers <= SHORT_ZEROS) {
		*to++ = (unsigned char)(registers - 1);
	} else {
		*to++ = (unsigned char)(0x40 | (registers - 1) >> 8);
		*to++ = (unsigned char)(registers - 1);
	}
	return to;
}

static unsigned dense_get(const unsigned char *bytes, unsigned i)
{
	unsigned at = i * 6 / 8, shift = i * 6 % 8;
	unsigned both = bytes[at];

	if (shift > 2)
		both |= (unsigned)bytes[at + 1] << 8;
	return both >> shift & 63;
}

static void dense_set(unsigned char *bytes, unsigned i, unsigned value)
{
	unsigned at = i * 6 / 8, shift = i * 6 % 8;

	bytes[at] = (unsigned char)((bytes[at] & ~(63u << shift)) | value << shift);
	if (shift > 2)
		bytes[at + 1] = (unsigned char)((bytes[at + 1] & ~(63u >> (8 - shift))) |
						value >> (8 - shift));
}

/* Joins neighbouring runs of one value, from `at` on, over five runs at most. */
static void join_runs(struct sketch *s, uint64_t at)
{
	for (int looked = 0; looked < 5 && at < s->len; looked++) {
		struct run run = read_run(s->bytes, at, s->len), next;

		if (run.value > 0 && at + 1 < s->len) {
			next = read_run(s->bytes, at + 1, s->len);
			if (next.value == run.value && run.registers + next.registers <= RUN_MOST) {
				memmove(s->bytes + at, s->bytes + at + 1, s->len - at - 1);
				s->len--;
				write_run(s->bytes + at, run.registers + next.registers, run.value);
				continue;
			}
		}
		at += run.size;
	}
}

/* What raising a register came to. */
enum raised { UNCHANGED, RAISED, TOO_MUCH, BROKEN };

/* Raises a register of a sparse one. TOO_MUCH: it must become dense first. */
static enum raised sparse_raise(struct sketch *s, unsigned i, unsigned value)
{
	uint64_t at = HEAD, before = HEAD, after;
	unsigned first = 0; /* register of the run */
	unsigned char runs[2 * 3], *end = runs;
	struct run run = {0};

	if (value > SPARSE_VALUE_MOST)
		return TOO_MUCH;
	for (; at < s->len; before = at, at += run.size, first += run.registers) {
		run = read_run(s->bytes, at, s->len);
		if (i < first + run.registers)
			break;
	}
	if (at + run.size > s->len || at == s->len)
		return BROKEN;
	if (run.value >= value)
		return UNCHANGED;
	end = write_run(end, i - first, run.value);
	end = write_run(end, 1, value);
	end = write_run(end, first + run.registers - 1 - i, run.value);
	after = s->len - run.size + (uint64_t)(end - runs);
	if (after > s->len && after > SPARSE_MOST)
		return TOO_MUCH;
	memmove(s->bytes + at + (end - runs), s->bytes + at + run.size, s->len - at - run.size);
	memcpy(s->bytes + at, runs, (size_t)(end - runs));
	s->len = after;
	join_runs(s, before);
	return RAISED;
}

/* Makes a sparse one dense in memory of its own. */
static int make_dense(struct kvh_arg *a, struct sketch *s)
{
	unsigned char *dense = kv_alloc(a->reply, DENSE_SIZE);
	unsigned first = 0;
	struct run run;

	if (dense == NULL)
		return KVH_NO_MEMORY;
	memset(dense, 0, DENSE_SIZE);
	memcpy(dense, s->bytes, HEAD);
	dense[4] = DENSE;
	for (uint64_t at = HEAD; at < s->len; at += run.size) {
		run = read_run(s->bytes, at, s->len);
		if (run.registers > REGISTERS - first)
			return KVH_BROKEN_HLL;
		for (unsigned i = 0; run.value > 0 && i < run.registers; i++)
			dense_set(dense + HEAD, first + i, run.value);
		first += run.registers;
	}
	if (first != REGISTERS)
		return KVH_BROKEN_HLL;
	s->bytes = dense;
	s->len = DENSE_SIZE;
	return KVH_DONE;
}

/* Raises one register of either kind. An outcome: KVH_NOT_DONE, nothing rose. */
static int raise_one(struct kvh_arg *a, struct sketch *s, unsigned i, unsigned value)
{
	int outcome;

	if (s->bytes[4] == SPARSE) {
		switch (sparse_raise(s, i, value)) {
		case UNCHANGED:
			return KVH_NOT_DONE;
		case RAISED:
			return KVH_DONE;
		case BROKEN:
			return KVH_BROKEN_HLL;
		case TOO_MUCH:
			outcome = make_dense(a, s);
			if (outcome != KVH_DONE)
				return outcome;
		}
	}
	if (dense_get(s->bytes + HEAD, i) >= value)
		return KVH_NOT_DONE;
	dense_set(s->bytes + HEAD, i, value);
	return KVH_DONE;
}

/* The word w of the operand: which register, and what it must at least be. */
static unsigned word(const struct kvh_arg *a, uint64_t w, unsigned *value)
{
	uint32_t both;

	memcpy(&both, a->value + 4 * w, sizeof both);
	*value = both & 63;
	return both >> 8 & (REGISTERS - 1);
}

/*
 * Raises registers of a dense entry: a patch over the bytes that change, a few
 * where one register does, instead of all.
 */
static int raise_dense(struct kvh_arg *a, const struct kv_entry *entry, struct kv_change *change)
{
	const unsigned char *old = entry->value;
	uint64_t from = DENSE_SIZE, to = 0, words = a->value_len / 4;
	unsigned char *patch;
	unsigned i, value;

	for (uint64_t w = 0; w < words; w++) {
		i = word(a, w, &value);
		if (dense_get(old + HEAD, i) >= value)
			continue;
		from = from < HEAD + i * 6 / 8 ? from : HEAD + i * 6 / 8;
		to = to > HEAD + (i * 6 + 5) / 8 + 1 ? to : HEAD + (i * 6 + 5) / 8 + 1;
	}
	if (to == 0 && !(a->flags & KVH_PF_FORGET))
		return kvh_stop(a, KVH_NOT_DONE);
	if (!(old[HEAD - 1] & STALE)) {
		from = HEAD - 1;
		to = to > HEAD ? to : HEAD;
	}
	if (to == 0)
		return KV_KEEP;
	patch = kv_alloc(a->reply, to - from);
	if (patch == NULL)
		return kvh_stop(a, KVH_NO_MEMORY);
	memcpy(patch, old + from, to - from);
	if (from == HEAD - 1)
		patch[0] |= STALE;
	change->value = patch;
	change->value_len = DENSE_SIZE;
	change->patch_offset = from;
	change->patch_len = to - from;
	for (uint64_t w = 0; w < words; w++) {
		i = word(a, w, &value);
		if (dense_get(old + HEAD, i) < value &&
		    dense_get(patch + HEAD - from, i) < value)
			dense_set(patch + HEAD - from, i, value);
	}
	return KV_PATCH;
}

/* A copy of the entry with room to grow, or an empty sparse one. */
static int start_sketch(struct kvh_arg *a, const struct kv_entry *entry, struct sketch *s)
{
	uint64_t room = entry->value_len > SPARSE_MOST ? entry->value_len : SPARSE_MOST;

	s->bytes = kv_alloc(a->reply, room + LONGER);
	if (s->bytes == NULL)
		return 0;
	if (entry->present) {
		memcpy(s->bytes, entry->value, entry->value_len);
		s->len = entry->value_len;
		return 1;
	}
	memset(s->bytes, 0, HEAD);
	memcpy(s->bytes, "HYLL", 4);
	s->bytes[4] = SPARSE;
	write_run(s->bytes + HEAD, REGISTERS, 0);
	s->len = HEAD + 2;
	return 1;
}

/* Raises registers of a sparse entry, or of one that is not there. */
static int raise_sparse(struct kvh_arg *a, const struct kv_entry *entry, struct kv_change *change)
{
	struct sketch s;
	int changed = !entry->present || a->flags & KVH_PF_FORGET;
	int outcome = KVH_DONE;

	if (!start_sketch(a, entry, &s))
		return kvh_stop(a, KVH_NO_MEMORY);
	if (a->flags & KVH_PF_DENSE)
		outcome = make_dense(a, &s);
	for (uint64_t w = 0; w < a->value_len / 4 && outcome == KVH_DONE; w++) {
		unsigned value, i = word(a, w, &value);

		outcome = raise_one(a, &s, i, value);
		changed |= outcome == KVH_DONE;
		if (outcome == KVH_NOT_DONE)
			outcome = KVH_DONE;
	}
	if (outcome != KVH_DONE)
		return kvh_stop(a, outcome);
	if (!changed)
		return kvh_stop(a, KVH_NOT_DONE);
	s.bytes[HEAD - 1] |= STALE;
	change->value = s.bytes;
	change->value_len = s.len;
	return KV_REPLACE;
}

int kvh_update_pf_add(void *p, const struct kv_entry *entry, struct kv_change *change)
{
	struct kvh_arg *a = kvh_begin(p, entry);

	if (entry->present && !is_sketch(entry))
		return kvh_stop(a, KVH_NOT_HLL);
	if (entry->present && ((const unsigned char *)entry->value)[4] == DENSE)
		return raise_dense(a, entry, change);
	return raise_sparse(a, entry, change);
}
