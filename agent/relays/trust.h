/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trust: may the relay at the other end of a link go on?
 *
 * A relay's certificate is looked at whole when it is dialled; what is kept of it is asked again
 * (core/engine/entitled.h) when other CAs are in force, when that relay has told its list of
 * revocations, and when its end has come. Where it counts no more the link is left, with its legs,
 * and the relay is dialled again. Sessions go on: they rest on the other agent's certificate.
 *
 * A relay that renews its certificate shows the new one to each leg that is dialled, so that links
 * with warm legs outlive the certificate that they began with.
 */
#ifndef POSTERN_AGENT_RELAYS_TRUST_H
#define POSTERN_AGENT_RELAYS_TRUST_H

#include "core/engine/entitled.h"

struct agent_link;
struct agent_links;

struct link_trust {
	struct credential *own; /* what the link began with; NULL: it has not, or memory was out */
	struct credential *newest; /* that a leg has been shown since; NULL: none that is newer */
};

void links_trust_open(struct agent_links *set);
/* The link's connection is made, and its relay has proved this; or a leg's is. Without memory the
 * link goes on by what was checked. */
void link_trust_take(struct agent_link *l, const struct identity_peer *relay);
void link_trust_renew(struct agent_link *l, const struct identity_peer *relay);
/* The link is freed, or dials anew. Harmless twice. */
void link_trust_drop(struct agent_link *l);
/* Leaves the links whose relay may not go on. */
void agent_links_judge(struct agent_links *set);

#endif
