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

#include "portmap/netlink.h"

/* Two comparisons, each followed by its operand; see inet_diag_bc_run() in the kernel. A refusal
 * jumps four bytes behind the end. */
struct port_filter {
	struct rtattr head;
	struct inet_diag_bc_op least, least_port, most, most_port;
};

struct question {
	struct nlmsghdr head;
	struct inet_diag_req_v2 body;
	struct port_filter filter;
};

int sockdiag_open(void)
{
	return netlink_open(NETLINK_SOCK_DIAG, 0);
}

static void write_question(struct question *q, int family, uint16_t port, bool listen,
			   uint32_t number)
{
	const unsigned char size = 2 * sizeof(struct inet_diag_bc_op);

	memset(q, 0, sizeof *q);
	q->head = (struct nlmsghdr){.nlmsg_len = sizeof *q,
				    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
				    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
				    .nlmsg_seq = number};
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

struct search {
	sockdiag_test *test;
	void *context;
	bool listen, found;
};

static void read_socket(struct search *s, const struct nlmsghdr *head)
{
	const struct inet_diag_msg *m = NLMSG_DATA(head);
	struct addr local, peer;

	if (head->nlmsg_len < NLMSG_LENGTH(sizeof *m) || s->found)
		return;
	local = address_of(m->idiag_family, m->id.idiag_src, m->id.idiag_sport);
	peer = address_of(m->idiag_family, m->id.idiag_dst, m->id.idiag_dport);
	s->found = s->listen || s->test(s->context, &local, &peer);
}

/* 1: the last; 0: more follows; or -errno. */
static int read_datagram(struct search *s, const struct nlmsghdr *head, size_t len, uint32_t number)
{
	for (; NLMSG_OK(head, len); head = NLMSG_NEXT(head, len)) {
		if (head->nlmsg_seq != number)
			continue;
		if (head->nlmsg_type == NLMSG_DONE)
			return 1;
		if (head->nlmsg_type == NLMSG_ERROR)
			return ((const struct nlmsgerr *)NLMSG_DATA(head))->error;
		read_socket(s, head);
	}
	return 0;
}

/* #syscalls sendto */
static int ask(int fd, int family, uint16_t port, struct search *s)
{
	static uint32_t number;
	static union {
		struct nlmsghdr head;
		char bytes[NETLINK_ANSWER_BYTES];
	} answer;
	struct question q;
	ssize_t n;
	int end = 0;

	write_question(&q, family, port, s->listen, ++number);
	if (send(fd, &q, sizeof q, 0) < 0)
		return -errno;
	while (end == 0) { /* all of it, or the rest would be taken for the next answer */
		n = netlink_receive(fd, &answer, sizeof answer);
		if (n < 0)
			return (int)n;
		end = read_datagram(s, &answer.head, (size_t)n, number);
	}
	return end < 0 ? end : 0;
}

int sockdiag_any(int fd, uint16_t port, bool only_listen, sockdiag_test *test, void *context)
{
	struct search s = {.test = test, .context = context, .listen = only_listen};
	int error = ask(fd, AF_INET, port, &s);

	if (!error && !s.found)
		error = ask(fd, AF_INET6, port, &s);
	return error ? error : s.found;
}
