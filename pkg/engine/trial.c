/*
 * trial.c - the process in which a library is tried
 *
 * The Go runtime turns a crash in C into an exit with a long report; whoever
 * waits for the trial wants the signal.
 */
#define _GNU_SOURCE
#include "host.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Sockets that came along from the parent are none of the library's business. */
static void close_sockets(void)
{
	struct rlimit limit;
	struct stat st;
	int most = 1024;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 65536)
		most = (int)limit.rlim_cur;
	for (int fd = 3; fd < most; fd++)
		if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode))
			close(fd);
}

void kvh_become_trial(void)
{
	static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
	const struct rlimit none = {0, 0};
	int null;

	for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++)
		signal(crashes[i], SIG_DFL);
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_CHILD_SUBREAPER, 1); /* what the library starts can be found */
	close_sockets();
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDOUT_FILENO);
		close(null);
	}
}
