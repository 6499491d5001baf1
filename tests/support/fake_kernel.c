/* SPDX-License-Identifier: Apache-2.0 */
/* fake_kernel: tables to netlink's messages. */
#include "tests/support/fake_kernel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct fake_kernel fake_kernel;

static union {
	struct nlmsghdr head;
	uint8_t bytes[1024];
} message;

void fake_kernel_reset(void)
{
	memset(&fake_kernel, 0, sizeof(fake_kernel));
	fake_kernel.changes = fake_kernel.ends = -1;
}

void fake_kernel_changed(void)
{
	assert_true(fake_kernel.changes >= 0);
	assert_int_equal(send(fake_kernel.changes, "news", 4, MSG_NOSIGNAL), 4);
}

int netlink_open(struct netlink *n, int protocol, unsigned groups)
{
	int pair[2];

	n->fd = -1;
	if (fake_kernel.open_error)
		return -fake_kernel.open_error;
	if (groups) {
		assert_int_equal(
			socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
		n->fd = pair[0];
		*(protocol == NETLINK_SOCK_DIAG ? &fake_kernel.ends : &fake_kernel.changes) =
			pair[1];
		return 0; /* it is the ring's to close */
	}
	n->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fake_kernel.open++;
	return 0;
}

void netlink_close(struct netlink *n)
{
	if (n->fd < 0)
		return;
	close(n->fd);
	n->fd = -1;
	fake_kernel.open--;
}

void netlink_drain(struct netlink *n)
{
	char bytes[64];

	while (recv(n->fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

/* ---- messages ---- */

static void *begin(uint16_t type, size_t body)
{
	memset(&message, 0, sizeof(message));
	message.head.nlmsg_type = type;
	message.head.nlmsg_flags = NLM_F_MULTI;
	message.head.nlmsg_len = (uint32_t)NLMSG_LENGTH(body);
	return NLMSG_DATA(&message.head);
}

static void attribute(uint16_t type, const void *data, size_t len)
{
	struct rtattr *a = (struct rtattr *)(message.bytes + NLMSG_ALIGN(message.head.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	message.head.nlmsg_len =
		(uint32_t)(NLMSG_ALIGN(message.head.nlmsg_len) + RTA_ALIGN(a->rta_len));
}

static int family_of(const char *text)
{
	struct addr a;

	assert_true(addr_from_literal(text, 0, &a));
	return a.sa.sa_family;
}

static void host_attribute(uint16_t type, const char *text)
{
	struct addr a;

	assert_true(addr_from_literal(text, 0, &a));
	if (a.sa.sa_family == AF_INET)
		attribute(type, &a.v4.sin_addr, 4);
	else
		attribute(type, &a.v6.sin6_addr, 16);
}

static void number_attribute(uint16_t type, uint32_t n)
{
	attribute(type, &n, sizeof(n));
}

/* ---- answers ---- */

/* IFLA_LINKINFO: attributes within an attribute. */
static void tell_kind(const char *kind)
{
	uint8_t nested[64];
	struct rtattr *a = (struct rtattr *)nested;

	memset(nested, 0, sizeof(nested));
	a->rta_type = IFLA_INFO_KIND;
	a->rta_len = (unsigned short)RTA_LENGTH(strlen(kind) + 1);
	memcpy(RTA_DATA(a), kind, strlen(kind) + 1);
	attribute(IFLA_LINKINFO, nested, RTA_ALIGN(a->rta_len));
}

/* index 0: all of them. */
static bool tell_links(struct netlink_reader *r, unsigned index)
{
	bool told = index == 0;

	for (size_t i = 0; i < FAKE_MAX; i++) {
		const struct fake_link *l = &fake_kernel.links[i];
		struct ifinfomsg *m;

		if (!l->name || (index > 0 && l->index != index))
			continue;
		m = begin(RTM_NEWLINK, sizeof(*m));
		m->ifi_index = (int)l->index;
		m->ifi_flags = (l->down ? 0 : IFF_UP | IFF_RUNNING) |
			       (l->tunnel ? (unsigned)IFF_POINTOPOINT : 0);
		number_attribute(IFLA_MTU, 1500);
		attribute(IFLA_IFNAME, l->name, strlen(l->name) + 1);
		tell_kind(l->kind ? l->kind : l->pair ? "veth" : "veth0");
		told = true;
		if (!r->message(r, &message.head))
			break;
	}
	return told;
}

static void tell_addresses(struct netlink_reader *r, int family)
{
	for (size_t i = 0; i < FAKE_MAX; i++) {
		const struct fake_address *a = &fake_kernel.addresses[i];
		struct ifaddrmsg *m;

		if (!a->text || family_of(a->text) != family)
			continue;
		m = begin(RTM_NEWADDR, sizeof(*m));
		m->ifa_family = (uint8_t)family;
		m->ifa_prefixlen = (uint8_t)a->prefix;
		m->ifa_scope = a->scope;
		m->ifa_index = a->index;
		host_attribute(IFA_ADDRESS, a->text);
		if (family == AF_INET)
			host_attribute(IFA_LOCAL, a->text);
		number_attribute(IFA_FLAGS, a->flags);
		if (!r->message(r, &message.head))
			return;
	}
}

static void tell_neighbours(struct netlink_reader *r, int family)
{
	for (size_t i = 0; i < FAKE_MAX; i++) {
		const struct fake_neighbour *f = &fake_kernel.neighbours[i];
		struct ndmsg *m;

		if (!f->text || family_of(f->text) != family)
			continue;
		m = begin(RTM_NEWNEIGH, sizeof(*m));
		m->ndm_family = (uint8_t)family;
		m->ndm_state = NUD_REACHABLE;
		m->ndm_ifindex = (int)fake_kernel.links[0].index;
		host_attribute(NDA_DST, f->text);
		attribute(NDA_LLADDR, f->card, sizeof(f->card));
		if (!r->message(r, &message.head))
			return;
	}
}

/* The first of two next hops, the second of which leads elsewhere. */
static void hops_attribute(const struct fake_route *route)
{
	_Alignas(8) uint8_t bytes[128] = {0};
	struct rtnexthop *hop = (struct rtnexthop *)bytes;
	struct rtattr *a = (struct rtattr *)(hop + 1);
	struct addr gateway;

	assert_true(addr_from_literal(route->gateway, 0, &gateway));
	hop->rtnh_ifindex = (int)route->index;
	a->rta_type = RTA_GATEWAY;
	a->rta_len = RTA_LENGTH(4);
	memcpy(RTA_DATA(a), &gateway.v4.sin_addr, 4);
	hop->rtnh_len = (unsigned short)(sizeof(*hop) + RTA_ALIGN(a->rta_len));
	struct rtnexthop *other = RTNH_NEXT(hop);
	other->rtnh_ifindex = 77;
	other->rtnh_len = sizeof(*other);
	attribute(RTA_MULTIPATH, bytes, (size_t)((uint8_t *)(other + 1) - bytes));
}

static void put_route(const struct fake_route *route, int family)
{
	struct rtmsg *m = begin(RTM_NEWROUTE, sizeof(*m));

	m->rtm_family = (uint8_t)family;
	m->rtm_dst_len = route->length;
	m->rtm_table = RT_TABLE_UNSPEC;
	m->rtm_type = route->type ? route->type : RTN_UNICAST;
	number_attribute(RTA_TABLE, route->table ? route->table : RT_TABLE_MAIN);
	number_attribute(RTA_PRIORITY, route->metric);
	if (route->preferred)
		host_attribute(RTA_PREFSRC, route->preferred);
	if (route->nexthop) {
		number_attribute(RTA_NH_ID, route->nexthop);
	} else if (route->nexthops) {
		hops_attribute(route);
	} else {
		number_attribute(RTA_OIF, route->index);
		if (route->gateway)
			host_attribute(RTA_GATEWAY, route->gateway);
	}
}

static bool is_of(const struct fake_route *route, int family)
{
	const char *like = route->gateway ? route->gateway : route->preferred;

	return route->index > 0 && family_of(like ? like : "0.0.0.0") == family;
}

static void tell_routes(struct netlink_reader *r, int family)
{
	for (size_t i = 0; i < FAKE_MAX; i++) {
		if (!is_of(&fake_kernel.routes[i], family))
			continue;
		put_route(&fake_kernel.routes[i], family);
		if (!r->message(r, &message.head))
			return;
	}
}

/* ---- ways ---- */

static bool link_is_up(unsigned index)
{
	for (size_t i = 0; i < FAKE_MAX; i++)
		if (fake_kernel.links[i].name && fake_kernel.links[i].index == index)
			return !fake_kernel.links[i].down;
	return false;
}

static bool leads_to(const struct fake_route *route, const struct rtattr *to)
{
	struct addr prefix;
	uint32_t asked;

	if (!route->to)
		return true;
	assert_true(addr_from_literal(route->to, 0, &prefix));
	memcpy(&asked, RTA_DATA(to), sizeof(asked));
	return (ntohl(asked ^ prefix.v4.sin_addr.s_addr) & ~(UINT32_MAX >> route->length)) == 0;
}

/* Of one table: the longest prefix, then the lowest metric, then the first. */
static const struct fake_route *look_up(uint32_t table, int family, const struct rtattr *to)
{
	const struct fake_route *best = NULL;

	for (size_t i = 0; i < FAKE_MAX; i++) {
		const struct fake_route *route = &fake_kernel.routes[i];

		if (!is_of(route, family) || !leads_to(route, to) || !link_is_up(route->index) ||
		    (route->table ? route->table : RT_TABLE_MAIN) != table)
			continue;
		if (!best || route->length > best->length ||
		    (route->length == best->length && route->metric < best->metric))
			best = route;
	}
	return best;
}

static const struct rtattr *find_attribute(const struct nlmsghdr *question, uint16_t type)
{
	size_t len = RTM_PAYLOAD(question);

	for (const struct rtattr *a = RTM_RTA(NLMSG_DATA(question)); RTA_OK(a, len);
	     a = RTA_NEXT(a, len))
		if (a->rta_type == type)
			return a;
	return NULL;
}

static bool is_from(const struct nlmsghdr *question, const char *from)
{
	const struct rtattr *a = find_attribute(question, RTA_SRC);
	struct addr own;

	if (!from)
		return true;
	assert_true(addr_from_literal(from, 0, &own));
	return a && RTA_PAYLOAD(a) == 4 && memcmp(RTA_DATA(a), &own.v4.sin_addr, 4) == 0;
}

/* As the kernel sends: tables by rules, the main one last; then next hops are no matter. */
static int tell_way(const struct nlmsghdr *question, struct netlink_reader *r)
{
	int family = ((const struct rtmsg *)NLMSG_DATA(question))->rtm_family;
	const struct rtattr *to = find_attribute(question, RTA_DST);
	const struct fake_route *found = NULL;
	struct fake_route way;

	assert_non_null(to);
	for (size_t i = 0; i < 4 && !found; i++)
		if (fake_kernel.rules[i].table && is_from(question, fake_kernel.rules[i].from))
			found = look_up(fake_kernel.rules[i].table, family, to);
	if (!found)
		found = look_up(RT_TABLE_MAIN, family, to);
	if (!found)
		return -ENETUNREACH;
	if (found->type && found->type != RTN_UNICAST)
		return -EHOSTUNREACH;
	way = *found;
	way.nexthop = 0;
	way.nexthops = false;
	put_route(&way, family);
	(void)r->message(r, &message.head);
	return 0;
}

static int tell_nexthop(const struct nlmsghdr *question, struct netlink_reader *r)
{
	const struct rtattr *a =
		(const struct rtattr *)((const struct nhmsg *)NLMSG_DATA(question) + 1);
	struct nexthop_grp group[2] = {{.id = 0}};
	struct nhmsg *m;
	uint32_t id;

	assert_int_equal(a->rta_type, NHA_ID);
	memcpy(&id, RTA_DATA(a), sizeof(id));
	for (size_t i = 0; i < 4; i++) {
		const struct fake_nexthop *n = &fake_kernel.nexthops[i];

		if (n->id != id)
			continue;
		m = begin(RTM_NEWNEXTHOP, sizeof(*m));
		m->nh_family = n->gateway ? (uint8_t)family_of(n->gateway) : AF_UNSPEC;
		number_attribute(NHA_ID, id);
		if (n->members[0]) {
			group[0].id = n->members[0];
			group[1].id = n->members[1];
			attribute(NHA_GROUP, group, sizeof(group));
		} else {
			number_attribute(NHA_OIF, n->index);
			host_attribute(NHA_GATEWAY, n->gateway);
		}
		(void)r->message(r, &message.head);
		return 0;
	}
	return -ENOENT;
}

/* ---- sockets ---- */

static void put_host(const char *text, int family, __be32 out[4], __be16 *port)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	*port = htons(addr_port(&a));
	if (a.sa.sa_family == AF_INET6) {
		memcpy(out, &a.v6.sin6_addr, 16);
	} else if (family == AF_INET6) {
		out[2] = htonl(0xffff);
		memcpy(&out[3], &a.v4.sin_addr, 4);
	} else {
		memcpy(out, &a.v4.sin_addr, 4);
	}
}

static void write_ends(const struct fake_socket *s, int family, struct inet_diag_msg *m)
{
	m->idiag_family = (uint8_t)family;
	put_host(s->local, family, m->id.idiag_src, &m->id.idiag_sport);
	if (s->peer)
		put_host(s->peer, family, m->id.idiag_dst, &m->id.idiag_dport);
}

static int socket_family(const struct fake_socket *s)
{
	struct addr local;

	assert_true(addr_parse(s->local, &local));
	return s->mapped ? AF_INET6 : local.sa.sa_family;
}

/* As the kernel's own filter has it: those from or to the port, or listeners on it. */
static void tell_sockets(struct netlink_reader *r, int family, uint32_t states, uint16_t port)
{
	for (size_t i = 0; i < FAKE_SOCKETS_MAX; i++) {
		const struct fake_socket *s = &fake_kernel.sockets[i];
		unsigned state = s->state ? s->state : s->peer ? TCP_ESTABLISHED : TCP_LISTEN;
		struct inet_diag_msg *m;
		struct addr local;

		if (!s->local || !(states & 1u << state))
			continue;
		assert_true(addr_parse(s->local, &local));
		if (socket_family(s) != family || addr_port(&local) != port)
			continue;
		m = begin(SOCK_DIAG_BY_FAMILY, sizeof(*m));
		write_ends(s, family, m);
		if (!r->message(r, &message.head))
			return;
	}
}

void fake_kernel_ended(const struct fake_socket *s, bool answered)
{
	struct {
		struct inet_diag_msg m;
		struct rtattr head;
		struct tcp_info info;
	} *end = begin(SOCK_DIAG_BY_FAMILY, sizeof(*end));

	memset(end, 0, sizeof(*end));
	write_ends(s, socket_family(s), &end->m);
	end->head = (struct rtattr){sizeof(end->head) + sizeof(end->info), INET_DIAG_INFO};
	end->info.tcpi_rtt = answered ? 20000 : 0;
	(void)!send(fake_kernel.ends, message.bytes, message.head.nlmsg_len, MSG_NOSIGNAL);
}

int netlink_take(struct netlink *n, struct netlink_reader *r)
{
	_Alignas(8) uint8_t bytes[1024];
	ssize_t len = recv(n->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (len < 0)
		return 0;
	(void)r->message(r, (const struct nlmsghdr *)(const void *)bytes);
	return 1;
}

void fake_kernel_close(void)
{
	if (fake_kernel.changes >= 0)
		close(fake_kernel.changes);
	if (fake_kernel.ends >= 0)
		close(fake_kernel.ends);
	fake_kernel.changes = fake_kernel.ends = -1;
}

static int ask_sockets(const struct nlmsghdr *question, struct netlink_reader *r)
{
	const struct inet_diag_req_v2 *q = NLMSG_DATA(question);
	const struct inet_diag_bc_op *code;

	assert_int_equal(q->sdiag_protocol, IPPROTO_TCP);
	code = (const void *)((const uint8_t *)(q + 1) + sizeof(struct rtattr));
	assert_int_equal(code[0].code, INET_DIAG_BC_S_GE);
	assert_int_equal(code[2].code, INET_DIAG_BC_S_LE);
	assert_int_equal(code[1].no, code[3].no);
	tell_sockets(r, q->sdiag_family, q->idiag_states, (uint16_t)code[1].no);
	return 0;
}

int netlink_ask(struct netlink *n, struct nlmsghdr *question, struct netlink_reader *r)
{
	assert_true(n->fd >= 0);
	fake_kernel.asked++;
	if (fake_kernel.ask_error)
		return -fake_kernel.ask_error;
	if (fake_kernel.canned_len > 0 &&
	    !r->message(r, (const struct nlmsghdr *)fake_kernel.canned))
		return 0;
	switch (question->nlmsg_type) {
	case RTM_GETLINK:
		return tell_links(r,
				  (unsigned)((struct ifinfomsg *)NLMSG_DATA(question))->ifi_index)
			       ? 0
			       : -ENODEV;
	case RTM_GETADDR:
		tell_addresses(r, ((struct ifaddrmsg *)NLMSG_DATA(question))->ifa_family);
		return 0;
	case RTM_GETNEXTHOP:
		return tell_nexthop(question, r);
	case RTM_GETROUTE:
		if (!(question->nlmsg_flags & NLM_F_DUMP))
			return tell_way(question, r);
		tell_routes(r, ((struct rtmsg *)NLMSG_DATA(question))->rtm_family);
		return 0;
	case RTM_GETNEIGH:
		tell_neighbours(r, ((struct ndmsg *)NLMSG_DATA(question))->ndm_family);
		return 0;
	case SOCK_DIAG_BY_FAMILY:
		return ask_sockets(question, r);
	default:
		fail_msg("what is asked there?");
		return -EINVAL;
	}
}
