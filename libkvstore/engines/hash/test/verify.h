/* verify.h - looks through a whole store for contradictions */
#ifndef HASH_VERIFY_H
#define HASH_VERIFY_H

#include "../store.h"

/* Ends the program with a sentence when the store contradicts itself. */
void verify_store(struct kv_store *st);

#endif
