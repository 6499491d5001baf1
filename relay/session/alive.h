/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alive: sessions whose line to one side is dead (core/alive.h), looked for on each worker.
 *
 * Each session is looked at every ALIVE_ROUND_MS, a part of the table at a time. Where a line is
 * dead both sides are reset, and the other agent is told that it was the line.
 */
#ifndef POSTERN_RELAY_SESSION_ALIVE_H
#define POSTERN_RELAY_SESSION_ALIVE_H

#include "relay/session/session.h"

/* Both descriptors are there: from now on either side may pause. */
void alive_session_begins(struct session *s);
/* The worker's timer. */
void alive_look_through(struct timer *t, uint64_t now_ms);

#endif
