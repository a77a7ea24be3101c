/*
 * process.c - what a library can change of the process and thread it runs in
 */
#define _GNU_SOURCE
#include "host.h"

#include <fenv.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

/* A number for all of the environment. */
static uint64_t environment_sum(void)
{
	uint64_t sum = 0xcbf29ce484222325ull;

	for (char **e = environ; e != NULL && *e != NULL; e++) {
		for (const char *c = *e; *c != '\0'; c++)
			sum = (sum ^ (unsigned char)*c) * 0x100000001b3ull;
		sum = (sum ^ '\n') * 0x100000001b3ull;
	}
	return sum;
}

/* How this thread computes: rounding, traps, and what becomes of tiny numbers. */
static uint64_t float_modes(void)
{
	uint64_t modes = (uint64_t)(unsigned)fegetround() << 32 | (unsigned)fegetexcept() << 16;

#if defined(__SSE__)
	modes |= _mm_getcsr() & 0xffc0u; /* without the flags of what has happened */
#endif
	return modes;
}

void kvh_look_at_process(struct kvh_process *process)
{
	const char *locale = setlocale(LC_ALL, NULL);
	struct sigaction action;
	sigset_t blocked;

	memset(process, 0, sizeof *process);
	for (int s = 1; s < KVH_SIGNALS; s++) {
		if (sigaction(s, NULL, &action) == 0)
			memcpy(&process->handlers[s], &action.sa_handler, sizeof(uint64_t));
	}
	sigemptyset(&blocked);
	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	for (int s = 1; s < KVH_SIGNALS; s++)
		process->blocked |= (uint64_t)(sigismember(&blocked, s) == 1) << (s - 1);
	process->environment = environment_sum();
	process->float_modes = float_modes();
	process->dumpable = prctl(PR_GET_DUMPABLE);
	snprintf(process->locale, sizeof process->locale, "%s", locale != NULL ? locale : "");
}
