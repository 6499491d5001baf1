/* SPDX-License-Identifier: Apache-2.0 */
/* sign_in: signs in at a rendezvous as one who has proved a certificate of this name. */
#ifndef POSTERN_TESTS_SIGN_IN_H
#define POSTERN_TESTS_SIGN_IN_H

#include <stdio.h>

#include "relay/rendezvous/rendezvous.h"

/* A certificate that was issued then, and lasts a day. */
static inline struct credential *made_credential(const char *name, enum identity_role role,
						 time_t issued)
{
	struct identity_peer peer = {
		.role = role, .not_before = issued, .not_after = issued + 86400};

	snprintf(peer.name, sizeof(peer.name), "%s", name);
	return credential_new(&peer);
}

static inline enum reason sign_in(struct rendezvous *r, const char *name, enum rendezvous_role role,
				  slab_id conn, struct rendezvous_link *out)
{
	struct credential *c = made_credential(
		name, role == RENDEZVOUS_CONSOLE ? IDENTITY_CONSOLE : IDENTITY_AGENT, 1);
	enum reason reason = rendezvous_sign_in(r, c, role, conn, out);

	credential_release(c);
	return reason;
}

#endif
