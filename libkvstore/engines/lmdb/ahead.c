/*
 * ahead.c - finds many entries together
 *
 * LMDB looks for one key at a time, and nearly all of that time is waiting for memory: each
 * node that a search looks at lies in a cache line, and each page in a page of memory, of
 * its own.  Here the searches of a group go side by side, a node each in turn, and what the
 * next turn looks at is asked for in this one.
 *
 * It reads LMDB's pages as liblmdb 0.9 lays them out (struct MDB_page, MDB_node and MDB_db in
 * its mdb.c, data version 1), in the snapshot of a reader, and writes nothing.  It
 * believes nothing: every number is checked before it is followed, and what it finds is
 * taken only with the key that was asked for and the record's sum.  Whatever it does not
 * find, LMDB is asked for in the ordinary way.
 */
#include "ahead.h"

#define HEADER 16u      /* of a page: number (8), pad (2), flags (2), lower (2), upper (2) */
#define NODE_HEADER 8u  /* size or page (2, 2), flags (2), key's size (2) */
#define FLAG_BRANCH 0x01u
#define FLAG_LEAF 0x02u
#define FLAG_OVERFLOW 0x04u
#define FLAG_META 0x08u
#define NODE_BIG 0x01u /* the value has pages of its own; the node has their number */
#define META_MAGIC 0xBEEFC0DEu
#define META_VERSION 1u
#define DEPTH_MOST 32u

static uint16_t load16(const char *from)
{
	uint16_t n;

	memcpy(&n, from, sizeof n);
	return n;
}

static uint32_t load32(const char *from)
{
	uint32_t n;

	memcpy(&n, from, sizeof n);
	return n;
}

static uint64_t load64(const char *from)
{
	uint64_t n;

	memcpy(&n, from, sizeof n);
	return n;
}

static uint64_t big_endian(const char *from)
{
	return __builtin_bswap64(load64(from));
}

/* A page by number; NULL: there is none of that number. */
static const char *page_at(const struct ahead *ahead, uint64_t number)
{
	return number <= ahead->last ? ahead->base + number * ahead->page : NULL;
}

/* Where the map begins, by an address in a page that knows its number. */
static bool find_base(struct ahead *ahead, const char *inside)
{
	const char *page = inside - (uintptr_t)inside % ahead->page;
	uint64_t number = load64(page);

	if (number > ahead->last)
		return false;
	ahead->base = page - number * ahead->page;
	return (load16(ahead->base + 10) & FLAG_META) != 0 &&
	       load32(ahead->base + HEADER) == META_MAGIC &&
	       load32(ahead->base + HEADER + 4) == META_VERSION;
}

bool ahead_begin(kv_store *store, struct ahead *ahead)
{
	static char name[] = "entries";
	MDB_val key = {sizeof name - 1, name}, table;
	MDB_envinfo info;
	MDB_stat stat;

	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__ || sizeof(size_t) != 8 ||
	    mdb_env_info(store->env, &info) != 0 ||
	    mdb_stat(store->txn, store->entries, &stat) != 0 || stat.ms_depth == 0 ||
	    stat.ms_depth > DEPTH_MOST || mdb_get(store->txn, store->main, &key, &table) != 0 ||
	    table.mv_size != 48) /* struct MDB_db */
		return false;
	*ahead = (struct ahead){.page = stat.ms_psize, .last = info.me_last_pgno,
				.depth = stat.ms_depth};
	/* pad (4), flags (2), depth (2), pages (8, 8, 8), entries (8), root (8) */
	if (load16((char *)table.mv_data + 6) != stat.ms_depth ||
	    load64((char *)table.mv_data + 32) != stat.ms_entries)
		return false;
	ahead->root = load64((char *)table.mv_data + 40);
	return ahead->root <= ahead->last && find_base(ahead, table.mv_data);
}

/* Looks no further. */
static void give_up(struct sought *s)
{
	s->page = NULL;
	s->data = NULL;
}

/* Goes on with a page, of which nothing is known but its address. */
static void enter(const struct ahead *ahead, struct sought *s, uint64_t number)
{
	s->page = page_at(ahead, number);
	s->number = number;
	if (s->page == NULL)
		return;
	__builtin_prefetch(s->page);
	__builtin_prefetch(s->page + 64); /* most of the table of nodes */
}

/* The node in the middle of what is left to search; NULL: no node of ours. */
static const char *probe(const struct ahead *ahead, const struct sought *s)
{
	uint32_t at = load16(s->page + HEADER + 2 * ((s->low + s->high) / 2));

	return at >= HEADER && at + NODE_HEADER + ID_SIZE <= ahead->page ? s->page + at : NULL;
}

/* Asks for the node that the next turn looks at. */
static void ask(const struct ahead *ahead, struct sought *s)
{
	s->node = probe(ahead, s);
	if (s->node == NULL)
		give_up(s);
	else
		__builtin_prefetch(s->node + NODE_HEADER + 8);
}

/* Begins the search of a page that was entered. */
static void begin(const struct ahead *ahead, struct sought *s, bool leaf)
{
	uint32_t lower = load16(s->page + 12);

	/* The first key of a branch is below all others, and not written. */
	s->low = leaf ? 0 : 1;
	s->high = lower >= HEADER && lower <= ahead->page ? (lower - HEADER) / 2 : 0;
	if (load64(s->page) != s->number || s->high < 1 ||
	    (load16(s->page + 10) & (FLAG_BRANCH | FLAG_LEAF)) != (leaf ? FLAG_LEAF : FLAG_BRANCH))
		give_up(s);
	else if (s->low < s->high)
		ask(ahead, s);
}

/* One turn: low becomes the first node above the key; true: there are more turns. */
static bool turn(const struct ahead *ahead, struct sought *s)
{
	uint32_t middle = (s->low + s->high) / 2;
	const char *key = s->node + NODE_HEADER;
	uint64_t epoch = big_endian(key), hash = big_endian(key + 8);

	if (load16(s->node + 6) != ID_SIZE) {
		give_up(s);
		return false;
	}
	/* Nodes of this hash with a higher ordinal are above it; LMDB is asked for those. */
	if (epoch < s->epoch || (epoch == s->epoch && (hash < s->hash ||
	    (hash == s->hash && key[16] == 0 && key[17] == 0))))
		s->low = middle + 1;
	else
		s->high = middle;
	if (s->low >= s->high)
		return false;
	ask(ahead, s);
	return s->page != NULL;
}

/* Has the searches of the group go to the end of their pages. */
static void search_pages(const struct ahead *ahead, struct sought *group, unsigned n, bool leaf)
{
	unsigned going[AHEAD_GROUP], left = 0;

	for (unsigned i = 0; i < n; i++) {
		if (group[i].page == NULL)
			continue;
		begin(ahead, &group[i], leaf);
		if (group[i].page != NULL && group[i].low < group[i].high)
			going[left++] = i;
	}
	while (left > 0) {
		unsigned still = 0;

		for (unsigned i = 0; i < left; i++)
			if (turn(ahead, &group[going[i]]))
				going[still++] = going[i];
		left = still;
	}
}

/* From a branch to the page below. */
static void descend(const struct ahead *ahead, struct sought *s)
{
	uint32_t at = load16(s->page + HEADER + 2 * (s->low - 1));

	if (at < HEADER || at + NODE_HEADER > ahead->page)
		give_up(s);
	else
		enter(ahead, s, load32(s->page + at) | (uint64_t)load16(s->page + at + 4) << 32);
}

/* The value of a node that has pages of its own. */
static void take_big(const struct ahead *ahead, struct sought *s)
{
	uint64_t number = load64(s->data);
	const char *page = page_at(ahead, number);

	s->data = NULL;
	if (page == NULL || load64(page) != number || (load16(page + 10) & FLAG_OVERFLOW) == 0)
		return;
	uint64_t pages = load32(page + 12);

	if (pages <= ahead->last + 1 - number && HEADER + s->size <= pages * ahead->page)
		s->data = page + HEADER;
}

/* The node before low, if it is what was looked for: its value. */
static void take(const struct ahead *ahead, struct sought *s)
{
	s->data = NULL;
	if (s->low == 0)
		return;
	uint32_t at = load16(s->page + HEADER + 2 * (s->low - 1));

	if (at < HEADER || at + NODE_HEADER + ID_SIZE > ahead->page)
		return;
	const char *node = s->page + at, *key = node + NODE_HEADER;
	uint32_t flags = load16(node + 4);
	uint64_t room = ahead->page - at - NODE_HEADER - ID_SIZE;

	if (load16(node + 6) != ID_SIZE || big_endian(key) != s->epoch ||
	    big_endian(key + 8) != s->hash || (flags & ~NODE_BIG) != 0)
		return;
	s->size = load32(node);
	if ((flags & NODE_BIG) != 0 ? room < 8 : room < s->size)
		return;
	s->data = key + ID_SIZE;
	__builtin_prefetch(s->data);
	__builtin_prefetch(s->data + 63);
	if ((flags & NODE_BIG) != 0)
		take_big(ahead, s);
}

void ahead_find(const struct ahead *ahead, struct sought *group, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		group[i].data = NULL;
		enter(ahead, &group[i], ahead->root);
	}
	for (unsigned level = 1; level < ahead->depth; level++) {
		search_pages(ahead, group, n, false);
		for (unsigned i = 0; i < n; i++)
			if (group[i].page != NULL)
				descend(ahead, &group[i]);
	}
	search_pages(ahead, group, n, true);
	for (unsigned i = 0; i < n; i++)
		if (group[i].page != NULL)
			take(ahead, &group[i]);
}
