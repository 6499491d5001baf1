/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publish: the side that is asked: an OFFER becomes a session with a local target, or a refusal.
 *
 * agent:   ACCEPT ─► inner TLS ─► REQUEST ─► policy ─► connect to the target ─► RESULT ─► bytes
 * public:  connect to the target ─► ACCEPT ─► bytes
 * control: ACCEPT ─► inner TLS ─► REQUEST ─► is it a console? ─► RESULT ─► lines of JSON
 *
 * Who asks is what the inner TLS certificate says; the relay's word counts for nothing but the
 * public kind, which only services with public access accept. What counts is the configuration in
 * force when REQUEST comes.
 */
#ifndef POSTERN_AGENT_SESSION_PUBLISH_H
#define POSTERN_AGENT_SESSION_PUBLISH_H

#include "agent/session/session.h"

#define PUBLISH_REQUEST_MS 10000u
#define PUBLISH_TARGET_MS  10000u

/* Answers an OFFER that came by l. */
void publish_offer(struct agent_sessions *all, struct agent_link *l,
		   const struct wire_message *offer);

#endif
