/* SPDX-License-Identifier: Apache-2.0 */
/* link: the live link to one relay: link_state on a connection. */
#ifndef POSTERN_AGENT_RELAYS_LINK_H
#define POSTERN_AGENT_RELAYS_LINK_H

#include "agent/engine/link_state.h"
#include "agent/relays/channel.h"
#include "agent/relays/leg.h"
#include "agent/relays/reflexive.h"
#include "agent/relays/trust.h"
#include "agent/worker/connector.h"
#include "core/engine/proving.h"
#include "core/engine/revocations.h"
#include "core/parse/ending.h"

struct agent_links;

struct agent_link {
	struct agent_links *set;
	struct agent_worker *worker; /* the set's */
	struct agent_link *next;     /* among the set's retired */
	struct agent_relay relay;    /* a copy of its own */
	unsigned users;		     /* offers that point here */
	uint64_t retired_ms; /* since when it stays only until another is up; 0: it does not */
	char label[ENDPOINT_TEXT_BYTES]; /* "HOST:PORT", for logs */
	struct link_state state;
	struct timer timer;
	struct dial *dial;
	struct channel channel;
	unsigned tag_turn;	   /* which tag key is tried: agent_link_tag_key() */
	bool dial_wanted;	   /* the connection before is still being closed */
	bool listing;		   /* the relay is telling its list of revocations: */
	struct revocations listed; /* so much of it */
	unsigned signed_refused;   /* signed revocations that it told, since it is up */
	struct proving proving;	   /* what it hands on of others */
	struct link_trust trust;   /* what the relay has proved */
	uint64_t again_ms; /* when it was dialled beside one that was silent; 0: it was not */
	unsigned failures; /* in a row, for the log's level */
	enum reason told;  /* as an error, until the link is up */

	/* From WELCOME. */
	uint64_t id;
	uint8_t secret[WIRE_SECRET_BYTES];
	struct addr at; /* where it is connected to, which its legs are, too; len 0: not known */
	struct leg_pool legs;
	struct reflexive *reflexive; /* NULL: it is down, or does not ask */
	bool proxied;		     /* an HTTP proxy is what it is connected to */
};

/* NULL when memory is out. */
struct agent_link *agent_link_new(struct agent_links *set,
				  const struct agent_relay *relay) MUST_CHECK;
void agent_link_start(struct agent_link *l);
void agent_link_stop(struct agent_link *l, const char *why);
/* Stopped, and nothing is in flight. */
bool agent_link_quiet(const struct agent_link *l);
/* When it is quiet. */
void agent_link_free(struct agent_link *l);
/* The relay's right has ended: it hears why, and is dialled again. */
void agent_link_leave(struct agent_link *l, enum reason reason, const char *why);
/* Another configuration is in force: its limits, whether to ask over STUN, and with publish its
 * services, too. */
void agent_link_adopt(struct agent_link *l, bool publish);

/* Somebody waits for the relay: does it answer? */
void agent_link_ask(struct agent_link *l);
/* From leg.c: a leg has come to a relay that is not this link's. */
void agent_link_elsewhere(struct agent_link *l);

/* The key for the tag of the next connection. */
const uint8_t *agent_link_tag_key(const struct agent_link *l);

/* Says PROVE with this signature by our certificate's key. False: it could not be said. */
bool agent_link_prove(struct agent_link *l, uint64_t session, const uint8_t *signature,
		      size_t len) MUST_CHECK;
/* Says ENDED: we end this session, and why. False: it could not be said. */
bool agent_link_ends(struct agent_link *l, uint64_t session, enum ending_cause cause) MUST_CHECK;
/* Answers an OFFER with no. text may be "": the reason's sentence speaks then. */
void agent_link_refuse(struct agent_link *l, uint64_t session, enum reason reason,
		       const char *text);

#endif
