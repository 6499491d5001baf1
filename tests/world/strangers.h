/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strangers: clients at a relay's front door that prove nothing: browsers, scanners, garbage, and
 * those that say nothing at all. The relay must let each of them go in time.
 */
#ifndef POSTERN_TESTS_WORLD_STRANGERS_H
#define POSTERN_TESTS_WORLD_STRANGERS_H

#include "tests/world/people.h"

enum stranger_kind {
	STRANGER_SILENT,     /* connects, and says nothing */
	STRANGER_GARBAGE,    /* random bytes */
	STRANGER_CLEAR_HTTP, /* GET without TLS */
	STRANGER_DRIPS,	     /* a ClientHello, one byte a second */
	STRANGER_HALF_HELLO, /* the beginning of one, then nothing */
	STRANGER_HTTPS,	     /* a handshake and a request; reads the answer */
	STRANGER_SHAKES,     /* a handshake, then nothing */
	STRANGER_HOARDS,     /* a handshake, most of a head, most of a record, and waits */
	STRANGER_DEAF,	     /* requests without end, and reads no answer */
	STRANGER_STUN,	     /* a binding request over TCP */
	STRANGER_RESETS,     /* connects, sends a little, resets */
	STRANGER_HELLO,	     /* a ClientHello, the same for all; hangs up at the first answer */
	STRANGER_KINDS,
};

/* Comes now, from one of people's addresses. */
void stranger_come(struct people *p, enum stranger_kind kind, const struct addr *to);
void strangers_begin(void);
/* All have gone. */
bool strangers_gone(void *unused);
/* Checks that none could stay longer than so long. */
void strangers_judge(uint64_t longest_us);

#endif
