/* SPDX-License-Identifier: Apache-2.0 */
/* listener: a socket in SSDP's multicast group. */
#include "upnp/driver/listener.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "core/container.h"

static void await_datagram(struct upnp_listener *l)
{
	ring_poll(l->ring, &l->op, l->fd, POLLIN);
}

static void upnp_listener_take(struct upnp_listener *l, const uint8_t *bytes, size_t len,
			       const struct addr *from)
{
	struct ssdp_message m;

	if (ssdp_parse(bytes, len, &m) && m.kind != SSDP_ANSWER &&
	    ssdp_meaning(m.target) != SSDP_OTHER)
		l->heard(l, from, &m);
}

static void upnp_listener_readable(struct ring_op *op, int res)
{
	struct upnp_listener *l = container(op, struct upnp_listener, op);
	uint8_t bytes[SSDP_DATAGRAM_MAX];
	struct addr from;
	unsigned count = 0;
	ssize_t n = 0;

	for (; res > 0 && !l->stopping && count < LISTENER_BURST; count++) {
		from.len = sizeof(from.v6);
		n = recvfrom(l->fd, bytes, sizeof(bytes), MSG_DONTWAIT, &from.sa, &from.len);
		if (n < 0)
			break;
		upnp_listener_take(l, bytes, (size_t)n, &from);
	}
	if (l->stopping)
		return;
	/* A failing socket is not asked without end, either. */
	if (res < 0 || count == LISTENER_BURST || (n < 0 && errno != EAGAIN && errno != EINTR))
		ring_timer_set(l->ring, &l->pause, LISTENER_PAUSE_MS);
	else
		await_datagram(l);
}

static void upnp_listener_paused(struct timer *t, uint64_t now_ms)
{
	await_datagram(container(t, struct upnp_listener, pause));
}

static int upnp_listener_join(int fd, int family, unsigned index)
{
	struct ip_mreqn v4 = {.imr_ifindex = (int)index};
	struct ipv6_mreq v6 = {.ipv6mr_interface = index};
	struct addr group;

	if (!addr_from_literal(family == AF_INET ? "239.255.255.250" : "ff02::c", 0, &group))
		return -EINVAL;
	v4.imr_multiaddr = group.v4.sin_addr;
	v6.ipv6mr_multiaddr = group.v6.sin6_addr;
	if (family == AF_INET)
		return setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &v4, sizeof(v4)) ? -errno : 0;
	return setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &v6, sizeof(v6)) ? -errno : 0;
}

/* #syscalls socket(0 is AF_INET) setsockopt(1 is SOL_SOCKET) setsockopt(1 is IPPROTO_IP) bind
 * #syscalls socket(0 is AF_INET6) setsockopt(1 is IPPROTO_IPV6)
 */
static int upnp_listener_open_socket(int family, unsigned index, int *out)
{
	const int on = 1;
	struct addr any;
	int fd, error;

	if (!addr_from_literal(family == AF_INET ? "239.255.255.250" : "::", SSDP_PORT, &any))
		return -EINVAL;
	fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	error = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
				(family == AF_INET6 &&
				 setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on))) ||
				bind(fd, &any.sa, any.len)
			? -errno
			: upnp_listener_join(fd, family, index);
	if (error)
		close(fd);
	else
		*out = fd;
	return error;
}

int upnp_listener_start(struct upnp_listener *l, int family, unsigned index)
{
	int error = upnp_listener_open_socket(family, index, &l->fd);

	if (error)
		return error;
	l->open = true;
	l->op.done = upnp_listener_readable;
	l->pause.fire = upnp_listener_paused;
	await_datagram(l);
	return 0;
}

bool upnp_listener_stop(struct upnp_listener *l)
{
	if (!l->open)
		return true;
	l->stopping = true;
	ring_timer_cancel(l->ring, &l->pause);
	if (ring_op_busy(&l->op)) {
		ring_cancel(l->ring, &l->op);
		return false;
	}
	ring_close_fd(l->ring, l->fd);
	l->open = false;
	return true;
}
