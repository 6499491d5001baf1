/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session: two legs cut through to each other, and their end.
 *
 * side 0 is the asker, side 1 the publisher. A session waits until both sides handed over their
 * descriptors (GO has left each), then runs one flow each way. End-of-file is passed on as
 * half-close; when both flows ended so, the session is over. Any error resets both sides, so that
 * neither takes a cut for an end.
 */
#ifndef POSTERN_RELAY_SESSION_SESSION_H
#define POSTERN_RELAY_SESSION_SESSION_H

#include "core/parse/envelope.h"
#include "relay/session/flow.h"
#include "relay/worker.h"

struct conn;

struct session {
	struct worker *worker;
	slab_id id;
	uint64_t number; /* as in OFFER and GO */
	struct rendezvous_pair pair;
	struct addr source;  /* the asking side's address */
	uint64_t rate;	     /* bytes per second by policy; 0: no limit */
	struct share *share; /* of the bandwidth; NULL: no limit touches it */
	struct flow flow[2]; /* flow[side]: from that side to the other */
	slab_id cutting[2];  /* connections that GO is still leaving, or 0 */
	uint64_t started_ms;
	char *service; /* for logs; owned */
	int fd[2];     /* -1: not handed over yet, or closed */
	bool ended;
};

/* Makes a session that waits for both sides, with what the asker's connection knows of it; NULL
 * when the table is full. Takes the pair. */
struct session *session_new(const struct conn *asker, uint64_t number,
			    const struct rendezvous_pair *pair) MUST_CHECK;
/* Another rate by policy, from now on. */
void session_set_rate(struct session *s, uint64_t rate);
/* The descriptor of one side is raw now. head (owned, may be NULL) goes first to the other side. */
void session_attach(struct session *s, unsigned side, int fd, uint8_t *head, size_t head_len);
/* A public client's session: the publisher's leg speaks the envelope. False without memory. */
bool session_wrap_publisher(struct session *s) MUST_CHECK;
/* Ends both sides with a reset. Harmless twice. */
void session_abort(struct session *s, const char *why);

/* Frees what it owns in memory, when the ring is gone. */
void session_dispose(struct session *s);

/* From flow.c. */
void session_flow_ended(struct session *s);
void session_flow_failed(struct session *s, int error);

#endif
