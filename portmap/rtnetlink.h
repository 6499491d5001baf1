/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnetlink: default routes, addresses and links, asked of the kernel and waited for.
 *
 * rtnetlink(7). An attribute of another length than the kernel's is as good as none.
 */
#ifndef POSTERN_PORTMAP_RTNETLINK_H
#define POSTERN_PORTMAP_RTNETLINK_H

#include <net/if.h>
#include <stdbool.h>

#include "core/addr.h"
#include "portmap/netlink.h"

#define RTNETLINK_ROUTES_MAX	32u
#define RTNETLINK_ADDRESSES_MAX 64u

struct rtnetlink_route { /* a default route of the main table */
	unsigned index;	 /* of the interface */
	uint32_t metric;
	struct addr gateway;   /* port 0 */
	struct addr preferred; /* our address that the route asks for; len 0: none */
};

struct rtnetlink_address {
	struct addr address;
	unsigned prefix; /* length */
	bool usable;	 /* not tentative, not deprecated, not temporary; global */
};

struct rtnetlink_link {
	char name[IF_NAMESIZE];
	bool up, tunnel; /* tunnel: point-to-point */
};

/* A socket for the questions below. 0 or -errno. */
int rtnetlink_open(struct netlink *n) MUST_CHECK;
/* One that becomes readable when links, addresses or routes change; netlink_drain(). */
int rtnetlink_open_changes(struct netlink *n) MUST_CHECK;

/* Each returns how many there are (at most the room, the first ones), or -errno. */
int rtnetlink_default_routes(struct netlink *n, int family, struct rtnetlink_route *out,
			     size_t room) MUST_CHECK;
int rtnetlink_addresses(struct netlink *n, int family, unsigned index,
			struct rtnetlink_address *out, size_t room) MUST_CHECK;
/* Returns 0, or -errno: -ENODEV when it is gone. */
int rtnetlink_link(struct netlink *n, unsigned index, struct rtnetlink_link *out) MUST_CHECK;

#endif
