/* SPDX-License-Identifier: Apache-2.0 */
/*
 * candidates: where an agent can be reached without a relay, as it believes. Pure.
 *
 * They are hints for the other agent of a session. No agent dials them yet; one that will has to
 * see the same identity proven again there.
 *
 * There are two kinds, as RFC 8445 section 5.1.1 has them. What leads to a program that listens is
 * told as it is: "tcp:203.0.113.7:443". A server-reflexive one, "udp:203.0.113.7:40001/srflx", is
 * where a relay has seen this agent's datagrams come from. Its port was that of a socket which only
 * asked and is closed by now: what lasts of it is the address, as long as the NAT keeps it.
 */
#ifndef POSTERN_AGENT_ENGINE_CANDIDATES_H
#define POSTERN_AGENT_ENGINE_CANDIDATES_H

#include "core/engine/nat_view.h"
#include "core/parse/wire.h"

struct candidates {
	size_t count;
	char items[WIRE_CANDIDATES_MAX][WIRE_ADDRESS_MAX + 1]; /* "tcp:203.0.113.7:443" */
};

/* Of the view's mappings that lead here from a known address: verified ones first, and those that
 * the gateway has only promised unless its address is known not to be reached from outside. */
void candidates_of(const struct nat_view *v, struct candidates *out);
/* Adds what a relay says that it has seen, if datagrams can come from there, unless there is a UDP
 * candidate of that address already: that of a mapping is better, and another relay's says the
 * same. */
void candidates_add_reflexive(struct candidates *c, const struct addr *seen);
/* As a message has them; they point into c. */
struct wire_candidates candidates_wire(const struct candidates *c);
/* Copies what came in a message; passes over what is no address and port. */
void candidates_take(const struct wire_candidates *from, struct candidates *out);

/* "tcp:203.0.113.7:443 udp:203.0.113.7:443", cut to room; "" for none. */
void candidates_text(const struct candidates *c, char *out, size_t room);
/* [texts]; owned by the caller. */
json_t *candidates_json(const struct candidates *c);

#endif
