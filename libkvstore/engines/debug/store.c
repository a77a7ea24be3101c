/*
 * debug - an engine for tests: complete, slow and easy to see through
 *
 * In plain mode it can all that an engine in memory can.  README.md says how
 * to build it so that it misbehaves.
 */
#include "debug.h"
#include "fault.h"

#include <stdio.h>
#include <stdlib.h>

#ifndef KV_ENGINE_VERSION
#define KV_ENGINE_VERSION "0.1.0"
#endif

/* Where an operation finds its things. */
struct place {
	struct kv_batch *batch;
	struct kv_op *op;
	struct map *map;
	struct space *space; /* NULL: there is no such space yet */
	struct entry *entry; /* NULL: there is no such entry */
	bool present;        /* there is one and its time has not passed */
};

static const void *bytes_of(const void *p)
{
	return p != NULL ? p : "";
}

static void locate(struct place *p)
{
	p->space = map_space(p->map, p->op->space);
	p->entry = NULL;
	if (p->space != NULL)
		p->entry = map_find(p->space, bytes_of(p->op->key), p->op->key_len);
	p->present = p->entry != NULL && !kv_gone(p->entry->expiry, p->batch->now);
}

/*
 * Before a write: removes an entry whose time has passed.  Without memory to
 * report it the entry stays, unseen.
 */
static void settle(struct place *p)
{
	if (p->entry == NULL || p->present)
		return;
	if (kv_event_add(p->batch->events, KV_EXPIRED, p->space->id, p->entry->key,
			 p->entry->key_len) != KV_OK)
		return;
	map_remove(p->map, p->space, p->entry);
	p->entry = NULL;
}

/* Makes `value` the value of the place and takes over its holding, also when
 * it fails. */
static int put(struct place *p, struct value *value, int64_t expiry, uint32_t tag)
{
	if (p->space == NULL)
		p->space = map_space_made(p->map, p->op->space);
	if (p->space != NULL && p->entry != NULL)
		map_replace(p->map, p->space, p->entry, value);
	else if (p->space != NULL)
		p->entry = map_add(p->map, p->space, p->op->key, p->op->key_len, value);
	if (p->entry == NULL) {
		map_value_drop(p->map, value);
		return KV_NO_MEMORY;
	}
	map_expire_at(p->space, p->entry, expiry);
	p->entry->tag = tag;
	return KV_OK;
}

/* -------------------------------------------------------------- operations */

static int op_get(struct place *p)
{
	struct kv_op *op = p->op;

	if (!p->present)
		return KV_NOT_FOUND;
	struct value *value = p->entry->value;
	uint64_t from = op->offset < value->length ? op->offset : value->length;
	uint64_t n = op->length < value->length - from ? op->length : value->length - from;

	if (n >= KV_PIN_LENGTH) {
		value->holders++;
		p->map->pins++;
		op->pin = (uint64_t)(uintptr_t)value;
		op->value = value->bytes + from;
	} else {
		void *copy = kv_alloc(p->batch->reply, n);

		if (copy == NULL)
			return KV_NO_MEMORY;
		memcpy(copy, value->bytes + from, n);
		op->pin = 0;
		op->value = copy;
	}
	op->value_len = n;
	op->tag = p->entry->tag;
	op->expiry = p->entry->expiry;
	return KV_OK;
}

static int op_meta(struct place *p)
{
	if (!p->present)
		return KV_NOT_FOUND;
	p->op->value = NULL;
	p->op->value_len = p->entry->value->length;
	p->op->tag = p->entry->tag;
	p->op->expiry = p->entry->expiry;
	return KV_OK;
}

static int op_set(struct place *p)
{
	int64_t expiry = p->op->expiry;

	settle(p);
	if ((p->op->flags & KV_OP_KEEP_EXPIRY) != 0 && p->present)
		expiry = p->entry->expiry;
	struct value *value = map_value_new(p->map, p->op->value_len);

	if (value == NULL)
		return KV_NO_MEMORY;
	memcpy(value->bytes, bytes_of(p->op->value), p->op->value_len);
	return put(p, value, expiry, p->op->tag);
}

static int op_delete(struct place *p)
{
	settle(p);
	if (!p->present)
		return KV_NOT_FOUND;
	map_remove(p->map, p->space, p->entry);
	return KV_OK;
}

static int op_clear(struct place *p)
{
	if (p->space != NULL)
		map_clear(p->map, p->space);
	return KV_OK;
}

/* The old value, cut or filled up to the length asked for and patched. */
static struct value *patched(struct place *p, const struct kv_change *change)
{
	uint64_t old = p->present ? p->entry->value->length : 0;
	uint64_t keep = old < change->value_len ? old : change->value_len;

	struct value *value = map_value_new(p->map, change->value_len);

	if (value == NULL)
		return NULL;
	if (keep > 0)
		memcpy(value->bytes, p->entry->value->bytes, keep);
	memset(value->bytes + keep, 0, change->value_len - keep);
	memcpy(value->bytes + change->patch_offset, bytes_of(change->value), change->patch_len);
	return value;
}

static int apply(struct place *p, int answer, const struct kv_change *change)
{
	struct value *value = NULL;

	switch (answer) {
	case KV_KEEP:
		return KV_OK;
	case KV_REMOVE:
		if (p->present)
			map_remove(p->map, p->space, p->entry);
		return KV_OK;
	case KV_RETAG:
		if (!p->present)
			return KV_OK;
		map_expire_at(p->space, p->entry, change->expiry);
		p->entry->tag = change->tag;
		return KV_OK;
	case KV_REPLACE:
		value = map_value_new(p->map, change->value_len);
		if (value != NULL)
			memcpy(value->bytes, bytes_of(change->value), change->value_len);
		break;
	case KV_PATCH:
		if (change->patch_offset > change->value_len ||
		    change->patch_len > change->value_len - change->patch_offset)
			return KV_ERROR;
		value = patched(p, change);
		break;
	default:
		return KV_UNSUPPORTED;
	}
	return value != NULL ? put(p, value, change->expiry, change->tag) : KV_NO_MEMORY;
}

static int op_update(struct place *p)
{
	struct kv_entry entry = {.size = sizeof entry};
	struct kv_change change = {.size = sizeof change};

	settle(p);
	if (p->present) {
		entry.present = 1;
		entry.value = p->entry->value->bytes;
		entry.value_len = p->entry->value->length;
		entry.expiry = change.expiry = p->entry->expiry;
		entry.tag = change.tag = p->entry->tag;
	}
	return apply(p, p->op->update(p->op->arg, &entry, &change), &change);
}

static int perform(struct place *p)
{
	if ((p->op->flags & ~(KV_OP_WITH_NEXT | KV_OP_KEEP_EXPIRY)) != 0 ||
	    p->op->space == KV_SPACE_ALL)
		return KV_UNSUPPORTED;
	locate(p);
	switch (p->op->code) {
	case KV_GET:
		return op_get(p);
	case KV_META:
		return op_meta(p);
	case KV_SET:
		return op_set(p);
	case KV_DELETE:
		return op_delete(p);
	case KV_CLEAR:
		return op_clear(p);
	case KV_UPDATE:
		return op_update(p);
	default:
		return KV_UNSUPPORTED;
	}
}

static int debug_exec(kv_store *store, struct kv_batch *batch)
{
	for (uint64_t i = 0; i < batch->count; i++) {
		struct kv_op *op = kv_op_at(batch, i);
		struct place place = {.batch = batch, .op = op, .map = store->map};

		switch (fault_before(store, op)) {
		case FAULT_SKIP:
			op->status = KV_OK;
			break;
		case FAULT_FAIL:
			return KV_IO;
		default:
			op->status = perform(&place);
		}
	}
	return KV_OK;
}

static void debug_release(kv_store *store, const uint64_t *pins, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		map_value_drop(store->map, (struct value *)(uintptr_t)pins[i]);
	store->map->pins -= count;
}

/* -------------------------------------------------------------------- scan */

/* Appends an entry to the scan; false when the sink is full. */
static bool scan_take(struct kv_scan *scan, uint32_t space, const struct entry *e)
{
	bool values = (scan->flags & KV_SCAN_VALUES) != 0;
	uint64_t n = e->key_len + (values ? e->value->length : 0);
	struct kv_item *item = kv_alloc(scan->sink, sizeof *item + n);

	if (item == NULL)
		return false;
	char *bytes = (char *)(item + 1);

	*item = (struct kv_item){.key = bytes,
				 .key_len = e->key_len,
				 .value_len = e->value->length,
				 .expiry = e->expiry,
				 .tag = e->tag,
				 .space = space};
	memcpy(bytes, e->key, e->key_len);
	if (values) {
		item->value = bytes + e->key_len;
		memcpy(bytes + e->key_len, e->value->bytes, e->value->length);
	}
	if (scan->last != NULL)
		scan->last->next = item;
	else
		scan->first = item;
	scan->last = item;
	scan->count++;
	return true;
}

/* The first live entry from a random age downwards, going round once. */
static int scan_random(const struct map *map, const struct space *space, struct kv_scan *scan)
{
	uint64_t start = scan->seed % map->last_age + 2;
	struct entry *e = map_older(space, start);

	for (uint64_t looked = 0; looked < space->entries; looked++) {
		if (e == NULL)
			e = map_older(space, UINT64_MAX);
		if (!kv_gone(e->expiry, scan->now))
			return scan_take(scan, space->id, e) ? KV_OK : KV_NO_MEMORY;
		e = map_older(space, e->age);
	}
	return KV_OK;
}

/*
 * From the youngest to the oldest; the cursor is the age of the last entry
 * looked at.  Entries keep their age, so none is missed, and what is added
 * meanwhile is younger, so the walk ends.
 */
static int debug_scan(kv_store *store, struct kv_scan *scan)
{
	struct space *space = map_space(store->map, scan->space);
	uint64_t cursor = scan->cursor != 0 ? scan->cursor : UINT64_MAX;
	uint64_t bytes = 0;
	struct entry *e;

	scan->first = scan->last = NULL;
	scan->count = 0;
	if ((scan->flags & ~(KV_SCAN_VALUES | KV_SCAN_RANDOM)) != 0)
		return KV_UNSUPPORTED;
	if ((scan->flags & KV_SCAN_RANDOM) != 0)
		return space != NULL && space->entries > 0 ? scan_random(store->map, space, scan)
							   : KV_OK;
	for (uint64_t looked = 0;; looked++) {
		e = space != NULL ? map_older(space, cursor) : NULL;
		if (e == NULL) {
			scan->cursor = 0;
			return KV_OK;
		}
		if (looked > 0 && (looked >= scan->budget ||
				   (scan->budget_bytes != 0 && bytes >= scan->budget_bytes)))
			break;
		if (!kv_gone(e->expiry, scan->now)) {
			if (!scan_take(scan, space->id, e)) {
				if (looked == 0)
					return KV_NO_MEMORY;
				break;
			}
			bytes += e->value->length;
		}
		cursor = e->age;
	}
	scan->cursor = cursor;
	return KV_OK;
}

/* ------------------------------------------------------- maintain and stat */

/* Removes what has expired in one space; KV_NO_MEMORY when events are full. */
static int expire_space(struct map *map, struct space *space, struct kv_maintain *m)
{
	struct entry *e = map_soonest(space);

	for (; e != NULL && kv_gone(e->expiry, m->now); e = map_soonest(space)) {
		if (m->used >= m->budget) {
			m->more = 1;
			return KV_OK;
		}
		if (kv_event_add(m->events, KV_EXPIRED, space->id, e->key, e->key_len) != KV_OK)
			return KV_NO_MEMORY;
		map_remove(map, space, e);
		m->used++;
	}
	if (e != NULL && (m->next == 0 || e->expiry + 1 < m->next))
		m->next = e->expiry + 1;
	return KV_OK;
}

static int debug_maintain(kv_store *store, struct kv_maintain *m)
{
	struct map *map = store->map;
	int status = KV_OK;

	m->more = 0;
	m->used = 0;
	m->next = 0;
	for (struct space *space = map->spaces; space != NULL && status == KV_OK;
	     space = space->next)
		status = expire_space(map, space, m);
	if (m->used < m->budget)
		m->used += map_sweep(map, m->budget - m->used);
	if (map->trash != NULL)
		m->more = 1;
	return status;
}

static int debug_stat(kv_store *store, struct kv_stat *stat)
{
	const struct map *map = store->map;
	bool all = stat->space == KV_SPACE_ALL;
	uint32_t asked = stat->space;

	stat->entries = stat->expiring = stat->payload = 0;
	stat->memory = all ? map->memory : 0;
	stat->reserved_memory = stat->memory;
	stat->pins = all ? map->pins : 0;
	stat->next_space = KV_SPACE_ALL;
	for (const struct space *space = map->spaces; space != NULL; space = space->next) {
		if (space->entries > 0 && (all || space->id > asked) &&
		    stat->next_space == KV_SPACE_ALL)
			stat->next_space = space->id;
		if (!all && space->id != asked)
			continue;
		stat->entries += space->entries;
		stat->expiring += space->expiring;
		stat->payload += space->payload;
	}
	return KV_OK;
}

/* -------------------------------------------------------- life and hand-over */

int debug_fail(const struct kv_open *open, int status, const char *text)
{
	if (open->error != NULL && open->error_size > 0)
		snprintf(open->error, open->error_size, "%s", text);
	return status;
}

static int debug_open(const struct kv_open *open, kv_store **out)
{
	kv_store *store;

	if (open->flags != 0)
		return debug_fail(open, KV_UNSUPPORTED,
				  "debug: open() was given a flag that it does not know");
	store = calloc(1, sizeof *store);
	if (store != NULL)
		store->map = map_new(open->seed, open->max_memory);
	if (store == NULL || store->map == NULL) {
		free(store);
		return debug_fail(open, KV_NO_MEMORY, "debug: no memory for a store");
	}
	*out = store;
	return KV_OK;
}

static void debug_close(kv_store *store, uint32_t flags)
{
	if ((flags & KV_CLOSE_GIVEN) == 0)
		map_free(store->map);
	free(store);
}

static int debug_offer(kv_store *store, struct kv_offer *offer)
{
	store->handed = (struct handed){.format = DEBUG_FORMAT,
					.size = sizeof store->handed,
					.entry_size = sizeof(struct entry),
					.map_size = sizeof(struct map),
					.map = store->map};
	offer->segment_count = 0;
	offer->segments = NULL;
	offer->state = &store->handed;
	offer->state_len = sizeof store->handed;
	return KV_OK;
}

static bool handed_is_sound(const struct kv_offer *offer)
{
	const struct handed *handed = offer->state;

	return handed != NULL && offer->state_len == sizeof *handed &&
	       offer->segment_count == 0 && handed->size == sizeof *handed &&
	       memcmp(handed->format, DEBUG_FORMAT, sizeof DEBUG_FORMAT) == 0 &&
	       handed->entry_size == sizeof(struct entry) &&
	       handed->map_size == sizeof(struct map) && handed->map != NULL;
}

static int debug_accept(const struct kv_open *open, const struct kv_offer *offer, kv_store **out)
{
	kv_store *store;

	if (!handed_is_sound(offer))
		return debug_fail(open, KV_REFUSED,
				  "debug: what was offered is not a store of format " DEBUG_FORMAT);
	store = calloc(1, sizeof *store);
	if (store == NULL)
		return debug_fail(open, KV_NO_MEMORY, "debug: no memory for a store");
	store->map = ((const struct handed *)offer->state)->map;
	store->map->max_memory = open->max_memory;
	*out = store;
	return KV_OK;
}

static int debug_resume(kv_store *store)
{
	store->handed = (struct handed){.map = NULL};
	return KV_OK;
}

const struct kvstore_engine debug_engine = {
	.size = sizeof(struct kvstore_engine),
	.abi = KVSTORE_ABI_VERSION,
	.name = "debug",
	.version = KV_ENGINE_VERSION,
	.format = DEBUG_FORMAT,
	.capabilities = KV_CAP_DELETE | KV_CAP_EXPIRY | KV_CAP_SPACES | KV_CAP_TAGS | KV_CAP_SCAN |
			KV_CAP_BINARY | KV_CAP_UPDATE | KV_CAP_HANDOVER,
	.thread_model = KV_THREADS_SERIAL,
	.open = debug_open,
	.close = debug_close,
	.exec = debug_exec,
	.release = debug_release,
	.scan = debug_scan,
	.maintain = debug_maintain,
	.stat = debug_stat,
	.offer = debug_offer,
	.accept = debug_accept,
	.resume = debug_resume,
};
