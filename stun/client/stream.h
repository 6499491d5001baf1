/* SPDX-License-Identifier: Apache-2.0 */
/* stream: one Binding request to a STUN server over TCP (RFC 8489 section 6.2.2), on a ring. */
#ifndef POSTERN_STUN_CLIENT_STREAM_H
#define POSTERN_STUN_CLIENT_STREAM_H

#include "core/ring.h"
#include "stun/server.h"
#include "stun/transaction.h"

#define STUN_STREAM_WHY_BYTES 96u

struct stun_stream {
	/* The owner sets these first. */
	struct ring *ring;
	struct addr server;
	uint32_t timeout_ms; /* 0: STUN_STREAM_TIMEOUT_MS */
	/* Once; nothing is in flight, the owner may free. */
	void (*done)(struct stun_stream *s);

	struct addr external;		 /* len 0: not known */
	char why[STUN_STREAM_WHY_BYTES]; /* then: a clause that says why */

	struct stun_transaction transaction;
	struct ring_op rx, tx;
	struct timer timer;
	int fd;
	uint8_t out[STUN_HEADER_BYTES], in[STUN_REQUEST_MAX];
	size_t have;
	bool ending;
};

/* 0 or -errno; done() does not come after a failure. */
int stun_stream_start(struct stun_stream *s) MUST_CHECK;
/* Ends early: done() comes. */
void stun_stream_end(struct stun_stream *s, const char *why);

#endif
