/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network: this host's way to the internet: an interface, a gateway and our own addresses on it.
 *
 * The kernel is asked which way it would send to a host on the internet (NETWORK_FAR), so that its
 * rules, all of its tables, nexthop objects and metrics count as they do for packets. Nothing is
 * sent there.
 *
 * A way into a tunnel (a point-to-point interface) is passed over where another default route leads
 * to a gateway, of whatever table and metric, the main table's before others: then it is a VPN, and
 * the gateway behind which this host stands is that other route's. Where there is none the tunnel
 * is the line itself: PPPoE, a modem, or a translator (464XLAT). Such a way has no gateway, as some
 * of Ethernet have none: a *link*. No router is there that could map ports, but whether outside
 * reaches this host can be told.
 *
 * The configuration may name an interface, and then only its default routes count. It may
 * name a gateway, too: that is asked in place of the route's, on the link that it is on; where it
 * is on none of this host's, on the route's interface, and without a default route on the one that
 * leads to it.
 */
#ifndef POSTERN_PORTMAP_NETWORK_H
#define POSTERN_PORTMAP_NETWORK_H

#include <net/if.h>
#include <stdbool.h>

#include "core/addr.h"
#include "core/ring.h"
#include "portmap/gateway/driver.h"
#include "portmap/netlink.h"

/* Of a root name server (a.root-servers.net): where no route but the default one leads. */
#define NETWORK_FAR4 "198.41.0.4"
#define NETWORK_FAR6 "2001:503:ba3e::2:30"

#define NETWORK_OTHERS_BYTES 96u

struct network {
	bool up;		      /* there is a way out over IPv4 or IPv6 */
	char interface[IF_NAMESIZE];  /* of the IPv4 way; where there is none, of the IPv6 one */
	char interface6[IF_NAMESIZE]; /* of the IPv6 way; "": there is none */
	bool pair; /* the interface is an end of a pair (veth), as containers have */
	struct portmap_place places[PORTMAP_FAMILIES];
	bool link[PORTMAP_FAMILIES]; /* the way has no gateway; the place has our own address */
	/* Into which goes what leaves from our own IPv4 address, though the gateway is elsewhere;
	 * "": it goes to the gateway. */
	char tunnel[IF_NAMESIZE];
	uint64_t number; /* another one for every change */
	bool unanswered; /* and none leads out from our address there */
	/* There is none of the name that the configuration has; and the others, "eth0, wlan0". */
	bool missing;
	char others[NETWORK_OTHERS_BYTES];
};

struct network_watch {
	/* The owner sets these first. */
	struct ring *ring;
	const char *interface; /* NULL: by the default route */
	struct addr gateway;   /* asked in place of the default route's, port 0; len 0: that one */
	/* Something of *now differs from before, perhaps the tunnel alone (network_same()). Not
	 * from inside network_watch_start(). */
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
/* Another interface (borrowed), or NULL, counts from now on; so does w->gateway as it is now. */
void network_watch_pin(struct network_watch *w, const char *interface);

/* Both families are the same, whatever the tunnel is. */
bool network_same(const struct network *a, const struct network *b);
/* Gateway, interface and our own address are the same over this family. */
bool network_same_family(const struct network *a, const struct network *b, enum portmap_family f);
/* The gateway of n can still be reached as it could: its interface is up and has our address. */
bool network_still_there(struct network_watch *w, const struct network *n);

/* The IPv6 gateway, which there is, as people write it: with the name of its interface. */
#define NETWORK_GATEWAY6_BYTES (ADDR_TEXT_BYTES + IF_NAMESIZE)
void network_gateway6_text(const struct network *n, char out[NETWORK_GATEWAY6_BYTES]);

/* True when a is on the subnet of our own address, or link-local for IPv6. */
bool network_on_link(const struct network *n, const struct addr *a);

#endif
