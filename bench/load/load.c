/*
 * load.c - a load generator for a server on a Unix socket.
 *
 * Closed loop: each connection sends a batch of `pipeline` requests, waits for
 * all replies, sends the next.  Open loop (--rate): requests leave at times
 * fixed beforehand, answered or not, and a latency counts from the time a
 * request was due, so that a server that stalls cannot hide it.
 */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000
#define PATIENCE ((int64_t)30 * SECOND) /* without any reply */
#define READ_SIZE (256u << 10)

static struct options opt = {
	.connections = 50, .pipeline = 1, .get_percent = 0, .keys = 100000, .value_size = 16, .seed = 1, .cpu = -1,
};
static struct conn *conns;
static int epfd;
static int64_t now;          /* when the last events came */
static int64_t start, until; /* of sending; until 0: no limit of time */
static uint64_t sent;        /* requests, since the start */
static int measuring;
static struct result result;
static char input[READ_SIZE + sizeof ((struct conn *)0)->part];

static void watch(struct conn *c, int writing)
{
	struct epoll_event ev = { .events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = c };
	if (epoll_ctl(epfd, c->writing < 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, c->fd, &ev) != 0)
		die("watch a connection: %s", strerror(errno));
	c->writing = writing;
}

/* Writes what waits, and watches for room when the socket takes no more. */
static void flush(struct conn *c)
{
	while (c->out_from < c->out_to) {
		ssize_t n = send(c->fd, c->out + c->out_from, c->out_to - c->out_from, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			if (!c->writing)
				watch(c, 1);
			return;
		}
		if (n < 0)
			die("send: %s", strerror(errno));
		c->out_from += (size_t)n;
	}
	c->out_from = c->out_to = 0;
	if (c->writing)
		watch(c, 0);
}

/* Makes room for one more request in c's ring and buffer. */
static void make_room(struct conn *c)
{
	if (c->tail - c->head == c->ring_size) {
		struct waiting *ring = malloc(2 * c->ring_size * sizeof *ring);
		if (ring == NULL)
			die("no memory for requests in flight");
		for (uint64_t i = c->head; i < c->tail; i++)
			ring[i & (2 * c->ring_size - 1)] = c->ring[i & (c->ring_size - 1)];
		free(c->ring);
		c->ring = ring;
		c->ring_size *= 2;
	}
	if (c->out_size - c->out_to < request_max()) {
		c->out_size = 2 * c->out_size + request_max();
		c->out = realloc(c->out, c->out_size);
		if (c->out == NULL)
			die("no memory for output");
	}
}

/* Appends one request to c's output, due at `due`. */
static void add_request(struct conn *c, int64_t due)
{
	make_room(c);
	struct waiting *w = &c->ring[c->tail++ & (c->ring_size - 1)];
	w->since = due;
	w->key = next_key();
	w->get = opt.get_percent != 0 && random_below(100) < opt.get_percent;
	c->out_to = (size_t)(put_request(c->out + c->out_to, w->get, w->key) - c->out);
	sent++;
}

/* Closed loop: the next batch. */
static void send_batch(struct conn *c)
{
	for (uint64_t i = 0; i < opt.pipeline; i++) {
		if (opt.requests != 0 && sent >= opt.requests)
			break;
		add_request(c, now);
	}
	flush(c);
}

static void answered(const struct waiting *w)
{
	result.requests++;
	if (measuring)
		hist_add(&result.latency, now > w->since ? (uint64_t)(now - w->since) : 0);
}

/* Takes whole replies from n bytes; what is left is kept in c->part. */
static void take(struct conn *c, const char *from, size_t n)
{
	for (;;) {
		uint64_t pass = c->skip < n ? c->skip : n;
		from += pass;
		n -= pass;
		c->skip -= pass;
		if (n == 0)
			return;
		if (c->head == c->tail)
			die("a reply came to no request: %.*s", (int)(n < 60 ? n : 60), from);
		const struct waiting *w = &c->ring[c->head & (c->ring_size - 1)];
		ssize_t used = take_reply(from, n, w, &c->skip);
		if (used < 0)
			die("wrong reply to %s key:%012llu: %.*s", w->get ? "GET" : "SET", (unsigned long long)w->key,
				(int)(n < 60 ? n : 60), from);
		if (used == 0) {
			c->part_len = n;
			memcpy(c->part, from, n);
			return;
		}
		from += used;
		n -= (size_t)used;
		answered(w);
		c->head++;
	}
}

/* Reads once; level-triggered epoll reports what is left. */
static void receive(struct conn *c)
{
	size_t had = c->part_len;
	ssize_t n = recv(c->fd, input + had, READ_SIZE, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		die("the server closed a connection%s%s", n < 0 ? ": " : "", n < 0 ? strerror(errno) : "");
	memcpy(input, c->part, had);
	c->part_len = 0;
	now = now_ns();
	take(c, input, had + (size_t)n);
	if (opt.rate == 0 && c->head == c->tail && c->skip == 0)
		send_batch(c);
}

static void connect_one(struct conn *c)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	if (strlen(opt.socket) >= sizeof a.sun_path)
		die("the socket's path is too long: %s", opt.socket);
	strcpy(a.sun_path, opt.socket);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	while (c->fd >= 0 && connect(c->fd, (struct sockaddr *)&a, sizeof a) != 0) {
		if (errno != EAGAIN) /* as many wait as may: they will be accepted */
			die("connect to %s: %s", opt.socket, strerror(errno));
		usleep(1000);
	}
	if (c->fd < 0)
		die("make a socket: %s", strerror(errno));
	c->ring_size = 64;
	while (c->ring_size < opt.pipeline)
		c->ring_size *= 2;
	c->ring = malloc(c->ring_size * sizeof *c->ring);
	c->out_size = opt.pipeline * request_max();
	c->out = malloc(c->out_size);
	if (c->ring == NULL || c->out == NULL)
		die("no memory for a connection");
	c->writing = -1;
	watch(c, 0);
}

static void connect_all(void)
{
	epfd = epoll_create1(EPOLL_CLOEXEC);
	conns = calloc(opt.connections, sizeof *conns);
	if (epfd < 0 || conns == NULL)
		die("prepare %llu connections: %s", (unsigned long long)opt.connections, strerror(errno));
	for (uint64_t i = 0; i < opt.connections; i++)
		connect_one(&conns[i]);
}

/* The warm-up is over: everything is counted from here. */
static void begin_measuring(void)
{
	memset(&result, 0, sizeof result);
	measuring = 1;
	result.server_cpu = -process_cpu_ns(opt.pid);
	result.own_cpu = -own_cpu_ns();
	result.syncs = -syncs_now();
	result.begin = now_ns();
}

static void end_measuring(void)
{
	result.end = now_ns();
	result.own_cpu += own_cpu_ns();
	result.syncs += syncs_now();
	result.server_cpu += process_cpu_ns(opt.pid);
}

/* When request i of an open loop is due after request i-1, due at `last`. */
static int64_t next_due(uint64_t i, int64_t last)
{
	double gap = (double)SECOND / opt.rate;
	if (!opt.poisson)
		return start + (int64_t)((double)i * gap);
	double u = ((double)(random_bits() >> 11) + 0.5) / 9007199254740992.0;
	return last - (int64_t)(log(u) * gap);
}

/*
 * Open loop: sends what is due, at most a burst, so that replies are read even
 * by a generator that has fallen behind; returns when the next one is due.
 */
static int64_t send_due(void)
{
	static int64_t due;
	static uint64_t next;
	if (due == 0)
		due = start;
	now = now_ns();
	for (int burst = 0; burst < 64 && due <= now && (until == 0 || now < until); burst++) {
		struct conn *c = &conns[next++ % opt.connections];
		if (now - due > SECOND / 1000)
			result.late++;
		add_request(c, due);
		flush(c);
		due = next_due(next, due);
		now = now_ns();
	}
	return due;
}

/* Waits for events, in an open loop not beyond `due`. */
static int wait_events(struct epoll_event *events, int max, int64_t due)
{
	int64_t left = opt.rate != 0 ? due - now : SECOND;
	if (left < 0)
		left = 0;
	struct timespec t = { .tv_sec = left / SECOND, .tv_nsec = left % SECOND };
	int n = epoll_pwait2(epfd, events, max, &t, NULL);
	if (n < 0 && errno != EINTR)
		die("epoll_wait: %s", strerror(errno));
	return n < 0 ? 0 : n;
}

/* Moves from warming up to measuring to the end; 1 when it is over. */
static int over(void)
{
	if (!measuring && now >= start + (int64_t)(opt.warmup * SECOND))
		begin_measuring();
	if (opt.requests != 0 && result.requests >= opt.requests)
		return 1;
	return until != 0 && now >= until;
}

static void loop(void)
{
	struct epoll_event events[512];
	int64_t last = start, due = start;
	while (!over()) {
		if (opt.rate != 0)
			due = send_due();
		int n = wait_events(events, 512, due);
		if (n == 0)
			now = now_ns();
		else
			last = now, result.waits++;
		if (now - last > PATIENCE)
			die("no reply for 30 seconds");
		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;
			if (events[i].events & EPOLLOUT)
				flush(c);
			if (events[i].events & ~(uint32_t)EPOLLOUT)
				receive(c);
		}
	}
}

static void run(void)
{
	connect_all();
	start = now = now_ns();
	if (opt.seconds != 0)
		until = start + (int64_t)((opt.warmup + opt.seconds) * SECOND);
	if (opt.warmup == 0)
		begin_measuring();
	for (uint64_t i = 0; opt.rate == 0 && i < opt.connections; i++)
		send_batch(&conns[i]);
	loop();
	end_measuring();
}

static const struct option names[] = {
	{ "socket", required_argument, NULL, 's' }, { "memcached", no_argument, NULL, 'm' },
	{ "connections", required_argument, NULL, 'c' }, { "pipeline", required_argument, NULL, 'P' },
	{ "get", required_argument, NULL, 'g' }, { "keys", required_argument, NULL, 'k' },
	{ "value", required_argument, NULL, 'd' }, { "requests", required_argument, NULL, 'n' },
	{ "seconds", required_argument, NULL, 't' }, { "warmup", required_argument, NULL, 'w' },
	{ "rate", required_argument, NULL, 'r' }, { "poisson", no_argument, NULL, 'x' },
	{ "fill", no_argument, NULL, 'f' }, { "any-value", no_argument, NULL, 'a' },
	{ "pid", required_argument, NULL, 'p' }, { "seed", required_argument, NULL, 'S' },
	{ "from", required_argument, NULL, 'F' }, { "zipf", required_argument, NULL, 'z' },
	{ "syncs", required_argument, NULL, 'y' }, { "cpu", required_argument, NULL, 'C' }, { 0 },
};

static const char usage[] =
	"usage: load --socket PATH [options]\n"
	"  --connections N  (50)      --pipeline N  requests in a batch (1)\n"
	"  --get PERCENT    (0)       --keys N      below 2^32 (100000)\n"
	"  --value BYTES    (16)      --fill        SET every key once, in order\n"
	"  --requests N               --seconds S   --warmup S, not counted\n"
	"  --rate R         requests per second of all connections together\n"
	"  --poisson        random gaps   --pid PID    the server, for its CPU time\n"
	"  --memcached      text protocol --any-value  do not look into values\n"
	"  --seed N                   --from N      the first key of --fill\n"
	"  --zipf SKEW      some keys far more often, 0.99 for most of the traffic on few\n"
	"  --syncs FILE     what syncs.c counts in it meanwhile\n"
	"  --cpu N          run on this processor only\n";

static uint64_t count(const char *s)
{
	char *end;
	errno = 0;
	unsigned long long v = strtoull(s, &end, 10);
	if (errno != 0 || *s < '0' || *s > '9' || *end != 0)
		die("not a count: %s", s);
	return v;
}

static double real(const char *s)
{
	char *end;
	double v = strtod(s, &end);
	if (end == s || *end != 0 || !(v >= 0) || v > 1e9)
		die("not a number from 0: %s", s);
	return v;
}

static void set_option(int name, const char *arg)
{
	switch (name) {
	case 's': opt.socket = arg; break;
	case 'm': opt.protocol = MEMCACHED; break;
	case 'c': opt.connections = count(arg); break;
	case 'P': opt.pipeline = count(arg); break;
	case 'g': opt.get_percent = count(arg); break;
	case 'k': opt.keys = count(arg); break;
	case 'd': opt.value_size = count(arg); break;
	case 'n': opt.requests = count(arg); break;
	case 't': opt.seconds = real(arg); break;
	case 'w': opt.warmup = real(arg); break;
	case 'r': opt.rate = real(arg); break;
	case 'x': opt.poisson = 1; break;
	case 'f': opt.fill = 1; break;
	case 'a': opt.any_value = 1; break;
	case 'p': opt.pid = (pid_t)count(arg); break;
	case 'S': opt.seed = count(arg); break;
	case 'F': opt.from = count(arg); break;
	case 'y': opt.syncs = arg; break;
	case 'C': opt.cpu = (int)count(arg); break;
	case 'z': opt.zipf = real(arg); break;
	default: fputs(usage, stderr); exit(2);
	}
}

/* Settles what follows from the options, and refuses what makes no sense. */
static void check_options(void)
{
	if (opt.socket == NULL || opt.connections == 0 || opt.pipeline == 0 || opt.keys == 0 ||
		opt.keys > UINT32_MAX || opt.get_percent > 100 || opt.from >= opt.keys || opt.zipf >= 1) {
		fputs(usage, stderr);
		exit(2);
	}
	if (opt.fill) {
		opt.requests = opt.keys - opt.from;
		opt.get_percent = 0;
	} else if (opt.requests == 0 && opt.seconds == 0) {
		opt.seconds = 1;
	}
}

static void pin(int cpu)
{
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET((unsigned)cpu, &one);
	if (sched_setaffinity(0, sizeof one, &one) != 0)
		die("run on processor %d: %s", cpu, strerror(errno));
}

int main(int argc, char **argv)
{
	int name;
	while ((name = getopt_long(argc, argv, "", names, NULL)) != -1)
		set_option(name, optarg);
	check_options();
	/* Sleeps end when they should, not up to 50 us later. */
	prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
	wire_init(&opt);
	keys_init(&opt);
	if (opt.cpu >= 0)
		pin(opt.cpu);
	if (opt.syncs != NULL)
		syncs_init(opt.syncs);
	run();
	print_result(&result, stdout);
	return 0;
}
