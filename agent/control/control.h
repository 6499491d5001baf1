/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control: what a console may ask of a running agent, and change in it.
 *
 * Theory of operation
 *
 *   console ══ a session like any other, end to end ══► stream ◄── socket pair ──► caller ──►
 * methods
 *
 * Every agent has the service WIRE_CONTROL_SERVICE without publishing it. publish.c lets in nobody
 * but holders of a console certificate of the same CA; the relay can neither read nor forge what
 * they say. A caller's lines are JSON-RPC calls (core/engine/calls.h), answered at once: the agent
 * is one thread, and no method waits.
 *
 * Another configuration is put in force whole or not at all (agent/control/apply.c); on trial it
 * goes back by itself. What happens is told as numbered events to whoever follows, and the last
 * RECORDS_KEPT are kept for consoles that come later.
 */
#ifndef POSTERN_AGENT_CONTROL_CONTROL_H
#define POSTERN_AGENT_CONTROL_CONTROL_H

#include <jansson.h>

#include "agent/agent.h"

#define CONTROL_SESSIONS_MAX 16u /* of consoles, at a time; beside config.max_sessions */

struct agent_control;
struct state;

/* Of the command line: they hold whatever is applied. -1: none. */
struct agent_overrides {
	int engine, log_level;
};

/* Becomes a->control. document (borrowed) says what a->config does; state: where to keep what is
 * applied, taken over, or NULL. False without memory. */
bool agent_control_open(struct agent *a, const json_t *document, struct state *state,
			const struct agent_overrides *overrides) MUST_CHECK;
/* The agent stops. */
void agent_control_stop(struct agent_control *ctl);
/* After its loop has ended. NULL is harmless. */
void agent_control_free(struct agent_control *ctl);

/* A console has come by this relay: the other end of its socket pair, or -1. */
int agent_control_attach(struct agent_control *ctl, const char *console,
			 const char *relay) MUST_CHECK;

/* Tells an event, its data as json_pack() makes it; nothing where there is no control. */
void agent_event(struct agent *a, const char *kind, const char *format, ...);

#endif
