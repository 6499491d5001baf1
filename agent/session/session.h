/* SPDX-License-Identifier: Apache-2.0 */
/* session: what an asked-for and a published session have in common: a place in the agent's table,
 * a stream, and what the log and the console hear of it. */
#ifndef POSTERN_AGENT_SESSION_SESSION_H
#define POSTERN_AGENT_SESSION_SESSION_H

#include "agent/agent.h"
#include "agent/engine/candidates.h"
#include "agent/relays/connector.h"
#include "agent/session/stream.h"
#include "core/parse/wire.h"

struct agent_session {
	struct agent *agent;
	struct agent_session *next, *prev;
	uint64_t number, started_ms;
	bool asking;
	bool control; /* a console's, with the agent itself; has a limit of its own */
	bool opened;
	char peer[WIRE_NAME_MAX + 1]; /* the other agent; "" for a public session */
	char service[WIRE_NAME_MAX + 1];
	char relay[ENDPOINT_TEXT_BYTES];
	struct candidates *candidates; /* the peer's own word; NULL: none; owned */
	/* Ends it at once; the reset reaches both sides. */
	void (*stop)(struct agent_session *s, enum reason reason, const char *why);
	/* A link is usable again; NULL when it does not wait for one. */
	void (*wake)(struct agent_session *s);
	struct stream stream;
};

/* False at the limit of config.max_sessions, or of consoles' sessions. */
bool agent_session_add(struct agent *a, struct agent_session *s) MUST_CHECK;
void agent_session_remove(struct agent_session *s);

/* Each tells log and console, and counts. */
void agent_session_opened(struct agent_session *s);
void agent_session_closed(struct agent_session *s);
/* text may be "": the reason's sentence speaks then. */
void agent_session_refused(const struct agent_session *s, enum reason reason, const char *text);

/* Keeps and logs where the peer says that it can be reached. */
void agent_session_candidates(struct agent_session *s, const struct wire_candidates *from);

/* Ends the sessions of names that are revoked. */
void agent_sessions_revoke(struct agent *a);
const char *agent_session_role(const struct agent_session *s);

#endif
