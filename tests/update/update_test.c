/*
 * update_test.c - the host's update functions, called as an engine may call
 * them: any number of times, with any entry, and with no memory.
 *
 * Built with AddressSanitizer and UndefinedBehaviorSanitizer by run.sh.  What
 * commands answer is compared with redis-server in tests/differential; here
 * are the rules between host and engine.
 */
#include "update.h"

#include <stdio.h>
#include <stdlib.h>

/* In the order of batch.Func. */
enum func { SET, INCR, INCR_FLOAT, APPEND, SET_RANGE, GET_DEL, GET_EX, EXPIRE, PERSIST,
	    SET_BIT, GROW, FIELD, PF_ADD, DEL_IF, FUNCS };

static int failures;

#define check(what, ...)                                                                           \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			failures++;                                                                \
			fprintf(stderr, "%s:%d: not %s: ", __FILE__, __LINE__, #what);             \
			fprintf(stderr, __VA_ARGS__);                                              \
			fputc('\n', stderr);                                                       \
		}                                                                                  \
	} while (0)

/* A sink of one piece, and one that never has memory. */
static char memory[1 << 20];

static int no_more(struct kv_sink *sink, uint64_t need)
{
	(void)sink;
	(void)need;
	return KV_NO_MEMORY;
}

static struct kv_sink sink_of(uint64_t size)
{
	struct kv_sink s = {0};

	s.next = memory;
	s.end = memory + size;
	s.more = no_more;
	return s;
}

static uint64_t state = 88172645463325252u;

static uint64_t random_number(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Values of every kind, each in memory of exactly its length. */
static const char *const texts[] = {"", "0", "-0", "1", "-1", "01", "9223372036854775807",
				    "-9223372036854775808", "9223372036854775808", " 1", "1 ", "1.5",
				    "1e4932", "-1e4932", "1e5000", "1e-5000", "nan", "inf", "0x1p-3",
				    "3.00000000000000001", "abc", "-", "99999999999999999999999"};

#define TEXTS (sizeof texts / sizeof texts[0])

static char *exact(const char *text, uint64_t *len)
{
	char *copy = malloc(*len = strlen(text));

	if (*len > 0)
		memcpy(copy, text, *len);
	return copy;
}

static int64_t random_time(void)
{
	static const int64_t times[] = {0, 1, -1, 999, 1000, 1001, INT64_MAX, INT64_MIN};

	return times[random_number() % 8];
}

/* What must hold of any answer. */
static void check_answer(enum func f, int answer, const struct kvh_arg *a,
			 const struct kv_entry *entry, const struct kv_change *c)
{
	check(answer == KV_KEEP || answer == KV_REMOVE || answer == KV_REPLACE ||
	      answer == KV_PATCH || answer == KV_RETAG, "function %d answered %d", f, answer);
	check(a->existed == entry->present, "function %d", f);
	check(a->outcome == KVH_DONE || answer == KV_KEEP, "function %d: outcome %d with answer %d",
	      f, a->outcome, answer);
	if (answer == KV_PATCH)
		check(c->patch_offset + c->patch_len <= c->value_len &&
			      (f == PF_ADD || c->value_len <= a->limit),
		      "function %d: %llu + %llu in %llu", f, (unsigned long long)c->patch_offset,
		      (unsigned long long)c->patch_len, (unsigned long long)c->value_len);
	if (answer == KV_REPLACE || answer == KV_PATCH || answer == KV_RETAG)
		check(f == INCR || f == INCR_FLOAT || f == APPEND || f == SET_RANGE || f >= SET_BIT ||
		      c->expiry == 0 || c->expiry > a->now, "function %d leaves an entry that is gone", f);
	if (answer == KV_RETAG || answer == KV_REMOVE)
		check(entry->present || f == SET, "function %d changes what is not there", f);
}

/*
 * A HyperLogLog in memory of exactly its length: sparse with random runs,
 * dense, or neither quite.
 */
static char *random_sketch(uint64_t *len)
{
	unsigned dense = random_number() % 4 == 0;
	uint64_t n = dense ? 12304 : 16 + random_number() % 3100;
	char *bytes;

	if (random_number() % 8 == 0)
		n += random_number() % 3 - 1;
	bytes = malloc(*len = n);
	memset(bytes, 0, n);
	if (n >= 16) {
		memcpy(bytes, "HYLL", 4);
		bytes[4] = dense ? 0 : 1;
		bytes[15] = (char)(random_number() & 0x80);
	}
	for (uint64_t i = 16; i < n; i++)
		bytes[i] = (char)(dense || random_number() % 2 ? random_number() : 0x80);
	return bytes;
}

/* What the functions for bits and HyperLogLogs want otherwise. */
static void suit(enum func f, struct kvh_arg *arg, struct kv_entry *entry, char **present,
		 char **value)
{
	if (f == FIELD)
		arg->flags = (1 + random_number() % ((arg->flags & KVH_FIELD_SIGNED) ? 64 : 63)) |
			     (arg->flags & KVH_FIELD_SIGNED) | (random_number() & 0xe00);
	if (f == SET_BIT)
		arg->number = (int64_t)(random_number() % 2);
	if (f == PF_ADD && random_number() % 8 != 0) {
		arg->flags = random_number() & (KVH_PF_DENSE | KVH_PF_FORGET);
		free(*value);
		arg->value_len = 4 * (random_number() % 40);
		arg->value = *value = malloc(arg->value_len);
		for (uint64_t i = 0; i < arg->value_len; i++)
			(*value)[i] = (char)(i % 4 == 0 ? random_number() % 52 : random_number());
	}
	if (f == PF_ADD && entry->present) {
		free(*present);
		entry->value = *present = random_sketch(&entry->value_len);
	}
	if (f == DEL_IF || f == SET) {
		arg->compare = random_number() % 2 ? *present : *value;
		arg->compare_len = arg->compare == *present ? entry->value_len : arg->value_len;
		arg->flags |= random_number() & (KVH_IF_EQUAL | KVH_IF_DIFFERENT);
		if (random_number() % 4 == 0) {
			arg->flags |= KVH_BY_DIGEST;
			arg->compare = "0123456789ABCdef";
			arg->compare_len = random_number() % 17;
		}
	}
}

/* One call, made twice: the second must come to the same. */
static void call(enum func f, uint64_t sink_size)
{
	struct kv_entry entry = {.size = sizeof entry};
	struct kvh_arg arg = {.now = 1000, .limit = 64};
	struct kv_sink sink = sink_of(sink_size);
	char *value = exact(texts[random_number() % TEXTS], &arg.value_len);
	char *present = NULL;
	int answers[2];
	struct kvh_arg after[2];

	if (random_number() % 4 != 0) {
		present = exact(texts[random_number() % TEXTS], &entry.value_len);
		entry.present = 1;
		entry.value = present;
		entry.expiry = random_number() % 2 ? 0 : 1000 + (int64_t)(random_number() % 3);
	}
	arg.value = value;
	arg.flags = random_number() % 512;
	arg.expiry = random_time();
	arg.number = random_time();
	arg.offset = random_number() % 80;
	arg.reply = &sink;
	suit(f, &arg, &entry, &present, &value);
	for (int i = 0; i < 2; i++) {
		struct kv_change change = {.size = sizeof change, .expiry = entry.expiry};

		answers[i] = kvh_updates[f](&arg, &entry, &change);
		check_answer(f, answers[i], &arg, &entry, &change);
		after[i] = arg;
	}
	check(sink_size < 4096 || (answers[0] == answers[1] && after[0].outcome == after[1].outcome &&
	      after[0].result == after[1].result && after[0].old_len == after[1].old_len),
	      "function %d comes to something else when called again", f);
	free(value);
	free(present);
}

/* Without memory for the reply nothing is changed. */
static void check_no_memory(void)
{
	struct kv_entry entry = {.size = sizeof entry, .present = 1, .value = "1", .value_len = 1};
	enum func with_reply[] = {SET, INCR, INCR_FLOAT, GET_DEL, SET_BIT};

	for (unsigned i = 0; i < sizeof with_reply / sizeof with_reply[0]; i++) {
		struct kv_sink sink = sink_of(0);
		struct kv_change change = {.size = sizeof change};
		struct kvh_arg arg = {.value = "1", .value_len = 1, .flags = KVH_WANT_OLD,
				      .number = 1, .reply = &sink};
		int answer = kvh_updates[with_reply[i]](&arg, &entry, &change);

		check(answer == KV_KEEP && arg.outcome == KVH_NO_MEMORY, "function %d: %d, %d",
		      with_reply[i], answer, arg.outcome);
	}
}

/* What the reply is to be made of could not be read: nothing is changed. */
static void check_not_got(void)
{
	struct kv_entry entry = {.size = sizeof entry, .present = 1, .value = "1", .value_len = 1};
	enum func with_got[] = {SET, GET_DEL, GET_EX};

	for (unsigned i = 0; i < sizeof with_got / sizeof with_got[0]; i++) {
		struct kv_sink sink = sink_of(sizeof memory);
		struct kv_op got = {.status = KV_NO_MEMORY};
		struct kv_change change = {.size = sizeof change};
		struct kvh_arg arg = {.value = "2", .value_len = 1, .flags = KVH_PERSIST, .reply = &sink, .got = &got};
		int answer = kvh_updates[with_got[i]](&arg, &entry, &change);

		check(answer == KV_KEEP && arg.outcome == KVH_NO_MEMORY, "function %d: %d, %d",
		      with_got[i], answer, arg.outcome);
		got.status = KV_OK;
		kvh_updates[with_got[i]](&arg, &entry, &change);
		check(arg.outcome != KVH_NO_MEMORY && arg.old == NULL, "function %d stops though the value was read",
		      with_got[i]);
	}
}

int main(void)
{
	for (int i = 0; i < 200000; i++)
		call((enum func)(i % FUNCS), i % 10 == 9 ? random_number() % 64 : sizeof memory);
	check_no_memory();
	check_not_got();
	if (failures > 0)
		return 1;
	printf("update functions: 200000 random calls, each made twice, without a fault\n");
	return 0;
}
