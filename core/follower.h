/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follower: lines of another daemon on this host, for a program that may not connect.
 *
 * Another daemon listens on a Unix socket and tells what happens, one line each. A sealed program
 * can neither connect to it nor connect again when it comes back; a follower does: a little
 * process, forked before isolation, that may connect to Unix sockets and nothing else. It says what
 * it is told to say first, hands on whole lines, and tries again every FOLLOWER_RETRY_MS. It ends
 * with its program.
 *
 * What arrives is not trusted: lines are bounded, and one that is too long ends the connection.
 */
#ifndef POSTERN_CORE_FOLLOWER_H
#define POSTERN_CORE_FOLLOWER_H

#include <stdbool.h>

#include "core/lines.h"

#define FOLLOWER_LINE_MAX 65536u /* bytes of one line */
#define FOLLOWER_RETRY_MS 5000

struct follower {
	int retry_ms; /* before follower_start(): 0 for FOLLOWER_RETRY_MS */
	/* The owner sets these before follower_attach(). */
	void (*line)(struct follower *f, const char *line,
		     size_t len); /* borrowed, no line break */
	void (*gone)(struct follower
			     *f); /* the neighbour is away; also at first, while it is not there */
	void (*ended)(struct follower *f); /* after follower_close(): the owner may free */

	struct lines lines;
	int fd;
	bool attached;
};

/* Forks the follower of the socket at path (shorter than sockaddr_un's), which sends hello (with
 * its line break) upon each connection. Before the first thread and before isolation. 0 or -errno.
 */
int follower_start(struct follower *f, const char *path, const char *hello) MUST_CHECK;
/* From now on lines arrive on this ring. */
void follower_attach(struct follower *f, struct ring *ring);
/* Once; without follower_attach() it ends at once. */
void follower_close(struct follower *f);
/* Once the ring is closed: ended() will not come. */
void follower_free(struct follower *f);

#endif
