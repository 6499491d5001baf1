/* SPDX-License-Identifier: Apache-2.0 */
/* listener: one local listening socket; accepts until it is closed, pausing when descriptors run
 * out. */
#ifndef POSTERN_AGENT_ENTRANCE_LISTENER_H
#define POSTERN_AGENT_ENTRANCE_LISTENER_H

#include "agent/agent.h"

#define LISTENER_PAUSE_MS 200u

struct listener {
	struct agent *agent;
	struct ring_op op;
	struct timer pause;
	int fd; /* -1: closed */
	bool closing;
	void (*accepted)(struct listener *l, int fd, const char *source);
	/* After listener_close(), maybe from inside it: nothing is in flight, the owner may free.
	 */
	void (*closed)(struct listener *l);
};

/* Binds and listens; *bound is the address in use. patiently: waits a moment, blocking, for a
 * killed predecessor's socket to go. Returns 0 or -errno. Connections wait until listener_begin().
 */
int listener_open(struct listener *l, struct agent *a, const struct addr *address, bool patiently,
		  struct addr *bound) MUST_CHECK;
void listener_begin(struct listener *l);
/* Harmless twice. */
void listener_close(struct listener *l);

#endif
