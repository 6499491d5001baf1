/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnetlink: ways out, default routes, addresses and links, asked of the kernel and waited for.
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
#define RTNETLINK_LINKS_MAX	16u

struct rtnetlink_route {
	unsigned index; /* of the interface */
	uint32_t metric, table;
	uint32_t nexthop;      /* the object that it leads to; 0: none */
	struct addr gateway;   /* port 0; len 0: the link needs none, or it is of another family */
	struct addr preferred; /* our address that the route asks for; len 0: none */
};

struct rtnetlink_address {
	struct addr address;
	unsigned prefix; /* length */
	bool usable;	 /* not tentative, not deprecated, not temporary; global */
};

struct rtnetlink_link {
	char name[IF_NAMESIZE];
	bool up;
	bool tunnel; /* point-to-point, or of a kind that carries packets elsewhere, such as tap */
	bool pair;   /* one end of a pair (veth) */
};

/* A socket for the questions below. 0 or -errno. */
int rtnetlink_open(struct netlink *n) MUST_CHECK;
/* One that becomes readable when links, addresses, routes, the rules that choose among their
 * tables, or nexthop objects change; netlink_drain(). */
int rtnetlink_open_changes(struct netlink *n) MUST_CHECK;

/* The way to a host, as the kernel would send there now: it goes by rules, tables, nexthop objects
 * and metrics itself. source: the packet has this address; index: it leaves by this interface; len
 * 0, and 0: as the kernel chooses. Returns 0, or -errno: -ENETUNREACH and its like where there is
 * no way. */
int rtnetlink_way(struct netlink *n, const struct addr *to, const struct addr *source,
		  unsigned index, struct rtnetlink_route *out) MUST_CHECK;

/* Each returns how many there are (at most the room, the first ones), or -errno. */
/* Of all tables. A nexthop object or several next hops count as the first of them. */
int rtnetlink_default_routes(struct netlink *n, int family, struct rtnetlink_route *out,
			     size_t room) MUST_CHECK;
int rtnetlink_addresses(struct netlink *n, int family, unsigned index,
			struct rtnetlink_address *out, size_t room) MUST_CHECK;
int rtnetlink_links(struct netlink *n, struct rtnetlink_link *out, size_t room) MUST_CHECK;
/* Returns 0, or -errno: -ENODEV when it is gone. */
int rtnetlink_link(struct netlink *n, unsigned index, struct rtnetlink_link *out) MUST_CHECK;

#endif
