/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request: the side that asks: a local connection becomes a session with another agent's service.
 *
 *   a usable link ─► OPEN ─► GO ─► inner TLS ─► is it the agent asked for?
 *                                                   └─► REQUEST ─► RESULT ─► bytes
 *
 * Relays are tried in the configuration's order; where one cannot help, the next is asked. Without
 * any link the request waits for one. A relay that has not answered for REQUEST_PATIENCE_MS is
 * asked on its link whether it lives; when that is silent, the next is asked. One deadline,
 * config.open_ms, covers all of it. Nothing is read from the local connection before RESULT.
 */
#ifndef POSTERN_AGENT_SESSION_REQUEST_H
#define POSTERN_AGENT_SESSION_REQUEST_H

#include "agent/session/session.h"

#define REQUEST_ANSWER_MAX  32u
#define REQUEST_PATIENCE_MS 2000u

/* What differs between askers. */
struct request_style {
	/* Bytes for the local side when the outcome is known, before any of the service's; with
	 * NULL a refused local connection is reset. Returns their count. */
	size_t (*answer)(enum reason reason, uint8_t out[REQUEST_ANSWER_MAX]);
	/* It is over; or NULL. REASON_OK: after an orderly end of both directions. */
	void (*ended)(void *owner, enum reason reason, const char *why);
	void *owner;
};

/* source: the local client's "address:port", or "". Takes the local descriptor; on failure (the
 * limit of sessions, no memory) it has been answered and closed. */
void request_start(struct agent_sessions *all, int local, const char *to_agent, const char *service,
		   const char *source, const struct request_style *style);

#endif
