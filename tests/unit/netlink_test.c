/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netlink_test: answers of the kernel, canned, malformed, and of this host's own kernel.
 *
 * links: portmap/netlink.c portmap/rtnetlink.c portmap/sockdiag.c core/addr.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "portmap/rtnetlink.h"
#include "portmap/sockdiag.h"

/* ---- canned datagrams ---- */

static union {
	struct nlmsghdr head;
	uint8_t bytes[512];
} datagram;
static size_t used;

static void clear(void)
{
	memset(&datagram, 0, sizeof(datagram));
	used = 0;
}

static struct nlmsghdr *add(uint16_t type, uint16_t flags, uint32_t number, const void *body,
			    size_t len)
{
	struct nlmsghdr *head = (struct nlmsghdr *)(datagram.bytes + used);

	*head = (struct nlmsghdr){.nlmsg_len = (uint32_t)NLMSG_LENGTH(len),
				  .nlmsg_type = type,
				  .nlmsg_flags = flags,
				  .nlmsg_seq = number};
	memcpy(NLMSG_DATA(head), body, len);
	used += NLMSG_SPACE(len);
	return head;
}

struct counter {
	struct netlink_reader reader; /* first */
	unsigned count, enough;
};

static bool count_message(struct netlink_reader *r, const struct nlmsghdr *head)
{
	struct counter *c = (struct counter *)r;

	assert_int_equal(head->nlmsg_type, RTM_NEWROUTE);
	return ++c->count != c->enough;
}

static int read_all_of_it(struct counter *c, size_t len)
{
	unsigned enough = c->enough;

	*c = (struct counter){.reader.message = count_message, .enough = enough};
	return netlink_read(&datagram, len, 7, &c->reader);
}

static void an_answer_ends_with_done(void **state)
{
	struct counter c = {.enough = 0};

	clear();
	add(RTM_NEWROUTE, NLM_F_MULTI, 7, "abcd", 4);
	add(RTM_NEWROUTE, NLM_F_MULTI, 6, "of a question given up", 22);
	add(RTM_NEWROUTE, NLM_F_MULTI, 7, "odd", 3);
	assert_int_equal(read_all_of_it(&c, used), 0);
	assert_int_equal(c.count, 2);
	add(NLMSG_DONE, NLM_F_MULTI, 6, "\0\0\0\0", 4);
	assert_int_equal(read_all_of_it(&c, used), 0); /* another answer's end */
	add(NLMSG_DONE, NLM_F_MULTI, 7, "\0\0\0\0", 4);
	add(RTM_NEWROUTE, NLM_F_MULTI, 7, "late", 4);
	assert_int_equal(read_all_of_it(&c, used), 1);
	assert_int_equal(c.count, 2);
	c.enough = 1;
	assert_int_equal(read_all_of_it(&c, used), 1);
	assert_int_equal(c.count, 1);
	clear();
	add(RTM_NEWROUTE, 0, 7, "one alone", 9); /* no dump: one message is all */
	c.enough = 0;
	assert_int_equal(read_all_of_it(&c, used), 1);
	assert_int_equal(c.count, 1);
}

/* The last message need not be padded; what lies behind the datagram is not read. */
static void an_unpadded_end_is_the_end(void **state)
{
	struct counter c = {.enough = 0};

	clear();
	add(RTM_NEWROUTE, NLM_F_MULTI, 7, "odd", 3);
	add(RTM_NEWROUTE, NLM_F_MULTI, 7, "not of this datagram", 20);
	assert_int_equal(read_all_of_it(&c, NLMSG_LENGTH(3)), 0);
	assert_int_equal(c.count, 1);
}

static void errors_are_the_kernels(void **state)
{
	struct nlmsgerr e = {.error = -EPERM};
	struct counter c = {.enough = 0};

	clear();
	add(NLMSG_ERROR, 0, 7, &e, sizeof(e));
	assert_int_equal(read_all_of_it(&c, used), -EPERM);
	clear();
	e.error = 0; /* an acknowledgement */
	add(NLMSG_ERROR, 0, 7, &e, sizeof(e));
	assert_int_equal(read_all_of_it(&c, used), 1);
	clear();
	add(NLMSG_ERROR, 0, 7, &e, 2);
	assert_int_equal(read_all_of_it(&c, used), -EPROTO);
	clear();
	e.error = -EPERM;
	add(NLMSG_ERROR, 0, 8, &e, sizeof(e)); /* of another question */
	assert_int_equal(read_all_of_it(&c, used), 0);
	assert_int_equal(c.count, 0);
}

/* Nothing behind the end of the datagram is read: sanitizers would tell. */
static void what_is_cut_is_not_read(void **state)
{
	struct counter c = {.enough = 0};
	struct nlmsghdr *head;

	clear();
	add(RTM_NEWROUTE, NLM_F_MULTI, 7, "abcdefgh", 8);
	for (size_t len = 0; len < used; len++) {
		assert_int_equal(read_all_of_it(&c, len), 0);
		assert_int_equal(c.count, 0);
	}
	head = add(RTM_NEWROUTE, NLM_F_MULTI, 7, "abcd", 4);
	head->nlmsg_len = 0x7fffffff; /* longer than the datagram */
	assert_int_equal(read_all_of_it(&c, used), 0);
	assert_int_equal(c.count, 1);
	head->nlmsg_len = 3; /* shorter than a header */
	assert_int_equal(read_all_of_it(&c, used), 0);
	assert_int_equal(c.count, 1);
}

/* ---- a socket that is not the kernel's ---- */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* What another process answers is not read, and does not put the deadline off. */
static void another_process_is_not_believed(void **state)
{
	struct counter c = {.reader.message = count_message};
	struct nlmsghdr question = {.nlmsg_len = NLMSG_LENGTH(0), .nlmsg_type = RTM_GETROUTE};
	struct netlink n = {.number = 6};
	int64_t began = now_ms();
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	clear();
	add(RTM_NEWROUTE, 0, 7, "forged", 6);
	for (int i = 0; i < 3; i++)
		assert_int_equal(send(pair[1], &datagram, used, 0), used);
	n.fd = pair[0];
	assert_int_equal(netlink_ask(&n, &question, &c.reader), -ETIMEDOUT);
	assert_int_equal(c.count, 0);
	assert_in_range(now_ms() - began, 900, 5000);
	assert_int_equal(question.nlmsg_seq, 7);
	assert_true(question.nlmsg_flags & NLM_F_REQUEST);
	netlink_close(&n);
	netlink_close(&n);
	close(pair[1]);
}

/* ---- this host's kernel ---- */

/* The end of the answer to come, from another process on the same bus: which only a process that
 * may administer the network can send; the kernel keeps back those of others. */
static void a_forged_end_is_not_believed(void **state)
{
	struct sockaddr_nl at = {.nl_family = AF_NETLINK};
	socklen_t len = sizeof(at);
	unsigned index = if_nametoindex("lo");
	struct rtnetlink_address list[RTNETLINK_ADDRESSES_MAX];
	struct netlink n;
	int other = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	assert_int_equal(rtnetlink_open(&n), 0);
	assert_int_equal(getsockname(n.fd, (struct sockaddr *)&at, &len), 0);
	clear();
	add(NLMSG_DONE, NLM_F_MULTI, n.number + 1, "\0\0\0", 4);
	if (sendto(other, &datagram, used, 0, (struct sockaddr *)&at, sizeof(at)) < 0)
		assert_int_equal(errno, EPERM);
	assert_true(rtnetlink_addresses(&n, AF_INET, index, list, RTNETLINK_ADDRESSES_MAX) > 0);
	netlink_close(&n);
	close(other);
}

static void the_loopback_interface_is_there(void **state)
{
	struct rtnetlink_address list[RTNETLINK_ADDRESSES_MAX];
	unsigned index = if_nametoindex("lo");
	struct rtnetlink_link link;
	struct addr home;
	struct netlink n;
	bool found = false;
	int count;

	assert_true(addr_from_literal("127.0.0.1", 0, &home));
	assert_int_equal(rtnetlink_open(&n), 0);
	assert_int_equal(rtnetlink_link(&n, index, &link), 0);
	assert_string_equal(link.name, "lo");
	assert_true(link.up);
	assert_false(link.tunnel);
	assert_int_equal(rtnetlink_link(&n, 123456, &link), -ENODEV);
	count = rtnetlink_addresses(&n, AF_INET, index, list, RTNETLINK_ADDRESSES_MAX);
	for (int i = 0; i < count; i++)
		found |= addr_equal(&list[i].address, &home) && list[i].prefix == 8;
	assert_true(found);
	assert_int_equal(rtnetlink_addresses(&n, AF_INET, index, list, 0), 0);
	assert_int_equal(rtnetlink_addresses(&n, AF_INET, 123456, list, 1), 0);
	netlink_close(&n);
}

static void routes_can_be_asked_for(void **state)
{
	struct rtnetlink_route routes[RTNETLINK_ROUTES_MAX];
	static const int families[] = {AF_INET, AF_INET6};
	struct netlink n;

	assert_int_equal(rtnetlink_open(&n), 0);
	for (size_t i = 0; i < 2; i++) {
		int count = rtnetlink_default_routes(&n, families[i], routes, RTNETLINK_ROUTES_MAX);

		assert_in_range(count, 0, RTNETLINK_ROUTES_MAX);
		for (int k = 0; k < count; k++) {
			assert_int_equal(routes[k].gateway.sa.sa_family, families[i]);
			assert_true(routes[k].index > 0);
		}
	}
	netlink_close(&n);
	assert_int_equal(rtnetlink_open_changes(&n), 0);
	netlink_drain(&n);
	netlink_close(&n);
}

struct wanted {
	struct addr peer;
	unsigned count;
};

static void count_wanted(void *context, const struct addr *local, const struct addr *peer)
{
	struct wanted *w = context;

	w->count += addr_equal(peer, &w->peer);
}

static unsigned listed(struct netlink *n, uint16_t port, const struct addr *peer)
{
	struct wanted w = {.peer = *peer};

	assert_int_equal(sockdiag_list(n, port, count_wanted, &w), 0);
	return w.count;
}

static void dial(int family, const char *host, int *listener, int *client, uint16_t *port,
		 struct addr *own)
{
	struct addr at, v4;

	assert_true(addr_from_literal(host, 0, &at));
	*listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(*listener, &at.sa, at.len), 0);
	assert_int_equal(listen(*listener, 1), 0);
	assert_int_equal(getsockname(*listener, &at.sa, &at.len), 0);
	*port = addr_port(&at);
	assert_true(addr_from_literal("127.0.0.1", *port, &v4));
	*client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(*client, &v4.sa, v4.len), 0);
	own->len = sizeof(own->v6);
	assert_int_equal(getsockname(*client, &own->sa, &own->len), 0);
}

/* Also on a listener for both families, where IPv4 addresses come as IPv6 ones. */
static void connections_are_told(int family, const char *host)
{
	struct addr peer, other;
	int listener, client;
	struct netlink n;
	uint16_t port;

	assert_int_equal(sockdiag_open(&n), 0);
	dial(family, host, &listener, &client, &port, &peer);
	assert_true(addr_from_literal("192.0.2.1", 1, &other));
	assert_int_equal(sockdiag_listens(&n, port, &peer), 1);
	assert_int_equal(sockdiag_listens(&n, port, &other), strcmp(host, "127.0.0.1") != 0);
	assert_int_equal(listed(&n, port, &peer), 1);
	assert_int_equal(listed(&n, port, &other), 0);
	close(listener);
	assert_int_equal(sockdiag_listens(&n, port, &peer), 0);
	close(client);
	netlink_close(&n);
}

static void connections_of_ipv4_are_told(void **state)
{
	connections_are_told(AF_INET, "127.0.0.1");
}

static void connections_of_both_families_are_told(void **state)
{
	connections_are_told(AF_INET6, "::");
}

/* Who closed first waits a minute; the other side has nothing to show. */
static void ended(bool client_first, unsigned left)
{
	int listener, client, accepted, more = 1;
	struct wanted w = {.count = 0};
	struct netlink n, ends;
	uint16_t port;

	assert_int_equal(sockdiag_open(&n), 0);
	assert_int_equal(sockdiag_open_ends(&ends), 0);
	dial(AF_INET, "127.0.0.1", &listener, &client, &port, &w.peer);
	accepted = accept(listener, NULL, NULL);
	assert_true(accepted >= 0);
	if (client_first)
		close(client);
	else
		close(accepted);
	assert_int_equal(listed(&n, port, &w.peer), 1); /* CLOSE_WAIT, or FIN_WAIT2 */
	if (client_first)
		close(accepted);
	else
		close(client);
	assert_int_equal(listed(&n, port, &w.peer), left);
	for (int i = 0; i < 200 && w.count == 0; i++) { /* the kernel's work queue tells it */
		while ((more = sockdiag_take_end(&ends, count_wanted, &w)) == 1)
			;
		assert_int_equal(more, 0);
		usleep(10000);
	}
	assert_int_equal(w.count, 1);
	close(listener);
	netlink_close(&n);
	netlink_close(&ends);
}

static void a_visit_that_is_over_is_told(void **state)
{
	ended(true, 0);
	ended(false, 1); /* TIME_WAIT */
}

/* One of our own that was never answered is no connection. */
static void a_try_that_failed_is_not_told(void **state)
{
	struct addr at, nobody;
	struct netlink ends;
	struct wanted w = {.count = 0};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(addr_from_literal("127.0.0.1", 0, &at));
	assert_int_equal(bind(fd, &at.sa, at.len), 0);
	assert_true(addr_from_literal("127.0.0.1", 1, &w.peer)); /* tcpmux: nobody has it */
	nobody = w.peer;
	assert_int_equal(sockdiag_open_ends(&ends), 0);
	(void)!connect(fd, &nobody.sa, nobody.len);
	close(fd);
	for (int i = 0; i < 10; i++) {
		while (sockdiag_take_end(&ends, count_wanted, &w) == 1)
			;
		usleep(10000);
	}
	assert_int_equal(w.count, 0);
	netlink_close(&ends);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_ends_with_done),
		cmocka_unit_test(an_unpadded_end_is_the_end),
		cmocka_unit_test(errors_are_the_kernels),
		cmocka_unit_test(what_is_cut_is_not_read),
		cmocka_unit_test(another_process_is_not_believed),
		cmocka_unit_test(a_forged_end_is_not_believed),
		cmocka_unit_test(the_loopback_interface_is_there),
		cmocka_unit_test(routes_can_be_asked_for),
		cmocka_unit_test(connections_of_ipv4_are_told),
		cmocka_unit_test(connections_of_both_families_are_told),
		cmocka_unit_test(a_visit_that_is_over_is_told),
		cmocka_unit_test(a_try_that_failed_is_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
