/* ops.c - random operations, and what the model says to their results */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

/* What the update function is to do, and what it saw. */
struct plan {
	int answer;
	int shape; /* of a patch: 0 append, 1 set a range, 2 cut or grow to `len` */
	const uint8_t *bytes;
	uint64_t len;
	uint64_t offset;
	int64_t expiry; /* -1: leave it */
	uint32_t tag;
	bool called;
	struct kv_change change;
	struct kv_entry saw;
};

struct step {
	struct kv_op *op;
	unsigned sp;
	uint32_t k;
	uint8_t *value;
	struct plan plan;
	uint8_t key[KEY_ROOM];
};

static struct step steps[BATCH_ROOM];
static struct kv_op ops[BATCH_ROOM];

static int act(void *arg, const struct kv_entry *entry, struct kv_change *change)
{
	struct plan *p = arg;

	FAIL_IF(entry->present && (change->expiry != entry->expiry || change->tag != entry->tag));
	if (p->expiry >= 0) {
		change->expiry = p->expiry;
		change->tag = p->tag;
	}
	change->value = p->bytes;
	change->value_len = p->len;
	if (p->answer == KV_PATCH && p->shape == 0) {
		change->patch_offset = entry->value_len;
		change->patch_len = p->len;
		change->value_len = entry->value_len + p->len;
	} else if (p->answer == KV_PATCH && p->shape == 1) {
		uint64_t end = p->offset + p->len;

		change->patch_offset = p->offset;
		change->patch_len = p->len;
		change->value_len = end > entry->value_len ? end : entry->value_len;
	}
	p->called = true;
	p->change = *change;
	p->saw = *entry;
	return p->answer;
}

static uint64_t draw_length(struct world *w)
{
	uint64_t kind = draw(w, 1000);

	return kind < 600 ? draw(w, 60)
	       : kind < 850 ? draw(w, 600)
	       : kind < 970 ? draw(w, 5000)
	       : kind < 995 ? draw(w, 40000)
			    : 60000 + draw(w, 140000);
}

static int64_t draw_expiry(struct world *w)
{
	uint64_t kind = draw(w, 10);

	return kind < 6   ? 0
	       : kind < 8 ? w->now + (int64_t)draw(w, 3000) - 200
	       : kind < 9 ? w->now + (int64_t)draw(w, 3600000)
			  : INT64_MAX - 5;
}

static uint32_t draw_tag(struct world *w)
{
	return draw(w, 3) == 0 ? (uint32_t)draw(w, UINT32_MAX) : 0;
}

static void plan_update(struct world *w, struct step *s)
{
	static const int answers[] = {KV_KEEP, KV_REMOVE, KV_REPLACE, KV_PATCH, KV_PATCH, KV_PATCH,
				      KV_RETAG, 99};
	struct plan *p = &s->plan;

	memset(p, 0, sizeof *p);
	p->answer = answers[draw(w, 8)];
	p->shape = (int)draw(w, 3);
	p->bytes = s->value;
	p->len = s->op->value_len;
	p->offset = draw(w, 4) == 0 ? draw_length(w) : draw(w, 50);
	p->expiry = draw(w, 2) ? draw_expiry(w) : -1;
	p->tag = draw_tag(w);
	s->op->update = act;
	s->op->arg = p;
}

/* Makes the value that is to be set, or a part of it, one that was given out pinned. */
static void draw_pinned(struct world *w, struct kv_op *op)
{
	const struct pinned *p = &w->pins[draw(w, w->pin_count)];
	uint64_t from = draw(w, 2) ? 0 : draw(w, p->len);

	op->value = p->value + from;
	op->value_len = draw(w, 4) ? p->len - from : draw(w, p->len - from);
}

static void draw_step(struct world *w, struct step *s, struct kv_op *op, uint32_t range,
		      unsigned grow)
{
	uint64_t kind = grow == 0 ? 90 : draw(w, 100);

	memset(op, 0, sizeof *op);
	s->op = op;
	s->sp = draw(w, 3) ? 0 : (unsigned)draw(w, SPACES);
	s->k = (uint32_t)draw(w, range);
	op->space = w->model->numbers[s->sp];
	op->key = s->key;
	op->key_len = model_key(s->k, s->key);
	op->value_len = draw_length(w);
	s->value = malloc(op->value_len + 1);
	FAIL_IF(s->value == NULL);
	memset(s->value, (int)draw(w, 256), op->value_len);
	op->value = s->value;
	op->tag = draw_tag(w);
	op->expiry = draw_expiry(w);
	op->status = -1;
	op->pin = 77;
	if (kind < grow) {
		op->code = KV_SET;
		op->flags = draw(w, 4) ? 0 : KV_OP_KEEP_EXPIRY;
		if (w->pin_count != 0 && draw(w, 20) == 0)
			draw_pinned(w, op);
	} else if (kind < 75) {
		op->code = draw(w, 3) ? KV_GET : KV_META;
		op->offset = draw(w, 3) ? 0 : draw_length(w);
		op->length = draw(w, 3) ? UINT64_MAX : draw_length(w);
	} else if (kind < 90) {
		op->code = KV_UPDATE;
		plan_update(w, s);
	} else {
		op->code = draw(w, 2000) == 0 ? KV_CLEAR : draw(w, 50) == 0 ? 7 : KV_DELETE;
		op->flags = draw(w, 50) == 0 ? 1u << 9 : 0;
	}
}

/* ------------------------------------------------------------------- judgement */

static void keep_pin(struct world *w, const struct kv_op *op)
{
	struct pinned *p;

	if (w->pin_count == PIN_ROOM)
		release_some(w, PIN_ROOM / 2);
	p = &w->pins[w->pin_count++];
	p->pin = op->pin;
	p->value = op->value;
	p->len = op->value_len;
	p->copy = malloc(p->len);
	FAIL_IF(p->copy == NULL);
	memcpy(p->copy, p->value, p->len);
}

static void judge_get(struct world *w, struct step *s, const struct fact *f)
{
	struct kv_op *op = s->op;
	uint64_t from = op->offset < f->len ? op->offset : f->len;
	uint64_t n = f->len - from < op->length ? f->len - from : op->length;

	if (op->status == KV_NO_MEMORY && w->poor)
		return;
	FAIL_IF(op->status != KV_OK || op->expiry != f->expiry || op->tag != f->tag);
	if (op->code == KV_META) {
		FAIL_IF(op->value != NULL || op->value_len != f->len);
		return;
	}
	FAIL_IF(op->value_len != n || (n != 0 && memcmp(op->value, f->value + from, n) != 0));
	FAIL_IF((op->pin != 0) != (n >= KV_PIN_LENGTH));
	if (op->pin != 0)
		keep_pin(w, op);
}

static void apply_patch(struct world *w, struct step *s, const struct fact *f)
{
	const struct kv_change *c = &s->plan.change;
	uint8_t *v = calloc(1, c->value_len + 1);
	uint64_t keep = f->there ? f->len : 0;

	FAIL_IF(v == NULL);
	if (keep > c->value_len)
		keep = c->value_len;
	if (keep != 0)
		memcpy(v, f->value, keep);
	if (c->patch_len != 0)
		memcpy(v + c->patch_offset, c->value, c->patch_len);
	model_set(w->model, s->sp, s->k, v, c->value_len, c->expiry, c->tag);
	free(v);
}

static void judge_update(struct world *w, struct step *s, struct fact *f)
{
	const struct kv_change *c = &s->plan.change;

	FAIL_IF(!s->plan.called || (s->plan.saw.present != 0) != f->there);
	FAIL_IF(f->there && (s->plan.saw.value_len != f->len || s->plan.saw.expiry != f->expiry ||
			     s->plan.saw.tag != f->tag));
	FAIL_IF(s->op->status != (s->plan.answer == 99 ? KV_UNSUPPORTED : KV_OK));
	switch (s->plan.answer) {
	case KV_REMOVE:
		model_delete(w->model, s->sp, s->k);
		break;
	case KV_REPLACE:
		model_set(w->model, s->sp, s->k, c->value, c->value_len, c->expiry, c->tag);
		break;
	case KV_PATCH:
		apply_patch(w, s, f);
		break;
	case KV_RETAG:
		if (f->there)
			model_set(w->model, s->sp, s->k, f->value, f->len, c->expiry, c->tag);
		break;
	default:
		break;
	}
}

static void judge_known(struct world *w, struct step *s)
{
	struct fact *f = &w->model->fact[s->sp][s->k];
	struct kv_op *op = s->op;
	bool writes = op->code == KV_SET || op->code == KV_UPDATE;

	if (f->there && kv_gone(f->expiry, w->now) && !explain_event(w, s->sp, s->k)) {
		FAIL_IF(!w->poor || op->status != (writes ? KV_NO_MEMORY : KV_NOT_FOUND));
		return;
	}
	if (writes && op->status == KV_NO_MEMORY) {
		FAIL_IF(w->limit == 0 && !w->poor);
		w->refused++;
		return;
	}
	if (op->code == KV_SET) {
		FAIL_IF(op->status != KV_OK);
		model_set(w->model, s->sp, s->k, op->value, op->value_len,
			  (op->flags & KV_OP_KEEP_EXPIRY) && f->there ? f->expiry : op->expiry,
			  op->tag);
	} else if (op->code == KV_UPDATE) {
		judge_update(w, s, f);
	} else if (!f->there) {
		FAIL_IF(op->status != KV_NOT_FOUND);
	} else if (op->code == KV_DELETE) {
		FAIL_IF(op->status != KV_OK);
		model_delete(w->model, s->sp, s->k);
	} else {
		judge_get(w, s, f);
	}
}

static void judge(struct world *w, struct step *s)
{
	w->done[s->op->code]++;
	if (s->op->code == 7 || (s->op->flags & 1u << 9)) {
		FAIL_IF(s->op->status != KV_UNSUPPORTED);
	} else if (s->op->code == KV_CLEAR) {
		FAIL_IF(s->op->status != KV_OK);
		model_clear(w->model, s->sp);
	} else {
		judge_known(w, s);
	}
	free(s->value);
}

void random_batch(struct world *w, uint32_t range, unsigned grow)
{
	struct kv_batch batch = {.size = sizeof batch, .op_size = sizeof ops[0], .ops = ops,
				 .now = w->now, .reply = &w->sink, .events = &w->events,
				 .count = 1 + draw(w, draw(w, 3) ? 8 : BATCH_ROOM)};

	for (uint64_t i = 0; i < batch.count; i++)
		draw_step(w, &steps[i], &ops[i], range, grow);
	call_begin(w);
	FAIL_IF(w->engine[w->which]->exec(w->store, &batch) != KV_OK);
	w->event = w->events.first;
	for (uint64_t i = 0; i < batch.count; i++)
		judge(w, &steps[i]);
	FAIL_IF(w->event != NULL);
	call_end(w);
}
