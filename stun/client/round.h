/* SPDX-License-Identifier: Apache-2.0 */
/*
 * round: asks several STUN servers for our external address from one UDP socket, so that their
 * answers can be compared (verdict.h).
 */
#ifndef POSTERN_STUN_CLIENT_ROUND_H
#define POSTERN_STUN_CLIENT_ROUND_H

#include "core/ring.h"
#include "stun/transaction.h"

#define STUN_ROUND_MAX	 16u
#define STUN_ROUND_BYTES 160u /* of a request, credentials included */

struct stun_round_entry {
	struct addr server;
	/* Short-term credentials (RFC 8489 section 9.1), the owner's until the round is over; len
	 * 0: none. With them an answer counts that is made with the password, and no other. */
	struct stun_bytes username, password;
	struct addr external; /* len 0: no (good) answer */
	struct stun_transaction transaction;
	uint8_t bytes[STUN_ROUND_BYTES];
	size_t len;
};

struct stun_round {
	/* The owner sets these first; entries: server each, of one family, and credentials. */
	struct ring *ring;
	struct addr source; /* bind to this, port included; len 0: anything */
	unsigned index;	    /* leave by this interface, whatever the routes say; 0: as they do */
	bool connected;	    /* to its only server: the socket hears no one else */
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
