/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed: lines of a neighbour on this host, for a program that may not connect.
 *
 * Another daemon listens on a Unix socket and tells what happens, one line each. A sealed program
 * can neither connect to it nor connect again when it comes back; a follower does: a little
 * process, forked before isolation, that may connect to Unix sockets and nothing else. It says what
 * it is told to say first, hands on whole lines, and tries again every FEED_RETRY_MS. It ends with
 * its program.
 *
 * What arrives is not trusted: lines are bounded, and one that is too long ends the connection.
 */
#ifndef POSTERN_CORE_FEED_H
#define POSTERN_CORE_FEED_H

#include <stdbool.h>

#include "core/lines.h"

#define FEED_LINE_MAX 65536u /* bytes of one line */
#define FEED_RETRY_MS 5000

struct feed {
	int retry_ms; /* before feed_start(): 0 for FEED_RETRY_MS */
	/* The owner sets these before feed_follow(). */
	void (*line)(struct feed *f, const char *line, size_t len); /* borrowed, no line break */
	void (*gone)(
		struct feed *f); /* the neighbour is away; also at first, while it is not there */
	void (*ended)(struct feed *f); /* after feed_close(): the owner may free */

	struct lines lines;
	int fd;
	bool following;
};

/* Forks the follower of the socket at path (shorter than sockaddr_un's), which sends hello (with
 * its line break) upon each connection. Before the first thread and before isolation. 0 or -errno.
 */
int feed_start(struct feed *f, const char *path, const char *hello) MUST_CHECK;
/* From now on lines arrive on this ring. */
void feed_follow(struct feed *f, struct ring *ring);
/* Once; without feed_follow() it ends at once. */
void feed_close(struct feed *f);
/* Once the ring is closed: ended() will not come. */
void feed_free(struct feed *f);

#endif
