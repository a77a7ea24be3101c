/* The exercise: a store of two functions.  Strings end in NUL. */
#ifndef EXERCISE_KVSTORE_H
#define EXERCISE_KVSTORE_H

/* Stores a copy of `value` under `key`.  0, or -1 without memory. */
int set(const char *key, const char *value);

/* The value of `key`, good until the next set() of it; NULL: there is none. */
const char *get(const char *key);

#endif
