/* SPDX-License-Identifier: Apache-2.0 */
/* rtnetlink: what the kernel says of ways, routes, addresses and links, read with its own macros.
 */
#include "portmap/rtnetlink.h"

#include <assert.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <string.h>

struct rtnetlink_question {
	struct nlmsghdr head;
	union {
		struct rtmsg route;
		struct ifaddrmsg address;
		struct ifinfomsg link;
		struct nhmsg hop;
	};
	uint8_t attributes[64]; /* they begin behind the body, and end before this does */
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
	const unsigned rule6 = 1u << (RTNLGRP_IPV6_RULE - 1), nexthop = 1u << (RTNLGRP_NEXTHOP - 1);

	return netlink_open(n, NETLINK_ROUTE,
			    RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
				    RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE |
				    rule6 | nexthop);
}

/* Returns how many were found, or -errno. Of what a question says the kernel looks at the family
 * alone when it dumps (NETLINK_GET_STRICT_CHK is not set): tables, prefixes and interfaces are
 * compared here. A dump that a change falls into may lack something (NLM_F_DUMP_INTR); the
 * network's watch hears of that change, too, and asks again.
 */
static int rtnetlink_ask(struct netlink *n, struct rtnetlink_question *q,
			 struct rtnetlink_reader *r)
{
	int error = netlink_ask(n, &q->head, &r->reader);

	return error ? error : (int)r->count;
}

/* The body, of this many bytes, has been set. */
static void question_begin(struct rtnetlink_question *q, size_t body, uint16_t type, uint16_t flags)
{
	q->head = (struct nlmsghdr){.nlmsg_len = (uint32_t)NLMSG_LENGTH(body),
				    .nlmsg_type = type,
				    .nlmsg_flags = flags};
}

static void question_add(struct rtnetlink_question *q, uint16_t type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)((uint8_t *)q + NLMSG_ALIGN(q->head.nlmsg_len));

	assert(NLMSG_ALIGN(q->head.nlmsg_len) + RTA_SPACE(len) <= sizeof *q);
	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	q->head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(q->head.nlmsg_len) + RTA_ALIGN(a->rta_len));
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

static void route_attribute(struct rtnetlink_route *out, int family, const struct rtattr *a)
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
	case RTA_NH_ID:
		out->nexthop = number_of(a);
		break;
	case RTA_TABLE: /* rtm_table has eight bits, and 252 for all larger numbers */
		out->table = number_of(a);
		break;
	default:
		break;
	}
}

/* Of the next hops of one route (ECMP) the first. */
static void route_first_hop(struct rtnetlink_route *out, int family, const struct rtattr *hops)
{
	const struct rtnexthop *hop = RTA_DATA(hops);
	size_t len;

	if (RTA_PAYLOAD(hops) < sizeof *hop || hop->rtnh_len < sizeof *hop ||
	    hop->rtnh_len > RTA_PAYLOAD(hops))
		return;
	out->index = (unsigned)hop->rtnh_ifindex;
	len = hop->rtnh_len - sizeof *hop;
	for (const struct rtattr *a = (const struct rtattr *)(hop + 1); RTA_OK(a, len);
	     a = RTA_NEXT(a, len))
		route_attribute(out, family, a);
}

static void route_attributes(struct rtnetlink_route *out, int family, const struct rtmsg *m,
			     size_t len)
{
	out->table = m->rtm_table;
	for (const struct rtattr *a = RTM_RTA(m); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == RTA_MULTIPATH)
			route_first_hop(out, family, a);
		else
			route_attribute(out, family, a);
	}
}

/* A link-local gateway is one on the route's own link. */
static void route_set_zone(struct rtnetlink_route *route)
{
	if (route->gateway.len > 0 && route->gateway.sa.sa_family == AF_INET6 &&
	    IN6_IS_ADDR_LINKLOCAL(&route->gateway.v6.sin6_addr))
		route->gateway.v6.sin6_scope_id = route->index;
}

static bool rtnetlink_read_way(struct netlink_reader *reader, const struct nlmsghdr *head)
{
	struct rtnetlink_reader *r = (struct rtnetlink_reader *)reader;
	const struct rtmsg *m = NLMSG_DATA(head);
	struct rtnetlink_route *out = r->out;

	if (head->nlmsg_type != RTM_NEWROUTE || head->nlmsg_len < NLMSG_LENGTH(sizeof *m) ||
	    m->rtm_family != r->family || m->rtm_type != RTN_UNICAST)
		return true;
	memset(out, 0, sizeof *out);
	route_attributes(out, r->family, m, RTM_PAYLOAD(head));
	if (out->index == 0)
		return true;
	route_set_zone(out);
	r->count = 1;
	return false;
}

static void question_add_host(struct rtnetlink_question *q, uint16_t type, const struct addr *a)
{
	if (a->sa.sa_family == AF_INET)
		question_add(q, type, &a->v4.sin_addr, sizeof a->v4.sin_addr);
	else
		question_add(q, type, &a->v6.sin6_addr, sizeof a->v6.sin6_addr);
}

int rtnetlink_way(struct netlink *n, const struct addr *to, const struct addr *source,
		  unsigned index, struct rtnetlink_route *out)
{
	int family = to->sa.sa_family, count;
	uint8_t bits = family == AF_INET ? 32 : 128;
	struct rtnetlink_question q = {.route = {.rtm_family = (uint8_t)family,
						 .rtm_dst_len = bits,
						 .rtm_src_len = source->len > 0 ? bits : 0}};
	struct rtnetlink_route found;
	struct rtnetlink_reader r = {
		.reader.message = rtnetlink_read_way, .family = family, .out = &found, .room = 1};
	uint32_t number = index;

	question_begin(&q, sizeof q.route, RTM_GETROUTE, 0);
	question_add_host(&q, RTA_DST, to);
	if (source->len > 0)
		question_add_host(&q, RTA_SRC, source);
	if (index > 0)
		question_add(&q, RTA_OIF, &number, sizeof number);
	count = rtnetlink_ask(n, &q, &r);
	if (count < 0)
		return count;
	if (count == 0)
		return -ENETUNREACH;
	*out = found;
	return 0;
}

static bool rtnetlink_read_route(struct netlink_reader *reader, const struct nlmsghdr *head)
{
	struct rtnetlink_reader *r = (struct rtnetlink_reader *)reader;
	const struct rtmsg *m = NLMSG_DATA(head);
	struct rtnetlink_route route = {.index = 0};

	if (head->nlmsg_type != RTM_NEWROUTE || head->nlmsg_len < NLMSG_LENGTH(sizeof *m) ||
	    m->rtm_family != r->family || m->rtm_dst_len != 0 || m->rtm_src_len != 0 ||
	    m->rtm_type != RTN_UNICAST || (m->rtm_flags & RTM_F_CLONED))
		return true;
	route_attributes(&route, r->family, m, RTM_PAYLOAD(head));
	if (route.table == RT_TABLE_LOCAL || (route.index == 0 && route.nexthop == 0))
		return true;
	route_set_zone(&route);
	if (r->count < r->room)
		((struct rtnetlink_route *)r->out)[r->count++] = route;
	return true;
}

/* ---- nexthop objects ---- */

/* Where a route says no more than the number of one (net.ipv4.nexthop_compat_mode is 0). */
struct rtnetlink_hop {
	unsigned index;
	uint32_t first; /* of a group: the number of its first member; 0: it is none */
	struct addr gateway;
};

static bool rtnetlink_read_hop(struct netlink_reader *reader, const struct nlmsghdr *head)
{
	struct rtnetlink_reader *r = (struct rtnetlink_reader *)reader;
	const struct nhmsg *m = NLMSG_DATA(head);
	struct rtnetlink_hop *out = r->out;
	const struct rtattr *a;
	size_t len;

	if (head->nlmsg_type != RTM_NEWNEXTHOP || head->nlmsg_len < NLMSG_LENGTH(sizeof *m))
		return true;
	len = head->nlmsg_len - NLMSG_LENGTH(sizeof *m);
	for (a = (const struct rtattr *)(m + 1); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == NHA_OIF)
			out->index = number_of(a);
		else if (a->rta_type == NHA_GATEWAY && m->nh_family == r->family)
			out->gateway = address_of(r->family, a);
		else if (a->rta_type == NHA_GROUP && RTA_PAYLOAD(a) >= sizeof out->first)
			memcpy(&out->first, RTA_DATA(a), sizeof out->first);
	}
	r->count = 1;
	return false;
}

static bool ask_hop(struct netlink *n, int family, uint32_t id, struct rtnetlink_hop *out)
{
	struct rtnetlink_question q = {.hop = {.nh_family = AF_UNSPEC}};
	struct rtnetlink_reader r = {
		.reader.message = rtnetlink_read_hop, .family = family, .out = out, .room = 1};

	memset(out, 0, sizeof *out);
	question_begin(&q, sizeof q.hop, RTM_GETNEXTHOP, 0);
	question_add(&q, NHA_ID, &id, sizeof id);
	return rtnetlink_ask(n, &q, &r) == 1;
}

/* A group has no groups as members. False: it leads nowhere. */
static bool route_follow(struct netlink *n, int family, struct rtnetlink_route *route)
{
	struct rtnetlink_hop hop;

	if (!ask_hop(n, family, route->nexthop, &hop) ||
	    (hop.first && !ask_hop(n, family, hop.first, &hop)) || hop.index == 0)
		return false;
	route->index = hop.index;
	route->gateway = hop.gateway;
	route_set_zone(route);
	return true;
}

int rtnetlink_default_routes(struct netlink *n, int family, struct rtnetlink_route *out,
			     size_t room)
{
	struct rtnetlink_question q = {.route = {.rtm_family = (uint8_t)family}};
	struct rtnetlink_reader r = {
		.reader.message = rtnetlink_read_route, .family = family, .out = out, .room = room};
	int count, kept = 0;

	question_begin(&q, sizeof q.route, RTM_GETROUTE, NLM_F_DUMP);
	count = rtnetlink_ask(n, &q, &r);
	for (int i = 0; i < count; i++)
		if (out[i].index > 0 || route_follow(n, family, &out[i]))
			out[kept++] = out[i];
	return count < 0 ? count : kept;
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

	question_begin(&q, sizeof q.address, RTM_GETADDR, NLM_F_DUMP);
	return rtnetlink_ask(n, &q, &r);
}

/* ---- links ---- */

/* The kind of link in IFLA_LINKINFO, which nests attributes. */
static bool kind_is(const struct rtattr *info, const char *kind)
{
	size_t len = RTA_PAYLOAD(info), wanted = strlen(kind);

	for (const struct rtattr *a = RTA_DATA(info); RTA_OK(a, len); a = RTA_NEXT(a, len))
		if (a->rta_type == IFLA_INFO_KIND)
			return RTA_PAYLOAD(a) >= wanted && memcmp(RTA_DATA(a), kind, wanted) == 0 &&
			       (RTA_PAYLOAD(a) == wanted ||
				((const char *)RTA_DATA(a))[wanted] == '\0');
	return false;
}

/* Kinds that carry packets to another place and need not be point-to-point: those of VPNs. A tap is
 * of the kind tun. What looks like a network card cannot be told from one. */
static bool is_tunnels_kind(const struct rtattr *info)
{
	static const char *const kinds[] = {"tun", "wireguard", "xfrm", "vti", "gre", "gretap"};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (kind_is(info, kinds[i]))
			return true;
	return false;
}

static bool rtnetlink_read_link(struct netlink_reader *reader, const struct nlmsghdr *head)
{
	struct rtnetlink_reader *r = (struct rtnetlink_reader *)reader;
	const struct ifinfomsg *m = NLMSG_DATA(head);
	struct rtnetlink_link *out = (struct rtnetlink_link *)r->out + r->count;
	size_t len;

	if (head->nlmsg_type != RTM_NEWLINK || head->nlmsg_len < NLMSG_LENGTH(sizeof *m) ||
	    r->count == r->room)
		return true;
	memset(out, 0, sizeof *out);
	/* Switched on, and with a carrier. */
	out->up = (m->ifi_flags & IFF_UP) && (m->ifi_flags & IFF_RUNNING);
	out->tunnel = m->ifi_flags & IFF_POINTOPOINT;
	len = IFLA_PAYLOAD(head);
	for (const struct rtattr *a = IFLA_RTA(m); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		size_t size = RTA_PAYLOAD(a);

		if (a->rta_type == IFLA_LINKINFO) {
			out->pair = kind_is(a, "veth");
			out->tunnel |= is_tunnels_kind(a);
		}
		if (a->rta_type != IFLA_IFNAME || size == 0 || size > sizeof out->name)
			continue;
		memcpy(out->name, RTA_DATA(a), size);
		out->name[size - 1] = '\0';
	}
	r->count++;
	return true;
}

int rtnetlink_links(struct netlink *n, struct rtnetlink_link *out, size_t room)
{
	struct rtnetlink_question q = {.link = {.ifi_family = AF_UNSPEC}};
	struct rtnetlink_reader r = {
		.reader.message = rtnetlink_read_link, .out = out, .room = room};

	question_begin(&q, sizeof q.link, RTM_GETLINK, NLM_F_DUMP);
	return rtnetlink_ask(n, &q, &r);
}

int rtnetlink_link(struct netlink *n, unsigned index, struct rtnetlink_link *out)
{
	struct rtnetlink_question q = {.link = {.ifi_family = AF_UNSPEC, .ifi_index = (int)index}};
	struct rtnetlink_reader r = {.reader.message = rtnetlink_read_link, .out = out, .room = 1};
	int count;

	memset(out, 0, sizeof *out);
	question_begin(&q, sizeof q.link, RTM_GETLINK, 0);
	count = rtnetlink_ask(n, &q, &r);
	return count < 0 ? count : count == 0 ? -ENODEV : 0;
}
