/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session: two legs cut through to each other, and their end.
 *
 * side 0 is the asker, side 1 the publisher. A session waits until both sides handed over their
 * descriptors (GO has left each), then runs one flow each way. End-of-file is passed on as
 * half-close; when both flows ended so, the session is over. Any error resets both sides, so that
 * neither takes a cut for an end.
 *
 * The session of a client of the web site goes on in the TLS of both sides (bridge.h). What such a
 * client does wrong resets the publisher alone: to it the relay is a web server, which says an
 * alert and closes.
 */
#ifndef POSTERN_RELAY_SESSION_SESSION_H
#define POSTERN_RELAY_SESSION_SESSION_H

#include <assert.h>

#include "core/alive.h"
#include "core/buffers.h"
#include "core/engine/envelope.h"
#include "core/parse/ending.h"
#include "core/program/look.h"
#include "core/table.h"
#include "relay/front/worker.h"
#include "relay/session/bridge.h"
#include "relay/session/flow.h"
#include "relay/session/splicer.h"

struct session {
	struct worker *worker;
	slab_id id;
	uint64_t number;   /* as in OFFER and GO */
	UT_hash_handle hh; /* by that, of the worker's */
	struct rendezvous_pair pair;
	struct addr source;    /* the asking side's address */
	uint64_t rate;	       /* bytes per second by policy; 0: no limit */
	time_t again;	       /* policy's answer was good until then; 0: for ever */
	struct share *share;   /* of the bandwidth; NULL: no limit touches it */
	uint64_t public_mark;  /* snapshot_public_mark() of the name that it came by; 0: of none */
	struct flow flow[2];   /* flow[side]: from that side to the other */
	struct bridge *bridge; /* the TLS of both sides goes on; NULL: bytes go as they are */
	slab_id cutting[2];    /* connections that GO is still leaving, or 0 */
	uint64_t started_ms;
	uint64_t active_ms, active_bytes; /* when bytes were last seen to have come, and how many */
	struct alive alive[2];		  /* of the line to each side: alive.c's */
	char *service;			  /* for logs; owned */
	int fd[2];			  /* -1: not handed over yet, or closed */
	uint32_t place[2];		  /* of these in the ledger */
	bool granted;			  /* by a grant, not by a rule */
	bool ended;
	bool spares_asker; /* it ends in order for the asker, with a reset for the publisher */
};

static_assert(sizeof(struct session) <= 512, "eight cache lines; idle sessions are many");

/* The sessions of one worker, and what their copying shares. */
struct sessions {
	struct worker *worker;
	struct slab table; /* of struct session */
	struct session *by_number;
	size_t held_bytes;	/* copies that slow receivers make flows hold */
	struct splicer splicer; /* for large moves of busy directions */
	struct buffers large;	/* for busy directions */
	struct flow *paced;	/* waiting for the shaper (pace.h) */
	size_t paced_count;
	uint32_t looked_at; /* how far the table has been looked through for idle sessions, */
	uint32_t alive_at;  /* and for dead lines */
	struct look look;   /* at when an answer changes by itself: enforce.c's */
	struct timer trimmer, pace_timer, alive_timer;
};

/* Makes the tables of w->sessions. 0, or -ENOMEM: sessions_close() is due also then. */
int sessions_open(struct worker *w) MUST_CHECK;
/* On the worker's thread, once its ring is open. */
void sessions_start(struct worker *w);
/* Once its ring is closed. */
void sessions_close(struct worker *w);
/* From any thread: a drain's time is up; all sessions of w end, and all that wait for one are
 * refused. */
void sessions_end(struct worker *w);
/* Another configuration is in force (struct relay_upward). */
void sessions_adopt(struct worker *w);

/* What is known of a session when both sides have been found; borrowed. */
struct session_facts {
	uint64_t number;
	struct rendezvous_pair pair;
	const char *service;
	const struct addr *source;
	uint64_t rate; /* by policy, and until when that is good */
	time_t again;
	bool granted; /* by a grant, not by a rule */
	uint64_t public_mark;
};

/* Makes a session that waits for both sides; NULL when a table is full. Takes the pair. */
struct session *session_new(struct worker *w, const struct session_facts *facts) MUST_CHECK;
/* The session of w that has this number, and has not ended; NULL: it is not there. */
struct session *session_find(const struct worker *w, uint64_t number);
/* Whether this agent asks, or publishes. */
bool session_is_of(const struct session *s, const char *agent) MUST_CHECK;
/* Another rate by policy, from now on. */
void session_set_rate(struct session *s, uint64_t rate);
/* The descriptor of one side is raw now. head (owned, may be NULL) goes first to the other side. */
void session_attach(struct session *s, unsigned side, int fd, uint8_t *head, size_t head_len);
/* A public client's session: the publisher's leg speaks the envelope, by the secret in its GO.
 * False without memory. */
bool session_wrap_publisher(struct session *s,
			    const uint8_t secret[ENVELOPE_SECRET_BYTES]) MUST_CHECK;
/* The session stays in the TLS of both sides, which their connections hand over before their
 * descriptors. False without memory. */
bool session_keep_tls(struct session *s) MUST_CHECK;
/* Ends both sides with a reset: who did, and why. Harmless twice. */
void session_abort(struct session *s, enum ending_side who, enum ending_cause cause,
		   const char *why);

/* One side's agent says that it ends it, and why: on record as that side's, and told to the other.
 */
void session_end_by(struct session *s, unsigned side, enum ending_cause cause);
/* The line to one side is dead: on record as that side's end, and told to the other. */
void session_line_died(struct session *s, unsigned side, const char *why);

/* From flow.c. */
void session_flow_ended(struct session *s);
void session_flow_failed(struct session *s, enum ending_side who, int error);

#endif
