/* SPDX-License-Identifier: Apache-2.0 */
/*
 * candidates: where an agent can be reached without a relay, as it believes. Pure.
 *
 * They are hints for the other agent of a session. No agent dials them yet; one that will has to
 * see the same identity proven again there.
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
/* As a message has them; they point into c. */
struct wire_candidates candidates_wire(const struct candidates *c);
/* Copies what came in a message; passes over what is no address and port. */
void candidates_take(const struct wire_candidates *from, struct candidates *out);

/* "tcp:203.0.113.7:443 udp:203.0.113.7:443", cut to room; "" for none. */
void candidates_text(const struct candidates *c, char *out, size_t room);
/* [texts]; owned by the caller. */
json_t *candidates_json(const struct candidates *c);

#endif
