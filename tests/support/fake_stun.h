/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_stun: a STUN server of RFC 5780 on four loopback sockets of a ring, with the answers of
 * stun/server.h, and with the manners that a test gives it.
 */
#ifndef POSTERN_TESTS_FAKE_STUN_H
#define POSTERN_TESTS_FAKE_STUN_H

#include "stun/server.h"
#include "tests/support/ring_fixture.h"

struct fake_stun;

struct fake_stun_socket {
	struct ring_op op; /* first */
	struct fake_stun *stun;
	int fd;
	unsigned address, port; /* indices of the place */
};

struct fake_stun {
	struct ring *ring;
	struct stun_behaviour behaviour;
	struct fake_stun_socket sockets[2][2];
	/* Manners; zeros are good ones. */
	bool deaf;	      /* answers nothing */
	bool deaf_to_changes; /* nothing to CHANGE-REQUEST: as if a NAT filtered the answer */
	bool other_is_dead;   /* nothing leaves its other address */
	bool ignores_changes; /* answers CHANGE-REQUEST from where it was asked */
	bool one_address;     /* knows no RFC 5780 */
	bool refuses;	      /* error 400 */
	bool garbles;	      /* answers what is no STUN first, then another transaction's id */
	struct stun_bytes password; /* len 0: answers anyone */
	struct addr seen;	    /* what it says to see; len 0: the truth */
	unsigned requests, changes;
};

/* At 127.a.b.first and the next one (tests/support/loopback.h), ports as the system chooses. */
void fake_stun_open(struct fake_stun *s, struct ring_fixture *f, unsigned first);
void fake_stun_close(struct fake_stun *s, struct ring_fixture *f);
static inline struct addr fake_stun_address(const struct fake_stun *s)
{
	return s->behaviour.places[0][0];
}

#endif
