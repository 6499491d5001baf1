/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoch: has the gateway forgotten its mappings?
 *
 * Theory of operation
 *
 * Every answer carries how many seconds the gateway's table of mappings has lived. Between two
 * answers that number must grow as our own clock does; when it does not, the table was lost and
 * what we had in it must be asked for again. Both protocols leave room for clocks that run
 * unevenly and for datagrams that overtook each other; they differ in how much, and in whether a
 * gateway that is *ahead* of us is suspect:
 *
 *	PCP	RFC 6887 section 8.5	1 s back at most; then both ways within 1/16 and 2 s
 *	NAT-PMP	RFC 6886 section 3.6	not more than 2 s behind 7/8 of our time; ahead is fine
 *
 * now_ms is CLOCK_BOOTTIME: it goes on while the host sleeps. With CLOCK_MONOTONIC each night's
 * sleep would look to PCP like a gateway that ran ahead, and everything would be mapped again for
 * nothing; and to NAT-PMP a reboot of the gateway in that night would look like no time at all.
 *
 * Not every number that fails means a loss. Where two servers answer in turn at one address (a pair
 * by VRRP or CARP, anycast), each goes on from where it was itself: what fails against the last
 * answer is held against the last one that fit with another, too (TURNS). And a number that is the
 * same a third time is of a clock that stands still (STANDS). Neither says what was lost.
 *
 * The first answer is always right. A counter that wraps (after 136 years) looks like a
 * restart, which costs one renewal. Deliberately absent: what to do about it.
 */
#ifndef POSTERN_NATPMP_EPOCH_H
#define POSTERN_NATPMP_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/must_check.h"

/* One gateway, one protocol. Zero-initialised: nothing heard yet. */
struct epoch_track {
	bool known;
	uint32_t server_s;  /* what it said last */
	uint64_t client_ms; /* and when we heard it */
};

enum epoch_doubt { EPOCH_SURE, EPOCH_TURNS, EPOCH_STANDS };

struct epoch {
	struct epoch_track now;
	struct epoch_track other; /* the last answer that does not fit with those since */
	unsigned stood;		  /* how often in a row an invalid one said the same */
	enum epoch_doubt doubt;	  /* of the last answer, where it was not valid */
};

/* Both record what was heard, valid or not, and return false when mappings may be lost. */
bool epoch_pcp_valid(struct epoch *e, uint32_t server_s, uint64_t now_ms) MUST_CHECK;
bool epoch_natpmp_valid(struct epoch *e, uint32_t server_s, uint64_t now_ms) MUST_CHECK;

/* For people, of an answer that was not valid and says nothing; NULL: it says that mappings are
 * lost. */
const char *epoch_doubt_sentence(const struct epoch *e);

#endif
