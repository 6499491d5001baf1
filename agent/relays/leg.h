/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leg: connections to a relay that become the halves of sessions.
 *
 * Theory of operation
 *
 *   DIALLING ──► PROVING ──READY──► WARM ──► ASKED ──GO──► LEAVING     its descriptor is a stream's
 *                             │              ▲ │ │
 *                             └─ a call waits┘ │ └─ FAIL: WARM again, or next call
 *                                              └─ the connection ends: CLOSING
 *
 * A *call* is one OPEN or ACCEPT that wants a leg. It takes a warm one, or waits for a fresh one;
 * the pool dials as many as calls wait for, and keeps config.warm_legs idle beside them. A warm leg
 * may have died unnoticed (a NAT forgot it): a call that loses one before any answer tries once
 * more with a fresh one. The relay's limit of idle and opening legs is kept by letting calls wait;
 * their owners keep the deadline.
 *
 * Connections that were made together, idle together and stay for days are no browser's, and a NAT
 * forgets them. So each warm leg has a time of its own; when that is over another one is dialled,
 * and takes its place once it is warm. Until then the old one is as good as any.
 */
#ifndef POSTERN_AGENT_RELAYS_LEG_H
#define POSTERN_AGENT_RELAYS_LEG_H

#include "agent/engine/backoff.h"
#include "agent/relays/channel.h"
#include "agent/relays/dial.h"
#include "core/parse/reason.h"

#define LEG_READY_MS	  10000u	 /* from LEG to READY */
#define LEG_WARM_LEAST_MS (10u * 60000u) /* how long a leg may be warm, */
#define LEG_WARM_MOST_MS  (30u * 60000u) /* drawn for each */
#define LEGS_DIALLING	  8u		 /* at once, of one link */

struct agent_link;
struct leg_call;

enum leg_state {
	LEG_DIALLING,
	LEG_PROVING, /* LEG is sent [READY, FAIL, BYE] */
	LEG_WARM,    /* [BYE] */
	LEG_ASKED,   /* OPEN or ACCEPT is sent [GO, FAIL, BYE] */
	LEG_LEAVING, /* GO came; our last send is being reported */
	LEG_CLOSING,
};
#define LEG_STATES 6

struct agent_leg {
	struct agent_link *link;
	struct agent_leg *next, *prev;
	enum leg_state state;
	struct channel channel;
	struct dial *dial;
	struct timer deadline;		   /* PROVING; WARM: until it is stale */
	struct leg_call *call;		   /* ASKED, LEAVING; NULL when cancelled */
	uint64_t session;		   /* LEAVING */
	uint8_t secret[WIRE_SECRET_BYTES]; /* LEAVING: its envelope's */
	bool outer_tls;			   /* LEAVING: the session stays in our TLS */
	uint64_t since_ms;		   /* WARM */
	bool waited;			   /* was WARM before it was ASKED */
	bool stale;			   /* WARM: another one is to take its place */
};

/* What a link has of legs. */
struct leg_pool {
	struct agent_leg *legs;
	size_t count[LEG_STATES];
	struct leg_call *first, *last; /* waiting for a leg */
	size_t waiting;
	size_t stale;
	uint64_t dice; /* of the times of warm legs */
	struct backoff backoff;
	struct timer retry;
	uint16_t max_legs; /* idle and opening; the relay's word */
	bool open;
};

struct leg_outcome {
	enum reason reason; /* REASON_OK: the descriptor is the owner's */
	const char *text;   /* what the relay said, or what went wrong; may be "" */
	int fd;
	uint64_t session;
	uint8_t secret[WIRE_SECRET_BYTES]; /* of the envelope */
	struct tls *tls;		   /* GO said OUTER_TLS: owned by the receiver too */
	uint8_t *unread;		   /* else; likewise */
	size_t unread_len;
};

/* Comes once, never from inside the call that started it. The call is gone then. */
typedef void leg_call_done_fn(void *owner, struct leg_outcome *o);

/* NULL when memory is out. */
struct leg_call *leg_call_open(struct agent_link *l, const char *to, const char *service,
			       leg_call_done_fn *done, void *owner) MUST_CHECK;
struct leg_call *leg_call_accept(struct agent_link *l, uint64_t session, leg_call_done_fn *done,
				 void *owner) MUST_CHECK;
/* done will not come; a leg that has asked is closed, which tells the relay. */
void leg_call_cancel(struct leg_call *c);
/* It has waited for long. When that is on a leg that was warm, it is asked again on a fresh one: a
 * NAT may have forgotten the other. Harmless else, and a second time. */
void leg_call_renew(struct leg_call *c);

/* The link's side. */
void legs_init(struct agent_link *l, uint64_t seed);
/* The link is up; max_legs as WELCOME said. */
void legs_open(struct agent_link *l, uint16_t max_legs);
/* The link is gone: every leg before GO ends, every call fails. */
void legs_shut(struct agent_link *l, const char *why);
/* Another configuration is in force. */
void legs_adopt(struct agent_link *l);
/* Dials or closes until the pool is as it should be. */
void legs_balance(struct agent_link *l);

/* Between leg.c and legs.c: one leg's life, and the pool's answers to it. */
struct leg_call {
	struct agent_link *link;
	struct leg_call *next;
	struct agent_leg *leg; /* NULL: waiting */
	leg_call_done_fn *done;
	void *owner;
	struct wire_message message; /* OPEN or ACCEPT, pointing to the names below */
	char to[WIRE_NAME_MAX + 1], service[WIRE_NAME_MAX + 1];
	bool fresh; /* has lost a warm leg: wants one just dialled */
};

bool leg_dial(struct agent_link *l) MUST_CHECK;
void leg_ask(struct agent_leg *g, struct leg_call *c);
void leg_close(struct agent_leg *g);
void leg_change(struct agent_leg *g, enum leg_state to);
void legs_ready(struct agent_leg *g, bool fresh);
void legs_grew_old(struct agent_leg *g);
void legs_lost(struct agent_leg *g, enum reason reason, const char *why);
void legs_call_over(struct leg_call *c, struct leg_outcome *o);

#endif
