/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control: what a console may ask of a running agent, and change in it.
 *
 * Theory of operation
 *
 *   console ══ a session like any other, end to end ══► stream ◄── socket pair ──► caller
 *                                                                                     │ lines
 *                                                                                     ▼
 *                                                                                  methods
 *
 * Every agent has the service WIRE_CONTROL_SERVICE without publishing it. The session room lets in
 * holders of a console certificate of the same CA and no others; the relay can neither read nor
 * forge what they say. A caller's lines are JSON-RPC calls (core/engine/calls.h), answered at once:
 * all rooms are of one thread, and no method waits.
 *
 * Another configuration is put in force whole or not at all (apply.c); on trial it goes back by
 * itself. What happens in the other rooms is told as numbered events to those who follow them
 * (events.c), and the last RECORDS_KEPT are kept for consoles that come later. So is what the NAT
 * helper on this host tells (core/program/nat_follow.h).
 */
#ifndef POSTERN_AGENT_CONTROL_CONTROL_H
#define POSTERN_AGENT_CONTROL_CONTROL_H

#include <jansson.h>

#include "agent/config/setup.h"
#include "agent/engine/candidates.h"
#include "agent/entrance/entrance.h"
#include "agent/relays/links.h"
#include "agent/session/session.h"
#include "agent/worker/worker.h"

struct agent_control;
struct configuring_start;
struct agent_state;

/* Of the command line: they outlast every applied configuration. -1: none. */
struct agent_overrides {
	int engine, log_level;
};

/* What consoles see and change; of one agent, which outlives its control. */
struct agent_rooms {
	struct agent_worker *worker;
	struct agent_setup *setup;
	struct agent_links *links;
	struct agent_sessions *sessions;
	struct entrances *entrances;
};

/*
 * start (borrowed) says what setup->config does, and path is the file that it came from, good as
 * long as the agent; state: where to keep what is applied, taken over, or NULL. Forks the follower
 * of nat.socket, so call it before isolation. NULL: why has a sentence, and state is the caller's
 * still.
 */
struct agent_control *agent_control_new(const struct agent_rooms *rooms,
					const struct configuring_start *start, const char *path,
					struct agent_state *state,
					const struct agent_overrides *overrides, char *why,
					size_t why_size) MUST_CHECK;
/* Listens to the NAT helper from now on. */
void agent_control_start(struct agent_control *ctl);

/* All below are harmless on NULL: an agent without control tells nothing and answers no console. */

/* SIGHUP: reads the file again (core/engine/configuring.h). */
void agent_control_reload(struct agent_control *ctl);
/* The agent stops. */
void agent_control_stop(struct agent_control *ctl);
/* After its loop has ended. */
void agent_control_free(struct agent_control *ctl);

/* A console has come by this relay, with this certificate: the other end of its socket pair, or -1.
 */
int agent_control_attach(struct agent_control *ctl, struct credential *console,
			 const char *relay) MUST_CHECK;
/* Where peers are told that this agent can be reached: nothing unless config.nat.share. */
void agent_control_candidates(const struct agent_control *ctl, struct candidates *out);

/* What relays have told is kept, where there is a state_dir: within so long, and at the end. What
 * cannot be is tried again. */
#define KEEP_MS	      500u
#define KEEP_AGAIN_MS 60000u
/* Tag keys, once in KEEP_AGAIN_MS, for a relay that lies may tell new ones without end. */
void agent_control_keep_tag_keys(struct agent_control *ctl);
/* Signed revocations: none that is new can be made by a relay. */
void agent_control_keep_revocations(struct agent_control *ctl);

/* ---- events.c: what happened in the other rooms --------------------------------------------- */

void agent_control_link_up(struct agent_control *ctl, const struct agent_link *l);
void agent_control_link_down(struct agent_control *ctl, const struct agent_link *l,
			     enum reason reason, const char *why);
/* As of struct agent_links_events. */
void agent_control_signed(struct agent_control *ctl, const struct agent_link *l,
			  const struct signed_told *changes);
void agent_control_session_opened(struct agent_control *ctl, const struct agent_session *s);
void agent_control_session_closed(struct agent_control *ctl, const struct agent_session *s);
void agent_control_session_refused(struct agent_control *ctl, const struct agent_refusal *r);

#endif
