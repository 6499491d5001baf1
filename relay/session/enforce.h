/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enforce: who may begin what on one worker, and what may go on.
 *
 * One question (core/engine/entitled.h and, for what is between two, relay/policy/) is asked when a
 * peer signs in, when a session is asked for, when it begins (the publishing agent may have taken
 * its time to accept), and again of everything that runs: with each new snapshot, and by one timer
 * at the earliest end of any certificate, rule or grant. A session that may not go on is reset on
 * both sides; a link, a leg and a console hear BYE; an asker that waits hears FAIL or BYE.
 *
 * The timer is core/program/look.h's, for the wall clock leaps.
 */
#ifndef POSTERN_RELAY_SESSION_ENFORCE_H
#define POSTERN_RELAY_SESSION_ENFORCE_H

#include "core/program/look.h"
#include "relay/front/conn.h"
#include "relay/policy/policy.h"

/* May the holder of this certificate go on, alone? With REASON_OK it is asked again in time. */
enum reason enforce_peer(struct worker *w, const struct credential *credential) MUST_CHECK;

/* What an asker (a leg, or a public client: credential NULL) wants. */
struct enforce_wish {
	const struct conn *asker;
	const struct credential *credential;
	const char *to, *service;
};
/* May it be asked for? Under relay_lock(). */
struct policy_answer enforce_open(const struct enforce_wish *wish);
/* May it go on waiting for an answer? */
struct policy_answer enforce_waiting(const struct enforce_wish *wish);
/* May the two of this pair begin? The answer's rate and end are the session's. */
struct policy_answer enforce_begin(struct worker *w, const struct rendezvous_pair *pair,
				   const char *service, const struct addr *source);

/* Asks of everything on w; called with a new snapshot and by the clock. */
void enforce_all(struct worker *w);
/* Something has begun whose answer is good until then; 0: for ever. */
void enforce_watch(struct worker *w, time_t again);
/* The look of a worker's sessions: time has changed an answer. */
void enforce_look(struct look *l);

#endif
