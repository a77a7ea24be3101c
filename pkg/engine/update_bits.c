/*
 * update_bits.c - what becomes of an entry whose bits are set: SETBIT, BITFIELD
 *
 * Bits are counted from the highest of the first byte, as in Redis. A field
 * touches at most nine bytes; those are copied, changed and patched.
 */
#include "update.h"

#define FIELD_BYTES 9u

int kvh_update_set_bit(void *p, const struct kv_entry *entry, struct kv_change *change)
{
	struct kvh_arg *a = kvh_begin(p, entry);
	uint64_t at = a->offset >> 3;
	unsigned char mask = (unsigned char)(0x80u >> (a->offset & 7));
	unsigned char old = 0;
	unsigned char *byte;

	if (at < entry->value_len)
		old = ((const unsigned char *)entry->value)[at];
	a->result = (old & mask) != 0;
	if (at < entry->value_len && a->result == a->number)
		return kvh_stop(a, KVH_SAME);
	byte = kv_alloc(a->reply, 1);
	if (byte == NULL)
		return kvh_stop(a, KVH_NO_MEMORY);
	*byte = (unsigned char)(a->number != 0 ? old | mask : old & ~mask);
	change->value = byte;
	change->value_len = at < entry->value_len ? entry->value_len : at + 1;
	change->patch_offset = at;
	change->patch_len = 1;
	return KV_PATCH;
}

int kvh_update_grow(void *p, const struct kv_entry *entry, struct kv_change *change)
{
	struct kvh_arg *a = kvh_begin(p, entry);

	if (entry->value_len >= a->limit)
		return kvh_stop(a, KVH_NOT_DONE);
	change->value = "";
	change->value_len = a->limit;
	change->patch_offset = 0;
	change->patch_len = 0;
	return KV_PATCH;
}

/* A field's bits as a number, sign not yet looked at. */
static uint64_t read_bits(const unsigned char *bytes, unsigned first, unsigned width)
{
	uint64_t number = 0;

	for (unsigned i = first; i < first + width; i++)
		number = number << 1 | (bytes[i >> 3] >> (7 - (i & 7)) & 1u);
	return number;
}

static void write_bits(unsigned char *bytes, unsigned first, unsigned width, uint64_t number)
{
	for (unsigned i = first + width; i-- > first; number >>= 1) {
		unsigned char mask = (unsigned char)(0x80u >> (i & 7));

		bytes[i >> 3] = (unsigned char)((bytes[i >> 3] & ~mask) | (number & 1 ? mask : 0));
	}
}

/* The lowest `width` bits as a number with a sign. */
static int64_t extend(uint64_t number, unsigned width)
{
	uint64_t sign = 1ull << (width - 1);

	if (width < 64)
		number &= (1ull << width) - 1;
	return (int64_t)((number ^ sign) - sign);
}

/*
 * base + by as a field of `width` bits with a sign, into *sum: as it is, the
 * nearest that fits with KVH_FIELD_SAT, else what its lowest bits are.
 * Whether it fitted.
 */
static int add_signed(int64_t base, int64_t by, unsigned width, uint64_t flags, int64_t *sum)
{
	int64_t most = width == 64 ? INT64_MAX : (int64_t)((1ull << (width - 1)) - 1);
	int64_t least = -most - 1;
	int over, under;

	if (__builtin_add_overflow(base, by, sum)) {
		over = by > 0;
		under = !over;
	} else {
		over = *sum > most;
		under = *sum < least;
	}
	if (!over && !under)
		return 1;
	if (flags & KVH_FIELD_SAT)
		*sum = over ? most : least;
	else
		*sum = extend((uint64_t)base + (uint64_t)by, width);
	return 0;
}

/* The same without a sign, width below 64. */
static int add_unsigned(uint64_t base, int64_t by, unsigned width, uint64_t flags, int64_t *sum)
{
	uint64_t most = (1ull << width) - 1;
	int over = base > most || (by > 0 && (uint64_t)by > most - base);
	int under = !over && by < 0 && 0 - (uint64_t)by > base;
	uint64_t result = base + (uint64_t)by;

	if (over || under)
		result = !(flags & KVH_FIELD_SAT) ? result & most : over ? most : 0;
	*sum = (int64_t)result;
	return !over && !under;
}

/* What the field becomes and what is answered; whether it is to be written. */
static int new_field(struct kvh_arg *a, uint64_t old, unsigned width, int64_t *number)
{
	int add = (a->flags & KVH_FIELD_ADD) != 0;
	int64_t signed_old = extend(old, width);
	int fits;

	if (a->flags & KVH_FIELD_SIGNED) {
		fits = add_signed(add ? signed_old : a->number, add ? a->number : 0, width, a->flags,
				  number);
		a->result = add ? *number : signed_old;
	} else {
		fits = add_unsigned(add ? old : (uint64_t)a->number, add ? a->number : 0, width,
				    a->flags, number);
		a->result = add ? *number : (int64_t)old;
	}
	return fits || !(a->flags & KVH_FIELD_FAIL);
}

int kvh_update_field(void *p, const struct kv_entry *entry, struct kv_change *change)
{
	struct kvh_arg *a = kvh_begin(p, entry);
	unsigned width = (unsigned)(a->flags & KVH_FIELD_WIDTH);
	unsigned first = (unsigned)(a->offset & 7);
	uint64_t from = a->offset >> 3;
	uint64_t n = (first + width + 7) / 8;
	unsigned char *bytes;
	int64_t number;
	uint64_t old;

	/* Grown before; when that failed nothing is to be done here. */
	if (width == 0 || from + n > entry->value_len)
		return kvh_stop(a, KVH_TOO_LONG);
	bytes = kv_alloc(a->reply, FIELD_BYTES);
	if (bytes == NULL)
		return kvh_stop(a, KVH_NO_MEMORY);
	memcpy(bytes, (const char *)entry->value + from, n);
	old = read_bits(bytes, first, width);
	if (!new_field(a, old, width, &number))
		return kvh_stop(a, KVH_NOT_DONE);
	write_bits(bytes, first, width, (uint64_t)number);
	if (memcmp(bytes, (const char *)entry->value + from, n) == 0)
		return kvh_stop(a, KVH_SAME);
	change->value = bytes;
	change->value_len = entry->value_len;
	change->patch_offset = from;
	change->patch_len = n;
	return KV_PATCH;
}
