/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network: this host's route to the internet: an interface, a gateway and our own addresses on it.
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
#include "portmap/gateway/driver.h"
#include "portmap/netlink.h"

struct network {
	bool up;		     /* there is an IPv4 or IPv6 gateway */
	char interface[IF_NAMESIZE]; /* of the IPv4 gateway; where there is none, of the IPv6 one */
	struct portmap_place places[PORTMAP_FAMILIES];
	uint64_t number; /* another one for every change */
};

struct network_watch {
	/* The owner sets these first. */
	struct ring *ring;
	const char *interface; /* NULL: by the default route */
	/* Something of *now differs from before. Not from inside network_watch_start(). */
	void (*changed)(struct network_watch *w);

	struct network now;
	/* The watch's own. */
	struct netlink changes, questions;
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

/* Gateway, interface and our own address are the same over this family. */
bool network_same_family(const struct network *a, const struct network *b, enum portmap_family f);
/* The gateway of n can still be reached as it could: its interface is up and has our address. */
bool network_still_there(struct network_watch *w, const struct network *n);

/* True when a is on the subnet of our own address, or link-local for IPv6. */
bool network_on_link(const struct network *n, const struct addr *a);

#endif
