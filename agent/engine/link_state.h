/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_state: one relay's link as a state machine, without sockets or a clock of its own.
 *
 * Theory of operation
 *
 *              start                    dialled                 WELCOME
 *   DOWN ───────────────► DIALLING ──────────────► SIGNING_IN ──────────► UP ──DRAIN──► DRAINING
 *                            ▲  │                      │                   │                │
 *                     timer  │  │ failed               └── BYE, silence, end of file ───────┘
 *                            │  ▼                                   │
 *                           WAITING ◄───────────────────────────────┘
 *
 * Every input returns what the caller must do, as a set of enum link_action, in the order of their
 * values. The caller owns the connection: it calls link_state_lost() exactly once for each
 * connection that ended by itself, and not when it was told LINK_DO_CLOSE.
 *
 * What makes an agent wait longer than its back-off: another agent of the same name (they would
 * replace each other for ever), a refused certificate or a revoked name (it will not get better by
 * itself), and a relay that says when to come back. A revoked name asks every 5 to 10 seconds for
 * ten minutes, so that it is soon back when the operator thinks again; then as seldom as the
 * others, so that many of them do not wear out the relay.
 *
 * Silence ends a link late, since a relay may be busy. Somebody who waits for an answer asks
 * sooner: link_state_ask() says PING, and when nothing at all is heard within LINK_ANSWER_MS the
 * link is *doubted*: nothing new is opened there until something is heard again.
 *
 * A leg may reach another relay than its link did, where one name leads to several. Then the link
 * is asked, too. When it answers, the name is at fault, which does not pass by itself; when it is
 * silent, the relay was only started anew.
 */
#ifndef POSTERN_AGENT_ENGINE_LINK_STATE_H
#define POSTERN_AGENT_ENGINE_LINK_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/engine/backoff.h"
#include "core/parse/reason.h"
#include "core/parse/wire.h"

#define LINK_SIGN_IN_MS	      10000u	     /* from HELLO to WELCOME */
#define LINK_PING_MS	      25000u	     /* when the relay names no interval */
#define LINK_PING_SPREAD      5u	     /* each PING comes a fifth sooner or later, at most */
#define LINK_SILENT_INTERVALS 3u	     /* this long without a word: the link is dead */
#define LINK_REPLACED_MS      30000u	     /* first wait after BYE{REPLACED} */
#define LINK_REPLACED_MAX_MS  (10u * 60000u) /* and the longest */
/* A revoked name is often let in again soon after; for so long it asks so often. */
#define LINK_REVOKED_MS	     10000u
#define LINK_REVOKED_SOON_MS (10u * 60000u)
#define LINK_DRAIN_MAX_MS    (10u * 60000u) /* a relay cannot send us away for longer */
#define LINK_ANSWER_MS	     800u	    /* from the PING that asks whether it lives to doubt */

/* In brackets: the messages that may arrive. Any other ends the link with BYE{PROTOCOL}. */
enum link_phase {
	LINK_DOWN,	 /* not started */
	LINK_DIALLING,	 /* the caller is making a connection */
	LINK_SIGNING_IN, /* HELLO is sent [WELCOME, BYE] */
	LINK_UP,	 /* [PUBLISHED, OFFER, PING, PONG, DRAIN, REVOKED, SIGNED, TAGKEY,
			  * PROVE, ENDED, BYE] */
	LINK_DRAINING,	 /* as UP, but nothing new is opened here [as UP] */
	LINK_WAITING,	 /* for the back-off to pass */
};
#define LINK_PHASES 6

enum link_action {
	LINK_DO_DIAL = 1 << 0,	       /* make a connection; tell dialled or failed */
	LINK_DO_SIGN_IN = 1 << 1,      /* send HELLO */
	LINK_DO_UP = 1 << 2,	       /* take what WELCOME gave; the link may be used */
	LINK_DO_PUBLISH = 1 << 3,      /* send PUBLISH */
	LINK_DO_OFFER = 1 << 4,	       /* the message is an OFFER to answer */
	LINK_DO_PING = 1 << 5,	       /* send PING with link_state.token */
	LINK_DO_PONG = 1 << 6,	       /* send PONG with the message's token */
	LINK_DO_BYE = 1 << 7,	       /* send BYE with link_state.said */
	LINK_DO_CLOSE = 1 << 8,	       /* close the connection, or stop dialling */
	LINK_DO_DOWN = 1 << 9,	       /* the link was UP and is not any more: link_state.why */
	LINK_DO_WAIT = 1 << 10,	       /* an attempt came to nothing: link_state.why, retry_ms */
	LINK_DO_REVOKE = 1 << 11,      /* the message is a REVOKED: take its names */
	LINK_DO_TAG_KEY = 1 << 12,     /* the message is a TAGKEY: take its key */
	LINK_DO_TAKE_SIGNED = 1 << 13, /* the message is a SIGNED: take its revocation */
	LINK_DO_PROVE = 1 << 14,       /* the message is a PROVE: look whose session it is of */
	LINK_DO_ENDED = 1 << 15,       /* the message is an ENDED: likewise */
	LINK_DO_DOUBT = 1 << 16,       /* it did not answer: whoever waits should go elsewhere */
	LINK_DO_TRUST = 1 << 17,       /* it was doubted, and has been heard: it may be used */
	LINK_DO_COMPLETE = 1 << 18,    /* the relay knows what is published: one before it may go */
};

struct link_state {
	enum link_phase phase;
	struct backoff backoff;
	uint64_t retry_max_ms;
	uint64_t due_ms;      /* SIGNING_IN, WAITING: when it ends; DRAINING: when we leave */
	uint64_t ping_due_ms; /* UP, DRAINING */
	uint64_t heard_ms;    /* UP, DRAINING: the last message */
	uint64_t up_since_ms;
	uint64_t interval_ms;
	uint64_t token;		 /* of the last PING */
	uint64_t dice;		 /* of intervals, and of the sizes of PING and PONG */
	uint64_t retry_ms;	 /* the wait just begun */
	uint64_t drain_until_ms; /* 0, or not before this */
	uint64_t revoked_ms;	 /* when the relay first said so; of use while revoked */
	uint64_t answer_due_ms;	 /* while asked */
	bool asked;		 /* it is to be heard by answer_due_ms */
	bool complete;		 /* UP, DRAINING: the first PUBLISH was answered */
	bool doubted;		 /* it was not; until something is heard */
	bool elsewhere;		 /* a leg has reached another relay; until it is asked about */
	bool revoked;		 /* until it lets us in again */
	unsigned changes;	 /* of phase, ever */
	unsigned publishing;	 /* PUBLISHes that are unanswered */
	enum reason reason;
	enum reason said; /* in BYE */
	char why[WIRE_TEXT_MAX + 128];
};

void link_state_init(struct link_state *l, uint64_t retry_max_ms, uint64_t seed);

unsigned link_state_start(struct link_state *l, uint64_t now_ms) MUST_CHECK;
unsigned link_state_dialled(struct link_state *l, uint64_t now_ms) MUST_CHECK;
unsigned link_state_failed(struct link_state *l, uint64_t now_ms, const char *why) MUST_CHECK;
unsigned link_state_message(struct link_state *l, uint64_t now_ms,
			    const struct wire_message *m) MUST_CHECK;
/* The relay sent what this side cannot take. */
unsigned link_state_refuse(struct link_state *l, uint64_t now_ms, enum reason reason,
			   const char *why) MUST_CHECK;
/* The relay's own right has ended, for this reason: we leave, and come back as soon as to a relay
 * that is gone. */
unsigned link_state_leave(struct link_state *l, uint64_t now_ms, enum reason reason,
			  const char *why) MUST_CHECK;
/* The connection ended. */
unsigned link_state_lost(struct link_state *l, uint64_t now_ms, const char *why) MUST_CHECK;
/* What we publish has changed: PUBLISH, where the link is up. */
unsigned link_state_publish(struct link_state *l) MUST_CHECK;
/* Our side ends it: BYE and CLOSE, where there is a connection. It may be started again. */
unsigned link_state_stop(struct link_state *l, uint64_t now_ms, const char *why) MUST_CHECK;
/* Somebody waits for the relay: does it live? It is asked once at a time. */
unsigned link_state_ask(struct link_state *l, uint64_t now_ms) MUST_CHECK;
/* The other end of a leg does not know this link, and is not where it was made. */
unsigned link_state_elsewhere(struct link_state *l, uint64_t now_ms) MUST_CHECK;
/* From the next wait on. */
void link_state_set_retry_max(struct link_state *l, uint64_t retry_max_ms);
/* Time has passed; harmless too early. */
unsigned link_state_tick(struct link_state *l, uint64_t now_ms) MUST_CHECK;
/* When to call tick, or UINT64_MAX. */
uint64_t link_state_due(const struct link_state *l);

/* Sessions may be opened here. */
static inline bool link_state_usable(const struct link_state *l)
{
	return l->phase == LINK_UP && !l->doubted && !l->elsewhere;
}

/* Signed in. */
static inline bool link_state_live(const struct link_state *l)
{
	return l->phase == LINK_UP || l->phase == LINK_DRAINING;
}

/* Turned away for what will not pass by itself: a certificate, a revocation, a version,
 * an extension, a name that leads to several relays. */
bool link_state_refused(const struct link_state *l);

const char *link_phase_name(enum link_phase phase);

#endif
