/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shaper: bandwidth shared fairly under limits. No sockets; now is a parameter.
 *
 * A session stands below four limits: its own, its service's, its account's (the asking agent, or
 * "public") and the relay's. Every tick each limit hands out what its rate earned since the last
 * one, by max-min fairness: the relay's part is divided among accounts that want any, and so is a
 * service's, an account's among its sessions. So a thousand sessions of one agent weigh as much as
 * the one of another, and what one does not want goes to the others. Sessions that no limit touches
 * do not take part and cost nothing.
 *
 * A session's share is a count of bytes that its worker may still move, and whether it wants more:
 * two atomics, so that workers take and the control thread gives without a lock. All other calls
 * are the caller's to serialise (relay/session/pace.h).
 */
#ifndef POSTERN_RELAY_SHAPER_SHAPER_H
#define POSTERN_RELAY_SHAPER_SHAPER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"

#define SHAPER_TICK_MS 20u

struct shaper;

/* One session's two directions together. Made by the control thread, used by a worker, freed by the
 * last of the two to let go. */
struct share {
	_Atomic int64_t allowance; /* bytes; below 0 after a receive that was larger */
	_Atomic bool hungry;	   /* wanted more than it had since the last tick */
	_Atomic unsigned refs;
};

/* What a flow may receive now, at most want; 0: wait for the next tick. s NULL: no limit. */
size_t share_take(struct share *s, size_t want);
/* The part of a take that was not used. */
void share_return(struct share *s, size_t unused);
/* Bytes that were received without a take: later ones pay for them. */
void share_charge(struct share *s, size_t received);
void share_release(struct share *s);

struct shaper_limits {
	uint64_t relay; /* bytes per second; 0: no limit, in all of these */
	uint64_t per_agent;
	uint64_t per_service;
	uint64_t per_session;
};

struct shaper *shaper_new(void) MUST_CHECK;
void shaper_free(struct shaper *sh);
/* From the next tick on, also for sessions that run. */
void shaper_set_limits(struct shaper *sh, const struct shaper_limits *limits);

/* A session joins: service is AGENT/SERVICE, rate its own limit by policy (0: none). Returns its
 * share (two references: the shaper's and the caller's), or NULL when no limit touches it or memory
 * is out (*failed tells). Without a share it may join again when limits or its rate have changed.
 */
struct share *shaper_join(struct shaper *sh, uint64_t session, const char *account,
			  const char *service, uint64_t rate, bool *failed) MUST_CHECK;
/* Of a session that has a share; nothing happens to others. */
void shaper_set_rate(struct shaper *sh, uint64_t session, uint64_t rate);
void shaper_leave(struct shaper *sh, uint64_t session);

/* Gives out what was earned since the last tick (first: one tick's worth). A tick that is late
 * makes up for 10 ticks at most; else bursts are bounded by 4 ticks' worth. True when any share
 * that was hungry got something. */
bool shaper_tick(struct shaper *sh, uint64_t now_ms);
/* What there is to tick for: sessions, and agents and services whose limits have not yet made up
 * for those that left. */
size_t shaper_sessions(const struct shaper *sh);

#endif
