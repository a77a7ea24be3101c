/*
 * update.c - what becomes of an entry: the host's functions for KV_UPDATE
 *
 * update.h states the rules.  Each function sets every field of its argument
 * block that the host reads, each time: an engine may call it again.
 * Messages, limits and the forms of numbers are those of Redis 7.
 */
#include "update.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* The longest text of a long double, and the longest that is read as one. */
#define FLOAT_TEXT (5 * 1024)

/* Copies a text to where the reply is made from.  0 without memory. */
static int leave(struct kvh_arg *a, const void *text, uint64_t len)
{
	char *copy = kv_alloc(a->reply, len + 1);

	if (copy == NULL)
		return 0;
	if (len > 0)
		memcpy(copy, text, len);
	a->old = copy;
	a->old_len = len;
	return 1;
}

/* Leaves the present value, if there is one, for the reply.  0 without memory. */
static int leave_old(struct kvh_arg *a, const struct kv_entry *entry)
{
	return !entry->present || leave(a, entry->value, entry->value_len);
}

/* Whether an expiry time has come: Redis deletes at once what it is set on. */
static int is_past(int64_t expiry, int64_t now)
{
	return expiry != 0 && expiry <= now;
}

/* The digits of a digest in hexadecimal. */
#define DIGEST_DIGITS 16

/* Whether the text to compare with is the digest of the value, in digits of any case. */
static int has_digest(const struct kvh_arg *a, const struct kv_entry *entry)
{
	uint64_t digest = XXH3_64bits(entry->value, entry->value_len);
	char text[DIGEST_DIGITS + 1];

	snprintf(text, sizeof text, "%016" PRIx64, digest);
	return a->compare_len == DIGEST_DIGITS && strncasecmp(text, a->compare, DIGEST_DIGITS) == 0;
}

/* Whether the entry is there and equals what to compare with. */
static int equals(const struct kvh_arg *a, const struct kv_entry *entry)
{
	if (a->flags & KVH_BY_DIGEST)
		return entry->present && has_digest(a, entry);
	return entry->present && entry->value_len == a->compare_len &&
	       (a->compare_len == 0 || memcmp(entry->value, a->compare, a->compare_len) == 0);
}

static int update_set(void *p, const struct kv_entry *entry, struct kv_change *change)
{
	struct kvh_arg *a = kvh_begin(p, entry);

	if (!kvh_got(a) || (a->flags & KVH_WANT_OLD && !leave_old(a, entry)))
		return kvh_stop(a, KVH_NO_MEMORY);
	if (a->flags & KVH_IF_ABSENT && entry->present)
		return kvh_stop(a, KVH_NOT_DONE);
	if (a->flags & KVH_IF_PRESENT && !entry->present)
		return kvh_stop(a, KVH_NOT_DONE);
	if (a->flags & KVH_IF_EQUAL && !equals(a, entry))
		return kvh_stop(a, KVH_NOT_DONE);
	if (a->flags & KVH_IF_DIFFERENT && equals(a, entry))
		return kvh_stop(a, KVH_NOT_DONE);
	if (!(a->flags & KVH_KEEP_TTL))
		change->expiry = a->expiry;
	if (is_past(change->expiry, a->now))
		return KV_REMOVE;
	change->value = a->value;
	change->value_len = a->value_len;
	change->tag = 0;
	return KV_REPLACE;
}

/*
 * Reads a whole number as Redis's string2ll does: no blanks, no plus sign, no
 * leading zeros, within 64 bits.  0 when it is none.
 */
static int read_integer(const char *text, uint64_t len, int64_t *number)
{
	uint64_t v = 0, i = 0;
	int minus;

	if (len == 0 || len > 20)
		return 0;
	if (len == 1 && text[0] == '0') {
		*number = 0;
		return 1;
	}
	minus = text[0] == '-';
	i = (uint64_t)minus;
	if (i == len || text[i] < '1' || text[i] > '9')
		return 0;
	for (; i < len; i++) {
		unsigned digit = (unsigned char)text[i] - (unsigned)'0';

		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return 0;
		v = v * 10 + digit;
	}
	if (v > (uint64_t)INT64_MAX + (uint64_t)minus)
		return 0;
	*number = minus ? (int64_t)(0 - v) : (int64_t)v;
	return 1;
}

/* Writes a whole number in front of `end`; returns where it starts. */
static char *write_integer(char *end, int64_t number)
{
	uint64_t v = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;

	do {
		*--end = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	if (number < 0)
		*--end = '-';
	return end;
}

static int update_incr(void *p, const struct kv_entry *entry, struct kv_change *change)
{
	struct kvh_arg *a = kvh_begin(p, entry);
	int64_t number = 0;
	char *text, *end;

	if (entry->present && !read_integer(entry->value, entry->value_len, &number))
		return kvh_stop(a, KVH_NOT_INTEGER);
	if (__builtin_add_overflow(number, a->number, &number))
		return kvh_stop(a, KVH_OVERFLOW);
	end = kv_alloc(a->reply, 24);
	if (end == NULL)
		return kvh_stop(a, KVH_NO_MEMORY);
	end += 24;
	text = write_integer(end, number);
	a->result = number;
	change->value = text;
	change->value_len = (uint64_t)(end - text);
	return KV_REPLACE;
}

/* Reads a number as Redis's string2ld does.  0 when it is none. */
static int read_float(const char *text, uint64_t len, long double *number)
{
	char copy[FLOAT_TEXT];
	char *end;

	if (len == 0 || len >= sizeof copy)
		return 0;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (isspace((unsigned char)copy[0]))
		return 0;
	errno = 0;
	*number = strtold(copy, &end);
	if ((uint64_t)(end - copy) != len || isnan(*number))
		return 0;
	if (errno == ERANGE && (fabsl(*number) == (long double)HUGE_VAL || *number == 0))
		return 0;
	return errno != EINVAL;
}

/* Writes a number with up to 17 places, without zeros at the end. */
static uint64_t write_float(char text[FLOAT_TEXT], long double number)
{
	int len = snprintf(text, FLOAT_TEXT, "%.17Lf", number);

	if (memchr(text, '.', (size_t)len) != NULL) {
		while (text[len - 1] == '0')
			len--;
		if (text[len - 1] == '.')
			len--;
	}
	if (len == 2 && text[0] == '-' && text[1] == '0') {
		text[0] = '0';
		len = 1;
	}
	return (uint64_t)len;
}

static int update_incr_float(void *p, const struct kv_entry *entry, struct kv_change *change)
{
	struct kvh_arg *a = kvh_begin(p, entry);
	long double number = 0, by = 0;
	char text[FLOAT_TEXT];

	if (entry->present && !read_float(entry->value, entry->value_len, &number))
		return kvh_stop(a, KVH_NOT_FLOAT);
	if (!read_float(a->value, a->value_len, &by))
		return kvh_stop(a, KVH_NOT_FLOAT);
	number += by;
	if (isnan(number) || isinf(number))
		return kvh_stop(a, KVH_NAN);
	if (!leave(a, text, write_float(text, number)))
		return kvh_stop(a, KVH_NO_MEMORY);
	change->value = a->old;
	change->value_len = a->old_len;
	return KV_REPLACE;
}

/* Puts the operand at `offset` of the value; a gap is filled with zero bytes. */
static int put(struct kvh_arg *a, const struct kv_entry *entry, struct kv_change *change,
	       uint64_t offset)
{
	uint64_t len = entry->value_len;

	if (a->value_len > a->limit || offset > a->limit - a->value_len)
		return kvh_stop(a, KVH_TOO_LONG);
	if (offset + a->value_len > len)
		len = offset + a->value_len;
	a->result = (int64_t)len;
	change->value = a->value;
	change->value_len = len;
	change->patch_offset = offset;
	change->patch_len = a->value_len;
	return KV_PATCH;
}

static int update_append(void *p, const struct kv_entry *entry, struct kv_change *change)
{
	struct kvh_arg *a = kvh_begin(p, entry);

	if (entry->present && a->value_len == 0) {
		a->result = (int64_t)entry->value_len;
		return KV_KEEP;
	}
	return put(a, entry, change, entry->value_len);
}

static int update_set_range(void *p, const struct kv_entry *entry, struct kv_change *change)
{
	struct kvh_arg *a = kvh_begin(p, entry);

	if (a->value_len == 0) {
		a->result = (int64_t)entry->value_len;
		return KV_KEEP;
	}
	return put(a, entry, change, a->offset);
}

static int update_get_del(void *p, const struct kv_entry *entry, struct kv_change *change)
{
	struct kvh_arg *a = kvh_begin(p, entry);

	(void)change;
	if (!entry->present)
		return kvh_stop(a, KVH_ABSENT);
	if (!kvh_got(a) || (a->got == NULL && !leave_old(a, entry)))
		return kvh_stop(a, KVH_NO_MEMORY);
	return KV_REMOVE;
}

/* Sets an expiry time, or removes the entry when that time has come. */
static int retime(const struct kvh_arg *a, struct kv_change *change, int64_t expiry)
{
	if (is_past(expiry, a->now))
		return KV_REMOVE;
	change->expiry = expiry;
	return KV_RETAG;
}

static int update_get_ex(void *p, const struct kv_entry *entry, struct kv_change *change)
{
	struct kvh_arg *a = kvh_begin(p, entry);

	if (!entry->present)
		return kvh_stop(a, KVH_ABSENT);
	if (!kvh_got(a))
		return kvh_stop(a, KVH_NO_MEMORY);
	if (a->flags & KVH_PERSIST)
		return entry->expiry == 0 ? KV_KEEP : retime(a, change, 0);
	return a->expiry == 0 ? KV_KEEP : retime(a, change, a->expiry);
}

/* Whether the conditions of EXPIRE hold for an entry that expires at `present`
 * (0: never, which is later than any time). */
static int may_expire(const struct kvh_arg *a, int64_t present)
{
	if (a->flags & KVH_EXPIRE_NX && present != 0)
		return 0;
	if (a->flags & KVH_EXPIRE_XX && present == 0)
		return 0;
	if (a->flags & KVH_EXPIRE_GT && (present == 0 || a->expiry <= present))
		return 0;
	if (a->flags & KVH_EXPIRE_LT && present != 0 && a->expiry >= present)
		return 0;
	return 1;
}

static int update_expire(void *p, const struct kv_entry *entry, struct kv_change *change)
{
	struct kvh_arg *a = kvh_begin(p, entry);

	if (!entry->present)
		return kvh_stop(a, KVH_NOT_DONE);
	if (!may_expire(a, entry->expiry))
		return kvh_stop(a, KVH_NOT_DONE);
	if (a->expiry <= a->now)
		return KV_REMOVE; /* zero, and before 1970, included */
	return retime(a, change, a->expiry);
}

static int update_persist(void *p, const struct kv_entry *entry, struct kv_change *change)
{
	struct kvh_arg *a = kvh_begin(p, entry);

	if (!entry->present || entry->expiry == 0)
		return kvh_stop(a, KVH_NOT_DONE);
	return retime(a, change, 0);
}

static int update_del_if(void *p, const struct kv_entry *entry, struct kv_change *change)
{
	struct kvh_arg *a = kvh_begin(p, entry);

	(void)change;
	if (!entry->present || equals(a, entry) == ((a->flags & KVH_IF_DIFFERENT) != 0))
		return kvh_stop(a, KVH_NOT_DONE);
	return KV_REMOVE;
}

const kv_update_fn kvh_updates[] = {
	update_set,         update_incr,     update_incr_float, update_append,     update_set_range,
	update_get_del,     update_get_ex,   update_expire,     update_persist,    kvh_update_set_bit,
	kvh_update_grow,    kvh_update_field, kvh_update_pf_add, update_del_if,
};
