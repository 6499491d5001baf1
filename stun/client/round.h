/* SPDX-License-Identifier: Apache-2.0 */
/*
 * round: asks several STUN servers for our external address from one UDP socket, so that their
 * answers can be compared (verdict.h).
 */
#ifndef POSTERN_STUN_CLIENT_ROUND_H
#define POSTERN_STUN_CLIENT_ROUND_H

#include "core/ring.h"
#include "stun/transaction.h"

#define STUN_ROUND_MAX 16u

struct stun_round_entry {
	struct addr server;
	struct addr external; /* len 0: no (good) answer */
	struct stun_transaction transaction;
	uint8_t bytes[STUN_HEADER_BYTES];
};

struct stun_round {
	/* The owner sets these first; entries: server each, of one family. */
	struct ring *ring;
	struct addr source; /* bind to this, port included; len 0: anything */
	struct stun_pace pace;
	struct stun_round_entry entries[STUN_ROUND_MAX];
	size_t count;
	/* Once; nothing is in flight, the owner may free. */
	void (*done)(struct stun_round *r);

	struct ring_op op;
	struct timer timer;
	int fd;
	bool ending;
};

/* 0 or -errno; done() does not come after a failure. */
int stun_round_start(struct stun_round *r) MUST_CHECK;
/* Ends early: done() comes, with what is known. */
void stun_round_end(struct stun_round *r);

#endif
