/*
 * floor.c - the floor under all servers: an epoll loop that reads, counts the
 * requests by their fixed length, and answers without looking at them.  What
 * it costs is what the kernel costs.
 *
 *   floor SOCKET SET-BYTES GET-BYTES VALUE-BYTES
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_FD 65536
#define INPUT (64u << 10)

static size_t request_size[2], reply_size[2]; /* of SET and GET */
static char *replies[2];                      /* as many as one read can ask for, and one */
static struct {
	int get;     /* kind of the request that began last */
	size_t have; /* bytes of it */
} conns[MAX_FD];
static char input[INPUT];

static void fail(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Repeats one reply, so that any number of them is one send. */
static void prepare(int get, size_t size, const char *reply, size_t len)
{
	size_t n = INPUT / size + 2;
	request_size[get] = size;
	reply_size[get] = len;
	replies[get] = malloc(n * len);
	if (replies[get] == NULL)
		fail("prepare replies");
	for (size_t i = 0; i < n; i++)
		memcpy(replies[get] + i * len, reply, len);
}

static void prepare_value(size_t size, size_t value)
{
	char *reply = malloc(value + 32);
	if (reply == NULL)
		fail("prepare a value");
	size_t head = (size_t)sprintf(reply, "$%zu\r\n", value);
	memset(reply + head, 'x', value);
	memcpy(reply + head + value, "\r\n", 2);
	prepare(1, size, reply, head + value + 2);
	free(reply);
}

static int listen_at(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof a.sun_path) {
		errno = ENAMETOOLONG;
		fail(path);
	}
	strcpy(a.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 512) != 0)
		fail(path);
	return fd;
}

static void watch(int epfd, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };
	if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev) != 0)
		fail("epoll_ctl");
}

static void greet(int epfd, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	if (fd >= MAX_FD) {
		close(fd);
		return;
	}
	conns[fd].have = 0;
	watch(epfd, fd);
}

/* Answers as many requests as n bytes end. */
static void serve(int fd)
{
	ssize_t n = read(fd, input, INPUT);
	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			close(fd);
		return;
	}
	if (conns[fd].have == 0)
		conns[fd].get = n > 8 && input[8] == 'G';
	int get = conns[fd].get;
	size_t have = conns[fd].have + (size_t)n;
	size_t done = have / request_size[get];
	conns[fd].have = have % request_size[get];
	if (done > 0 && send(fd, replies[get], done * reply_size[get], MSG_NOSIGNAL) < 0)
		close(fd);
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fputs("usage: floor SOCKET SET-BYTES GET-BYTES VALUE-BYTES\n", stderr);
		return 2;
	}
	prepare(0, strtoul(argv[2], NULL, 10), "+OK\r\n", 5);
	prepare_value(strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
	int listener = listen_at(argv[1]);
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	if (epfd < 0)
		fail("epoll_create1");
	watch(epfd, listener);
	for (;;) {
		struct epoll_event events[512];
		int n = epoll_wait(epfd, events, 512, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				greet(epfd, listener);
			else
				serve(events[i].data.fd);
		}
	}
}
