/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report: what workers tell the control thread, for events and the audit.
 *
 * A report is a message with plain fields; the control thread makes JSON and log lines of it
 * (struct relay_upward). Reports under way are bounded: beyond that they are dropped and counted,
 * since no record is worth a stalled worker.
 */
#ifndef POSTERN_RELAY_SESSION_REPORT_H
#define POSTERN_RELAY_SESSION_REPORT_H

#include "relay/front/conn.h"
#include "relay/session/session.h"

#define REPORTS_MAX 10000u /* under way at a time */

struct report {
	struct ring_msg msg; /* first: the ring hands this back */
	struct relay *relay;
	const char *kind; /* a constant: "session.opened", "agent.up" ... */
	bool audit;	  /* of a session; else an event about the agent from */
	bool closed;	  /* the session has ended: up, down and ms tell how it was */
	char from[64], to[64], service[64], why[160], ending[ENDING_CODE_BYTES];
	struct addr source;
	uint64_t number, up, down, ms;
};

/* A session has begun, or ended: by which code and why (both NULL: begun). */
void report_session(const struct session *s, const char *ending, const char *why);
/* An asker ("public": a public client) got no session: by which code and why. */
void report_refused(const struct conn *c, const char *from, const char *to, const char *service,
		    const char *ending, enum reason reason);
/* "agent.up", "agent.down", "agent.refused": c is its link. */
void report_agent(const struct conn *c, const char *agent, const char *kind, enum reason reason);

/* On the control thread: it has been recorded. Returns how many were lost since one last asked. */
uint64_t report_done(struct report *p);

#endif
