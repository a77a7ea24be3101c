/*
 * sweep.c - where the next victim is looked for: by a hand that goes round over the
 * buckets of all spaces, by chance, or among those that expire soonest
 *
 * The hand finds entries in the order of their hashes, that is in no order.  It cools
 * what was used since it came by last and takes what is cold.  When all that it meets
 * is warm it takes the coldest of them, so that one victim never costs a whole round.
 */
#include "store.h"

#define LOOKS 256u        /* candidates that are looked at for one victim */
#define STRIDE 16u        /* buckets without candidates that count as one */
#define BUCKETS 8192u     /* looked at for one victim */
#define TRIES 64u
#define WINDOW 64u        /* groups of buckets of which the most urgent is taken */

/* The next active space for the hand; false when there is none. */
static bool next_space(struct kv_store *st)
{
	struct header *h = st->h;

	for (uint32_t i = 0; i < h->space_count; i++) {
		h->hand_space = h->hand_space + 1 < h->space_count ? h->hand_space + 1 : 0;
		if (st->spaces[h->hand_space].state == SPACE_ACTIVE)
			break;
	}
	h->hand_bucket = 0;
	h->hand_slot = 0;
	return h->hand_space < h->space_count &&
	       st->spaces[h->hand_space].state == SPACE_ACTIVE;
}

/* The space under the hand, which stands on one of its buckets then; NULL: there is none. */
static struct space *hand_space(struct kv_store *st)
{
	struct header *h = st->h;

	if (h->hand_space >= h->space_count || st->spaces[h->hand_space].state != SPACE_ACTIVE ||
	    h->hand_bucket >= st->spaces[h->hand_space].buckets) {
		if (!next_space(st))
			return NULL;
	}
	return &st->spaces[h->hand_space];
}

/* Skips groups of buckets without an entry that expires; whether it did. */
static bool skip_lasting(struct kv_store *st, const struct space *sp)
{
	struct header *h = st->h;

	if (!(h->limit_flags & KV_LIMIT_VOLATILE) || h->hand_slot != 0 ||
	    h->hand_bucket % DUE_GROUP != 0)
		return false;
	if (index_dir(st, sp, h->hand_bucket)->due == 0) {
		h->hand_bucket += CHUNK_LINES - h->hand_bucket % CHUNK_LINES;
		return true;
	}
	if (expiry_due(st, sp, h->hand_bucket / DUE_GROUP) != DUE_NONE)
		return false;
	h->hand_bucket += DUE_GROUP;
	return true;
}

/* The slot under the hand, or NULL at the end of the bucket. */
static uint64_t *hand_slot(const struct kv_store *st, struct bucket *line)
{
	uint32_t at = st->h->hand_slot;

	for (; line != NULL; line = index_next(st, line)) {
		unsigned width = index_width(line);

		if (at < width)
			return line->slot[at] != 0 ? &line->slot[at] : NULL;
		at -= width;
	}
	return NULL;
}

/* Asks for the entries of a bucket that may have to go. */
static void ask_cold(const struct kv_store *st, const struct bucket *line)
{
	for (unsigned i = 0; i < index_width(line) && line->slot[i] != 0; i++) {
		if ((line->slot[i] & (SLOT_HEAT | SLOT_FRESH)) == 0)
			prefetch(entry_at(st, line->slot[i]));
	}
}

/* Whether the hand may take this entry at all. */
static bool fair_game(const struct kv_store *st, uint64_t slot)
{
	if (slot & SLOT_FRESH && st->h->queue_length != 0)
		return false;
	return evictable(st->h, slot) && !entry_pinned(st, slot);
}

/* Looks at the slots of one bucket from the hand on; true: v is the victim.  `best` is
 * the coldest that was seen. */
static bool sweep_bucket(struct kv_store *st, struct hunt *hunt, struct victim *v,
			 struct victim *best, unsigned *looked)
{
	for (; (v->slot = hand_slot(st, v->head)) != NULL; st->h->hand_slot++) {
		uint64_t heat = *v->slot & st->heat_most;

		hunt->used++;
		if (!fair_game(st, *v->slot))
			continue;
		if (heat == 0)
			return true;
		if (best->slot == NULL || heat < (*best->slot & SLOT_HEAT) + SLOT_WARM)
			*best = *v;
		__atomic_store_n(v->slot, *v->slot - SLOT_WARM, __ATOMIC_RELEASE);
		++*looked;
	}
	return false;
}

bool sweep_next(struct kv_store *st, struct hunt *hunt, struct victim *victim)
{
	struct header *h = st->h;
	struct victim best = {0};
	unsigned looked = 0;

	for (unsigned i = 0; i < BUCKETS && looked < LOOKS; i++) {
		victim->sp = hand_space(st);
		if (victim->sp == NULL)
			return false;
		hunt->used += i % STRIDE == 0;
		if (skip_lasting(st, victim->sp))
			continue;
		victim->head = index_at(st, victim->sp, h->hand_bucket);
		if (h->hand_slot == 0)
			ask_cold(st, victim->head);
		if (sweep_bucket(st, hunt, victim, &best, &looked))
			return true;
		h->hand_bucket++;
		h->hand_slot = 0;
	}
	*victim = best;
	return best.slot != NULL;
}

/* -------------------------------------------------------------------- chance */

/* A space, each as likely as it has entries that may go. */
static struct space *random_space(struct kv_store *st)
{
	struct header *h = st->h;
	uint64_t left = evict_candidates(h);

	if (left == 0)
		return NULL;
	left = hash_step(&h->chance) % left;
	for (uint32_t i = 0; i < h->space_count; i++) {
		struct space *sp = &st->spaces[i];
		uint64_t n = h->limit_flags & KV_LIMIT_VOLATILE ? sp->expiring : sp->entries;

		if (sp->state != SPACE_ACTIVE)
			continue;
		if (left < n)
			return sp;
		left -= n;
	}
	return NULL;
}

bool sweep_random(struct kv_store *st, struct hunt *hunt, struct victim *v)
{
	v->sp = random_space(st);
	if (v->sp == NULL)
		return false;
	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t b = index_bucket(v->sp, hash_step(&st->h->chance));
		unsigned at = (unsigned)(hash_step(&st->h->chance) % 8);
		struct bucket *line = v->head = index_at(st, v->sp, b);

		hunt->used += 2;
		if (hash_step(&st->h->chance) % 4 == 0 && index_next(st, line) != NULL)
			line = index_next(st, line);
		v->slot = &line->slot[at];
		if (*v->slot != 0 && !(*v->slot & SLOT_LINK) && evictable(st->h, *v->slot) &&
		    !entry_pinned(st, *v->slot))
			return true;
	}
	return sweep_next(st, hunt, v); /* few can go: whichever comes next */
}

/* ------------------------------------------------------------------- soonest */

/* The group with the least due time of the next few from the hand on.  They are about as many each
 * time the hand comes round: of a few at the end one would go as often as of many. */
static uint64_t urgent_group(struct kv_store *st, const struct space *sp, struct hunt *hunt)
{
	struct header *h = st->h;
	uint64_t groups = (sp->buckets + DUE_GROUP - 1) / DUE_GROUP;
	uint64_t g = h->hand_bucket / DUE_GROUP;
	uint64_t best = NONE64;
	uint32_t least = DUE_NONE;
	uint64_t rounds = (groups + WINDOW - 1) / WINDOW;
	uint64_t window = (groups + rounds - 1) / rounds;
	uint64_t end = g + window < groups ? g + window : groups;

	for (; g < end; g++) {
		uint32_t due = expiry_due(st, sp, g);

		if (due < least) {
			least = due;
			best = g;
		}
	}
	hunt->used += 1 + WINDOW / STRIDE;
	h->hand_bucket = end * DUE_GROUP;
	return best;
}

bool sweep_soonest(struct kv_store *st, struct hunt *hunt, struct victim *v)
{
	for (unsigned i = 0; i < BUCKETS / WINDOW; i++) {
		uint64_t group;

		v->sp = hand_space(st);
		if (v->sp == NULL)
			return false;
		group = urgent_group(st, v->sp, hunt);
		if (group == NONE64)
			continue;
		v->slot = expiry_soonest(st, v->sp, group, &v->head);
		hunt->used += 4 * DUE_GROUP;
		if (v->slot != NULL)
			return true;
	}
	return false;
}
