/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stun_thread: a STUN server without RFC 5780 on a thread of its own, over UDP and TCP at
 * 127.0.0.1, with the answers of stun/server.h: for commands that have a ring of their own.
 */
#ifndef POSTERN_TESTS_STUN_THREAD_H
#define POSTERN_TESTS_STUN_THREAD_H

#include <pthread.h>

#include "core/addr.h"

struct stun_thread {
	/* The test's, before stun_thread_open(). */
	struct addr seen; /* what it says to see; len 0: the truth */
	bool no_tcp;	  /* nothing listens there */
	bool refuses;	  /* error 400, over UDP */

	uint16_t port;
	int udp, tcp;
	int stop[2];
	pthread_t thread;
	unsigned requests; /* over UDP; good after stun_thread_close() */
};

/* port 0: as the system chooses. */
void stun_thread_open(struct stun_thread *s, uint16_t port);
void stun_thread_close(struct stun_thread *s);

#endif
