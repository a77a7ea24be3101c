/*
 * model - random operations on an engine, every answer compared with a model
 *
 *	model ENGINE.so [OTHER.so] [seed=N] [steps=N]
 *
 * Relative to the engine's capabilities.  With a second library of the same
 * format the store is handed back and forth between the two.  The process
 * ends with 0 when all agreed, and by abort() at the first difference.
 */
#include "host.h"

#define SPACES 3
#define KEYS 48
#define BATCH 24
#define PINS 16

/* What the model holds for one key. */
struct slot {
	bool present; /* set and not deleted; may be past its time */
	unsigned char *value;
	uint64_t len;
	int64_t expiry;
	uint32_t tag;
	bool steady; /* there since the walk began */
	bool seen;   /* met by the walk */
};

/* What an update is to answer, and what it was shown. */
struct plan {
	int answer;
	struct kv_change change;
	bool called;
	bool saw_present;
	uint64_t saw_sum;
	uint64_t saw_len;
	int64_t saw_expiry;
	uint32_t saw_tag;
};

/* A pinned value and the sum of its bytes when it was got. */
struct pin {
	uint64_t pin;
	const void *value;
	uint64_t len;
	uint64_t sum;
};

static struct library libraries[2];
static int current, library_count;
static const struct kvstore_engine *engine;
static kv_store *store;
static uint64_t dice = 88172645463325252u;
static int64_t now = 1000000;
static struct slot slots[SPACES][KEYS];
static struct pin pins[PINS];
static struct kv_op ops[BATCH];
static struct plan plans[BATCH];
static char keys[KEYS][24];
static unsigned char source[256 * 1024];
static uint64_t done_ops, done_hand_overs, done_events, done_pins; /* for the last line */

static uint64_t pick(uint64_t n)
{
	return draw(&dice) % n;
}

static bool can(uint64_t capability)
{
	return (engine->capabilities & capability) != 0;
}

static uint64_t sum_of(const void *bytes, uint64_t len)
{
	const unsigned char *b = bytes;
	uint64_t sum = len;

	for (uint64_t i = 0; i < len; i++)
		sum = sum * 31 + b[i];
	return sum;
}

static bool live(const struct slot *slot)
{
	return slot->present && !kv_gone(slot->expiry, now);
}

static void drop(struct slot *slot)
{
	free(slot->value);
	*slot = (struct slot){.present = false};
}

static uint64_t key_len(uint64_t key)
{
	return key == 0 ? 0 : (uint64_t)strlen(keys[key] + 2) + 2;
}

/* Keys hold NUL and 0xff bytes; the first is empty. */
static void make_keys(void)
{
	for (int i = 0; i < KEYS; i++) {
		snprintf(keys[i] + 2, sizeof keys[i] - 2, "key%0*d", 1 + i % 9, i);
		keys[i][0] = '\0';
		keys[i][1] = (char)0xff;
	}
	for (size_t i = 0; i < sizeof source; i++)
		source[i] = (unsigned char)draw(&dice);
}

static struct slot *slot_of(const struct kv_op *op)
{
	for (int i = 0; i < KEYS; i++)
		if (op->key == keys[i])
			return &slots[op->space][i];
	FAIL("the engine changed a key pointer");
}

/* ---------------------------------------------------------------- drawing */

static uint64_t some_length(void)
{
	switch (pick(100)) {
	case 0:
		return 0;
	case 1:
		return KV_PIN_LENGTH - 1 + pick(3);
	case 2:
		return pick(200 * 1024);
	}
	return pick(100);
}

static int64_t some_expiry(void)
{
	if (!can(KV_CAP_EXPIRY) || pick(3) != 0)
		return 0;
	return now + (int64_t)pick(pick(4) ? 40 : 5000) - 5;
}

static uint32_t some_tag(void)
{
	return can(KV_CAP_TAGS) && pick(2) ? (uint32_t)draw(&dice) : 0;
}

static int update(void *arg, const struct kv_entry *entry, struct kv_change *change)
{
	struct plan *plan = arg;

	plan->called = true;
	plan->saw_present = entry->present != 0;
	plan->saw_len = entry->value_len;
	plan->saw_sum = sum_of(entry->value, entry->value_len);
	plan->saw_expiry = entry->expiry;
	plan->saw_tag = entry->tag;
	CHECK(change->expiry == entry->expiry && change->tag == entry->tag);
	*change = plan->change;
	if (plan->answer == KV_REPLACE && plan->change.patch_offset == 1 && entry->value_len > 2) {
		change->value = (const char *)entry->value + 1; /* into the entry itself */
		change->value_len = entry->value_len - 2;
	}
	return plan->answer;
}

static void plan_update(struct plan *plan)
{
	static const int answers[] = {KV_KEEP, KV_REMOVE, KV_REPLACE, KV_PATCH, KV_PATCH, KV_RETAG};

	*plan = (struct plan){.answer = answers[pick(6)]};
	if (plan->answer == KV_REMOVE && !can(KV_CAP_DELETE))
		plan->answer = KV_KEEP;
	plan->change = (struct kv_change){.size = sizeof plan->change,
					  .expiry = some_expiry(),
					  .tag = some_tag(),
					  .value = source + pick(1000),
					  .value_len = some_length()};
	if (plan->answer == KV_PATCH) {
		plan->change.patch_offset = pick(plan->change.value_len + 1);
		plan->change.patch_len =
			pick(plan->change.value_len - plan->change.patch_offset + 1);
	} else {
		plan->change.patch_offset = pick(2);
	}
}

static void draw_op(struct kv_op *op, struct plan *plan)
{
	uint64_t key = pick(KEYS);

	*op = (struct kv_op){.status = -1,
			     .space = can(KV_CAP_SPACES) ? (uint32_t)pick(SPACES) : 0,
			     .key = keys[key],
			     .key_len = key_len(key)};
	uint64_t chance = pick(100);

	if (chance < 30) {
		op->code = KV_SET;
		op->value = source + pick(1000);
		op->value_len = some_length();
		op->expiry = some_expiry();
		op->tag = some_tag();
		op->flags = pick(4) == 0 && can(KV_CAP_EXPIRY) ? KV_OP_KEEP_EXPIRY : 0;
	} else if (chance < 60) {
		op->code = KV_GET;
		op->offset = pick(3) ? 0 : pick(150);
		op->length = pick(3) ? UINT64_MAX : pick(100);
	} else if (chance < 70) {
		op->code = KV_META;
	} else if (chance < 80 && can(KV_CAP_DELETE)) {
		op->code = KV_DELETE;
	} else if (chance < 99 && can(KV_CAP_UPDATE)) {
		op->code = KV_UPDATE;
		plan_update(plan);
		op->update = update;
		op->arg = plan;
	} else {
		op->code = can(KV_CAP_DELETE) && can(KV_CAP_SCAN) && pick(4) == 0 ? KV_CLEAR
										  : KV_META;
	}
}

/* -------------------------------------------------------------- comparing */

static void model_set(struct slot *slot, const void *value, uint64_t len, int64_t expiry,
		      uint32_t tag)
{
	unsigned char *copy = malloc(len + 1);
	bool steady = slot->steady && live(slot), seen = slot->seen;

	memcpy(copy, value, len);
	free(slot->value);
	*slot = (struct slot){.present = true,
			      .value = copy,
			      .len = len,
			      .expiry = expiry,
			      .tag = tag,
			      .steady = steady,
			      .seen = seen};
}

/* Keeps a pinned value for later, or gives it back at once. */
static void keep_pin(const struct kv_op *op)
{
	done_pins++;
	for (int i = 0; i < PINS; i++)
		if (pins[i].pin == 0) {
			pins[i] = (struct pin){op->pin, op->value, op->value_len,
					       sum_of(op->value, op->value_len)};
			return;
		}
	engine->release(store, &op->pin, 1);
}

static void check_get(const struct kv_op *op, const struct slot *slot)
{
	uint64_t from = op->offset < slot->len ? op->offset : slot->len;
	uint64_t n = op->length < slot->len - from ? op->length : slot->len - from;

	CHECK(op->value_len == n);
	CHECK(op->tag == slot->tag && op->expiry == slot->expiry);
	CHECK(n == 0 || memcmp(op->value, slot->value + from, n) == 0);
	if (op->pin != 0)
		keep_pin(op);
}

static void apply_patch(struct slot *slot, const struct kv_change *change)
{
	unsigned char *value = calloc(1, change->value_len + 1);
	uint64_t keep = slot->len < change->value_len ? slot->len : change->value_len;

	if (live(slot))
		memcpy(value, slot->value, keep);
	memcpy(value + change->patch_offset, change->value, change->patch_len);
	model_set(slot, value, change->value_len, change->expiry, change->tag);
	free(value);
}

static void check_update(const struct kv_op *op, struct slot *slot, const struct plan *plan)
{
	struct kv_change change = plan->change;

	CHECK(plan->called && plan->saw_present == live(slot));
	if (!live(slot)) {
		drop(slot);
	} else {
		CHECK(plan->saw_len == slot->len && plan->saw_tag == slot->tag);
		CHECK(plan->saw_sum == sum_of(slot->value, slot->len));
		CHECK(plan->saw_expiry == slot->expiry);
	}
	CHECK(op->status == KV_OK);
	if (plan->answer == KV_RETAG && !slot->present)
		return;
	if (plan->answer == KV_REMOVE) {
		drop(slot);
	} else if (plan->answer == KV_RETAG) {
		slot->expiry = change.expiry;
		slot->tag = change.tag;
	} else if (plan->answer == KV_PATCH) {
		apply_patch(slot, &change);
	} else if (plan->answer == KV_REPLACE) {
		if (change.patch_offset == 1 && plan->saw_len > 2) {
			change.value = slot->value + 1;
			change.value_len = plan->saw_len - 2;
		}
		model_set(slot, change.value, change.value_len, change.expiry, change.tag);
	}
}

static void check_op(const struct kv_op *op, const struct plan *plan)
{
	struct slot *slot = slot_of(op);
	int64_t expiry = op->expiry;

	switch (op->code) {
	case KV_GET:
	case KV_META:
		CHECK(op->status == (live(slot) ? KV_OK : KV_NOT_FOUND));
		if (live(slot) && op->code == KV_GET)
			check_get(op, slot);
		else if (live(slot))
			CHECK(op->value_len == slot->len && op->expiry == slot->expiry);
		break;
	case KV_SET:
		CHECK(op->status == KV_OK);
		if ((op->flags & KV_OP_KEEP_EXPIRY) != 0 && live(slot))
			expiry = slot->expiry;
		model_set(slot, op->value, op->value_len, expiry, op->tag);
		break;
	case KV_DELETE:
		CHECK(op->status == (live(slot) ? KV_OK : KV_NOT_FOUND));
		drop(slot);
		break;
	case KV_CLEAR:
		CHECK(op->status == KV_OK);
		for (int i = 0; i < KEYS; i++)
			drop(&slots[op->space][i]);
		break;
	case KV_UPDATE:
		check_update(op, slot, plan);
		break;
	}
	done_ops++;
}

/* Each event names a key that is not live in the model any more, or again. */
static void check_events(const struct kv_events *events)
{
	uint64_t count = 0;

	for (struct kv_event *e = events->first; e != NULL; e = e->next, count++) {
		CHECK(e->reason == KV_EXPIRED && e->space < SPACES);
		bool known = false;

		for (uint64_t i = 0; i < KEYS; i++)
			known = known || (key_len(i) == e->key_len &&
					  memcmp(keys[i], e->key, e->key_len) == 0);
		CHECK(known);
	}
	CHECK(count == events->count);
	done_events += count;
}

static void run_batch(uint64_t count)
{
	struct memory reply, told;
	struct kv_events events = {.sink = &told.sink};
	struct kv_batch batch = {.size = sizeof batch,
				 .op_size = sizeof(struct kv_op),
				 .count = count,
				 .ops = ops,
				 .now = now,
				 .reply = &reply.sink,
				 .events = &events};

	memory_init(&reply);
	memory_init(&told);
	for (uint64_t i = 0; i < count; i++)
		draw_op(&ops[i], &plans[i]);
	CHECK(engine->exec(store, &batch) == KV_OK);
	for (uint64_t i = 0; i < count; i++)
		check_op(&ops[i], &plans[i]);
	check_events(&events);
	memory_free(&reply);
	memory_free(&told);
}

/* ---------------------------------------------------------- all the others */

static void give_back_pins(uint64_t one_in)
{
	for (int i = 0; i < PINS; i++) {
		if (pins[i].pin == 0 || pick(one_in) != 0)
			continue;
		CHECK(sum_of(pins[i].value, pins[i].len) == pins[i].sum);
		engine->release(store, &pins[i].pin, 1);
		pins[i].pin = 0;
	}
}

/* Marks what one step of a walk found and compares it. */
static void check_items(const struct kv_scan *scan)
{
	uint64_t count = 0;

	for (struct kv_item *item = scan->first; item != NULL; item = item->next, count++) {
		uint64_t i = 0;

		while (i < KEYS && (key_len(i) != item->key_len ||
				    memcmp(keys[i], item->key, item->key_len) != 0))
			i++;
		CHECK(i < KEYS && item->space == scan->space);
		struct slot *slot = &slots[scan->space][i];

		CHECK(live(slot) && item->value_len == slot->len);
		CHECK(item->expiry == slot->expiry && item->tag == slot->tag);
		if (scan->flags & KV_SCAN_VALUES)
			CHECK(memcmp(item->value, slot->value, slot->len) == 0);
		slot->seen = true;
	}
	CHECK(count == scan->count);
}

/* A whole walk over one space, with changes between its steps. */
static void walk(uint32_t space)
{
	struct memory memory;
	struct kv_scan scan = {.size = sizeof scan,
			       .space = space,
			       .flags = pick(2) ? KV_SCAN_VALUES : 0,
			       .budget = 1 + pick(8),
			       .sink = &memory.sink};
	bool disturb = pick(2) == 0;

	if (!can(KV_CAP_SCAN) || (space > 0 && !can(KV_CAP_SPACES)))
		return;
	memory_init(&memory);
	for (int i = 0; i < KEYS; i++) {
		slots[space][i].seen = false;
		slots[space][i].steady = live(&slots[space][i]);
	}
	do {
		scan.now = now;
		CHECK(engine->scan(store, &scan) == KV_OK);
		check_items(&scan);
		memory_free(&memory);
		if (disturb && scan.cursor != 0)
			run_batch(3);
	} while (scan.cursor != 0);
	for (int i = 0; i < KEYS; i++)
		CHECK(!live(&slots[space][i]) || !slots[space][i].steady || slots[space][i].seen);
}

static void random_entry(uint32_t space)
{
	struct memory memory;
	struct kv_scan scan = {.size = sizeof scan,
			       .space = space,
			       .flags = KV_SCAN_RANDOM,
			       .budget = 100,
			       .seed = draw(&dice),
			       .now = now,
			       .sink = &memory.sink};
	uint64_t there = 0;

	if (!can(KV_CAP_SCAN) || (space > 0 && !can(KV_CAP_SPACES)))
		return;
	for (int i = 0; i < KEYS; i++)
		there += live(&slots[space][i]);
	memory_init(&memory);
	CHECK(engine->scan(store, &scan) == KV_OK);
	CHECK(scan.count == (there > 0));
	check_items(&scan);
	memory_free(&memory);
}

static void housekeeping(void)
{
	struct memory told;
	struct kv_maintain maintain = {.size = sizeof maintain, .budget = 1 + pick(20), .now = now};

	if (engine->maintain == NULL)
		return;
	do {
		memory_init(&told);
		struct kv_events events = {.sink = &told.sink};

		maintain.events = &events;
		CHECK(engine->maintain(store, &maintain) == KV_OK);
		check_events(&events);
		memory_free(&told);
	} while (maintain.more);
}

/*
 * A second after its time housekeeping has removed an entry, and figures are
 * exact.  Where there are some that went within this second nothing is compared.
 */
static void check_figures(void)
{
	struct kv_stat all = {.size = sizeof all, .space = KV_SPACE_ALL};
	uint64_t total = 0;

	if (!can(KV_CAP_SCAN))
		return;
	now += 1000;
	housekeeping();
	for (uint32_t s = 0; s < (can(KV_CAP_SPACES) ? SPACES : 1); s++) {
		struct kv_stat stat = {.size = sizeof stat, .space = s};
		uint64_t entries = 0, expiring = 0, payload = 0, lately = 0;

		for (uint64_t i = 0; i < KEYS; i++) {
			lately += slots[s][i].present && kv_gone(slots[s][i].expiry, now) &&
				  !kv_gone(slots[s][i].expiry, now - 1000);
			if (!live(&slots[s][i]))
				continue;
			entries++;
			expiring += slots[s][i].expiry != 0;
			payload += key_len(i) + slots[s][i].len;
		}
		CHECK(engine->stat(store, &stat) == KV_OK);
		total += entries + lately;
		if (lately > 0)
			continue;
		CHECK(stat.entries == entries && stat.expiring == expiring);
		CHECK(stat.payload == payload);
	}
	CHECK(engine->stat(store, &all) == KV_OK);
	CHECK(all.entries <= total && (all.next_space == KV_SPACE_ALL) == (all.entries == 0));
}

static void hand_over(void)
{
	const struct library *from = &libraries[current];

	if (library_count < 2)
		return;
	store = store_hand_over(from, store, &libraries[!current], now);
	current = !current;
	engine = &libraries[current].engine;
	done_hand_overs++;
}

static void step(void)
{
	now += (int64_t)pick(4);
	run_batch(1 + pick(BATCH));
	if (engine->release != NULL)
		give_back_pins(8);
	switch (pick(12)) {
	case 0:
		walk((uint32_t)pick(SPACES));
		break;
	case 1:
		housekeeping();
		break;
	case 2:
		check_figures();
		break;
	case 3:
		random_entry((uint32_t)pick(SPACES));
		break;
	case 4:
		hand_over();
		break;
	}
}

int main(int argc, char **argv)
{
	uint64_t steps = 20000;

	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "seed=", 5) == 0)
			dice ^= strtoull(argv[i] + 5, NULL, 10) * 0x9e3779b97f4a7c15u;
		else if (strncmp(argv[i], "steps=", 6) == 0)
			steps = strtoull(argv[i] + 6, NULL, 10);
		else if (library_count < 2)
			library_load(&libraries[library_count++], argv[i]);
	}
	if (library_count == 0) {
		fprintf(stderr, "usage: model ENGINE.so [OTHER.so] [seed=N] [steps=N]\n");
		return 2;
	}
	make_keys();
	engine = &libraries[0].engine;
	store = store_open(&libraries[0], now, 0);
	for (uint64_t i = 0; i < steps; i++)
		step();
	check_figures();
	give_back_pins(1);
	engine->close(store, 0);
	for (int i = 0; i < library_count; i++)
		library_unload(&libraries[i]);
	for (int s = 0; s < SPACES; s++)
		for (int i = 0; i < KEYS; i++)
			free(slots[s][i].value);
	printf("model: %s: %llu operations, %llu hand-overs, %llu events, %llu pins: all agree\n",
	       argv[1], (unsigned long long)done_ops, (unsigned long long)done_hand_overs,
	       (unsigned long long)done_events, (unsigned long long)done_pins);
	return 0;
}
