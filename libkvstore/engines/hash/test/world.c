/* world.c - calls other than batches, and what the model says to them */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

uint64_t draw(struct world *w, uint64_t below)
{
	w->chance ^= w->chance << 13;
	w->chance ^= w->chance >> 7;
	w->chance ^= w->chance << 17;
	return (w->chance >> 11) % below;
}

/* ------------------------------------------------------------------------ calls */

static int more(struct kv_sink *sink, uint64_t need)
{
	struct world *w = sink->host;
	uint64_t n = need < 4096 ? 4096 : need;
	struct piece *p;

	if (w->poor && draw(w, 4) == 0)
		return KV_NO_MEMORY;
	p = malloc(sizeof *p + 8 + n);
	FAIL_IF(p == NULL);
	p->next = w->pieces;
	w->pieces = p;
	sink->next = (char *)(p + 1);
	sink->end = sink->next + n;
	return KV_OK;
}

void call_begin(struct world *w)
{
	w->sink = (struct kv_sink){NULL, NULL, more, w};
	w->events = (struct kv_events){.sink = &w->sink};
}

void call_end(struct world *w)
{
	while (w->pieces != NULL) {
		struct piece *p = w->pieces;

		w->pieces = p->next;
		free(p);
	}
}

static void take_event(struct world *w, unsigned sp, uint32_t k)
{
	FAIL_IF(w->event->reason != KV_EXPIRED || !w->model->fact[sp][k].there);
	FAIL_IF(!kv_gone(w->model->fact[sp][k].expiry, w->now));
	model_delete(w->model, sp, k);
	w->event = w->event->next;
	w->expired++;
}

bool explain_event(struct world *w, unsigned sp, uint32_t k)
{
	const struct kv_event *e = w->event;

	if (e == NULL || model_space(w->model, e->space) != sp ||
	    model_key_number(e->key, e->key_len) != k)
		return false;
	take_event(w, sp, k);
	return true;
}

void explain_rest(struct world *w)
{
	while (w->event != NULL)
		take_event(w, model_space(w->model, w->event->space),
			   model_key_number(w->event->key, w->event->key_len));
}

/* ------------------------------------------------------------------------- pins */

void release_some(struct world *w, unsigned keep)
{
	while (w->pin_count > keep) {
		unsigned i = (unsigned)draw(w, w->pin_count);
		struct pinned *p = &w->pins[i];

		FAIL_IF(memcmp(p->value, p->copy, p->len) != 0);
		w->engine[w->which]->release(w->store, &p->pin, 1);
		free(p->copy);
		*p = w->pins[--w->pin_count];
	}
}

/* ------------------------------------------------------------------------- scan */

static void scan_start(struct world *w)
{
	w->scanning = true;
	w->scan_cursor = 0;
	w->scan_space = (unsigned)draw(w, 2);
	w->scan_flags = draw(w, 2) ? KV_SCAN_VALUES : 0;
	for (uint32_t k = 0; k < KEYS; k++) {
		struct fact *f = &w->model->fact[w->scan_space][k];

		f->must = f->there;
		f->seen = false;
	}
}

static void scan_end(struct world *w)
{
	w->scanning = false;
	w->scans++;
	for (uint32_t k = 0; k < KEYS; k++) {
		const struct fact *f = &w->model->fact[w->scan_space][k];

		FAIL_IF(f->there && f->must && !f->seen && !kv_gone(f->expiry, w->now));
	}
}

static void judge_items(struct world *w, const struct kv_scan *scan)
{
	uint64_t n = 0;

	for (const struct kv_item *i = scan->first; i != NULL; i = i->next, n++) {
		struct fact *f = &w->model->fact[w->scan_space][model_key_number(i->key, i->key_len)];

		FAIL_IF(!f->there || kv_gone(f->expiry, w->now) || i->value_len != f->len);
		FAIL_IF(i->expiry != f->expiry || i->tag != f->tag || i->space != scan->space);
		FAIL_IF((i->value != NULL) != ((scan->flags & KV_SCAN_VALUES) != 0));
		FAIL_IF(i->value != NULL && f->len != 0 && memcmp(i->value, f->value, f->len) != 0);
		f->seen = true;
	}
	FAIL_IF(n != scan->count);
}

static void one_random(struct world *w)
{
	struct kv_scan scan = {.size = sizeof scan, .flags = KV_SCAN_RANDOM,
			       .space = w->model->numbers[w->scan_space], .budget = 1,
			       .seed = draw(w, UINT64_MAX), .now = w->now, .sink = &w->sink};
	bool some = false;

	call_begin(w);
	FAIL_IF(w->engine[w->which]->scan(w->store, &scan) != KV_OK);
	judge_items(w, &scan);
	for (uint32_t k = 0; k < KEYS && !some; k++) {
		const struct fact *f = &w->model->fact[w->scan_space][k];

		some = f->there && !kv_gone(f->expiry, w->now);
	}
	FAIL_IF(scan.count != (some ? 1 : 0));
	call_end(w);
}

void random_scan(struct world *w)
{
	struct kv_scan scan = {.size = sizeof scan, .budget = 1 + draw(w, 200),
			       .budget_bytes = draw(w, 2) ? 0 : draw(w, 10000), .now = w->now,
			       .sink = &w->sink};
	bool poor = w->poor;
	int rc;

	if (!w->scanning)
		scan_start(w);
	scan.flags = w->scan_flags;
	scan.space = w->model->numbers[w->scan_space];
	scan.cursor = w->scan_cursor;
	call_begin(w);
	rc = w->engine[w->which]->scan(w->store, &scan);
	FAIL_IF(rc != KV_OK && !(rc == KV_NO_MEMORY && w->poor));
	if (rc == KV_OK) {
		judge_items(w, &scan);
		w->scan_cursor = scan.cursor;
		if (scan.cursor == 0)
			scan_end(w);
	}
	call_end(w);
	scan.cursor = draw(w, UINT64_MAX);
	call_begin(w);
	w->poor = false;
	FAIL_IF(w->engine[w->which]->scan(w->store, &scan) != KV_OK);
	call_end(w);
	one_random(w);
	w->poor = poor;
}

/* --------------------------------------------------------------------- maintain */

static bool maintain(struct world *w, uint64_t budget, int64_t *next)
{
	struct kv_maintain m = {.size = sizeof m, .budget = budget, .now = w->now,
				.events = &w->events};

	call_begin(w);
	FAIL_IF(w->engine[w->which]->maintain(w->store, &m) != KV_OK);
	w->event = w->events.first;
	explain_rest(w);
	call_end(w);
	*next = m.next;
	return m.more != 0;
}

void random_maintain(struct world *w, uint64_t budget)
{
	int64_t next;

	maintain(w, budget, &next);
}

void settle(struct world *w)
{
	bool poor = w->poor;
	int64_t next = 0;
	uint64_t calls = 0;

	w->poor = false;
	while (maintain(w, 500, &next))
		FAIL_IF(++calls > 1000000);
	for (unsigned sp = 0; sp < SPACES; sp++) {
		for (uint32_t k = 0; k < KEYS; k++) {
			const struct fact *f = &w->model->fact[sp][k];

			FAIL_IF(f->there && f->expiry != 0 && f->expiry < w->now - 300);
			FAIL_IF(f->there && f->expiry != 0 && f->expiry < INT64_MAX / 2 &&
				(next == 0 || next > f->expiry + 300));
		}
	}
	w->poor = poor;
}

/* ------------------------------------------------------------------------- swap */

/* An offer with something wrong must be refused, and the store go on. */
static void bad_offer(struct world *w, const struct kv_open *open, const struct kv_offer *good)
{
	struct kv_offer bad = *good;
	struct offer_state state;
	kv_store *none = NULL;

	memcpy(&state, good->state, sizeof state);
	if (draw(w, 3) == 0)
		state.header_sum ^= 1ull << draw(w, 64);
	else if (draw(w, 2))
		bad.segment_count--;
	else
		bad.state_len = draw(w, sizeof state);
	bad.state = &state;
	FAIL_IF(w->engine[!w->which]->accept(open, &bad, &none) == KV_OK || open->error[0] == 0);
}

void random_swap(struct world *w)
{
	char error[256] = "";
	struct kv_open open = {.size = sizeof open, .max_memory = w->limit, .now = w->now,
			       .seed = draw(w, UINT64_MAX), .error = error,
			       .error_size = sizeof error};
	struct kv_offer offer = {.size = sizeof offer};
	kv_store *store = NULL;

	FAIL_IF(w->engine[w->which]->offer(w->store, &offer) != KV_OK);
	if (draw(w, 3) == 0) {
		bad_offer(w, &open, &offer);
		FAIL_IF(w->engine[w->which]->resume(w->store) != KV_OK);
		return;
	}
	FAIL_IF(w->engine[!w->which]->accept(&open, &offer, &store) != KV_OK);
	w->engine[w->which]->close(w->store, KV_CLOSE_GIVEN);
	w->which = !w->which;
	w->store = store;
	w->swaps++;
}

/* ----------------------------------------------------------------------- figures */

static uint32_t next_in_model(const struct world *w, uint32_t number)
{
	uint32_t best = KV_SPACE_ALL;

	for (unsigned sp = 0; sp < SPACES; sp++) {
		uint32_t n = w->model->numbers[sp];

		if (w->model->entries[sp] != 0 && n < best && (number == KV_SPACE_ALL || n > number))
			best = n;
	}
	return best;
}

void check_figures(struct world *w)
{
	struct kv_stat all = {.size = sizeof all, .space = KV_SPACE_ALL};
	uint64_t entries = 0;

	for (unsigned sp = 0; sp < SPACES; sp++) {
		struct kv_stat s = {.size = sizeof s, .space = w->model->numbers[sp]};

		FAIL_IF(w->engine[w->which]->stat(w->store, &s) != KV_OK);
		FAIL_IF(s.entries != w->model->entries[sp] || s.expiring != w->model->expiring[sp]);
		FAIL_IF(s.payload != w->model->payload[sp]);
		FAIL_IF(s.next_space != next_in_model(w, s.space));
		entries += s.entries;
	}
	FAIL_IF(w->engine[w->which]->stat(w->store, &all) != KV_OK);
	FAIL_IF(all.entries != entries || all.pins != w->pin_count);
	FAIL_IF(all.next_space != next_in_model(w, KV_SPACE_ALL));
	FAIL_IF(w->limit != 0 && all.reserved_memory > w->limit);
}
