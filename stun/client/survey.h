/* SPDX-License-Identifier: Apache-2.0 */
/*
 * survey: asks one STUN server over UDP what discovery.h finds out, from sockets on a ring.
 *
 * The three sockets of enum stun_socket are bound to the address that the system uses towards the
 * server, so that "our own address" is known and a host with several keeps to one.
 */
#ifndef POSTERN_STUN_CLIENT_SURVEY_H
#define POSTERN_STUN_CLIENT_SURVEY_H

#include "core/ring.h"
#include "stun/discovery.h"

struct stun_survey;

struct stun_survey_socket {
	struct ring_op op; /* first */
	struct stun_survey *survey;
	int fd; /* -1: none */
};

struct stun_survey {
	/* The owner sets these first, and in discovery: server, pace, nat and lifetime_max_s. */
	struct ring *ring;
	struct addr source; /* bind to this one's address, for the mapping socket also its port; len
			       0: the system's choice */
	unsigned index;	    /* leave by this interface, whatever the routes say; 0: as they do */
	struct stun_discovery discovery;
	/* Once; discovery.found is complete, nothing is in flight, the owner may free. */
	void (*done)(struct stun_survey *s);

	struct stun_survey_socket sockets[STUN_SOCKETS];
	struct timer timer;
	bool ending;
};

/* 0, or -errno: no socket, or no way to the server; done() does not come then. */
int stun_survey_start(struct stun_survey *s) MUST_CHECK;
/* Ends early: done() comes, with what is known. Harmless when it is ending anyway. */
void stun_survey_end(struct stun_survey *s);

#endif
