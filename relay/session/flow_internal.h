/* SPDX-License-Identifier: Apache-2.0 */
/* flow_internal: what flow.c (one direction) and cross.c (its bytes between two TLS sessions)
 * share. */
#ifndef POSTERN_RELAY_SESSION_FLOW_INTERNAL_H
#define POSTERN_RELAY_SESSION_FLOW_INTERNAL_H

#include "relay/session/session.h"

static inline struct worker *flow_worker(struct flow *f)
{
	return flow_session(f)->worker;
}

/* What it shares with the other directions of its thread. */
static inline struct sessions *flow_shared(struct flow *f)
{
	return flow_session(f)->worker->sessions;
}

static inline int flow_from(struct flow *f)
{
	return flow_session(f)->fd[f->side];
}

static inline int flow_to(struct flow *f)
{
	return flow_session(f)->fd[!f->side];
}

enum ending_side flow_side(unsigned side);

/* Where the bytes come from, or where they go to. */
static inline void flow_source_failed(struct flow *f, int error)
{
	session_flow_failed(flow_session(f), flow_side(f->side), error);
}

static inline void flow_receiver_failed(struct flow *f, int error)
{
	session_flow_failed(flow_session(f), flow_side(!f->side), error);
}

/* Our own trouble. */
static inline void flow_failed(struct flow *f, int error)
{
	session_flow_failed(flow_session(f), ENDING_SELF, error);
}

/* flow.c: the next receive; and a send of bytes that stay. */
void flow_next(struct flow *f);
void flow_send(struct flow *f, const uint8_t *data, size_t len);
/* Memory for what its receiver does not take. NULL: there is none, or the last of it is for others:
 * a client that is no agent has proved nothing. */
uint8_t *flow_get(struct flow *f, size_t len) MUST_CHECK;
/* The bytes (of flow_get() or memory_get()) are this flow's until they have left. */
void flow_own(struct flow *f, uint8_t *bytes, size_t len);
void flow_count(struct flow *f, size_t len);
/* The sender's direction has ended, and all of it has left. */
void flow_eof(struct flow *f);

/* cross.c, in a session with a bridge: bytes of the sender's wire, good during this call, or none:
 * what its TLS has kept. */
void flow_cross(struct flow *f, const uint8_t *wire, size_t len);
/* Begins with what was decrypted before (owned), if anything. */
void flow_cross_start(struct flow *f, uint8_t *head, size_t len);
/* The sender's wire has ended. */
void flow_cross_end(struct flow *f);
/* What was left has left, and it was the last of this direction. */
bool flow_cross_over(struct flow *f);

#endif
