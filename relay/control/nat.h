/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nat: what the NAT helper on this host tells the relay (core/engine/nat_view.h), for status,
 * events and metrics. On the control thread.
 */
#ifndef POSTERN_RELAY_CONTROL_NAT_H
#define POSTERN_RELAY_CONTROL_NAT_H

#include "core/engine/nat_view.h"
#include "core/feed.h"
#include "relay/control/control.h"

struct nat {
	struct control *control;
	bool following;
	char socket[108]; /* natd's, as it was at the start; "": none */
	struct feed feed;
	struct nat_view view;
};

/* Starts the follower of the socket at path (NULL: none). Before the first thread and before
 * isolation. 0 or -errno. */
int nat_open(struct nat *n, const char *path) MUST_CHECK;
/* From now on the control thread listens to it. */
void nat_follow(struct nat *n, struct control *ctl);
/* Once the control thread's ring is closed. */
void nat_free(struct nat *n);

#endif
