/* SPDX-License-Identifier: Apache-2.0 */
/* listener: a worker's listening TCP sockets. */
#ifndef POSTERN_RELAY_FRONT_LISTENER_H
#define POSTERN_RELAY_FRONT_LISTENER_H

#include "core/acceptor.h"
#include "relay/config/bind_list.h"
#include "relay/front/worker.h"

struct relay_listener {
	struct acceptor acceptor;
	struct relay_listener *next;
	struct addr address;
	struct worker *worker;
	bool proxy_protocol;
	bool stun_only;
};

/* Takes fd over; it accepts nothing before listener_start_all(). False without memory: fd is
 * closed. */
bool listener_add(struct worker *w, const struct bind_address *at, int fd) MUST_CHECK;
/* All that have been added and do not run yet. */
void listener_start_all(struct worker *w);
/* Closes those that next does not ask for, and adopts what is spoken at the others. */
void listener_keep(struct worker *w, const struct bind_list *next);
void listener_close_all(struct worker *w);
/* After the ring is closed. */
void listener_free_all(struct worker *w);

#endif
