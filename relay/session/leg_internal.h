/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leg_internal: what leg.c (agents' legs), public.c (clients that are none of ours), asker.c (what
 * both ask) and cut.c (what both become) share.
 */
#ifndef POSTERN_RELAY_SESSION_LEG_INTERNAL_H
#define POSTERN_RELAY_SESSION_LEG_INTERNAL_H

#include "core/parse/ending.h"
#include "relay/rendezvous/rendezvous.h"
#include "relay/session/leg.h"

extern const struct conn_state leg_state;
extern const struct conn_phase phase_leg, phase_public, phase_site;

/* NULL: c is in none of the phases of leg.h. */
static inline struct relay_leg *leg_of(struct conn *c)
{
	return c->phase->state == &leg_state ? (struct relay_leg *)c->state : NULL;
}

/* ---- asker.c ---- */

/* Asks policy and the tables for a session; refused: not even that, for this reason. Fills in who
 * asks; REASON_OK: the leg has kept what it asks for. */
enum reason asker_ask(struct conn *c, struct leg_asked *asked, enum reason refused,
		      struct rendezvous_offer *offer) MUST_CHECK;
/* The asker waits for this meeting from now on. */
void asker_offer(struct conn *asker, const struct rendezvous_offer *offer);
/* Whether the session is to stay in the TLS of both sides is the asker's kind: OFFER and GO say so.
 * False: there is no room for it. */
bool asker_mark(const struct conn *asker, struct wire_message *m) MUST_CHECK;
/* What an asker, of any kind, waited for came to nothing: it hears so, in its own words. Counted.
 */
void asker_failed(struct conn *c, enum ending_side who, enum reason reason, struct wire_bytes text);
/* The asker waits no longer: an answer that is on its way finds no meeting. */
void asker_forget_meeting(struct conn *c);
/* The asker gets no session: a line in the log, and a record. who: whose answer, or silence, it
 * was. The caller counts. */
void asker_record_refused(struct conn *c, const struct leg_asked *asked, enum ending_side who,
			  enum reason reason);
/* It left before there was an answer. Counted, and on record. */
void asker_gone(struct conn *c, const struct leg_asked *asked);
/* It waits for an answer: it may have lost its own right, or the one to what it asked for. */
void asker_judge(struct conn *c);

/* ---- the kinds of asker: how each hears that it gets no session; counted ---- */

void leg_failed(struct conn *c, const struct leg_asked *asked, enum ending_side who,
		enum reason reason, struct wire_bytes text);
void public_failed(struct conn *c, const struct leg_asked *asked, enum ending_side who,
		   enum reason reason);
void site_failed(struct conn *c, const struct leg_asked *asked, enum ending_side who,
		 enum reason reason);

/* ---- leg.c ---- */

/* A leg hears why it gets nothing, and is idle again. text empty: the reason's sentence. Counted.
 */
void leg_fail(struct conn *c, enum reason reason, struct wire_bytes text);
/* It may belong to a link that may not go on: it is refused then. */
void leg_judge(struct conn *c);

/* ---- cut.c ---- */

/* A leg on its way to the worker of its asker. */
struct handover {
	struct ring_msg msg; /* first: the ring hands this back */
	struct relay *relay;
	uint64_t session;
	struct rendezvous_pair pair;
	int fd;
	uint32_t place; /* in the ledger */
	struct tls *tls;
};

/* The idle leg has accepted this session, and the pair is its own: it meets the asker, which may be
 * on another worker, and both become the session. */
void cut_through(struct conn *leg, uint64_t session, const struct rendezvous_pair *pair);
/* It closes for this, and was about to become its side of leg->session. */
void cut_abort(const struct relay_leg *leg, enum reason why);

#endif
