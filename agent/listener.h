/* SPDX-License-Identifier: Apache-2.0 */
/* listener: one local listening socket; accepts until it is closed, pausing when descriptors run
 * out. */
#ifndef POSTERN_AGENT_LISTENER_H
#define POSTERN_AGENT_LISTENER_H

#include "agent/agent.h"

#define LISTENER_PAUSE_MS 200u

struct listener {
	struct agent *agent;
	struct ring_op op;
	struct timer pause;
	int fd; /* -1: closed */
	void (*accepted)(struct listener *l, int fd, const char *source);
	const void *owner;
};

/* Binds and listens; *bound is the address in use. Returns 0 or -errno. l stays where it is. */
int listener_open(struct listener *l, struct agent *a, const struct addr *address,
		  struct addr *bound) MUST_CHECK;
/* Harmless twice; l must live until the agent holds nothing any more. */
void listener_close(struct listener *l);

#endif
