/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stun_link: STUN of those that are signed in.
 *
 * Theory of operation. A request that names a link by its USERNAME and is made with that link's
 * password (core/engine/stun_credentials.h) is answered, also where STUN is not switched on, and
 * the answer is made with the same password. Any other request is a stranger's, and gets what a
 * stranger gets: no error tells a prober that credentials are known here.
 *
 * Links are in the relay's one table (relay/rendezvous/), which all workers share: it is asked
 * under its lock once per batch, and only for what looks like such a request. What a link may ask
 * for counts to its agent's name (charge_stun()), after it has proved itself: no forged sender and
 * no neighbour in its network can use that up.
 *
 * Who sees a request on the way can send it again. So it has the number of its round, and of a
 * round the place counts that it was first heard from, RENDEZVOUS_STUN_ASKS times: a copy from
 * elsewhere, of a round before the last, or one of many whose sender is forged as the first one's
 * place, is a stranger's like any other request (rendezvous_stun_asks()).
 */
#ifndef POSTERN_RELAY_FRONT_STUN_LINK_H
#define POSTERN_RELAY_FRONT_STUN_LINK_H

#include "core/parse/wire.h"
#include "relay/front/worker.h"

struct stun_link {
	uint64_t id; /* 0: none */
	uint32_t round;
	char name[WIRE_NAME_MAX + 1];
	uint8_t secret[WIRE_SECRET_BYTES];
};

/* The link that a message names and is perhaps made by; its id is 0 if there is none. */
void stun_link_named(const uint8_t *bytes, size_t len, struct stun_link *out);
/* Fills in those of so many that have an id; of one that is not signed in the id becomes 0. */
void stun_links_find(struct relay *r, struct stun_link *links, size_t count);
/* The answer to a link that was found, as stun_server_answer() gives it; STUN_IGNORED_UNPROVEN: it
 * is not that link's. Another value than an outcome is STUN_LIMITED: it has had enough. */
unsigned stun_link_answer(struct worker *w, const struct stun_link *link, const uint8_t *bytes,
			  size_t len, const struct addr *from, struct stun_answer *out);

/* The same, found and answered at once. */
unsigned stun_link_answer_one(struct worker *w, const uint8_t *bytes, size_t len,
			      const struct addr *from, struct stun_answer *out);
/* Whether these bytes from there are one request, and a link's. */
bool stun_link_is(struct worker *w, const uint8_t *bytes, size_t len,
		  const struct addr *from) MUST_CHECK;

#endif
