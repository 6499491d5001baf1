/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dial: a relay's address to a verified outer TLS connection, under one deadline.
 *
 *   connect ──► (CONNECT through an HTTP proxy) ──► TLS handshake ──► who is it? ──► done
 */
#ifndef POSTERN_AGENT_RELAYS_DIAL_H
#define POSTERN_AGENT_RELAYS_DIAL_H

#include "agent/config/setup.h"
#include "agent/worker/worker.h"
#include "core/engine/tls.h"

struct dial;

/* error NULL: fd and tls are the caller's, the handshake is complete and nothing is in flight;
 * relay is what it has proved and reached its address (NULL: a
 * proxy was connected to), both good during the call. Otherwise error is a sentence that names the
 * address and the remedy. */
typedef void dial_done_fn(void *owner, int fd, struct tls *tls, const struct identity_peer *relay,
			  const struct addr *reached, const char *error);

/* at is the one address that will do, of those that relay's name may have; NULL: any of them. What
 * the relay must prove is the same, and through a proxy, which looks the name up itself, it is not
 * used. NULL when memory is out. done comes once, never from inside this call. */
struct dial *dial_start(struct agent_worker *w, const struct agent_setup *setup,
			const struct agent_relay *relay, const struct addr *at, dial_done_fn *done,
			void *owner) MUST_CHECK;
/* done will not come. */
void dial_cancel(struct dial *d);

/* The HELLO with which setup's identity signs in on the connection that was dialled; its signature
 * is bound to this TLS session. *m points to signature and setup. False: the TLS session cannot
 * carry it (it is not TLS 1.3). */
bool dial_hello(const struct agent_setup *setup, struct tls *tls, uint8_t flags,
		uint8_t signature[WIRE_SIGNATURE_MAX], struct wire_message *m) MUST_CHECK;

#endif
