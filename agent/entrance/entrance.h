/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entrance: the local listeners: forwards, each leading to one service, and the SOCKS5 server.
 *
 * A listener belongs to its address: what it leads to may change without its being closed, and
 * connections that it has let in do not depend on it. A new set of them comes in two steps, so that
 * it comes whole or not at all.
 */
#ifndef POSTERN_AGENT_ENTRANCE_ENTRANCE_H
#define POSTERN_AGENT_ENTRANCE_ENTRANCE_H

#include "agent/config/config.h"
#include "agent/session/session.h"

struct entrances;

/* None yet. NULL when memory is out. */
struct entrances *entrances_new(struct agent_sessions *sessions) MUST_CHECK;
/* Binds the addresses of next that no listener has. patiently: at the start only, see listener.h.
 * False: why names the address, nothing has changed. */
bool entrances_prepare(struct entrances *e, const struct agent_config *next, bool patiently,
		       char *why, size_t why_size) MUST_CHECK;
/* What was prepared is not wanted. */
void entrances_abandon(struct entrances *e);
/* Opens what was prepared for config, leads all others to where config says, closes the rest. */
void entrances_adopt(struct entrances *e, const struct agent_config *config);

/* When the agent stops; free after its loop has ended. NULL is harmless. */
void entrances_close(struct entrances *e);
void entrances_free(struct entrances *e);

#endif
