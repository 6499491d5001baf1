/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acceptor: accepts on one listening socket until it is closed; no failure ends it.
 *
 * Theory of operation. A ring's accept operation ends with an error when descriptors or memory have
 * run out. Then accepting pauses for ACCEPTOR_PAUSE_MS and is tried again, for as long as it takes.
 * A short want costs nobody anything: connections wait in the kernel's queue, and are accepted when
 * something has been closed. When there is still no descriptor after the first pause, they are not
 * left to wait: a descriptor that is held in reserve for this is closed, and in its place each is
 * accepted, told by dropping() and closed. The first failure of a row is logged with what to do
 * about it; all are counted.
 *
 *   idle --start--> accepting --error--> paused --timer--> accepting
 *                       |                   |
 *                     close               close
 *                       v                   v
 *                    closing --the operation has ended--> closed
 *
 * A connection that is accepted while closing is closed, and the kernel resets those that its queue
 * still holds; or, where the owner sets empties, they are all accepted first and are the owner's.
 */
#ifndef POSTERN_CORE_ACCEPTOR_H
#define POSTERN_CORE_ACCEPTOR_H

#include "core/ring.h"

#define ACCEPTOR_PAUSE_MS 100u
#define ACCEPTOR_DROPS	  256u /* after one pause; other operations wait meanwhile */

struct acceptor {
	/* The owner sets these before acceptor_start(). */
	const char *name; /* in the log: "relay", "metrics" */
	/* fd, non-blocking, is the owner's from now on. It may close the acceptor in here. */
	void (*accepted)(struct acceptor *a, int fd);
	/* Each time that accepting pauses, for counts of the owner's own; may be NULL. */
	void (*paused)(struct acceptor *a);
	/* There is no descriptor for this connection, which ends after this call: for a last word
	 * that can be sent at once, and a count. False, and where it is NULL: nothing was said, and
	 * the peer sees a reset, not the end of something. */
	bool (*dropping)(struct acceptor *a, int fd);
	bool empties; /* what waits in the queue when it closes is accepted */
	/* Once after acceptor_close(), maybe from inside it: nothing is in flight, the owner may
	 * free. May be NULL. */
	void (*closed)(struct acceptor *a);

	/* This module's. */
	struct ring *ring; /* NULL: not started */
	struct ring_op op;
	struct timer pause;
	int fd;	     /* -1: closed */
	int reserve; /* the same socket once more: a place in the table; -1: not to be had */
	bool closing;
	bool failing; /* since the last connection */
	uint64_t pauses, dropped;
};

/* Takes the listening socket over, and one more descriptor; accepts nothing yet, and needs no ring.
 */
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
