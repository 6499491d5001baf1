/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entitled: may the holder of this certificate go on? One question for relays and agents.
 *
 * A certificate is looked at whole when its holder proves it, and never again: what is kept of it
 * (struct credential) is. The question is asked when something begins, when other CAs or
 * revocations are in force, and when time alone changes the answer, of everything that runs by
 * right of it: links, legs, consoles, meetings, sessions. What is allowed beyond that, rules and
 * lists, each program asks behind it.
 *
 * A session may run longer than the certificate that it began with: where its holder has proved a
 * newer one meanwhile, on another connection, that one's CA and end count. A revocation counts of
 * the one that the session began with: what a thief has begun does not go on by what the owner
 * proves.
 *
 * Pure: now is a parameter, and is wall time, which may leap. So the owner asks again when the
 * answer's time has come, when the clock has gone back, and entitled_look_ms() later at most.
 */
#ifndef POSTERN_ENGINE_ENTITLED_H
#define POSTERN_ENGINE_ENTITLED_H

#include <stdatomic.h>

#include "core/engine/identity.h"
#include "core/engine/revocations.h"

#define ENTITLED_LOOK_MS 10000u /* a leap of the wall clock is noticed no later */

/* What is kept of a certificate that its holder has proved; immutable, counted, for all threads. */
struct credential {
	_Atomic unsigned refs;
	struct identity_peer peer;
};

/* NULL without memory. One reference is the caller's. */
struct credential *credential_new(const struct identity_peer *peer) MUST_CHECK;
/* NULL is none, in and out. */
struct credential *credential_hold(struct credential *c);
void credential_release(struct credential *c);
/* Whether c was issued later than what is known; known NULL: nothing is. */
bool credential_is_newer(const struct credential *c, const struct credential *known);

/* By what something runs. */
struct entitled_proof {
	const struct credential *own;	 /* what it began with; NULL: it needs none */
	const struct credential *newest; /* of the same role and name; NULL: no other */
};

/* What is in force. */
struct entitled_rules {
	const struct identity_anchors *anchors;
	const struct revocations *revoked; /* NULL: nothing is */
};

struct entitled_answer {
	enum reason reason; /* REASON_OK, CERT_EXPIRED, CERT_UNTRUSTED, REVOKED */
	time_t until;	    /* OK is good until then; 0: for ever */
};

struct entitled_answer entitled(const struct entitled_proof *proof,
				const struct entitled_rules *rules, time_t now) MUST_CHECK;

/* The earlier of two ends; 0 is never. */
time_t entitled_earlier(time_t a, time_t b);
/* When to look at the clock again for what is good until then. */
uint64_t entitled_look_ms(time_t until, time_t now);

#endif
