/* SPDX-License-Identifier: Apache-2.0 */
/* hops: one socket whose datagrams die on the way, and who says so. */
#include "portmap/hops.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "core/container.h"
#include "stun/client/client.h"

#define FIRST_PORT 33434u /* where nobody listens, by an old custom (traceroute) */
#define FIRST_TTL  2u	  /* the gateway is the first */
#define BATCH	   32u	  /* errors before others have their turn */

static void hops_maybe_done(struct hops *h)
{
	if (ring_op_busy(&h->op) || timer_pending(&h->timer))
		return;
	ring_close_fd(h->ring, h->fd);
	h->done(h);
}

static void hops_finish(struct hops *h)
{
	if (h->ending)
		return;
	h->ending = true;
	ring_cancel(h->ring, &h->op);
	ring_timer_set(h->ring, &h->timer, 0);
}

void hops_end(struct hops *h)
{
	h->ended = true;
	hops_finish(h);
}

/* ---- sending ---- */

/* What is lost is sent again; an error of one datagram may come with the next one's sending.
 *
 * #syscalls setsockopt(1 is IPPROTO_IP) sendto
 */
static void hops_send(struct hops *h)
{
	static const uint8_t nothing[8];

	for (unsigned i = 0; i < HOPS_MAX; i++) {
		int ttl = (int)(FIRST_TTL + i);
		struct addr to = h->to;

		if (h->routers[i].len > 0)
			continue;
		addr_set_port(&to, (uint16_t)(FIRST_PORT + i));
		if (setsockopt(h->fd, IPPROTO_IP, IP_TTL, &ttl, sizeof ttl) == 0)
			(void)!sendto(h->fd, nothing, sizeof nothing, MSG_DONTWAIT | MSG_NOSIGNAL,
				      &to.sa, to.len);
	}
	h->sendings++;
	ring_timer_set(h->ring, &h->timer, HOPS_WAIT_MS);
}

static void hops_timer_fired(struct timer *t, uint64_t now_ms)
{
	struct hops *h = container(t, struct hops, timer);

	if (h->ending)
		hops_maybe_done(h);
	else if (h->sendings < HOPS_SENDINGS)
		hops_send(h);
	else
		hops_finish(h);
}

/* ---- what comes back ---- */

/* The message of a router about the datagram to this port; others are none of ours. */
static void hops_note(struct hops *h, unsigned port, const struct sock_extended_err *e)
{
	const struct sockaddr_in *from = (const struct sockaddr_in *)SO_EE_OFFENDER(e);
	struct addr *out;

	if (e->ee_origin != SO_EE_ORIGIN_ICMP || from->sin_family != AF_INET || port < FIRST_PORT ||
	    port >= FIRST_PORT + HOPS_MAX ||
	    (e->ee_type != ICMP_TIME_EXCEEDED && e->ee_type != ICMP_DEST_UNREACH))
		return;
	out = &h->routers[port - FIRST_PORT];
	if (out->len > 0)
		return;
	out->v4 = *from;
	out->len = sizeof out->v4;
	addr_set_port(out, 0);
}

/* False: there is no further one.
 *
 * #syscalls recvmsg
 */
static bool hops_take_error(struct hops *h)
{
	_Alignas(struct cmsghdr) uint8_t control[256];
	struct addr to = {.len = sizeof to.v4};
	uint8_t bytes[64];
	struct iovec part = {bytes, sizeof bytes};
	struct msghdr m = {.msg_name = &to.sa,
			   .msg_namelen = sizeof to.v4,
			   .msg_iov = &part,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof control};

	if (recvmsg(h->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR &&
		    c->cmsg_len >=
			    CMSG_LEN(sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in)))
			hops_note(h, addr_port(&to), (const void *)CMSG_DATA(c));
	return true;
}

static bool hops_all_known(const struct hops *h)
{
	for (unsigned i = 0; i < HOPS_MAX; i++) {
		if (h->routers[i].len == 0)
			return false;
		if (addr_same_host(&h->routers[i], &h->to))
			return true; /* the end of the way */
	}
	return true;
}

static void hops_readable(struct ring_op *op, int res)
{
	struct hops *h = container(op, struct hops, op);
	uint8_t bytes[64];

	for (unsigned i = 0; i < BATCH && !h->ending && res > 0 && hops_take_error(h); i++)
		;
	/* Nobody has reason to write to this port. */
	for (unsigned i = 0; i < BATCH && !h->ending && res > 0; i++)
		if (recv(h->fd, bytes, sizeof bytes, MSG_DONTWAIT) < 0)
			break;
	if (h->ending) {
		hops_maybe_done(h);
		return;
	}
	ring_poll(h->ring, op, h->fd, POLLIN);
	if (res < 0 || hops_all_known(h))
		hops_finish(h);
}

int hops_start(struct hops *h)
{
	int on = 1, error;

	h->fd = stun_client_socket_by(AF_INET, &h->source, h->index);
	if (h->fd < 0)
		return h->fd;
	if (setsockopt(h->fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on) < 0) {
		error = -errno;
		close(h->fd);
		return error;
	}
	memset(h->routers, 0, sizeof h->routers);
	h->op = (struct ring_op){.done = hops_readable};
	h->timer = (struct timer){.fire = hops_timer_fired};
	h->ended = h->ending = false;
	h->sendings = 0;
	ring_poll(h->ring, &h->op, h->fd, POLLIN);
	hops_send(h);
	return 0;
}
