/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buckets: how often a source, a name and all together may make the relay work. No sockets; now is
 * a parameter.
 *
 * Theory of operation
 *
 * Three kinds of work cost more than a few system calls: a TLS handshake, an HTTP request, and a
 * sign-in, whose certificate and signature have to be verified. Each is asked for before it begins.
 *
 * A bucket is kept as one time: when it will be empty again (the generic cell rate algorithm). A
 * piece of work moves that time by one interval, and is refused where it would come to lie further
 * ahead than the burst, four seconds' worth. A source has a bucket for itself and for each network
 * that it lies in (sources.h), which may have four times as much each; work is done when all of
 * them have room.
 *
 * Then there is the total. One half of it is for all alike, the other is kept for sources that use
 * little: each bucket has a second time, with a tenth of the rate, on which what is refused counts,
 * too. A source that is within that at every level may use the whole total, any other one half. So
 * sources that ask for as much as they may, however many they are, leave half of the work to those
 * that seldom ask.
 *
 * The proven are apart from both. Where a name has proved itself:
 *   - its handshake and its sign-in are given back to the source, which was charged for them: an
 *     agent takes nothing away from the strangers at its address, however often it connects;
 *   - its address is asked neither for its networks nor for the total for a day: what others do
 *     elsewhere cannot keep it out. Its own bucket counts as before;
 *   - its next sign-ins from there have a bucket of their own, which no other name can empty.
 *     A name that is only claimed has none: it would be free for the asking;
 *   - its legs count to the name, which may have eight times as much as a source; so do answers
 *     over STUN to its links, which are asked for under a name alone.
 *
 * Buckets live in a table of a fixed size, in sets of eight that a keyed hash chooses. Where a set
 * is full, the bucket goes that is empty first, and one without a proven name before one with: what
 * is forgotten are those that used least. Totals are not in the table.
 */
#ifndef POSTERN_RELAY_LEDGER_BUCKETS_H
#define POSTERN_RELAY_LEDGER_BUCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/must_check.h"

struct buckets;

enum buckets_work {
	BUCKETS_HANDSHAKE,
	BUCKETS_REQUEST,
	BUCKETS_SIGN_IN,
	BUCKETS_STUN,
	BUCKETS_WORKS
};

/* Pieces of work a second; 0: no limit. */
struct buckets_limits {
	uint64_t total[BUCKETS_WORKS];
	uint64_t per_source[BUCKETS_WORKS]; /* of one address */
};

#define BUCKETS_BURST_S	      4u /* a source may ask for so many seconds' worth at once */
#define BUCKETS_TOTAL_BURST_S 1u
#define BUCKETS_LITTLE	      10u /* uses little: at most this part of what it may */
#define BUCKETS_NAME_MORE     8u  /* a proven name, to a source */

/* What was charged for a piece of work; needed to give it back. */
enum buckets_grant {
	BUCKETS_REFUSED,
	BUCKETS_OF_LITTLE, /* the source, its networks and the total */
	BUCKETS_OF_BUSY,   /* likewise, and the half for those that ask for more */
	BUCKETS_OF_PROVEN, /* a bucket of a proven address or name alone */
};

/* For so many connections. NULL when memory is out. */
struct buckets *buckets_new(uint32_t connections) MUST_CHECK;
void buckets_free(struct buckets *r);
/* From now on. */
void buckets_set_limits(struct buckets *r, const struct buckets_limits *limits);

/* May it be done, now, for this source? */
enum buckets_grant buckets_ask(struct buckets *r, enum buckets_work work, const struct addr *from,
			       uint64_t now_ms) MUST_CHECK;
/* A sign-in under a name that is not proved yet. */
enum buckets_grant buckets_ask_sign_in(struct buckets *r, const struct addr *from, const char *name,
				       uint64_t now_ms) MUST_CHECK;
/* Work that counts to a proven name alone. */
bool buckets_ask_name(struct buckets *r, enum buckets_work work, const char *name,
		      uint64_t now_ms) MUST_CHECK;

/* A name has proved itself over a connection from there: its handshake counts no more. */
void buckets_proved(struct buckets *r, const struct addr *from, enum buckets_grant handshake,
		    uint64_t now_ms);
/* By this sign-in: likewise; and the next ones of this name from there have a bucket of their own.
 */
void buckets_signed_in(struct buckets *r, const struct addr *from, const char *name,
		       enum buckets_grant sign_in, uint64_t now_ms);

#endif
