/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network: which way out this host has: an interface, a gateway and our own addresses on it.
 *
 * Default routes come from rtnetlink, lowest metric first. Routes without a gateway and those over
 * point-to-point interfaces (a VPN's tunnel) are passed over, since no router that could map ports
 * is behind them; the configuration may name an interface, and then only that counts.
 */
#ifndef POSTERN_PORTMAP_NETWORK_H
#define POSTERN_PORTMAP_NETWORK_H

#include <net/if.h>
#include <stdbool.h>

#include "core/addr.h"
#include "core/ring.h"

#define NETWORK_ADDRESSES_MAX 16u

struct network {
	bool up;	/* there is an IPv4 or IPv6 gateway */
	unsigned index; /* of the interface */
	char interface[IF_NAMESIZE];
	struct addr gateway4, source4; /* port 0; len 0: none. source4 is ours towards gateway4 */
	unsigned prefix4;	       /* length of the subnet that source4 is in */
	struct addr gateway6, source6; /* gateway6 is mostly link-local, with its zone; source6 is
					  global and not temporary */
	unsigned index6;	       /* interface of the IPv6 gateway: mostly the same */
	uint64_t number;	       /* another one for every change */
};

struct network_watch {
	/* The owner sets these first. */
	struct ring *ring;
	const char *interface; /* NULL: by the default route */
	/* Something of *now differs from before. Not from inside network_watch_start(). */
	void (*changed)(struct network_watch *w);

	struct network now;
	/* The watch's own. */
	int fd, questions;
	struct ring_op op;
	struct timer settle; /* changes come in bursts */
	bool closing;
};

/* Reads the state at once (now is filled) and watches. Returns 0 or -errno. */
int network_watch_start(struct network_watch *w) MUST_CHECK;
/* Ends; idle when it returns true, else ask again after the ring has turned. */
bool network_watch_stop(struct network_watch *w);
/* Another interface (borrowed), or NULL, counts from now on. */
void network_watch_pin(struct network_watch *w, const char *interface);

/* Gateway, interface and our own address are the same over IPv4 (v6: IPv6). */
bool network_same_family(const struct network *a, const struct network *b, bool v6);
/* The gateway of n can still be reached as it could: its interface is up and has our address. */
bool network_still_there(const struct network_watch *w, const struct network *n);

/* True when a is an address on the subnet of source4, or link-local/on-link for IPv6. */
bool network_on_link(const struct network *n, const struct addr *a);

#endif
