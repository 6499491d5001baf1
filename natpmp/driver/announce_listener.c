/* SPDX-License-Identifier: Apache-2.0 */
/* announce_listener: what the gateway tells all hosts on UDP 5350. */
#include "natpmp/driver/announce_listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "core/container.h"

#define PER_TURN 16u /* datagrams before others get their turn */
#define PAUSE_MS 1000u

/* ---- sockets ---- */

static int announce_join4(int fd, unsigned interface)
{
	struct ip_mreqn group = {.imr_ifindex = (int)interface};
	int no = 0;

	group.imr_multiaddr.s_addr = htonl(INADDR_ALLHOSTS_GROUP);
	/* Groups that other programs joined on other interfaces are not ours. */
	if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &no, sizeof(no)) < 0)
		return -1;
	return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group));
}

static int announce_join6(int fd, unsigned interface)
{
	struct ipv6_mreq group = {.ipv6mr_interface = interface};
	int yes = 1;

	inet_pton(AF_INET6, "ff02::1", &group.ipv6mr_multiaddr);
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes)) < 0)
		return -1;
	return setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, sizeof(group));
}

/* Returns the descriptor or -errno.
 *
 * #syscalls socket(0 is AF_INET) setsockopt(1 is SOL_SOCKET) setsockopt(1 is IPPROTO_IP) bind
 * #syscalls socket(0 is AF_INET6) setsockopt(1 is IPPROTO_IPV6)
 */
static int announce_open_socket(int family, unsigned interface)
{
	struct addr any;
	int yes = 1, err;
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);

	if (fd < 0)
		return -errno;
	/* Some programs share the port one way, some the other. */
	if (!addr_from_literal(family == AF_INET ? "0.0.0.0" : "::", ANNOUNCE_PORT, &any) ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)) < 0 ||
	    (family == AF_INET ? announce_join4 : announce_join6)(fd, interface) < 0 ||
	    bind(fd, &any.sa, any.len) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* ---- datagrams ---- */

static bool from_gateway(const struct announce_socket *e, struct addr from)
{
	if (!addr_same_host(&from, &e->gateway))
		return false;
	return from.sa.sa_family == AF_INET || e->gateway.v6.sin6_scope_id == 0 ||
	       from.v6.sin6_scope_id == e->gateway.v6.sin6_scope_id;
}

/* False when there is no more. */
static bool announce_take_one(struct announce_socket *e)
{
	struct announce_listener *l = e->listener;
	uint8_t in[ANNOUNCE_BYTES_MAX + 1];
	struct addr from = {.len = sizeof(from.v6)};
	ssize_t n = recvfrom(e->fd, in, sizeof(in), MSG_DONTWAIT, &from.sa, &from.len);

	if (n < 0)
		return false;
	if (!from_gateway(e, from) || (size_t)n > ANNOUNCE_BYTES_MAX)
		l->others++;
	else
		l->heard(l, e->family, in, (size_t)n);
	return true;
}

static void announce_readable(struct ring_op *op, int res)
{
	struct announce_socket *e = container(op, struct announce_socket, op);
	struct announce_listener *l = e->listener;

	for (unsigned i = 0; i < PER_TURN && res >= 0 && !l->closing && announce_take_one(e); i++)
		;
	if (l->closing)
		return;
	if (res < 0)
		ring_timer_set(l->ring, &l->pause, PAUSE_MS);
	else
		ring_poll(l->ring, &e->op, e->fd, POLLIN);
}

static void announce_resumes(struct timer *t, uint64_t now_ms)
{
	struct announce_listener *l = container(t, struct announce_listener, pause);

	for (int f = 0; f < PORTMAP_FAMILIES; f++) {
		if (l->sockets[f].fd >= 0 && !ring_op_busy(&l->sockets[f].op))
			ring_poll(l->ring, &l->sockets[f].op, l->sockets[f].fd, POLLIN);
	}
}

/* ---- start and stop ---- */

static int start_socket(struct announce_listener *l, enum portmap_family family)
{
	const struct portmap_place *place = &l->places[family];
	struct announce_socket *e = &l->sockets[family];
	int fd;

	*e = (struct announce_socket){.listener = l, .family = family, .fd = -1};
	e->gateway = place->gateway;
	e->op.done = announce_readable;
	if (place->gateway.len == 0)
		return 0;
	fd = announce_open_socket(place->gateway.sa.sa_family, place->index);
	if (fd < 0)
		return fd;
	e->fd = fd;
	ring_poll(l->ring, &e->op, e->fd, POLLIN);
	return 0;
}

int announce_listener_start(struct announce_listener *l)
{
	int err4, err6;

	l->closing = false;
	l->others = 0;
	l->pause = (struct timer){.fire = announce_resumes};
	err4 = start_socket(l, PORTMAP_IPV4);
	err6 = start_socket(l, PORTMAP_IPV6);
	return err4 ? err4 : err6;
}

bool announce_listener_stop(struct announce_listener *l)
{
	bool busy = false;

	l->closing = true;
	ring_timer_cancel(l->ring, &l->pause);
	for (int f = 0; f < PORTMAP_FAMILIES; f++) {
		struct announce_socket *e = &l->sockets[f];

		if (e->fd < 0)
			continue;
		ring_cancel(l->ring, &e->op);
		if (ring_op_busy(&e->op)) {
			busy = true;
			continue;
		}
		ring_close_fd(l->ring, e->fd);
		e->fd = -1;
	}
	return !busy;
}
