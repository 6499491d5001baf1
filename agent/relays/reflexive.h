/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reflexive: what address a link's relay sees this host's datagrams come from.
 *
 * Theory of operation. A link that comes up asks its relay over STUN, at the UDP port beside the
 * TCP port it is connected to, with the credentials that both ends derive from the link's secret
 * (core/engine/stun_credentials.h), and again every five minutes or so until it goes down. Each
 * time a socket is opened for one transaction of RFC 8489 section 6.2.1: seven sendings at
 * most, 39.5 seconds at most. An answer counts only if it is made with the link's password.
 *
 * An address that is told stays known while the link is up, with its age; a relay that does not
 * answer (an older one, one with stun.links off, a network that drops UDP) is asked all the same
 * the next time. What the last round has told goes to peers as a candidate
 * (agent/engine/candidates.h); nothing else depends on it.
 *
 * Deliberately absent: a link through an HTTP proxy asks nothing, since the relay is not where its
 * connection leads.
 */
#ifndef POSTERN_AGENT_RELAYS_REFLEXIVE_H
#define POSTERN_AGENT_RELAYS_REFLEXIVE_H

#include "agent/worker/worker.h"
#include "core/parse/wire.h"

struct reflexive;

/* Begins to ask the relay that fd is connected to, for the link of this number and secret. NULL:
 * without memory, or fd leads nowhere any more. */
struct reflexive *reflexive_start(struct agent_worker *w, int fd, uint64_t link,
				  const uint8_t secret[WIRE_SECRET_BYTES],
				  const char *label) MUST_CHECK;
/* The link is gone: it frees itself when nothing is in flight. NULL is harmless. */
void reflexive_stop(struct reflexive *r);
/* What the relay told last, and how long ago; NULL: nothing yet. r NULL: likewise. */
const struct addr *reflexive_address(const struct reflexive *r, uint64_t now_ms, uint64_t *age_ms);
/* The same; NULL also if the round that ended last was not answered, or the last could not begin.
 */
const struct addr *reflexive_fresh(const struct reflexive *r);

#endif
