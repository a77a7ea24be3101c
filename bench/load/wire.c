/*
 * wire.c - requests and replies.
 *
 * The texts around keys and values are made once; a request is a few copies
 * of known length.  A value starts with its key, as far as there is room, so
 * that a reply with another key's value is found out.
 */
#define _GNU_SOURCE
#include "load.h"

#include <stdlib.h>
#include <string.h>

static const struct options *opt;
static char digits[10000][4];
static char set_head[64], set_middle[64], get_head[64];
static size_t set_head_len, set_middle_len, get_head_len;
static char *filler;       /* one value */
static size_t key_in_value; /* how much of the key a value starts with */

static size_t text(char *to, size_t size, const char *format, unsigned long long n)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	int len = snprintf(to, size, format, n);
#pragma GCC diagnostic pop
	if (len < 0 || (size_t)len >= size)
		die("the request's text is too long");
	return (size_t)len;
}

void wire_init(const struct options *o)
{
	opt = o;
	for (unsigned i = 0; i < 10000; i++) {
		char four[16];
		snprintf(four, sizeof four, "%04u", i);
		memcpy(digits[i], four, 4);
	}
	filler = malloc(o->value_size + 1);
	if (filler == NULL)
		die("no memory for a value of %llu bytes", (unsigned long long)o->value_size);
	memset(filler, 'x', o->value_size);
	key_in_value = o->value_size < KEY_LEN ? o->value_size : KEY_LEN;
	int resp = o->protocol == RESP;
	set_head_len = text(set_head, sizeof set_head, resp ? "*3\r\n$3\r\nSET\r\n$%llu\r\n" : "set ", KEY_LEN);
	set_middle_len = text(set_middle, sizeof set_middle, resp ? "\r\n$%llu\r\n" : " 0 0 %llu\r\n", o->value_size);
	get_head_len = text(get_head, sizeof get_head, resp ? "*2\r\n$3\r\nGET\r\n$%llu\r\n" : "get ", KEY_LEN);
}

size_t request_max(void)
{
	return sizeof set_head + sizeof set_middle + KEY_LEN + opt->value_size + 4;
}

static void put_key(char *to, uint64_t key)
{
	memcpy(to, "key:", 4);
	memcpy(to + 4, digits[key / 100000000 % 10000], 4);
	memcpy(to + 8, digits[key / 10000 % 10000], 4);
	memcpy(to + 12, digits[key % 10000], 4);
}

static char *put(char *to, const char *from, size_t n)
{
	memcpy(to, from, n);
	return to + n;
}

char *put_request(char *to, int get, uint64_t key)
{
	to = get ? put(to, get_head, get_head_len) : put(to, set_head, set_head_len);
	put_key(to, key);
	char *name = to;
	to += KEY_LEN;
	if (!get) {
		to = put(to, set_middle, set_middle_len);
		memcpy(to, filler, opt->value_size);
		memcpy(to, name, key_in_value);
		to += opt->value_size;
	}
	return put(to, "\r\n", 2);
}

/* Whether `from` holds the text; 0 when it is too short to tell, -1 when not. */
static ssize_t expect(const char *from, size_t n, const char *want, size_t len)
{
	if (memcmp(from, want, n < len ? n : len) != 0)
		return -1;
	return n < len ? 0 : (ssize_t)len;
}

/* Checks the beginning of a value whose head took `used` bytes. */
static ssize_t value_begin(const char *from, size_t n, size_t used, const struct waiting *w)
{
	char key[KEY_LEN];
	if (n < used + key_in_value)
		return 0;
	put_key(key, w->key);
	if (!opt->any_value && memcmp(from + used, key, key_in_value) != 0)
		return -1;
	return (ssize_t)(used + key_in_value);
}

static ssize_t take_resp(const char *from, size_t n, const struct waiting *w, uint64_t *skip)
{
	static char head[32];
	static size_t len;
	if (!w->get)
		return expect(from, n, "+OK\r\n", 5);
	if (len == 0)
		len = text(head, sizeof head, "$%llu\r\n", opt->value_size);
	ssize_t used = expect(from, n, head, len);
	if (used <= 0)
		return used;
	*skip = opt->value_size - key_in_value + 2;
	return value_begin(from, n, (size_t)used, w);
}

static ssize_t take_memcached(const char *from, size_t n, const struct waiting *w, uint64_t *skip)
{
	char head[64] = "VALUE ";
	if (!w->get)
		return expect(from, n, "STORED\r\n", 8);
	put_key(head + 6, w->key);
	size_t len = 6 + KEY_LEN;
	len += text(head + len, sizeof head - len, " 0 %llu\r\n", opt->value_size);
	ssize_t used = expect(from, n, head, len);
	if (used <= 0)
		return used;
	*skip = opt->value_size - key_in_value + 2 + 5;
	return value_begin(from, n, (size_t)used, w);
}

ssize_t take_reply(const char *from, size_t n, const struct waiting *w, uint64_t *skip)
{
	*skip = 0;
	ssize_t used = opt->protocol == RESP ? take_resp(from, n, w, skip) : take_memcached(from, n, w, skip);
	if (used <= 0)
		*skip = 0;
	return used;
}
