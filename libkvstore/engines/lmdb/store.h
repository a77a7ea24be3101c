/*
 * store.h - an open store of the engine lmdb
 *
 * One LMDB environment with four tables.  Numbers in keys are big-endian, so
 * that the order of LMDB is that of the numbers.
 *
 *	entries  epoch (8), hash of the key (8), ordinal (2)
 *	         -> struct record, the key, the value
 *	expiry   expiry time (8, sign bit turned), the entry's key in `entries` (18)
 *	         -> nothing
 *	spaces   number of a space (4) -> struct space_record
 *	         KV_SPACE_ALL (4)      -> struct info
 *	cleared  epoch (8) -> nothing: its entries are to be removed by maintain()
 *
 * A space's entries carry its epoch; CLEAR gives it another one.  A key goes by
 * its hash: any length is the same to LMDB, which takes 511 bytes, and a 64-bit
 * cursor can say how far a walk has come.  Keys with one hash have ordinals, and
 * the whole key is compared always.
 *
 * Calls are serial.  The only other thread is that of steady.c, which touches
 * nothing here but its job.
 */
#ifndef LMDB_STORE_H
#define LMDB_STORE_H

#include <kvstore.h>

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>

#define LMDB_FORMAT "lmdb-1"

/* Before key and value in `entries`.  Not aligned where it lies: copy it out. */
struct record {
	int64_t expiry;
	uint32_t tag;
	uint32_t space;
	uint32_t key_len;
	uint32_t sum; /* of the rest, key and value; 0: written before there were sums */
};

#define ID_SIZE 18u /* a key of `entries` */
#define EXPIRY_SIZE (8u + ID_SIZE)

/* What one space, or all together, hold. */
struct figures {
	uint64_t entries;
	uint64_t expiring;
	uint64_t payload;
	uint64_t stored; /* bytes in the file, about */
};

struct space_record {
	uint64_t epoch;
	struct figures figures;
};

struct info {
	uint64_t version; /* INFO_VERSION */
	uint64_t seed;    /* of the hash, from the store's first open() */
	uint64_t last_epoch;
};

#define TOLD_MOST 64u

#ifndef INFO_VERSION
#define INFO_VERSION 1u
#endif

/* A space in memory.  `kept` is what the last commit left, to go back to. */
struct space {
	uint32_t id;
	bool dirty; /* differs from kept, and is in store->dirty */
	struct space_record now;
	struct space_record kept;
};

struct kv_store {
	MDB_env *env;
	MDB_dbi main, entries, expiry, spaces_table, cleared; /* main: where LMDB names the others */
	uint64_t map_size;
	bool lost; /* LMDB unmapped its file and could not map it again: nothing is to be touched */
	uint64_t max_memory;
	struct info info;
	uint64_t kept_epoch; /* info.last_epoch at the last commit */

	struct space **spaces; /* by id */
	size_t space_count, space_room;
	struct space **dirty; /* as much room as spaces */
	size_t dirty_count;
	struct figures all, kept_all;

	/* The transaction of the present call. */
	MDB_txn *txn;
	MDB_cursor *cursor; /* on entries */
	bool writing;
	int fault;   /* first error of LMDB in it, 0: none */
	int refusal; /* status for writes; KV_OK: they are carried out */

	MDB_txn *reader; /* reset between calls */
	MDB_cursor *reader_cursor;

	int broken; /* status of all writes since a failed sync; KV_OK: none failed */
	uint64_t pins;
	uint64_t writes; /* transactions committed */
	bool tied; /* the last of them belongs with what comes next, if that comes before commit() */
	int64_t tied_at; /* its time */
	uint64_t touched; /* pages that the transaction writes anew, at most */
	uint64_t churn;   /* pages that all transactions wrote anew, about */
	char *scratch;
	uint64_t scratch_room;
	uint64_t *hashes; /* of the operations of a batch, with more beside them: exec.c */
	uint64_t hashes_room;
	struct steady *steady; /* NULL: nothing is kept on disk */
	struct journal *journal; /* NULL: the same */
	uint64_t told[TOLD_MOST]; /* damaged entries that the log has named: damage.c */
	unsigned told_count;
	void (*log)(void *host, int level, const char *text);
	void *log_host;
};

/* ------------------------------------------------------------------- env.c */

/* Opens the environment in state_dir, or in memory that is gone with it; `fresh`: there
 * is no store yet.  KV_OK, or a status with the error told. */
int env_open(kv_store *store, const struct kv_open *open, bool fresh);

/* Closes all that env_open() made. */
void env_close(kv_store *store);

/* Begin a transaction for the present call.  0 or an error of LMDB. */
int txn_read(kv_store *store);
int txn_write(kv_store *store);

/* Ends it: writes and keeps what was done (figures too), or throws it away. */
int txn_commit(kv_store *store);
void txn_abort(kv_store *store);

/* Makes the map larger, for at least `need` bytes more.  Not in a transaction. */
int env_grow(kv_store *store, uint64_t need);

/* The status for an error of LMDB or of the system. */
int status_of(int error);

/* Remembers the first error of a transaction, and is the status for it. */
int fault(kv_store *store, int error);

/* Says why open() fails. */
int fail(const struct kv_open *open, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

void say(const kv_store *store, int level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* ----------------------------------------------------------------- space.c */

/* Reads info and the table of spaces, or makes info.  In a transaction. */
int spaces_load(kv_store *store, uint64_t seed, bool fresh);
void spaces_free(kv_store *store);

/* A space by number; NULL: there is none. */
struct space *space_find(const kv_store *store, uint32_t id);

/* The same, made if need be; NULL: no memory. */
struct space *space_made(kv_store *store, uint32_t id);

/* Says that the space's figures or epoch are about to change. */
void space_touch(kv_store *store, struct space *space);

/* An entry came (sign 1) or went (-1). */
void space_count(kv_store *store, struct space *space, int sign, const struct record *record,
		 uint64_t value_len);

/* The space whose entries have this epoch; NULL: it was cleared. */
struct space *space_of(const kv_store *store, uint64_t epoch);

/* A row of expiry is gone, or another's now, whose entry went before, being damaged. */
void space_row_gone(kv_store *store, uint64_t epoch);

/* Gives a space a new epoch and leaves the old one to maintain(). */
int space_clear(kv_store *store, struct space *space);

/* The space's figures into the transaction; then, after it, kept or taken back. */
int spaces_write(kv_store *store);
void spaces_keep(kv_store *store);
void spaces_revert(kv_store *store);

/* Bytes that an entry takes in the file, about. */
uint64_t stored_size(uint64_t key_len, uint64_t value_len, bool expires);

/* ----------------------------------------------------------------- entry.c */

/* Where a key is, or would be. */
struct place {
	struct space *space; /* NULL: no such space yet */
	uint32_t space_id;
	const void *key;
	uint64_t key_len;
	unsigned char id[ID_SIZE]; /* in entries; without a space not set */
	bool found;                /* there is an entry, its time passed or not */
	bool damaged;              /* there is one, but it fails its sum: not found */
	struct record record;      /* of the entry found */
	const char *value;         /* in the transaction, good until the next write */
	uint64_t value_len;
};

/* Finds a key.  KV_OK whether found or not; KV_CORRUPT: its entry is damaged, which is told,
 * and the transaction goes on; else a fault. */
int place_find(kv_store *store, uint32_t space, const void *key, uint64_t key_len,
	       struct place *place);

/* The same with the key's hash and what may be its record, from elsewhere.  False: it is not,
 * or it is damaged, and place_find() is to be asked. */
bool place_take(kv_store *store, uint32_t space, const void *key, uint64_t key_len, MDB_val data,
		struct place *place);

/*
 * Makes room for a value of the key and sets the rest of its entry; *to is where the
 * value is to be written, at once.  What was there before, damaged or not, is gone, and so
 * is place->value.  KV_NO_MEMORY above the limit, KV_TOO_LARGE, or a fault.
 */
int place_put(kv_store *store, struct place *place, uint64_t value_len, int64_t expiry,
	      uint32_t tag, char **to);

/* The value is in its place: writes the record's sum, and notes what was set. */
void place_seal(kv_store *store, const struct place *place);

/* Whether the entry that was found is whole: one that was too long to be looked at when it was
 * found is looked at now.  Damage is told. */
bool long_whole(kv_store *store, const struct place *place);

/* Removes the entry that was found. */
int place_remove(kv_store *store, struct place *place);

/* Removes the row of expiry of an entry that is to go or to change.  One that has none, since
 * what says so is damaged, counts as one that never expires from then on. */
int place_drop_row(kv_store *store, struct place *place);

/* The key of expiry for an entry. */
void expiry_key(unsigned char to[EXPIRY_SIZE], int64_t expiry, const unsigned char id[ID_SIZE]);
int64_t expiry_of(const unsigned char *key);

/* Takes a record of entries apart; false: it is damaged. */
bool record_read(MDB_val data, struct record *record, const char **key, const char **value,
		 uint64_t *value_len);

/* Whether a record agrees with its sum.  One above SUM_AT_ONCE is taken on trust where its
 * value is not asked for as a whole: looking at it would read all of it from disk. */
#define SUM_AT_ONCE (1u << 20)
bool record_whole(const struct record *record, const char *key, uint64_t value_len);

/* The hash of a key, never the greatest number. */
uint64_t key_hash(const kv_store *store, const void *key, uint64_t key_len);

void put_number(unsigned char *to, uint64_t number, unsigned bytes);
uint64_t get_number(const unsigned char *from, unsigned bytes);

/* ---------------------------------------------------------------- damage.c */

/* Whether this is the key of the entry of that id, as far as its hash tells. */
bool key_is(const kv_store *store, const unsigned char *id, const void *key, uint64_t key_len);

/* Says in the log, once, that the entry of a key (NULL: nobody knows which) is damaged. */
void damage_tell(kv_store *store, uint32_t space, uint64_t hash, const void *key, uint64_t key_len);

/* Says of a place that this, which fails its sum, is its entry. */
void place_damage(struct place *place, MDB_val data);

/* Removes the damaged entry of a place.  Its id and space must be right; its key may be NULL. */
int place_discard(kv_store *store, struct place *place);

/* ------------------------------------------------------- exec.c and update.c */

int lmdb_exec(kv_store *store, struct kv_batch *batch);
void lmdb_release(kv_store *store, const uint64_t *pins, uint64_t count);

/* n bytes that last until the next call of this; NULL: no memory. */
char *scratch(kv_store *store, uint64_t n);

/* KV_UPDATE at a place whose entry is present or not found. */
int update_at(kv_store *store, struct kv_op *op, struct place *place);

/* -------------------------------------------------------------------- rest */

int lmdb_scan(kv_store *store, struct kv_scan *scan);
int lmdb_maintain(kv_store *store, struct kv_maintain *maintain);
int lmdb_stat(kv_store *store, struct kv_stat *stat);

#endif
