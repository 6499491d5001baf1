/* SPDX-License-Identifier: Apache-2.0 */
/* listener: one local listening socket, and the clients that come in by it. */
#ifndef POSTERN_AGENT_ENTRANCE_LISTENER_H
#define POSTERN_AGENT_ENTRANCE_LISTENER_H

#include "agent/worker/worker.h"
#include "core/acceptor.h"
#include "core/addr.h"

struct agent_listener {
	struct agent_worker *worker;
	struct acceptor acceptor;
	void (*accepted)(struct agent_listener *l, int fd, const char *source);
	/* After agent_listener_close(), maybe from inside it: nothing is in flight, the owner may
	 * free.
	 */
	void (*closed)(struct agent_listener *l);
};

/* Binds and listens; *bound is the address in use. patiently: waits a moment, blocking, for a
 * killed predecessor's socket to go. Returns 0 or -errno. Connections wait until
 * agent_listener_begin().
 */
int agent_listener_open(struct agent_listener *l, struct agent_worker *w,
			const struct addr *address, bool patiently, struct addr *bound,
			bool *absent) MUST_CHECK;
void agent_listener_begin(struct agent_listener *l);
/* Harmless twice. */
void agent_listener_close(struct agent_listener *l);

#endif
