/* simple_rs.c - kvstore_simple.h around the engine that simple.rs is */
#include "kvstore_simple.h"

const void *rs_get(const void *key, size_t key_len, size_t *value_len);
int rs_set(const void *key, size_t key_len, const void *value, size_t value_len);
int rs_del(const void *key, size_t key_len);
uint64_t rs_each(uint64_t position, kv_simple_found found, void *to);
int rs_open(void);
void rs_close(void);

KVSTORE_SIMPLE_ENGINE(.name = "simple-rs", .version = "0.1.0", .get = rs_get, .set = rs_set,
		      .del = rs_del, .each = rs_each, .open = rs_open, .close = rs_close)
