/* past.h - copying a long value past the processor's caches */
#ifndef HASH_PAST_H
#define HASH_PAST_H

#include <stdint.h>
#include <string.h>

#define PAST_FROM (32u << 10) /* bytes from which on it is worth while */

#if defined(__SSE2__)
#include <emmintrin.h>

#define PAST_LINE 64u

/*
 * memcpy() reads each line of memory that it writes.  For a value that lies where none was
 * lately that is a third of what the copy costs, and drives out what is wanted soon.
 */
static inline void copy_past(uint8_t *to, const uint8_t *from, uint64_t n)
{
	uint64_t before = -(uintptr_t)to % PAST_LINE;

	if (n < PAST_FROM) {
		memcpy(to, from, n);
		return;
	}
	memcpy(to, from, before);
	to += before;
	from += before;
	for (n -= before; n >= PAST_LINE; n -= PAST_LINE) {
		__m128i a = _mm_loadu_si128((const __m128i *)(const void *)from);
		__m128i b = _mm_loadu_si128((const __m128i *)(const void *)(from + 16));
		__m128i c = _mm_loadu_si128((const __m128i *)(const void *)(from + 32));
		__m128i d = _mm_loadu_si128((const __m128i *)(const void *)(from + 48));

		_mm_stream_si128((__m128i *)(void *)to, a);
		_mm_stream_si128((__m128i *)(void *)(to + 16), b);
		_mm_stream_si128((__m128i *)(void *)(to + 32), c);
		_mm_stream_si128((__m128i *)(void *)(to + 48), d);
		to += PAST_LINE;
		from += PAST_LINE;
	}
	_mm_sfence();
	memcpy(to, from, n);
}
#else
static inline void copy_past(uint8_t *to, const uint8_t *from, uint64_t n)
{
	memcpy(to, from, n);
}
#endif

#endif
