/* report.c - histogram, clocks, the result as JSON. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static unsigned bucket_of(uint64_t ns)
{
	if (ns < (1u << HIST_SUB_BITS))
		return (unsigned)ns;
	unsigned top = 63u - (unsigned)__builtin_clzll(ns);
	unsigned shift = top - HIST_SUB_BITS;
	return ((shift + 1) << HIST_SUB_BITS) + (unsigned)((ns >> shift) & ((1u << HIST_SUB_BITS) - 1));
}

/* The middle of a bucket. */
static uint64_t bucket_value(unsigned i)
{
	if (i < (1u << HIST_SUB_BITS))
		return i;
	unsigned shift = (i >> HIST_SUB_BITS) - 1;
	uint64_t low = ((uint64_t)(1u << HIST_SUB_BITS) | (i & ((1u << HIST_SUB_BITS) - 1))) << shift;
	return low + ((uint64_t)1 << shift) / 2;
}

void hist_add(struct hist *h, uint64_t ns)
{
	h->count++;
	h->sum += ns;
	if (ns > h->max)
		h->max = ns;
	h->bucket[bucket_of(ns)]++;
}

uint64_t hist_quantile(const struct hist *h, double share)
{
	uint64_t rank = (uint64_t)(share * (double)h->count);
	uint64_t seen = 0;
	for (unsigned i = 0; i < HIST_SIZE; i++) {
		seen += h->bucket[i];
		if (seen > rank) {
			uint64_t v = bucket_value(i);
			return v < h->max ? v : h->max;
		}
	}
	return h->max;
}

static int64_t clock_ns(clockid_t id)
{
	struct timespec t;
	if (clock_gettime(id, &t) != 0)
		return -1;
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

int64_t own_cpu_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t process_cpu_ns(pid_t pid)
{
	clockid_t id;
	if (pid == 0)
		return 0;
	int64_t t = clock_getcpuclockid(pid, &id) == 0 ? clock_ns(id) : -1;
	if (t < 0)
		die("cannot read the CPU clock of process %d", (int)pid);
	return t;
}

static const uint64_t *syncs;

void syncs_init(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *syncs, PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		die("read the number of syncs in %s: %s", path, strerror(errno));
	close(fd);
	syncs = at;
}

uint64_t syncs_now(void)
{
	return syncs == NULL ? 0 : __atomic_load_n(syncs, __ATOMIC_RELAXED);
}

static double us(uint64_t ns)
{
	return (double)ns / 1e3;
}

void print_result(const struct result *r, FILE *to)
{
	const struct hist *h = &r->latency;
	fprintf(to, "{\"requests\":%llu,\"seconds\":%.6f,\"own_cpu_seconds\":%.6f,\"server_cpu_seconds\":%.9f,",
		(unsigned long long)r->requests, (double)(r->end - r->begin) / 1e9,
		(double)r->own_cpu / 1e9, (double)r->server_cpu / 1e9);
	fprintf(to, "\"syncs\":%llu,\"waits\":%llu,\"late\":%llu,", (unsigned long long)r->syncs, (unsigned long long)r->waits,
		(unsigned long long)r->late);
	fprintf(to, "\"mean_us\":%.3f,\"p50_us\":%.3f,\"p99_us\":%.3f,\"p999_us\":%.3f,\"max_us\":%.3f,",
		h->count ? us(h->sum) / (double)h->count : 0, us(hist_quantile(h, 0.5)),
		us(hist_quantile(h, 0.99)), us(hist_quantile(h, 0.999)), us(h->max));
	fputs("\"buckets\":[", to);
	const char *comma = "";
	for (unsigned i = 0; i < HIST_SIZE; i++) {
		if (h->bucket[i] == 0)
			continue;
		fprintf(to, "%s[%llu,%llu]", comma, (unsigned long long)bucket_value(i),
			(unsigned long long)h->bucket[i]);
		comma = ",";
	}
	fputs("]}\n", to);
}

void die(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("load: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}
