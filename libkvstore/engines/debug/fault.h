/*
 * fault.h - what can be wrong with a build of the debug engine
 *
 * -DDEBUG_FAULT=NAME chooses one of the names below, -DDEBUG_KEYS switches the
 * magic keys on.  README.md says what each does.
 */
#ifndef DEBUG_FAULT_H
#define DEBUG_FAULT_H

#include "debug.h"

#define FAULT_none 1
#define FAULT_crash_in_constructor 2
#define FAULT_hang_in_constructor 3
#define FAULT_exit_in_constructor 4
#define FAULT_crash_in_open 5
#define FAULT_hang_in_open 6
#define FAULT_fail_open 7
#define FAULT_crash_in_exec 8
#define FAULT_stall_exec 9
#define FAULT_fail_exec 10
#define FAULT_slow 11
#define FAULT_wrong_answers 12
#define FAULT_lose_key 13
#define FAULT_leak_thread 14
#define FAULT_leak_fd 15
#define FAULT_no_unload 16
#define FAULT_fail_offer 17
#define FAULT_refuse_accept 18
#define FAULT_no_symbol 19
#define FAULT_no_descriptor 20
#define FAULT_future_abi 21
#define FAULT_small_size 22
#define FAULT_missing_callbacks 23
#define FAULT_unknown_capability 24
#define FAULT_unknown_threads 25
#define FAULT_bad_name 26

#ifndef DEBUG_FAULT
#define DEBUG_FAULT none
#endif

#define FAULT_PASTE(name) FAULT_##name
#define FAULT_NUMBER(name) FAULT_PASTE(name)
#define FAULT_CHOSEN FAULT_NUMBER(DEBUG_FAULT)
#define FAULT_IS(name) (FAULT_CHOSEN == FAULT_##name)

#if FAULT_CHOSEN == 0
#error "DEBUG_FAULT names no fault that fault.h knows"
#endif

/* Operations to go well before crash_in_exec, stall_exec and fail_exec begin. */
#ifndef DEBUG_AFTER
#if FAULT_IS(fail_exec)
#define DEBUG_AFTER 100000
#else
#define DEBUG_AFTER 0
#endif
#endif

/* lose_key forgets each DEBUG_EVERYth KV_SET. */
#ifndef DEBUG_EVERY
#define DEBUG_EVERY 1000
#endif

/* slow spends this long on each operation. */
#ifndef DEBUG_MICROSECONDS
#define DEBUG_MICROSECONDS 50
#endif

/* What to do with an operation. */
enum fault_verdict {
	FAULT_GO_ON, /* carry it out */
	FAULT_SKIP,  /* pretend that it was carried out */
	FAULT_FAIL   /* fail the whole batch */
};

/* Called before each operation; may crash, hang or dawdle. */
enum fault_verdict fault_before(kv_store *store, const struct kv_op *op);

#endif
