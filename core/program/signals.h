/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signals: the signals that a program answers in its loop, by signalfd(2).
 *
 * signals_open() blocks them in the calling thread: before the first other thread, which inherits
 * the mask, and before isolation.
 */
#ifndef POSTERN_CORE_PROGRAM_SIGNALS_H
#define POSTERN_CORE_PROGRAM_SIGNALS_H

#include "core/ring.h"

struct signals {
	/* The owner sets these before signals_follow(). */
	void (*came)(struct signals *s, int number);
	void (*closed)(
		struct signals *s); /* after signals_close(): nothing is in flight; or NULL */

	struct ring *ring;
	struct ring_op op;
	int fd; /* -1: closed */
	bool reading, closing;
};

/* numbers end with 0. 0 or -errno. */
int signals_open(struct signals *s, const int *numbers) MUST_CHECK;
/* From now on came() is called from this ring. */
void signals_follow(struct signals *s, struct ring *ring);
/* No more signals; also from inside came(). closed() follows, maybe from inside this call. */
void signals_close(struct signals *s);
/* Once the ring's loop has ended for good: closed() will not come. Harmless twice. */
void signals_free(struct signals *s);

#endif
