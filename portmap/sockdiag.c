/* SPDX-License-Identifier: Apache-2.0 */
/* sockdiag: questions, filtered by port in the kernel, the answers read, and news. */
#include "portmap/sockdiag.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <string.h>

/* Two comparisons, each followed by its operand; see inet_diag_bc_run() in the kernel. A refusal
 * jumps four bytes behind the end. */
struct port_filter {
	struct rtattr head;
	struct inet_diag_bc_op least, least_port, most, most_port;
};

struct sockdiag_question {
	struct nlmsghdr head;
	struct inet_diag_req_v2 body;
	struct port_filter filter;
};

/* Established once: only the kernel's word for a request that waits (SYN_RECV), which needs no more
 * than a forged packet, and our own tries (SYN_SENT) are left out. */
#define ONCE_ESTABLISHED                                                                           \
	(1u << TCP_ESTABLISHED | 1u << TCP_FIN_WAIT1 | 1u << TCP_FIN_WAIT2 | 1u << TCP_TIME_WAIT | \
	 1u << TCP_CLOSE_WAIT | 1u << TCP_LAST_ACK | 1u << TCP_CLOSING)

int sockdiag_open(struct netlink *n)
{
	return netlink_open(n, NETLINK_SOCK_DIAG, 0);
}

int sockdiag_open_ends(struct netlink *n)
{
	return netlink_open(n, NETLINK_SOCK_DIAG,
			    1u << (SKNLGRP_INET_TCP_DESTROY - 1) |
				    1u << (SKNLGRP_INET6_TCP_DESTROY - 1));
}

static void write_question(struct sockdiag_question *q, int family, uint16_t port, uint32_t states)
{
	const unsigned char size = 2 * sizeof(struct inet_diag_bc_op);

	memset(q, 0, sizeof *q);
	q->head = (struct nlmsghdr){.nlmsg_len = sizeof *q,
				    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
				    .nlmsg_flags = NLM_F_DUMP};
	q->body.sdiag_family = (uint8_t)family;
	q->body.sdiag_protocol = IPPROTO_TCP;
	q->body.idiag_states = states;
	q->filter.head.rta_type = INET_DIAG_REQ_BYTECODE;
	q->filter.head.rta_len = sizeof q->filter;
	q->filter.least = (struct inet_diag_bc_op){INET_DIAG_BC_S_GE, size, 2 * size + 4};
	q->filter.least_port.no = port;
	q->filter.most = (struct inet_diag_bc_op){INET_DIAG_BC_S_LE, size, size + 4};
	q->filter.most_port.no = port;
}

static struct addr address_of(int family, const __be32 bytes[4], __be16 port)
{
	struct addr out;

	memset(&out, 0, sizeof out);
	if (family == AF_INET) {
		out.v4.sin_family = AF_INET;
		out.v4.sin_port = port;
		memcpy(&out.v4.sin_addr, bytes, sizeof out.v4.sin_addr);
		out.len = sizeof out.v4;
	} else {
		out.v6.sin6_family = AF_INET6;
		out.v6.sin6_port = port;
		memcpy(&out.v6.sin6_addr, bytes, sizeof out.v6.sin6_addr);
		out.len = sizeof out.v6;
		addr_unmap(&out);
	}
	return out;
}

struct sockdiag_search {
	struct netlink_reader reader; /* first */
	sockdiag_seen *seen;
	void *context;
};

static bool read_ends(const struct nlmsghdr *head, struct addr *local, struct addr *peer)
{
	const struct inet_diag_msg *m = NLMSG_DATA(head);

	if (head->nlmsg_len < NLMSG_LENGTH(sizeof *m) ||
	    (m->idiag_family != AF_INET && m->idiag_family != AF_INET6))
		return false;
	*local = address_of(m->idiag_family, m->id.idiag_src, m->id.idiag_sport);
	*peer = address_of(m->idiag_family, m->id.idiag_dst, m->id.idiag_dport);
	return true;
}

/* All of them are read, or the rest would be taken for the next answer. */
static bool sockdiag_read_socket(struct netlink_reader *r, const struct nlmsghdr *head)
{
	struct sockdiag_search *s = (struct sockdiag_search *)r;
	struct addr local, peer;

	if (!read_ends(head, &local, &peer))
		return true;
	s->seen(s->context, &local, &peer);
	return true;
}

static int ask_both(struct netlink *n, uint16_t port, uint32_t states, struct sockdiag_search *s)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct sockdiag_question q;
	int error = 0;

	s->reader.message = sockdiag_read_socket;
	for (size_t i = 0; i < 2 && !error; i++) {
		write_question(&q, families[i], port, states);
		error = netlink_ask(n, &q.head, &s->reader);
	}
	return error;
}

struct sockdiag_listener {
	const struct addr *at;
	bool found;
};

static void listener_seen(void *context, const struct addr *local, const struct addr *peer)
{
	struct sockdiag_listener *l = context;
	struct addr any = {.len = local->len};

	any.sa.sa_family = local->sa.sa_family;
	l->found |= addr_same_host(local, &any) || addr_same_host(local, l->at);
}

int sockdiag_listens(struct netlink *n, uint16_t port, const struct addr *at)
{
	struct sockdiag_listener l = {.at = at};
	struct sockdiag_search s = {.seen = listener_seen, .context = &l};
	int error = ask_both(n, port, 1u << TCP_LISTEN, &s);

	return error ? error : l.found;
}

int sockdiag_list(struct netlink *n, uint16_t port, sockdiag_seen *seen, void *context)
{
	struct sockdiag_search s = {.seen = seen, .context = context};

	return ask_both(n, port, ONCE_ESTABLISHED, &s);
}

/* ---- ends ---- */

/* A try of our own that nobody answered ends as well; what has a round-trip time was answered. */
static bool was_answered(const struct nlmsghdr *head)
{
	const struct inet_diag_msg *m = NLMSG_DATA(head);
	const uint8_t *at = (const uint8_t *)(m + 1);
	size_t left = head->nlmsg_len - NLMSG_LENGTH(sizeof *m), step;
	struct tcp_info info;
	struct rtattr a;

	for (; left >= sizeof a; at += step, left -= step) {
		memcpy(&a, at, sizeof a);
		if (a.rta_len < sizeof a || a.rta_len > left)
			return false;
		if (a.rta_type == INET_DIAG_INFO && a.rta_len >= RTA_LENGTH(sizeof info)) {
			memcpy(&info, at + RTA_LENGTH(0), sizeof info);
			return info.tcpi_rtt > 0;
		}
		step = RTA_ALIGN(a.rta_len) < left ? RTA_ALIGN(a.rta_len) : left;
	}
	return false;
}

static bool sockdiag_read_end(struct netlink_reader *r, const struct nlmsghdr *head)
{
	struct sockdiag_search *s = (struct sockdiag_search *)r;
	struct addr local, peer;

	if (read_ends(head, &local, &peer) && was_answered(head))
		s->seen(s->context, &local, &peer);
	return true;
}

int sockdiag_take_end(struct netlink *n, sockdiag_seen *seen, void *context)
{
	struct sockdiag_search s = {
		.reader.message = sockdiag_read_end, .seen = seen, .context = context};

	return netlink_take(n, &s.reader);
}
