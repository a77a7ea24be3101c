/*
 * expiry.c - which entries have had their time, found without looking at the others
 *
 * A chunk of buckets with entries that expire has a due table: for each group of
 * eight buckets a time before which none of its entries goes, in units of 256 ms since
 * some years before the store was made.  A pass looks through the tables, visits the groups that are due
 * and leaves their exact times behind.  header.due says when a pass is worth it.
 */
#include "store.h"

#define UNIT_BITS 8
#define UNIT_MAX (DUE_NONE - 1)
#define GROUPS (CHUNK_LINES / DUE_GROUP)

/* ms that the clock may be ahead when a store is made: set back after that, it is not before what
 * times of expiry are counted from, or none would be found to be over until then.  8 of 34 years. */
#define CLOCK_AHEAD (8ll * 365 * 24 * 3600 * 1000)

int64_t expiry_base(int64_t now)
{
	return now > INT64_MIN + CLOCK_AHEAD ? now - CLOCK_AHEAD : INT64_MIN;
}

static uint32_t unit_of(const struct kv_store *st, int64_t expiry)
{
	uint64_t ms = expiry <= st->h->created ? 0 : (uint64_t)expiry - (uint64_t)st->h->created;

	ms >>= UNIT_BITS;
	return ms < UNIT_MAX ? (uint32_t)ms : UNIT_MAX;
}

/* When all entries of a unit have gone. */
static int64_t end_of(const struct kv_store *st, uint32_t unit)
{
	int64_t ms = (int64_t)(((uint64_t)unit + 1) << UNIT_BITS);

	return st->h->created > INT64_MAX - ms ? INT64_MAX : st->h->created + ms;
}

static uint32_t *table_at(const struct kv_store *st, uint32_t line)
{
	return (uint32_t *)(void *)pool_at(st, line);
}

static uint32_t *group_of(const struct kv_store *st, const struct space *sp, uint64_t b)
{
	struct dir *dir = index_dir(st, sp, b);

	return dir->due == 0 ? NULL : table_at(st, dir->due) + b % CHUNK_LINES / DUE_GROUP;
}

bool expiry_reserve(struct kv_store *st, struct space *sp, uint64_t b)
{
	struct dir *dir = index_dir(st, sp, b);
	uint32_t at;

	if (dir->due != 0)
		return true;
	at = pool_alloc(st, DUE_CLASS);
	if (at == 0)
		return false;
	memset(pool_at(st, at), 0xff, (size_t)LINE << DUE_CLASS);
	dir->due = at;
	return true;
}

static void note_unit(struct kv_store *st, struct space *sp, uint64_t b, uint32_t unit)
{
	uint32_t *due = group_of(st, sp, b);
	int64_t end = end_of(st, unit);

	if (unit < *due)
		*due = unit;
	if (end < st->h->due)
		st->h->due = end;
}

void expiry_note(struct kv_store *st, struct space *sp, uint64_t b, int64_t expiry)
{
	note_unit(st, sp, b, unit_of(st, expiry));
}

void expiry_moved(struct kv_store *st, struct space *sp, uint64_t from, uint64_t to)
{
	uint32_t *due = group_of(st, sp, from);

	if (due != NULL && *due != DUE_NONE && group_of(st, sp, to) != NULL)
		note_unit(st, sp, to, *due);
}

uint32_t expiry_due(const struct kv_store *st, const struct space *sp, uint64_t group)
{
	const uint32_t *due = group_of(st, sp, group * DUE_GROUP);

	return due == NULL ? DUE_NONE : *due;
}

/* What expiry_soonest() has seen. */
struct soonest {
	uint64_t *slot;
	struct bucket *head;
	int64_t first;  /* when the entry of slot goes */
	int64_t second; /* when the next one does */
};

static void soonest_of(const struct kv_store *st, struct bucket *head, struct soonest *s)
{
	for (struct bucket *line = head; line != NULL; line = index_next(st, line)) {
		for (unsigned i = 0; i < index_width(line); i++) {
			struct entry e;

			if (!(line->slot[i] & SLOT_EXPIRY))
				continue;
			entry_read(st, line->slot[i], &e);
			if (e.expiry == 0)
				continue;
			if (e.expiry < s->first && !entry_pinned(st, line->slot[i])) {
				s->second = s->first;
				s->first = e.expiry;
				s->slot = &line->slot[i];
				s->head = head;
			} else if (e.expiry < s->second) {
				s->second = e.expiry;
			}
		}
	}
}

uint64_t *expiry_soonest(struct kv_store *st, struct space *sp, uint64_t group,
			 struct bucket **head)
{
	struct soonest s = {.first = INT64_MAX, .second = INT64_MAX};
	uint64_t b = group * DUE_GROUP;
	uint32_t *due = group_of(st, sp, b);

	for (unsigned i = 0; i < DUE_GROUP && b + i < sp->buckets; i++)
		soonest_of(st, index_at(st, sp, b + i), &s);
	if (due != NULL)
		*due = s.second != INT64_MAX ? unit_of(st, s.second) : DUE_NONE;
	*head = s.head;
	return s.slot;
}

/* --------------------------------------------------------------------- a pass */

struct visit {
	struct space *sp;
	int64_t now;
	struct kv_events *events;
	uint64_t used;
	uint32_t due; /* of the entries that stay */
	bool failed;  /* no memory for an event */
};

static void prefetch_line(const struct kv_store *st, const struct bucket *line)
{
	for (unsigned i = 0; i < index_width(line); i++) {
		if (line->slot[i] & SLOT_EXPIRY)
			prefetch(entry_at(st, line->slot[i]));
	}
}

/* Whether the entry of this slot has been removed. */
static bool visit_slot(struct kv_store *st, struct visit *v, struct bucket *head,
		       struct bucket **line, unsigned i)
{
	uint64_t slot = (*line)->slot[i];
	struct entry e;
	uint32_t unit;

	entry_read(st, slot, &e);
	v->used++;
	if (kv_gone(e.expiry, v->now) && !v->failed) {
		v->failed = v->events != NULL &&
			    kv_event_add(v->events, KV_EXPIRED, v->sp->number, e.key, e.key_len);
		if (!v->failed) {
			*line = store_take(st, v->sp, head, &(*line)->slot[i], KV_EXPIRED);
			return true;
		}
	}
	unit = unit_of(st, e.expiry);
	if (e.expiry != 0 && unit < v->due)
		v->due = unit;
	return false;
}

static void visit_bucket(struct kv_store *st, struct visit *v, struct bucket *head)
{
	struct bucket *line = head;
	unsigned i = 0;

	prefetch_line(st, line);
	while (line != NULL) {
		struct bucket *was = line;

		if ((line->slot[i] & (SLOT_EXPIRY | SLOT_LINK)) == SLOT_EXPIRY &&
		    visit_slot(st, v, head, &line, i)) {
			if (line != was)
				i = 7;
		} else if (++i >= index_width(line)) {
			line = index_next(st, line);
			i = 0;
		}
	}
}

static void visit_group(struct kv_store *st, struct visit *v, uint64_t group)
{
	uint64_t b = group * DUE_GROUP;
	uint64_t removed = v->sp->entries;

	v->due = DUE_NONE;
	for (unsigned i = 0; i < DUE_GROUP && b + i < v->sp->buckets; i++)
		visit_bucket(st, v, index_at(st, v->sp, b + i));
	*group_of(st, v->sp, b) = v->due;
	for (removed -= v->sp->entries; removed > 0; removed--)
		index_shrink(st, v->sp);
}

/* The rest of the tables of one space; whether the end was reached. */
static bool pass_space(struct kv_store *st, struct visit *v, uint64_t budget)
{
	struct header *h = st->h;

	while (h->pass_group * DUE_GROUP < v->sp->buckets) {
		uint32_t *due = group_of(st, v->sp, h->pass_group * DUE_GROUP);

		if (v->used >= budget || v->failed)
			return false;
		if (h->pass_group % 16 == 0)
			v->used++;
		if (due == NULL) {
			h->pass_group += GROUPS - h->pass_group % GROUPS;
			continue;
		}
		if (*due != DUE_NONE && end_of(st, *due) <= v->now) {
			visit_group(st, v, h->pass_group);
			if (h->pass_group * DUE_GROUP >= v->sp->buckets)
				break;
			due = group_of(st, v->sp, h->pass_group * DUE_GROUP);
		}
		if (due != NULL && *due != DUE_NONE && end_of(st, *due) < h->pass_due)
			h->pass_due = end_of(st, *due);
		if (v->failed)
			return false;
		h->pass_group++;
	}
	return true;
}

/* The clock has gone beyond all units: the store was made when it was far behind, or very long ago.
 * Counts anew; every group with a note is visited once. */
static void rebase(struct kv_store *st, int64_t now)
{
	struct header *h = st->h;

	for (uint32_t i = 0; i < h->space_count; i++) {
		struct space *sp = &st->spaces[i];
		uint64_t groups = sp->state == SPACE_ACTIVE ? (sp->buckets + DUE_GROUP - 1) / DUE_GROUP : 0;

		for (uint64_t g = 0; g < groups; g++) {
			uint32_t *due = group_of(st, sp, g * DUE_GROUP);

			if (due != NULL && *due != DUE_NONE)
				*due = 0;
		}
	}
	h->created = expiry_base(now);
	h->check = header_check(h);
}

static void pass_start(struct header *h)
{
	h->pass_on = 1;
	h->pass_space = 0;
	h->pass_group = 0;
	h->pass_due = INT64_MAX;
	h->due = INT64_MAX;
}

uint64_t expiry_pass(struct kv_store *st, int64_t now, uint64_t budget, struct kv_events *events,
		     bool *more)
{
	struct header *h = st->h;
	struct visit v = {.now = now, .events = events};

	if (!h->pass_on) {
		if (h->due > now)
			return 0;
		if (UNLIKELY(end_of(st, UNIT_MAX) <= now))
			rebase(st, now);
		pass_start(h);
	}
	while (h->pass_space < h->space_count) {
		v.sp = &st->spaces[h->pass_space];
		if (v.sp->state == SPACE_ACTIVE && !pass_space(st, &v, budget)) {
			*more = true;
			return v.used;
		}
		v.used++;
		h->pass_space++;
		h->pass_group = 0;
	}
	h->pass_on = 0;
	if (h->pass_due < h->due)
		h->due = h->pass_due;
	*more |= h->due <= now;
	return v.used;
}

int64_t expiry_next(const struct kv_store *st)
{
	return st->h->due;
}
