/* SPDX-License-Identifier: Apache-2.0 */
/* rtnetlink: what the kernel says of routes, addresses and links, read with its own macros. */
#include "portmap/rtnetlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

struct rtnetlink_question {
	struct nlmsghdr head;
	union {
		struct rtmsg route;
		struct ifaddrmsg address;
		struct ifinfomsg link;
	};
};

/* What is looked for, and where it goes. */
struct rtnetlink_reader {
	struct netlink_reader reader; /* first */
	int family;
	unsigned index;
	void *out;
	size_t count, room;
};

int rtnetlink_open(struct netlink *n)
{
	return netlink_open(n, NETLINK_ROUTE, 0);
}

int rtnetlink_open_changes(struct netlink *n)
{
	return netlink_open(n, NETLINK_ROUTE,
			    RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
				    RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE);
}

/* Returns how many were found, or -errno. Of what a question says the kernel looks at the family
 * alone when it dumps (NETLINK_GET_STRICT_CHK is not set): tables, prefixes and interfaces are
 * compared here. A dump that a change falls into may lack something (NLM_F_DUMP_INTR); the
 * network's watch hears of that change, too, and asks again.
 */
static int rtnetlink_ask(struct netlink *n, struct rtnetlink_question *q, size_t body,
			 uint16_t type, uint16_t flags, struct rtnetlink_reader *r)
{
	int error;

	q->head = (struct nlmsghdr){.nlmsg_len = (uint32_t)NLMSG_LENGTH(body),
				    .nlmsg_type = type,
				    .nlmsg_flags = flags};
	error = netlink_ask(n, &q->head, &r->reader);
	return error ? error : (int)r->count;
}

/* ---- attributes ---- */

static struct addr address_of(int family, const struct rtattr *a)
{
	struct addr out;

	memset(&out, 0, sizeof out);
	if (family == AF_INET && RTA_PAYLOAD(a) == sizeof out.v4.sin_addr) {
		out.v4.sin_family = AF_INET;
		memcpy(&out.v4.sin_addr, RTA_DATA(a), sizeof out.v4.sin_addr);
		out.len = sizeof out.v4;
	} else if (family == AF_INET6 && RTA_PAYLOAD(a) == sizeof out.v6.sin6_addr) {
		out.v6.sin6_family = AF_INET6;
		memcpy(&out.v6.sin6_addr, RTA_DATA(a), sizeof out.v6.sin6_addr);
		out.len = sizeof out.v6;
	}
	return out;
}

static uint32_t number_of(const struct rtattr *a)
{
	uint32_t n = 0;

	if (RTA_PAYLOAD(a) == sizeof n)
		memcpy(&n, RTA_DATA(a), sizeof n);
	return n;
}

/* ---- routes ---- */

static void route_attribute(struct rtnetlink_route *out, int family, const struct rtattr *a,
			    uint32_t *table)
{
	switch (a->rta_type) {
	case RTA_GATEWAY:
		out->gateway = address_of(family, a);
		break;
	case RTA_OIF:
		out->index = number_of(a);
		break;
	case RTA_PRIORITY:
		out->metric = number_of(a);
		break;
	case RTA_PREFSRC:
		out->preferred = address_of(family, a);
		break;
	case RTA_TABLE: /* rtm_table has eight bits, and 252 for all larger numbers */
		*table = number_of(a);
		break;
	default:
		break;
	}
}

/* Of the next hops of one route (ECMP) the first. */
static void route_first_hop(struct rtnetlink_route *out, int family, const struct rtattr *hops)
{
	const struct rtnexthop *hop = RTA_DATA(hops);
	uint32_t table;
	size_t len;

	if (RTA_PAYLOAD(hops) < sizeof *hop || hop->rtnh_len < sizeof *hop ||
	    hop->rtnh_len > RTA_PAYLOAD(hops))
		return;
	out->index = (unsigned)hop->rtnh_ifindex;
	len = hop->rtnh_len - sizeof *hop;
	for (const struct rtattr *a = (const struct rtattr *)(hop + 1); RTA_OK(a, len);
	     a = RTA_NEXT(a, len))
		route_attribute(out, family, a, &table);
}

static bool rtnetlink_read_route(struct netlink_reader *reader, const struct nlmsghdr *head)
{
	struct rtnetlink_reader *r = (struct rtnetlink_reader *)reader;
	const struct rtmsg *m = NLMSG_DATA(head);
	struct rtnetlink_route route = {.index = 0};
	uint32_t table;
	size_t len;

	if (head->nlmsg_type != RTM_NEWROUTE || head->nlmsg_len < NLMSG_LENGTH(sizeof *m) ||
	    m->rtm_family != r->family || m->rtm_dst_len != 0 || m->rtm_src_len != 0 ||
	    m->rtm_type != RTN_UNICAST)
		return true;
	table = m->rtm_table;
	len = RTM_PAYLOAD(head);
	for (const struct rtattr *a = RTM_RTA(m); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == RTA_MULTIPATH)
			route_first_hop(&route, r->family, a);
		else
			route_attribute(&route, r->family, a, &table);
	}
	if (table != RT_TABLE_MAIN || route.gateway.len == 0 || route.index == 0)
		return true;
	if (r->family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&route.gateway.v6.sin6_addr))
		route.gateway.v6.sin6_scope_id = route.index;
	if (r->count < r->room)
		((struct rtnetlink_route *)r->out)[r->count++] = route;
	return true;
}

int rtnetlink_default_routes(struct netlink *n, int family, struct rtnetlink_route *out,
			     size_t room)
{
	struct rtnetlink_question q = {.route = {.rtm_family = (uint8_t)family}};
	struct rtnetlink_reader r = {
		.reader.message = rtnetlink_read_route, .family = family, .out = out, .room = room};

	return rtnetlink_ask(n, &q, sizeof q.route, RTM_GETROUTE, NLM_F_DUMP, &r);
}

/* ---- addresses ---- */

static bool rtnetlink_read_address(struct netlink_reader *reader, const struct nlmsghdr *head)
{
	struct rtnetlink_reader *r = (struct rtnetlink_reader *)reader;
	const uint32_t unfit = IFA_F_TENTATIVE | IFA_F_DEPRECATED | IFA_F_DADFAILED;
	const struct ifaddrmsg *m = NLMSG_DATA(head);
	struct rtnetlink_address out = {.prefix = 0};
	bool local = false;
	uint32_t flags;
	size_t len;

	if (head->nlmsg_type != RTM_NEWADDR || head->nlmsg_len < NLMSG_LENGTH(sizeof *m) ||
	    m->ifa_family != r->family || m->ifa_index != r->index)
		return true;
	flags = m->ifa_flags;
	len = IFA_PAYLOAD(head);
	for (const struct rtattr *a = IFA_RTA(m); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		/* ifa_flags has the first eight of them only. */
		if (a->rta_type == IFA_FLAGS)
			flags = number_of(a);
		/* Of a point-to-point link IFA_ADDRESS is the other end's. */
		if (a->rta_type == IFA_LOCAL || (a->rta_type == IFA_ADDRESS && !local))
			out.address = address_of(r->family, a);
		local |= a->rta_type == IFA_LOCAL;
	}
	/* On IPv4 the flag of temporary addresses means secondary ones. */
	out.usable = m->ifa_scope == RT_SCOPE_UNIVERSE && !(flags & unfit) &&
		     (r->family == AF_INET || !(flags & IFA_F_TEMPORARY));
	out.prefix = m->ifa_prefixlen;
	if (out.address.len > 0 && r->count < r->room)
		((struct rtnetlink_address *)r->out)[r->count++] = out;
	return true;
}

int rtnetlink_addresses(struct netlink *n, int family, unsigned index,
			struct rtnetlink_address *out, size_t room)
{
	struct rtnetlink_question q = {.address = {.ifa_family = (uint8_t)family}};
	struct rtnetlink_reader r = {.reader.message = rtnetlink_read_address,
				     .family = family,
				     .index = index,
				     .out = out,
				     .room = room};

	return rtnetlink_ask(n, &q, sizeof q.address, RTM_GETADDR, NLM_F_DUMP, &r);
}

/* ---- links ---- */

static bool rtnetlink_read_link(struct netlink_reader *reader, const struct nlmsghdr *head)
{
	struct rtnetlink_reader *r = (struct rtnetlink_reader *)reader;
	const struct ifinfomsg *m = NLMSG_DATA(head);
	struct rtnetlink_link *out = r->out;
	size_t len;

	if (head->nlmsg_type != RTM_NEWLINK || head->nlmsg_len < NLMSG_LENGTH(sizeof *m))
		return true;
	/* Switched on, and with a carrier. */
	out->up = (m->ifi_flags & IFF_UP) && (m->ifi_flags & IFF_RUNNING);
	out->tunnel = m->ifi_flags & IFF_POINTOPOINT;
	len = IFLA_PAYLOAD(head);
	for (const struct rtattr *a = IFLA_RTA(m); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		size_t size = RTA_PAYLOAD(a);

		if (a->rta_type != IFLA_IFNAME || size == 0 || size > sizeof out->name)
			continue;
		memcpy(out->name, RTA_DATA(a), size);
		out->name[size - 1] = '\0';
	}
	r->count++;
	return false;
}

int rtnetlink_link(struct netlink *n, unsigned index, struct rtnetlink_link *out)
{
	struct rtnetlink_question q = {.link = {.ifi_family = AF_UNSPEC, .ifi_index = (int)index}};
	struct rtnetlink_reader r = {.reader.message = rtnetlink_read_link, .out = out, .room = 1};
	int count;

	memset(out, 0, sizeof *out);
	count = rtnetlink_ask(n, &q, sizeof q.link, RTM_GETLINK, 0, &r);
	return count < 0 ? count : count == 0 ? -ENODEV : 0;
}
