/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report: what workers tell the control thread, for events and the audit.
 *
 * A report is a message with plain fields; the control thread makes JSON and log lines of it.
 * Reports under way are bounded: beyond that they are dropped and counted, since no record is worth
 * a stalled worker.
 */
#ifndef POSTERN_RELAY_CONTROL_REPORT_H
#define POSTERN_RELAY_CONTROL_REPORT_H

#include "relay/front/conn.h"
#include "relay/session/session.h"

#define REPORTS_MAX 10000u /* under way at a time */

/* A session has begun or ended (why NULL: begun). */
void report_session(const struct session *s, const char *why);
/* An asker was refused. */
void report_refused(const struct conn *c, const char *from, const char *to, const char *service,
		    enum reason reason);
/* "agent.up", "agent.down", "agent.refused": c is its link. */
void report_agent(const struct conn *c, const char *kind, enum reason reason);

#endif
