/*
 * load.h - the parts of the load generator.
 *
 *   load.c    options, the loop, pacing
 *   wire.c    requests and replies of the two protocols
 *   keys.c    which key comes next
 *   report.c  latency histogram, clocks, the result as JSON
 *
 * syncs.c is a library that is preloaded into a server; see there.
 *
 * One thread, one epoll set.  Nothing is allocated while it measures, except
 * where an open loop falls behind.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define KEY_LEN 16 /* "key:" and twelve digits */

enum protocol { RESP, MEMCACHED };

/* What the command line asked for. */
struct options {
	const char *socket;
	enum protocol protocol;
	uint64_t connections;
	uint64_t pipeline;
	uint64_t get_percent;
	uint64_t keys;
	uint64_t value_size;
	uint64_t requests; /* 0: until the time is over */
	double seconds;
	double warmup;     /* seconds before measuring starts */
	double rate;       /* requests per second of all connections, 0: closed loop */
	int poisson;       /* open loop: random gaps instead of even ones */
	int fill;          /* SET every key once, in order */
	uint64_t from;     /* fill: the first key */
	double zipf;       /* skew of the choice of keys, in 0...1; 0: all alike */
	int any_value;     /* do not look into values */
	pid_t pid;         /* the server, for its CPU time; 0: not measured */
	int cpu;           /* the processor to run on; -1: any */
	const char *syncs; /* the file in which syncs.c counts; NULL: not counted */
	uint64_t seed;
};

/* A request that was sent and not yet answered. */
struct waiting {
	int64_t since;  /* when it was to be sent, nanoseconds */
	uint64_t key;
	int get;
};

/* One connection. */
struct conn {
	int fd;
	int writing;           /* watches for EPOLLOUT */
	struct waiting *ring;  /* requests in flight, oldest at head */
	uint64_t ring_size;    /* a power of two */
	uint64_t head, tail;
	char *out;             /* bytes not yet taken by the socket */
	size_t out_size, out_from, out_to;
	char part[128];        /* the beginning of an unfinished reply */
	size_t part_len;
	uint64_t skip;         /* bytes of a value still to come */
};

/* wire.c */

/* Prepares what all requests share. */
void wire_init(const struct options *o);
/* The most bytes one request takes. */
size_t request_max(void);
/* Writes one request at `to`; returns its end. */
char *put_request(char *to, int get, uint64_t key);
/*
 * Reads one reply's beginning from `from` (n bytes) for request `w`.  Returns the
 * bytes used and sets *skip to the bytes that follow before the next reply; 0
 * when more bytes are needed; -1 when it is not what should have come.
 */
ssize_t take_reply(const char *from, size_t n, const struct waiting *w, uint64_t *skip);

/* keys.c */

/* Prepares the choice; takes a while where `zipf` is given and keys are many. */
void keys_init(const struct options *o);
uint64_t random_bits(void);
uint64_t random_below(uint64_t n);
/* The key of the next request. */
uint64_t next_key(void);

/* report.c */

#define HIST_SUB_BITS 6
#define HIST_SIZE ((64 - HIST_SUB_BITS + 1) << HIST_SUB_BITS)

/* Latencies in nanoseconds: 64 linear steps to each power of two (1.6 %). */
struct hist {
	uint64_t count, sum, max;
	uint64_t bucket[HIST_SIZE];
};

/* What a run came to. */
struct result {
	uint64_t requests;
	int64_t begin, end;         /* nanoseconds */
	int64_t own_cpu, server_cpu;
	uint64_t syncs;             /* of the server */
	uint64_t waits;             /* returns of epoll_wait with events */
	uint64_t late;              /* open loop: sent more than 1 ms after their time */
	struct hist latency;
};

void hist_add(struct hist *h, uint64_t ns);
/* The latency that a share of 0...1 of the requests did not exceed. */
uint64_t hist_quantile(const struct hist *h, double share);
int64_t now_ns(void);
/* CPU time of this process, and of all threads of another, nanoseconds. */
int64_t own_cpu_ns(void);
int64_t process_cpu_ns(pid_t pid);
/* Has syncs_now read the number in a file; before, that is 0. */
void syncs_init(const char *path);
uint64_t syncs_now(void);
void print_result(const struct result *r, FILE *to);
/* Ends the program with a message. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);

#endif
