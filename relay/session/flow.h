/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow: one direction of a session: receive, send, again.
 *
 * Theory of operation
 *
 * At most one operation is in flight at any time, so the sender's pace is the receiver's: what is
 * not sent is not read, and TCP carries the backpressure to the far end.
 *
 *   quiet   WAIT ──bytes──► forward ──► WAIT        the ring's pooled buffer, within one call
 *   busy    READY ──readable──► pump ──► READY      a large buffer, borrowed for the pump
 *   either         └─ the receiver is slow ──► SEND what is left ──► WAIT or READY
 *   shared  READY ──readable──► takes its allowance ──► pump ──► READY
 *                                └─ there is none ──► PACED ──a tick──┘
 *
 * Bytes are sent at once, by a plain call, and nearly always leave at once: then waiting holds no
 * memory in either mode, and all busy directions of a thread share the one buffer that is still in
 * the cache. Only a slow receiver makes its own direction hold what is left: the large buffer,
 * while less than half of them are held so, else a copy of its own size. A pooled buffer is never
 * held. So a stalled session costs the others nothing but memory, and how much is bounded: once
 * half of the thread's large buffers are lent, or as many bytes are held in copies
 * (flow_pressed()), a pump takes no more than FLOW_PRESSED_BYTES, and so a direction holds no more
 * than that.
 *
 * While receives are large, the pump moves pages through the thread's splicer instead of copying
 * bytes through the buffer; what a slow receiver leaves comes out again as a copy of its own.
 *
 * A direction earns large buffers by filling small ones, and falls back to quiet when receives stay
 * small. End-of-file: shutdown of the other side's writing, then ENDED.
 *
 * Between the TLS of two sides (bridge.h) a direction is quiet always, and what one receive became
 * leaves before the next one.
 *
 * In a session with a share (shaper.h) both directions ask for their allowance when there is
 * something to receive, and receive no more than that.
 */
#ifndef POSTERN_RELAY_SESSION_FLOW_H
#define POSTERN_RELAY_SESSION_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "core/engine/envelope.h"
#include "core/ring.h"

#define FLOW_PRESSED_BYTES 16384u

struct session;

enum flow_state {
	FLOW_IDLE,  /* not started */
	FLOW_WAIT,  /* a pooled receive is in flight */
	FLOW_READY, /* a poll is in flight */
	FLOW_PACED, /* nothing is in flight: waits for the shaper (pace.h) */
	FLOW_SEND,  /* a send of what was left is in flight */
	FLOW_ENDED, /* end-of-file passed on */
	FLOW_STATES
};

/* What an envelope does to the bytes of a flow; allocated only while it does. */
struct flow_wrap {
	struct envelope envelope;
	bool seals; /* else it opens */
};

struct flow {
	struct ring_op op;
	struct flow_wrap *wrap;	  /* NULL: bytes go as they are */
	uint8_t *large;		  /* the borrowed buffer, or NULL */
	uint8_t *owned;		  /* what is left, a replayed head or a wrapped copy; or NULL */
	struct flow *next, *prev; /* of those that wait, while PACED */
	uint64_t bytes;
	uint32_t owned_len;
	uint8_t state;	/* enum flow_state */
	uint8_t side;	/* whose bytes these are */
	uint8_t streak; /* small receives that were full, or large ones that were not */
	bool busy;
	bool large_moves; /* the last receive was worth splicing */
	bool looked;	  /* at the path of the side it sends to */
};

struct session *flow_session(struct flow *f);
void flow_init(struct flow *f, unsigned side);
/* Starts; head (owned) is sent first when there is one. */
void flow_start(struct flow *f, uint8_t *head, size_t head_len);
/* A PACED flow looks for its allowance again. */
void flow_resume(struct flow *f);
/* Gives back what it holds; no operation is busy. */
void flow_release(struct flow *f);

#endif
