/* SPDX-License-Identifier: Apache-2.0 */
/*
 * callers: JSON-RPC callers over stream sockets: one object a line, core/engine/calls.h.
 *
 * A *line caller* is any stream socket whose lines are calls. The *listening socket* is a Unix
 * socket that every process on this host may connect to; what a user may do there, its program says
 * by the credentials of the peer (SO_PEERCRED). A user that may do nothing is told why, and
 * disconnected. Places are limited: a user other than root has a quarter of them at most, and the
 * last one is root's, so that an operator gets in beside a program that opens too many.
 */
#ifndef POSTERN_PROGRAM_CALLERS_H
#define POSTERN_PROGRAM_CALLERS_H

#include <sys/types.h>

#include "core/acceptor.h"
#include "core/engine/calls.h"
#include "core/lines.h"

/* ---- one connection ---- */

struct line_caller {
	/* The owner sets level, who and the like of caller, and ended. */
	struct caller caller; /* first */
	/* Once, never from inside a call: nothing is in flight, the owner may free. */
	void (*ended)(struct line_caller *c);

	struct lines lines;
	struct calls *calls;
};

/* fd is non-blocking, and this module's from now on; lines are at most line_max bytes. */
void line_caller_start(struct line_caller *c, struct ring *ring, struct calls *calls, int fd,
		       size_t line_max);
/* Harmless twice; ended() follows. */
void line_caller_close(struct line_caller *c);

/* ---- a Unix socket ---- */

#define CALLERS_GROUPS_MAX 64u

/* Whose process is at the other end, as it was when it connected. */
struct caller_peer {
	uid_t uid;
	size_t group_count;
	gid_t groups[CALLERS_GROUPS_MAX]; /* its own first; of more the rest is left out */
};

struct callers {
	/* The owner sets these first. */
	struct ring *ring;
	struct calls *calls;
	size_t line_max, most; /* most: callers at a time, 2 or more */
	/* What a user may do; NULL, or one sentence on why nothing. */
	const char *(*admit)(struct callers *cs, uid_t uid, enum caller_level *level);

	struct acceptor acceptor;
	struct callers_conn *conns;
	size_t count;
	bool stopping;
};

/* Whether a program listens at path. */
bool callers_path_taken(const char *path) MUST_CHECK;
/* A listening socket at path, which every user may connect to; a socket of this user's that was
 * there goes. Returns it, or -errno; -EEXIST: something else is there, and stays. */
int callers_listen(const char *path) MUST_CHECK;

/* The peer of a caller that came in by such a socket. */
const struct caller_peer *callers_peer(const struct caller *c);

/* Takes the listener over. */
void callers_start(struct callers *cs, int listener);
/* All connections end; idle when it returns true, else ask again later. Harmless twice. */
bool callers_stop(struct callers *cs) MUST_CHECK;
/* Once the ring is closed, or callers_stop() returned true. */
void callers_free(struct callers *cs);

#endif
