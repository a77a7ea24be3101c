/*
 * keys.c - which key comes next: in order, any alike, or some far more often.
 *
 * A skewed choice follows Zipf's law by the method of Gray et al., "Quickly
 * generating billion-record synthetic databases" (SIGMOD 1994), which YCSB uses,
 * too.  What is chosen often lies anywhere among the keys.
 */
#include "load.h"

#include <math.h>

static uint64_t state, keys, from, order;
static int in_order;
static double skew, zeta, alpha, eta;

/* Well-mixed bits of z (splitmix64). */
static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t random_bits(void)
{
	return mix(state += 0x9e3779b97f4a7c15u);
}

uint64_t random_below(uint64_t n)
{
	return ((random_bits() >> 32) * n) >> 32;
}

void keys_init(const struct options *o)
{
	state = o->seed;
	keys = o->keys;
	from = o->from;
	in_order = o->fill;
	skew = o->zipf;
	if (skew == 0)
		return;
	for (uint64_t i = 1; i <= keys; i++)
		zeta += 1 / pow((double)i, skew);
	alpha = 1 / (1 - skew);
	eta = (1 - pow(2.0 / (double)keys, 1 - skew)) / (1 - (1 + pow(0.5, skew)) / zeta);
}

/* A rank from 0 on, the lower the more often. */
static uint64_t rank(void)
{
	double u = (double)(random_bits() >> 11) / 9007199254740992.0;
	double of_zeta = u * zeta;

	if (of_zeta < 1)
		return 0;
	if (of_zeta < 1 + pow(0.5, skew))
		return 1;
	uint64_t r = (uint64_t)((double)keys * pow(eta * u - eta + 1, alpha));
	return r < keys ? r : keys - 1;
}

uint64_t next_key(void)
{
	if (in_order)
		return from + order++ % (keys - from);
	if (skew == 0)
		return random_below(keys);
	return ((mix(rank() + 1) >> 32) * keys) >> 32;
}
