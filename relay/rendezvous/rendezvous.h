/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rendezvous: who is here, what they publish, and who waits for whom. No sockets, no clock.
 *
 * Theory of operation
 *
 * A *link* is a signed-in agent's control connection. An *account* is an agent's name with what is
 * counted against it; it lives while links or sessions of that name do. At most one link of a name
 * is *present*: it may publish and be offered sessions; a newer sign-in replaces it. Transient
 * links (a laptop's one-off `postern connect`) are never present and replace no link. A link keeps
 * the certificate that it was signed in with, and so do the sessions that it asks for or answers;
 * an account knows the newest one that its holder has proved (core/engine/entitled.h).
 *
 *   OPEN (or a public client)   rendezvous_open()    a *meeting* waits; OFFER goes to the publisher
 *   ACCEPT                      rendezvous_accept()  the meeting is handed over and counted as a
 *                                                    session of both accounts
 *   REFUSE, time-out, asker gone                     the meeting is forgotten
 *   publisher's link gone                            its meetings are orphaned: the askers are told
 *   session ends                rendezvous_end()     the counts go down
 *
 * Connections are known here by opaque ids only. The caller serialises all calls (relay_lock()),
 * sends the messages and keeps the deadlines. Every table has a limit; at a limit new work is
 * refused with a reason and what runs goes on. No name can take the links of others: it has
 * RENDEZVOUS_LASTING that may publish, of which all but one are about to go, and
 * RENDEZVOUS_TRANSIENTS that ask only, such as many `ssh -o ProxyCommand` at once.
 */
#ifndef POSTERN_RELAY_RENDEZVOUS_RENDEZVOUS_H
#define POSTERN_RELAY_RENDEZVOUS_RENDEZVOUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/engine/entitled.h"
#include "core/must_check.h"
#include "core/parse/reason.h"
#include "core/parse/wire.h"
#include "core/slab.h"

#define RENDEZVOUS_LASTING	  4u   /* links of one name */
#define RENDEZVOUS_TRANSIENTS	  256u /* likewise, consoles' too */
#define RENDEZVOUS_TRANSIENT_LEGS 4u   /* of a link that asks only: idle and opening */
#define RENDEZVOUS_STUN_ASKS	  8u   /* of a round of a link: seven sendings, one at a TCP port */

struct rendezvous;
struct party;
struct tally;

struct rendezvous_limits {
	uint64_t links;	   /* of all agents */
	uint64_t services; /* of one agent */
	uint64_t legs;	   /* of one name's lasting links together: idle and opening */
	uint64_t sessions; /* of one agent, waiting ones included */
};

/* NULL when memory is out. */
struct rendezvous *rendezvous_new(const struct rendezvous_limits *limits) MUST_CHECK;
void rendezvous_free(struct rendezvous *r);
/* For what comes from now on; what runs stays. */
void rendezvous_set_limits(struct rendezvous *r, const struct rendezvous_limits *limits);

struct rendezvous_link {
	uint64_t link; /* random, not 0: LEG quotes it */
	uint8_t secret[WIRE_SECRET_BYTES];
};

/* What the first PUBLISH of a link did. */
struct rendezvous_published {
	slab_id replaced; /* connection of the link that is of no use any more, or 0: the one
			   * before, or this one, where a later sign-in has published already */
	bool renewed;	  /* that one began with an older certificate */
};

/* What a link is signed in as. */
enum rendezvous_role {
	RENDEZVOUS_AGENT,     /* may publish, and replaces an older link of its name then */
	RENDEZVOUS_TRANSIENT, /* asks only */
	RENDEZVOUS_CONSOLE,   /* asks only, and alone may ask for an agent's control service */
};

/* Signs conn in as the one that this certificate names. */
enum reason rendezvous_sign_in(struct rendezvous *r, struct credential *credential,
			       enum rendezvous_role role, slab_id conn,
			       struct rendezvous_link *out) MUST_CHECK;
/* Keeps with a link the number of its TLS group, for statistics only. */
void rendezvous_note_key_exchange(struct rendezvous *r, uint64_t link, uint16_t group);

/* Called for each asker whose meeting is lost with the link. */
typedef void rendezvous_orphan_fn(void *context, slab_id asker, uint64_t session);

/* Forgets the link; unknown ids are harmless. */
void rendezvous_sign_out(struct rendezvous *r, uint64_t link, rendezvous_orphan_fn *orphan,
			 void *context);

/* Sets what a link publishes. With the first PUBLISH, of nothing too, it becomes the present one of
 * its name: until then an older link serves, so that nobody who asks in between hears that a
 * service is not published. */
enum reason rendezvous_publish(struct rendezvous *r, uint64_t link,
			       const struct wire_bytes *services, size_t count,
			       struct rendezvous_published *out) MUST_CHECK;

/* A leg of link appears: the secret to check its proof with. Counted only by
 * rendezvous_leg_join(). */
enum reason rendezvous_leg_secret(const struct rendezvous *r, uint64_t link,
				  uint8_t secret[WIRE_SECRET_BYTES]) MUST_CHECK;
/* The same of a link that seems to ask over STUN, and its agent's name. */
bool rendezvous_stun_secret(const struct rendezvous *r, uint64_t link,
			    uint8_t secret[WIRE_SECRET_BYTES],
			    char name[WIRE_NAME_MAX + 1]) MUST_CHECK;
/* It has proved that it asks in this round, from there. Whether that is news: the first of a round,
 * or the same place once more, since datagrams get lost. Else it is a copy that was seen on the
 * way: from another place, of a round that is over, or one too many from a place that is forged. */
bool rendezvous_stun_asks(struct rendezvous *r, uint64_t link, uint32_t round,
			  const struct addr *from) MUST_CHECK;
/* How many legs a link of this role may have. */
uint64_t rendezvous_legs_of(const struct rendezvous *r, enum rendezvous_role role) MUST_CHECK;
/* *credential: the link's, with a reference for the caller. */
enum reason rendezvous_leg_join(struct rendezvous *r, uint64_t link,
				struct credential **credential) MUST_CHECK;
void rendezvous_leg_leave(struct rendezvous *r, uint64_t link);
bool rendezvous_link_alive(const struct rendezvous *r, uint64_t link) MUST_CHECK;
/* A newer sign-in of its name has taken its place. */
bool rendezvous_link_replaced(const struct rendezvous *r, uint64_t link) MUST_CHECK;

struct rendezvous_offer {
	uint64_t session;
	slab_id publisher;	      /* the link connection to send OFFER on */
	char from[WIRE_NAME_MAX + 1]; /* the asking agent, or "" when public */
};

/* The name that signed in on link may say PROVE once more, by whichever of its links (proving.h).
 */
bool rendezvous_may_prove(struct rendezvous *r, uint64_t link, uint64_t now_ms) MUST_CHECK;
/* The same of ENDED. */
bool rendezvous_may_end(struct rendezvous *r, uint64_t link, uint64_t now_ms) MUST_CHECK;
/* The name that signed in on link; NULL when it is gone. Good until the next call. */
const char *rendezvous_link_name(const struct rendezvous *r, uint64_t link);
/* Sessions, waiting ones included, that from has to this service. */
uint64_t rendezvous_running(const struct rendezvous *r, const char *from, const char *to,
			    const char *service);

/* from_link: the asking agent's link, or 0 for a public client. */
enum reason rendezvous_open(struct rendezvous *r, uint64_t from_link, const char *to,
			    const char *service, slab_id asker,
			    struct rendezvous_offer *out) MUST_CHECK;

struct rendezvous_pair {
	slab_id asker;
	struct party *from; /* NULL when public */
	struct party *to;
	struct tally *tally;
};

/* A leg of link takes the session. Both parties are held until rendezvous_end(). */
enum reason rendezvous_accept(struct rendezvous *r, uint64_t link, uint64_t session,
			      struct rendezvous_pair *out) MUST_CHECK;
/* The publisher says no; *asker is the connection that waits. False when no such meeting is this
 * link's. */
bool rendezvous_refuse(struct rendezvous *r, uint64_t link, uint64_t session,
		       slab_id *asker) MUST_CHECK;
/* The asker gave up. */
void rendezvous_forget(struct rendezvous *r, uint64_t session);
void rendezvous_end(struct rendezvous *r, const struct rendezvous_pair *pair);

/* One side of a session: an account, and the certificate that its link was signed in with. */
const char *party_name(const struct party *p);
const struct credential *party_credential(const struct party *p);
/* Where the holder can be told something: the connection of the party's link or, when that is gone,
 * of the link that is present under its name. 0: nowhere. */
slab_id party_conn(const struct party *p);
/* The newest certificate that was proved under its role and name. A reference is the caller's. */
struct credential *party_newest(const struct party *p);

struct rendezvous_agent {
	const char *name;
	bool online; /* may be offered sessions */
	size_t links, legs;
	uint64_t sessions;
	uint16_t key_exchange; /* of the link that may publish; 0: there is none */
	time_t begins;	       /* the newest certificate of the name, agent's or console's */
	const char (*services)[WIRE_NAME_MAX + 1];
	size_t service_count;
};

/* Calls each for every account; what it gets is good during the call. */
void rendezvous_each_agent(const struct rendezvous *r,
			   void (*each)(void *context, const struct rendezvous_agent *a),
			   void *context);

/* Calls each with the TLS group of every link. */
void rendezvous_each_key_exchange(const struct rendezvous *r,
				  void (*each)(void *context, uint16_t group), void *context);

struct rendezvous_counts {
	size_t links, legs, meetings, accounts;
};
struct rendezvous_counts rendezvous_count(const struct rendezvous *r);

#endif
