/* SPDX-License-Identifier: Apache-2.0 */
/* leg_internal: what leg.c (agents' legs, and cutting through) and public.c (other askers) share.
 */
#ifndef POSTERN_RELAY_SESSION_LEG_INTERNAL_H
#define POSTERN_RELAY_SESSION_LEG_INTERNAL_H

#include "core/parse/ending.h"
#include "relay/rendezvous/rendezvous.h"
#include "relay/session/leg.h"

extern const struct conn_state leg_state;
extern const struct conn_phase phase_public, phase_site;

/* NULL: c is in none of the phases of leg.h. */
static inline struct relay_leg *leg_of(struct conn *c)
{
	return c->phase->state == &leg_state ? (struct relay_leg *)c->state : NULL;
}

/* Asks policy and the tables for a session; refused: not even that, for this reason. Fills in who
 * asks; REASON_OK: the leg has kept what it asks for. */
enum reason asker_ask(struct conn *c, struct leg_asked *asked, enum reason refused,
		      struct rendezvous_offer *offer) MUST_CHECK;
/* The asker waits for this meeting from now on. */
void leg_offer(struct conn *asker, const struct rendezvous_offer *offer);
/* The asker waits no longer: an answer that is on its way finds no meeting. */
void leg_forget_meeting(struct conn *c);
/* The asker gets no session: a line in the log, and a record. who: whose answer, or silence, it
 * was. The caller counts. */
void leg_record_refused(struct conn *c, const struct leg_asked *asked, enum ending_side who,
			enum reason reason);
/* It waits for an answer: it may have lost its own right, or the one to what it asked for. */
void asker_judge(struct conn *c);

/* The asker in PUBLIC, or SITE, gets no session: it hears so, in its own words. Counted. */
void public_failed(struct conn *c, const struct leg_asked *asked, enum ending_side who,
		   enum reason reason);
void site_failed(struct conn *c, const struct leg_asked *asked, enum ending_side who,
		 enum reason reason);

#endif
