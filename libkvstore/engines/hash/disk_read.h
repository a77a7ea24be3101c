/* disk_read.h - reading what disk.h describes */
#ifndef HASH_DISK_READ_H
#define HASH_DISK_READ_H

#include "disk.h"
#include "store.h"

#define REPLAY_GROUP 64u

/* One file that is being read. */
struct reader {
	int fd;
	int io_error; /* errno: the system could not read it */
	bool no_memory;
	uint64_t number;
	uint64_t size;
	uint64_t at;   /* of the present frame */
	uint64_t next; /* of the one after it, when that was read */
	const char *why; /* what is wrong there */
	struct file_head head;
	uint8_t *bytes; /* the records of the present frame */
	uint64_t room;
	char name[NAME_ROOM];
};

/* Records on their way into the store. */
struct replay {
	unsigned count;
	struct record records[REPLAY_GROUP];
	struct kv_op ops[REPLAY_GROUP];
	struct replay_stage {
		uint64_t pin; /* 0: none */
		uint64_t total;
		uint64_t filled;
		uint8_t *bytes;
	} stages[STAGES];
};

/* All of these leave in `why` what is wrong when they return false. */
bool reader_open(struct reader *rd, int dir, const char *prefix, uint64_t number);
void reader_close(struct reader *rd);
bool reader_head(struct reader *rd, uint32_t kind);

/* Reads and checks the frame at `at`. */
bool reader_frame(struct reader *rd, struct frame_head *h);

/* Moves `at` on to the next place where a frame's head stands whole; false: there is none. */
bool reader_seek(struct reader *rd, struct frame_head *h);

/* Puts the records of a frame into the store; a status. */
int replay_frame(struct kv_store *st, struct replay *re, const struct reader *rd, const struct frame_head *h);

/* Gives back what nothing has taken. */
void replay_end(struct kv_store *st, struct replay *re);

#endif
