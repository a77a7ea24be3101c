/* mix.h - the seeded hash of a key: 64-bit multiplications folded to their halves */
#ifndef HASH_MIX_H
#define HASH_MIX_H

#include "layout.h"

__extension__ typedef unsigned __int128 wide;

static inline uint64_t fold(uint64_t a, uint64_t b)
{
	wide p = (wide)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

/* Up to 16 bytes as two words, every byte in at least one of them. */
static inline void load_tail(const uint8_t *p, uint64_t n, uint64_t *a, uint64_t *b)
{
	if (n >= 8) {
		*a = load64(p);
		*b = load64(p + n - 8);
	} else if (n >= 4) {
		*a = load32(p);
		*b = load32(p + n - 4);
	} else if (n > 0) {
		*a = (uint64_t)p[0] << 16 | (uint64_t)p[n / 2] << 8 | p[n - 1];
		*b = 0;
	} else {
		*a = 0;
		*b = 0;
	}
}

/* The seeded hash of a key. */
static inline uint64_t hash_key(const uint64_t seed[4], const void *key, uint64_t len)
{
	const uint8_t *p = key;
	uint64_t left = len;
	uint64_t h = seed[0] ^ (len * 0x9e3779b97f4a7c15ull);
	uint64_t a, b;

	for (; left > 16; left -= 16, p += 16)
		h = fold(load64(p) ^ seed[1], load64(p + 8) ^ h);
	load_tail(p, left, &a, &b);
	h = fold(a ^ seed[2], b ^ h);
	return fold(h ^ seed[3], h ^ 0xd6e8feb86659fd93ull);
}

/* A 64-bit number well mixed with the next. */
static inline uint64_t hash_step(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

#endif
