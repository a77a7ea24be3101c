/*
 * noted.c - an update function whose answer the host wants to know
 *
 * While somebody watches what becomes of keys (keyspace notifications, client
 * tracking) the host gives engines this function instead of the one that it
 * means, which it names in the argument block.
 */
#include "host.h"
#include "update.h"

static int update_noted(void *p, const struct kv_entry *entry, struct kv_change *change)
{
	struct kvh_arg *a = p;
	int answer = a->function(p, entry, change);

	a->answer = (uint32_t)answer;
	return answer;
}

uintptr_t kvh_noted_address(void)
{
	return (uintptr_t)update_noted;
}
