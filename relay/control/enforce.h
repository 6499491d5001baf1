/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enforce: policy at work on one worker: what may begin, and what may go on.
 *
 * A decision is made when a session is asked for, and again for every running one when the policy
 * changes or time changes the answer. A session that may not go on is reset on both sides; a
 * revoked agent's link ends too.
 */
#ifndef POSTERN_RELAY_CONTROL_ENFORCE_H
#define POSTERN_RELAY_CONTROL_ENFORCE_H

#include "relay/front/conn.h"

/* May the asker (a leg, or a public client) have a session to this service? Under relay_lock().
 * Keeps the answer's rate and end in c->grant. */
enum reason enforce_open(struct conn *c, const char *to, const char *service) MUST_CHECK;

/* Looks at everything that runs on w; called with a new snapshot and by the clock. */
void enforce_policy(struct worker *w);
/* A session has begun whose answer changes by itself. */
void enforce_watch(struct worker *w, time_t again);
void enforce_tick(struct timer *t, uint64_t now_ms);

#endif
