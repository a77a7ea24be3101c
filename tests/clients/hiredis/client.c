/* hiredis against kvstored. */
#include <hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static redisContext *c;

static void fail(const char *what, const redisReply *r)
{
	fprintf(stderr, "%s: got type %d, %s\n", what, r != NULL ? r->type : 0,
		r != NULL && r->str != NULL ? r->str : c->errstr);
	exit(1);
}

/* Sends a command and wants a reply of a type; text NULL: any. */
static void want(int type, long long number, const char *text, const char *format, ...)
{
	va_list args;
	redisReply *r;

	va_start(args, format);
	r = redisvCommand(c, format, args);
	va_end(args);
	if (r == NULL || r->type != type)
		fail(format, r);
	if (type == REDIS_REPLY_INTEGER ? r->integer != number : text != NULL && strcmp(r->str, text) != 0)
		fail(format, r);
	freeReplyObject(r);
}

/* Sends many requests before the first reply is read. */
static void pipeline(int n)
{
	redisReply *r;

	for (int i = 0; i < n; i++)
		redisAppendCommand(c, "INCR counter");
	for (int i = 1; i <= n; i++) {
		if (redisGetReply(c, (void **)&r) != REDIS_OK || r->integer != i)
			fail("pipeline", r);
		freeReplyObject(r);
	}
}

int main(int argc, char **argv)
{
	static char big[300000];
	redisReply *r;

	if (argc != 2 || (c = redisConnectUnix(argv[1])) == NULL || c->err != 0)
		return 1;
	want(REDIS_REPLY_STATUS, 0, "PONG", "PING");
	want(REDIS_REPLY_STATUS, 0, "OK", "SET %s %b", "bin", "a\0b", (size_t)3);
	want(REDIS_REPLY_INTEGER, 3, NULL, "STRLEN bin");
	want(REDIS_REPLY_NIL, 0, NULL, "GET none");
	want(REDIS_REPLY_ERROR, 0, "ERR value is not an integer or out of range", "INCR bin");
	memset(big, 'x', sizeof(big) - 1);
	want(REDIS_REPLY_STATUS, 0, "OK", "SET big %s", big);
	want(REDIS_REPLY_STRING, 0, big, "GET big");
	r = redisCommand(c, "MGET bin none");
	if (r == NULL || r->type != REDIS_REPLY_ARRAY || r->elements != 2 || r->element[0]->len != 3 ||
	    memcmp(r->element[0]->str, "a\0b", 3) != 0 || r->element[1]->type != REDIS_REPLY_NIL)
		fail("MGET", r);
	freeReplyObject(r);
	pipeline(10000);
	want(REDIS_REPLY_STATUS, 0, "OK", "MULTI");
	want(REDIS_REPLY_STATUS, 0, "QUEUED", "SET k v");
	want(REDIS_REPLY_ARRAY, 0, NULL, "EXEC");
	if (redisAppendCommand(c, "CLIENT REPLY OFF") != REDIS_OK || redisAppendCommand(c, "SET k w") != REDIS_OK)
		return 1;
	want(REDIS_REPLY_STATUS, 0, "OK", "CLIENT REPLY ON");
	want(REDIS_REPLY_STRING, 0, "w", "GET k");
	redisFree(c);
	return 0;
}
