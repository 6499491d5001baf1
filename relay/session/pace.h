/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace: the shaper among threads, and the flows that wait for it.
 *
 * The control thread's ring ticks the shaper while any session has a share. Workers let
 * sessions join and leave under a lock of its own, taken when a session begins and ends and for the
 * length of a tick; taking from a share needs none.
 *
 * A flow that found no allowance has no operation in flight: it stands in its worker's list, first
 * come, first served. A timer that runs only while a flow stands there looks again every tick.
 */
#ifndef POSTERN_RELAY_SESSION_PACE_H
#define POSTERN_RELAY_SESSION_PACE_H

#include <stdbool.h>

#include "core/ring.h"
#include "relay/shaper/shaper.h"

struct flow;
struct pacer;
struct session;
struct worker;

/* NULL without memory. */
struct pacer *pacer_new(void) MUST_CHECK;
/* From now on ring's thread ticks; before sessions begin. */
void pacer_start(struct pacer *p, struct ring *ring);
/* From any thread. Sessions that had no limit so far need pace_adopt() on their workers, too. */
void pacer_set_limits(struct pacer *p, const struct shaper_limits *limits);
/* After all sessions have ended, or with their rings gone. */
void pacer_free(struct pacer *p);

/* Gives a session its share when a limit touches it. False without memory: it has none then. */
bool pace_join(struct session *s) MUST_CHECK;
/* s->rate is another now. */
void pace_set_rate(struct session *s);
void pace_leave(struct session *s);
/* Shares for the sessions of w that have none and need one now. */
void pace_adopt(struct worker *w);

/* The flow waits for its allowance; flow_resume() ends that. */
void pace_wait(struct flow *f);
/* It does not wait any more. */
void pace_forget(struct flow *f);
/* A worker's timer: looks after the sessions that wait. */
void pace_look(struct timer *t, uint64_t now_ms);

#endif
