/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leg: connections on their way into a session: agents' legs, and clients that are none of ours.
 *
 *   an agent's leg      LEG ──OPEN──► OPENING ──► CUTTING ──► session
 *                        ▲ └──ACCEPT─────│───────────▲
 *                        └──FAIL─────────┘
 *   a public client     PUBLIC ──────────────────► CUTTING ──► session
 *   the web site's      SITE ────────────────────► CUTTING ──► session
 *                         └──► WEB, where the site does not answer
 *
 * An ACCEPT finds its asker anywhere; the accepting leg then moves to the asker's worker as a
 * *handover* (descriptor, TLS state and what rendezvous_accept() gave), so that both legs of a
 * session are on one thread. There GO leaves on both, and each descriptor passes to the session
 * when its GO has left. A leg in hand is never read, so nothing of what follows GO can be lost.
 *
 * A public client is an unmodified TLS client for a name of the public table. Its ClientHello has
 * been read and nothing else will be. It waits unread while the publishing agent is offered the
 * session; then the hello is replayed to the agent's leg and the bytes go both ways, in the
 * envelope on the agent's side.
 *
 * A client of the web site (site.to) is one whose TLS is ours, and whose first request has been
 * read. It waits unread likewise; then the session goes on in the TLS of both sides
 * (relay/session/bridge.h), beginning with that request. public.c has both kinds.
 */
#ifndef POSTERN_RELAY_SESSION_LEG_H
#define POSTERN_RELAY_SESSION_LEG_H

#include <time.h>

#include "relay/front/conn.h"
#include "relay/front/front.h"

struct handover;
struct session;

/* What an asker wants, and who it is. */
struct leg_asked {
	char from[WIRE_NAME_MAX + 1]; /* "": a public client */
	char to[WIRE_NAME_MAX + 1], service[WIRE_NAME_MAX + 1];
	uint64_t public_mark; /* of the name that a public client came by; 0: it is an agent */
};

/* The state of LEG, OPENING, PUBLIC, SITE and CUTTING. */
struct relay_leg {
	uint64_t link;		       /* the one it belongs to; 0: a public client */
	uint64_t meeting;	       /* OPENING, PUBLIC, SITE: what it waits for; 0 for none */
	struct credential *credential; /* the link's; owned; NULL: a public client */
	struct web *web;	       /* SITE: to go on with where it fails; owned */
	struct leg_asked *asked;       /* the last that it asked for; owned; NULL: nothing yet */
	struct session *session;       /* CUTTING: what it becomes part of */
	struct handover *handover;     /* CUTTING: or the move to the asker's worker */
	uint8_t side;		       /* CUTTING: which side of the session */
	bool counted;		       /* joined its link's count */
};

extern const struct front_protocol protocol_public, protocol_site;

/* From any worker: the asker's meeting of this session came to nothing. */
void asker_tell_failed(struct relay *r, slab_id asker, uint64_t session, enum reason reason,
		       struct wire_bytes text);
/* Refuses all that wait for an answer: the relay is about to exit. */
void asker_end_all(struct worker *w);
/* The session that this connection was to become part of is no more. */
void cut_session_gone(struct worker *w, slab_id id);

#endif
