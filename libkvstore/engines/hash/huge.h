/* huge.h - huge pages for a store; see huge.c */
#ifndef HASH_HUGE_H
#define HASH_HUGE_H

#include "layout.h"

/* For a store whose files are mapped; without memory, or where they are not wanted, nothing. */
void huge_open(struct kv_store *st);

/* Counts what a store that was taken over holds.  Who had it before has asked for huge pages: to ask
 * for all again takes longer than an exchange may. */
void huge_count(struct kv_store *st);

/* Notes that pages have got memory. */
void huge_note(struct kv_store *st, enum segment seg, uint64_t at, uint64_t len);

/* Notes that pages are about to lose it; waits for them if they are just becoming a huge one. */
void huge_leave(struct kv_store *st, enum segment seg, uint64_t at, uint64_t len);

/* No more become huge; does not wait for one that is about to. */
void huge_stop(struct kv_store *st);

/* After huge_stop(): more become huge. */
void huge_go_on(struct kv_store *st);

/* As huge_stop(), and waits. */
void huge_end(struct kv_store *st);

#endif
