/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acceptor: accepts on one listening socket until it is closed; no failure ends it.
 *
 * Theory of operation. A ring's accept operation ends with an error when descriptors or memory have
 * run out. Then accepting pauses for ACCEPTOR_PAUSE_MS and is tried again, for as long as it takes:
 * connections wait in the kernel's queue meanwhile, and are accepted when something has been
 * closed. The first failure of a row is logged with what to do about it; all are counted.
 *
 *   idle --start--> accepting --error--> paused --timer--> accepting
 *                       |                   |
 *                     close               close
 *                       v                   v
 *                    closing --the operation has ended--> closed
 *
 * A connection that is accepted while closing is closed, as those are that the kernel's queue still
 * holds.
 */
#ifndef POSTERN_CORE_ACCEPTOR_H
#define POSTERN_CORE_ACCEPTOR_H

#include "core/ring.h"

#define ACCEPTOR_PAUSE_MS 100u

struct acceptor {
	/* The owner sets these before acceptor_start(). */
	const char *name; /* in the log: "relay", "metrics" */
	/* fd, non-blocking, is the owner's from now on. It may close the acceptor in here. */
	void (*accepted)(struct acceptor *a, int fd);
	/* Each time that accepting pauses, for counts of the owner's own; may be NULL. */
	void (*paused)(struct acceptor *a);
	/* Once after acceptor_close(), maybe from inside it: nothing is in flight, the owner may
	 * free. May be NULL. */
	void (*closed)(struct acceptor *a);

	/* This module's. */
	struct ring *ring; /* NULL: not started */
	struct ring_op op;
	struct timer pause;
	int fd; /* -1: closed */
	bool closing;
	bool failing; /* since the last connection */
	uint64_t pauses;
};

/* Takes the listening socket over; accepts nothing yet, and needs no ring. */
void acceptor_init(struct acceptor *a, int fd);
/* Harmless when it runs already, or is closing. */
void acceptor_start(struct acceptor *a, struct ring *ring);
/* Harmless twice; closed() follows. */
void acceptor_close(struct acceptor *a);
/* True when closed() has been called, or would have been. */
bool acceptor_is_closed(const struct acceptor *a);
/* Once the ring is closed: the socket goes, without closed(). */
void acceptor_free(struct acceptor *a);

#endif
