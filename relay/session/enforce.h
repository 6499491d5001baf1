/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enforce: policy at work on one worker: what may begin, and what may go on.
 *
 * A decision is made when a session is asked for, and again for every running one when the policy
 * changes or time changes the answer (relay/policy/ decides). A session that may not go on is reset
 * on both sides; links of revoked agents end by themselves (link.c).
 */
#ifndef POSTERN_RELAY_SESSION_ENFORCE_H
#define POSTERN_RELAY_SESSION_ENFORCE_H

#include "relay/front/conn.h"
#include "relay/policy/policy.h"

/* May the asker c (a leg of link, or a public client: 0) have a session to this service? Under
 * relay_lock(). The answer's rate and end are in *grant. */
enum reason enforce_open(const struct conn *c, uint64_t link, const char *to, const char *service,
			 struct policy_answer *grant) MUST_CHECK;

/* Looks at every session of w; called with a new snapshot and by the clock. */
void enforce_sessions(struct worker *w);
/* A session has begun whose answer changes by itself. */
void enforce_watch(struct worker *w, time_t again);
void enforce_tick(struct timer *t, uint64_t now_ms);

#endif
