/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proved: the newest certificate that each peer of a running session has proved.
 *
 * A session keeps the certificate that it began with; where its peer has come again since with a
 * newer one, that one's end counts (core/engine/entitled.h). So sessions with the same peer share
 * one entry, by role and name, which lives as long as one of them does: there are never more
 * entries than sessions.
 */
#ifndef POSTERN_AGENT_ENGINE_PROVED_H
#define POSTERN_AGENT_ENGINE_PROVED_H

#include "core/engine/entitled.h"

struct proved_peer;

/* Zero-initialised is empty. */
struct proved {
	struct proved_peer *peers;
};

/* A session's hold on its peer's entry, and the certificate that it began with. */
struct proved_hold {
	struct credential *own; /* NULL: nothing is held */
	struct proved_peer *peer;
};

/* The peer of a session has just proved this. False without memory. */
bool proved_take(struct proved *all, const struct identity_peer *peer,
		 struct proved_hold *out) MUST_CHECK;
/* It has proved this since, for this session. False: this is another's, no newer one, or memory is
 * out; nothing has changed then. */
bool proved_renew(struct proved_hold *hold, const struct identity_peer *peer) MUST_CHECK;
/* Harmless where nothing is held. */
void proved_drop(struct proved *all, struct proved_hold *hold);
/* For entitled(); good until the next call. */
struct entitled_proof proved_proof(const struct proved_hold *hold);

#endif
