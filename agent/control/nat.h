/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nat: what the NAT helper on this host tells the agent (core/engine/nat_view.h), for its status,
 * its events and its peers.
 */
#ifndef POSTERN_AGENT_CONTROL_NAT_H
#define POSTERN_AGENT_CONTROL_NAT_H

#include "agent/agent.h"
#include "agent/engine/candidates.h"

/* Starts the follower of config.nat.socket, if there is one; before isolation. 0 or -errno. */
int agent_nat_open(struct agent *a) MUST_CHECK;
/* From now on the agent listens to it. */
void agent_nat_follow(struct agent *a);
/* The agent stops. */
void agent_nat_stop(struct agent *a);

/* What a peer is told: nothing unless config.nat.share. */
void agent_nat_candidates(const struct agent *a, struct candidates *out);

#endif
