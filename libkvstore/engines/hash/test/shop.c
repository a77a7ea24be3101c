/* shop.c - see shop.h */
#include "shop.h"

#include "mix.h"

char shop_said[1024];
char shop_error[512];
uint64_t shop_longest = UINT64_MAX;

static char reply_memory[1 << 21];

static int no_more(struct kv_sink *sink, uint64_t need)
{
	(void)sink;
	(void)need;
	return KV_NO_MEMORY;
}

static void hear(void *host, int level, const char *text)
{
	(void)host;
	if (level != KV_LOG_STATUS)
		snprintf(shop_said, sizeof shop_said, "%s", text);
}

uint64_t shop_draw(uint64_t *chance, uint64_t below)
{
	return below == 0 ? 0 : hash_step(chance) % below;
}

kv_store *shop_open(const char *dir, bool fresh, uint64_t seed, int *status)
{
	struct kv_open open = {.size = sizeof open, .flags = fresh ? KV_OPEN_NEW : 0, .state_dir = dir,
			       .now = SHOP_NOW, .seed = seed, .log = hear, .error = shop_error,
			       .error_size = sizeof shop_error};
	kv_store *st = NULL;

	shop_said[0] = shop_error[0] = '\0';
	*status = hash_open(&open, &st);
	return *status == KV_OK ? st : NULL;
}

static uint64_t key_of(uint64_t k, char *to)
{
	return (uint64_t)sprintf(to, k % 3 == 0 ? "k%llu" : "a-somewhat-longer-key-%llu", (unsigned long long)k);
}

static int exec(kv_store *st, struct kv_op *ops, uint64_t n)
{
	struct kv_sink sink = {.next = reply_memory, .end = reply_memory + sizeof reply_memory, .more = no_more};
	struct kv_events events = {.sink = &sink};
	struct kv_batch batch = {.size = sizeof batch, .op_size = sizeof *ops, .count = n, .ops = ops,
				 .now = SHOP_NOW, .reply = &sink, .events = &events};

	return hash_exec(st, &batch);
}

struct wish {
	int answer;
	uint8_t bytes[600];
	uint64_t n;
};

static int grant(void *arg, const struct kv_entry *entry, struct kv_change *change)
{
	struct wish *w = arg;
	uint64_t had = entry->value_len < 20000 && entry->value_len < shop_longest ? entry->value_len : 100;

	switch (w->answer) {
	case KV_PATCH: /* append, or put into the middle */
		change->value = w->bytes;
		change->patch_len = w->n;
		change->patch_offset = w->n % 3 == 0 ? had / 2 : had;
		change->value_len = change->patch_offset + w->n > had ? change->patch_offset + w->n : had;
		break;
	case KV_RETAG:
		change->tag = entry->tag + 1;
		change->expiry = SHOP_NOW + 1000000 + (int64_t)w->n;
		break;
	case KV_REPLACE:
		change->value = w->bytes;
		change->value_len = w->n;
		change->tag = 0;
		break;
	}
	return w->answer;
}

/* A long value that is being received, between operations. */
static struct {
	kv_store *st;
	uint64_t pin; /* 0: there is none */
	uint64_t total;
	uint64_t filled;
	uint8_t *at;
	bool used;
} stage;

uint64_t shop_stages;

static void stage_call(kv_store *st, uint64_t length)
{
	bool more = true;

	while (more) {
		struct kv_op op = {.code = KV_STAGE, .pin = stage.pin, .value_len = stage.total, .offset = stage.filled,
				   .length = length};

		FAIL_IF(exec(st, &op, 1) != KV_OK || op.status != KV_OK || op.length < length);
		stage.pin = op.pin;
		stage.at = (uint8_t *)(uintptr_t)op.value;
		more = op.tag != 0;
	}
}

static void stage_leave(kv_store *st)
{
	if (stage.st == st && stage.pin != 0)
		hash_release(st, &stage.pin, 1);
	memset(&stage, 0, sizeof stage);
}

/* Receives some more, or begins to. */
static void stage_on(kv_store *st, uint64_t *chance, uint64_t number)
{
	uint64_t to;

	if (stage.st != st)
		memset(&stage, 0, sizeof stage);
	if (shop_longest < 400000 || (stage.pin == 0 && shop_draw(chance, 12) != 0))
		return;
	if (stage.pin == 0) {
		stage.st = st;
		stage.total = KV_PIN_LENGTH + shop_draw(chance, 300000);
	}
	to = stage.filled + shop_draw(chance, 120000);
	to = to < stage.total ? to : stage.total;
	stage_call(st, to);
	for (; stage.filled < to; stage.filled++)
		stage.at[stage.filled] = (uint8_t)(number + stage.filled / 100);
	if (stage.filled == stage.total)
		stage_call(st, to);
	if (shop_draw(chance, 30) == 0)
		stage_leave(st); /* whoever sent it went away */
}

void shop_long(kv_store *st, uint64_t k)
{
	char key[64];
	struct kv_op op = {.code = KV_SET, .key = key, .key_len = key_of(k, key)};

	stage_leave(st);
	stage.st = st;
	stage.total = KV_PIN_LENGTH + 100;
	stage_call(st, stage.total);
	memset(stage.at, (int)('a' + k), stage.total);
	stage.filled = stage.total;
	stage_call(st, stage.total);
	op.value = stage.at + 40;
	op.value_len = stage.total - 42;
	FAIL_IF(exec(st, &op, 1) != KV_OK || op.status != KV_OK);
	stage_leave(st);
	shop_stages++;
}

void shop_close(kv_store *st)
{
	stage_leave(st);
	hash_close(st, 0);
}

static uint8_t value_memory[400000];

static uint64_t length_of(uint64_t *chance)
{
	switch (shop_draw(chance, 40)) {
	case 0:
		return 300000; /* written from where it lies */
	case 1:
	case 2:
	case 3:
		return 4000 + shop_draw(chance, 40000);
	default:
		return shop_draw(chance, 700);
	}
}

static void make_op(struct kv_op *op, char *key, struct wish *w, uint64_t *chance, uint64_t number)
{
	static const int answers[] = {KV_PATCH, KV_PATCH, KV_RETAG, KV_REPLACE, KV_REMOVE, KV_KEEP};

	memset(op, 0, sizeof *op);
	op->key = key;
	op->key_len = key_of(shop_draw(chance, SHOP_KEYS), key);
	op->space = (uint32_t)shop_draw(chance, SHOP_SPACES) * 7;
	switch (shop_draw(chance, 24)) {
	case 0:
		op->code = shop_draw(chance, 3) == 0 ? KV_CLEAR : KV_DELETE;
		break;
	case 1:
	case 2:
	case 3:
		op->code = KV_DELETE;
		break;
	case 4:
	case 5:
	case 6:
	case 7:
	case 8:
	case 9:
	case 10:
		op->code = KV_UPDATE;
		op->update = grant;
		op->arg = w;
		w->answer = answers[shop_draw(chance, 6)];
		w->n = 1 + shop_draw(chance, sizeof w->bytes - 1);
		for (uint64_t i = 0; i < w->n; i++)
			w->bytes[i] = (uint8_t)(number * 31 + i * 7);
		break;
	default:
		op->code = KV_SET;
		op->value_len = length_of(chance);
		if (op->value_len > shop_longest)
			op->value_len = shop_longest;
		op->value = value_memory;
		op->tag = number % 5 == 0 ? (uint32_t)number : 0;
		op->expiry = number % 7 == 0 ? SHOP_NOW + 5000000 + (int64_t)number : 0;
		for (uint64_t i = 0; i < op->value_len; i += 16)
			memcpy(value_memory + i, &number, 8);
		if (stage.pin != 0 && stage.filled == stage.total && shop_draw(chance, 2) == 0) {
			op->value = stage.at + shop_draw(chance, 50);
			op->value_len = stage.total - 50 - shop_draw(chance, 50);
			stage.used = true;
			shop_stages++;
		}
	}
}

int shop_op(kv_store *st, uint64_t *chance, uint64_t number, unsigned *run)
{
	struct kv_op ops[3];
	char keys[3][64];
	struct wish wishes[3];
	unsigned n = shop_draw(chance, 6) == 0 ? 3 : 1;

	stage_on(st, chance, number);
	for (unsigned i = 0; i < n; i++) {
		make_op(&ops[i], keys[i], &wishes[i], chance, number * 3 + i);
		ops[i].flags |= i + 1 < n ? KV_OP_WITH_NEXT : 0;
	}
	FAIL_IF(exec(st, ops, n) != KV_OK);
	if (stage.used)
		stage_leave(st);
	*run = n;
	for (unsigned i = 0; i < n; i++) {
		if (ops[i].status != KV_OK && ops[i].status != KV_NOT_FOUND)
			return ops[i].status;
	}
	return KV_OK;
}

uint64_t shop_digest(kv_store *st)
{
	static const uint64_t seed[4] = {11, 22, 33, 44};
	uint64_t sum = 1;

	for (uint32_t sp = 0; sp < SHOP_SPACES; sp++) {
		for (uint64_t k = 0; k < SHOP_KEYS; k++) {
			char key[64];
			struct kv_op op = {.code = KV_GET, .space = sp * 7, .key = key, .length = UINT64_MAX};

			op.key_len = key_of(k, key);
			FAIL_IF(exec(st, &op, 1) != KV_OK);
			FAIL_IF(op.status != KV_OK && op.status != KV_NOT_FOUND);
			if (op.status == KV_OK)
				sum += hash_key(seed, op.value, op.value_len) * (sp * 100 + k + 1) +
				       (uint64_t)op.expiry * 3 + op.tag;
			else
				sum = sum * 5 + 1;
			if (op.status == KV_OK && op.pin != 0)
				hash_release(st, &op.pin, 1);
		}
	}
	return sum;
}

static uint64_t noted[SHOP_SPACES][SHOP_KEYS];

/* A number for what a key has, 1: nothing; false: the store refuses. */
static bool look_up(kv_store *st, uint32_t sp, uint64_t k, uint64_t *sum)
{
	static const uint64_t seed[4] = {11, 22, 33, 44};
	char key[64];
	struct kv_op op = {.code = KV_GET, .space = sp * 7, .key = key, .length = UINT64_MAX};

	op.key_len = key_of(k, key);
	if (exec(st, &op, 1) != KV_OK)
		return false;
	FAIL_IF(op.status != KV_OK && op.status != KV_NOT_FOUND);
	*sum = op.status == KV_OK ? hash_key(seed, op.value, op.value_len) + (uint64_t)op.expiry + op.tag : 1;
	if (op.status == KV_OK && op.pin != 0)
		hash_release(st, &op.pin, 1);
	return true;
}

void shop_note(kv_store *st)
{
	for (uint32_t i = 0; i < SHOP_SPACES * SHOP_KEYS; i++)
		FAIL_IF(!look_up(st, i % SHOP_SPACES, i / SHOP_SPACES, &noted[i % SHOP_SPACES][i / SHOP_SPACES]));
}

bool shop_refuses(kv_store *st)
{
	for (uint32_t i = 0; i < SHOP_SPACES * SHOP_KEYS; i++) {
		uint64_t sum;

		if (!look_up(st, i % SHOP_SPACES, i / SHOP_SPACES, &sum))
			return true;
		FAIL_IF(sum != noted[i % SHOP_SPACES][i / SHOP_SPACES]);
	}
	return false;
}
