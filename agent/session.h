/* SPDX-License-Identifier: Apache-2.0 */
/* session: what an asked-for and a published session have in common: a place in the agent's table,
 * a stream, and two lines in the log. */
#ifndef POSTERN_AGENT_SESSION_H
#define POSTERN_AGENT_SESSION_H

#include "agent/agent.h"
#include "agent/stream.h"
#include "core/parse/wire.h"

struct agent_session {
	struct agent *agent;
	struct agent_session *next, *prev;
	uint64_t number;
	bool asking;
	char peer[WIRE_NAME_MAX + 1]; /* the other agent; "" for a public session */
	char service[WIRE_NAME_MAX + 1];
	/* Ends it at once; the reset reaches both sides. */
	void (*stop)(struct agent_session *s);
	/* A link is usable again; NULL when it does not wait for one. */
	void (*wake)(struct agent_session *s);
	struct stream stream;
};

/* False at the limit of config.max_sessions. */
bool agent_session_add(struct agent *a, struct agent_session *s) MUST_CHECK;
void agent_session_remove(struct agent_session *s);

void agent_session_log_open(const struct agent_session *s, const char *relay);
/* Also adds the stream's bytes to the agent's totals. */
void agent_session_log_closed(struct agent_session *s);

#endif
