/* SPDX-License-Identifier: Apache-2.0 */
/* sockdiag: one question, filtered by port in the kernel, and the answers read. */
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

int sockdiag_open(struct netlink *n)
{
	return netlink_open(n, NETLINK_SOCK_DIAG, 0);
}

static void write_question(struct sockdiag_question *q, int family, uint16_t port, bool listen)
{
	const unsigned char size = 2 * sizeof(struct inet_diag_bc_op);

	memset(q, 0, sizeof *q);
	q->head = (struct nlmsghdr){.nlmsg_len = sizeof *q,
				    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
				    .nlmsg_flags = NLM_F_DUMP};
	q->body.sdiag_family = (uint8_t)family;
	q->body.sdiag_protocol = IPPROTO_TCP;
	q->body.idiag_states = 1u << (listen ? TCP_LISTEN : TCP_ESTABLISHED);
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
	sockdiag_test *test;
	void *context;
	bool listen, found;
};

/* All of them are read, or the rest would be taken for the next answer. */
static bool sockdiag_read_socket(struct netlink_reader *r, const struct nlmsghdr *head)
{
	struct sockdiag_search *s = (struct sockdiag_search *)r;
	const struct inet_diag_msg *m = NLMSG_DATA(head);
	struct addr local, peer;

	if (head->nlmsg_len < NLMSG_LENGTH(sizeof *m) || s->found ||
	    (m->idiag_family != AF_INET && m->idiag_family != AF_INET6))
		return true;
	local = address_of(m->idiag_family, m->id.idiag_src, m->id.idiag_sport);
	peer = address_of(m->idiag_family, m->id.idiag_dst, m->id.idiag_dport);
	s->found = s->listen || s->test(s->context, &local, &peer);
	return true;
}

int sockdiag_any(struct netlink *n, uint16_t port, bool only_listen, sockdiag_test *test,
		 void *context)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct sockdiag_search s = {.reader.message = sockdiag_read_socket,
				    .test = test,
				    .context = context,
				    .listen = only_listen};
	struct sockdiag_question q;
	int error = 0;

	for (size_t i = 0; i < 2 && !s.found && !error; i++) {
		write_question(&q, families[i], port, only_listen);
		error = netlink_ask(n, &q.head, &s.reader);
	}
	return error ? error : s.found;
}
