/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hops: the addresses of the routers on the way to outside, the next ones behind the gateway.
 *
 * Datagrams leave that live for so many hops only, to ports that nobody listens on, each to one of
 * its own, and the router where one ends says so by ICMP (RFC 792), which the kernel keeps for the
 * socket that sent it (IP_RECVERR, ip(7)): no right is needed. They are sent HOPS_SENDINGS times,
 * HOPS_WAIT_MS apart, to those places that are not known yet, and no router is asked again that has
 * answered. Where ICMP does not come back, nothing is known.
 */
#ifndef POSTERN_PORTMAP_HOPS_H
#define POSTERN_PORTMAP_HOPS_H

#include "core/addr.h"
#include "core/ring.h"

#define HOPS_MAX      5u /* behind the gateway */
#define HOPS_SENDINGS 2u
#define HOPS_WAIT_MS  700u

struct hops {
	/* The owner sets these first; all IPv4. */
	struct ring *ring;
	struct addr source; /* ours, port 0 */
	unsigned index;	    /* of the interface to leave by; 0: as the routes say */
	struct addr to;	    /* outside: its port does not matter */
	/* Once; nothing is in flight, the owner may free. */
	void (*done)(struct hops *h);

	/* The first is the one behind the gateway; len 0: it did not answer. Behind one that is the
	 * end of the way there are none. Port 0. */
	struct addr routers[HOPS_MAX];
	bool ended; /* by hops_end(): what is known is not all */
	struct ring_op op;
	struct timer timer;
	int fd;
	unsigned sendings;
	bool ending;
};

/* 0 or -errno; done() does not come after a failure. */
int hops_start(struct hops *h) MUST_CHECK;
/* Ends early: done() comes. */
void hops_end(struct hops *h);

#endif
