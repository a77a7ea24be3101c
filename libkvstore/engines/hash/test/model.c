/* model.c - the model: one row for every key there can be */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>

uint64_t model_key(uint32_t k, uint8_t *to)
{
	uint64_t len = k == 0 ? 0 : k % 37 == 5 ? 260 + k % 100 : 3 + k % 29;

	memset(to, (int)(k * 7), len);
	if (len != 0) {
		to[0] = (uint8_t)k;
		to[1] = (uint8_t)(k >> 8);
		to[2] = (uint8_t)(k >> 16);
	}
	return len;
}

uint32_t model_key_number(const void *key, uint64_t len)
{
	const uint8_t *p = key;
	uint8_t same[KEY_ROOM];
	uint32_t k = len == 0 ? 0 : (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;

	FAIL_IF(k >= KEYS || model_key(k, same) != len || (len != 0 && memcmp(same, key, len) != 0));
	return k;
}

static void count(struct model *m, unsigned sp, uint32_t k, int by)
{
	uint8_t key[KEY_ROOM];
	const struct fact *f = &m->fact[sp][k];
	uint64_t sign = by < 0 ? UINT64_MAX : 1;

	m->entries[sp] += sign;
	m->expiring[sp] += f->expiry != 0 ? sign : 0;
	m->payload[sp] += (model_key(k, key) + f->len) * sign;
}

void model_delete(struct model *m, unsigned sp, uint32_t k)
{
	struct fact *f = &m->fact[sp][k];

	if (!f->there)
		return;
	count(m, sp, k, -1);
	free(f->value);
	f->value = NULL;
	f->there = false;
	f->must = false;
}

void model_set(struct model *m, unsigned sp, uint32_t k, const void *value, uint64_t len,
	       int64_t expiry, uint32_t tag)
{
	struct fact *f = &m->fact[sp][k];
	bool must = f->must;
	uint8_t *copy = malloc(len + 1);

	FAIL_IF(copy == NULL);
	if (len != 0)
		memcpy(copy, value, len);
	model_delete(m, sp, k);
	f->there = true;
	f->must = must;
	f->value = copy;
	f->len = len;
	f->expiry = expiry;
	f->tag = tag;
	count(m, sp, k, 1);
}

void model_clear(struct model *m, unsigned sp)
{
	for (uint32_t k = 0; k < KEYS; k++)
		model_delete(m, sp, k);
}

unsigned model_space(const struct model *m, uint32_t number)
{
	unsigned sp = 0;

	while (sp < SPACES && m->numbers[sp] != number)
		sp++;
	FAIL_IF(sp == SPACES);
	return sp;
}
