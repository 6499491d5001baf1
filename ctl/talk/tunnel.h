/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tunnel: a socket whose far end is a relay's control channel, or the control service of an agent.
 *
 * Theory of operation
 *
 *   command ── near ═══ far ── relay_line.c: outer TLS, HELLO as a console ──► relay
 *                        └──── the agent's engine: a session, end to end ────► agent
 *
 * The agent's engine (agent/) dials, proves and copies; it wants a ring and a thread of its own.
 * The command has a plain socket to read lines from, and when that ends, a sentence that says why.
 */
#ifndef POSTERN_CTL_TALK_TUNNEL_H
#define POSTERN_CTL_TALK_TUNNEL_H

#include "agent/config/config.h"
#include "core/must_check.h"

struct tunnel;

/* To the relay at this place of config's list, signing in with these flags of HELLO. config is
 * borrowed until tunnel_close(). NULL: out of memory, threads or descriptors (errno). */
struct tunnel *tunnel_to_relay(const struct agent_config *config, size_t relay,
			       uint8_t flags) MUST_CHECK;
/* A session with an agent's service, by any of the relays. */
struct tunnel *tunnel_to_agent(const struct agent_config *config, const char *agent,
			       const char *service) MUST_CHECK;

/* Our end; the caller's from here on. */
int tunnel_take_fd(struct tunnel *t);
/* Waits until the relay has let us in. False: tunnel_why(). An agent's tunnel is up at once. */
bool tunnel_wait(struct tunnel *t) MUST_CHECK;
/* Why it ended, a sentence; "" while it is up, and after an orderly end. */
const char *tunnel_why(struct tunnel *t);
void tunnel_close(struct tunnel *t);

#endif
