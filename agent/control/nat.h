/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nat: what the NAT helper on this host tells the agent (core/engine/nat_view.h), for its status,
 * its events and its peers.
 */
#ifndef POSTERN_AGENT_CONTROL_NAT_H
#define POSTERN_AGENT_CONTROL_NAT_H

#include "core/engine/nat_view.h"
#include "core/feed.h"

struct agent_control;

struct agent_nat {
	struct agent_control *control;
	bool following;
	struct feed feed;
	struct nat_view view;
	char socket[108]; /* natd's, as it was at the start; "": none */
};

/* Forks the follower of natd's socket at path; before isolation. 0 or -errno. */
int agent_nat_open(struct agent_nat *n, const char *path) MUST_CHECK;
/* From now on the agent listens to it, and control has its events. Nothing without a follower. */
void agent_nat_follow(struct agent_nat *n, struct agent_control *control);
/* The agent stops. */
void agent_nat_stop(struct agent_nat *n);

#endif
