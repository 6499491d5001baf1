/* SPDX-License-Identifier: Apache-2.0 */
/* rogue: a peer with a good certificate and a program of its own: signs in as an agent does,
 * and then says what it is told to, reading or not. */
#ifndef POSTERN_TESTS_WORLD_ROGUE_H
#define POSTERN_TESTS_WORLD_ROGUE_H

#include "core/engine/identity.h"
#include "core/parse/wire.h"
#include "tests/world/people.h"
#include "tests/world/programs.h"

struct rogue {
	struct people *people;
	struct identity *identity;
	SSL_CTX *context;
	const char *name;
	uint8_t flags; /* of its HELLO */
	struct tls *tls;
	int fd; /* -1: closed */
	struct ring_op rx, tx;
	bool deaf;	/* reads no more once it has signed in */
	bool signed_in; /* WELCOME came */
	bool over;	/* cut off, or refused */
	uint64_t began_us, welcome_us;
	uint64_t heard; /* bytes of plain text since */
	uint8_t in[16384], plain[16384], frame[WIRE_FRAME_MAX];
	size_t frame_len;
	uint8_t *out; /* to send again and again; borrowed */
	size_t out_len;
	uint64_t repeat; /* so many times more */
};

void rogue_come(struct rogue *g, struct people *p, enum who who, uint8_t flags,
		const struct addr *to);
/* Once signed in: sends these bytes so many times. */
void rogue_say(struct rogue *g, uint8_t *bytes, size_t len, uint64_t times);
void rogue_leave(struct rogue *g);
bool rogue_settled(void *rogue); /* signed in, or over */

#endif
