/* SPDX-License-Identifier: Apache-2.0 */
/* datagrams: recvmmsg and sendmmsg with arrays that are set up once. */
#include "core/datagrams.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a burst may have waiting; the system may allow less (net.core.rmem_max), silently. */
#define RECEIVE_BUFFER_BYTES (1 << 20)

/* Either family's, and aligned for both. */
union control {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

struct side {
	struct mmsghdr messages[DATAGRAMS_BATCH];
	struct iovec parts[DATAGRAMS_BATCH];
	struct sockaddr_in6 names[DATAGRAMS_BATCH];
	union control controls[DATAGRAMS_BATCH];
};

struct datagrams {
	struct side in, out;
	size_t queued; /* of out */
	uint8_t bytes[DATAGRAMS_BATCH][DATAGRAM_MAX];
};

/* ---- opening -------------------------------------------------------------------------------- */

/* An IPv6 socket tells of IPv4 datagrams, too, as mapped addresses. */
/* #syscalls:keeper setsockopt(1 is IPPROTO_IP, 2 is IP_PKTINFO)
 * #syscalls-rare:keeper setsockopt(1 is IPPROTO_IPV6, 2 is IPV6_RECVPKTINFO); an IPv6 wildcard
 */
static int ask_for_local(int fd, int family)
{
	const int on = 1;

	if (family == AF_INET)
		return setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
}

/* #syscalls:keeper socket(0 is AF_INET, 1 is SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
 * #syscalls:keeper socket(0 is AF_INET6, 1 is SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
 * #syscalls:keeper setsockopt(1 is SOL_SOCKET) bind
 */
int datagrams_open(const struct addr *address, int *out)
{
	const int on = 1, room = RECEIVE_BUFFER_BYTES;
	int family = address->sa.sa_family;
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	/* Before bind(2), on every socket of the address, and all of one user: else EADDRINUSE. The
	 * kernel spreads by addresses and ports; what waits at a socket that closes is lost, not
	 * handed to the others. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) ||
	    (addr_is_wildcard(address) && ask_for_local(fd, family)) ||
	    bind(fd, &address->sa, address->len)) {
		int error = errno;
		close(fd);
		return -error;
	}
	*out = fd;
	return 0;
}

static void side_set_up(struct side *s)
{
	for (size_t i = 0; i < DATAGRAMS_BATCH; i++) {
		struct msghdr *m = &s->messages[i].msg_hdr;

		m->msg_name = &s->names[i];
		m->msg_iov = &s->parts[i];
		m->msg_iovlen = 1;
	}
}

struct datagrams *datagrams_new(void)
{
	struct datagrams *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	side_set_up(&d->in);
	side_set_up(&d->out);
	for (size_t i = 0; i < DATAGRAMS_BATCH; i++) {
		d->in.parts[i] = (struct iovec){d->bytes[i], DATAGRAM_MAX};
		d->in.messages[i].msg_hdr.msg_control = d->in.controls[i].bytes;
		d->in.messages[i].msg_hdr.msg_namelen = sizeof(d->in.names[i]);
		d->in.messages[i].msg_hdr.msg_controllen = sizeof(d->in.controls[i]);
	}
	return d;
}

void datagrams_free(struct datagrams *d)
{
	free(d);
}

/* ---- receiving ------------------------------------------------------------------------------ */

static bool read_local4(const struct cmsghdr *c, struct addr *local)
{
	struct in_pktinfo info;

	memcpy(&info, CMSG_DATA(c), sizeof(info));
	local->v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = info.ipi_addr};
	local->len = sizeof(local->v4);
	/* They differ for multicast and broadcast, where the second is the interface's own. */
	return info.ipi_addr.s_addr == info.ipi_spec_dst.s_addr;
}

static bool read_local6(const struct cmsghdr *c, struct addr *local)
{
	struct in6_pktinfo info;

	memcpy(&info, CMSG_DATA(c), sizeof(info));
	local->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = info.ipi6_addr};
	if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
		local->v6.sin6_scope_id = info.ipi6_ifindex;
	local->len = sizeof(local->v6);
	addr_unmap(local);
	return !IN6_IS_ADDR_MULTICAST(&info.ipi6_addr);
}

/* False: it came to many. */
static bool read_local(struct msghdr *m, struct addr *local)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);

	local->len = 0;
	if (!c)
		return true;
	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO &&
	    c->cmsg_len == CMSG_LEN(sizeof(struct in_pktinfo)))
		return read_local4(c, local);
	if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO &&
	    c->cmsg_len == CMSG_LEN(sizeof(struct in6_pktinfo)))
		return read_local6(c, local);
	return true;
}

/* False when it is not to be answered. */
static bool datagrams_read_one(struct datagrams *d, size_t i, struct datagram *out)
{
	struct mmsghdr *m = &d->in.messages[i];
	bool ok = !(m->msg_hdr.msg_flags & MSG_TRUNC);

	out->bytes = d->bytes[i];
	out->len = m->msg_len;
	memcpy(&out->from.v6, &d->in.names[i], m->msg_hdr.msg_namelen);
	out->from.len = m->msg_hdr.msg_namelen;
	addr_unmap(&out->from);
	ok = read_local(&m->msg_hdr, &out->local) && ok && addr_port(&out->from) != 0;
	/* The kernel wrote over these. */
	m->msg_hdr.msg_namelen = sizeof(d->in.names[i]);
	m->msg_hdr.msg_controllen = sizeof(d->in.controls[i]);
	return ok;
}

/* The timeout of recvmmsg(2) is looked at only after a datagram has come, so it bounds no wait;
 * here MSG_DONTWAIT does. An error behind the first datagram is the next call's. A socket that is
 * not connected hears of no ICMP error without IP_RECVERR (ip(7)).
 *
 * #syscalls:relay recvmmsg
 */
bool datagrams_receive(struct datagrams *d, int fd, struct datagram *out, size_t *count)
{
	int n = recvmmsg(fd, d->in.messages, DATAGRAMS_BATCH, MSG_DONTWAIT, NULL);

	*count = 0;
	for (int i = 0; i < n; i++)
		if (datagrams_read_one(d, (size_t)i, &out[*count]))
			(*count)++;
	return n == (int)DATAGRAMS_BATCH || (n < 0 && errno == EINTR);
}

/* ---- sending -------------------------------------------------------------------------------- */

/* The way out is the routing table's choice, except for addresses that mean nothing without an
 * interface. An address that the host has lost meanwhile is refused (EINVAL). */
static size_t write_local(union control *control, const struct addr *local)
{
	struct cmsghdr *c = &control->align;

	if (local->sa.sa_family == AF_INET) {
		struct in_pktinfo info = {.ipi_spec_dst = local->v4.sin_addr};

		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		return CMSG_SPACE(sizeof(info));
	}
	struct in6_pktinfo info = {
		.ipi6_addr = local->v6.sin6_addr,
		.ipi6_ifindex = local->v6.sin6_scope_id,
	};
	c->cmsg_level = IPPROTO_IPV6;
	c->cmsg_type = IPV6_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	return CMSG_SPACE(sizeof(info));
}

void datagrams_put(struct datagrams *d, const uint8_t *bytes, size_t len, const struct addr *to,
		   const struct addr *local)
{
	assert(d->queued < DATAGRAMS_BATCH);
	size_t i = d->queued++;
	struct msghdr *m = &d->out.messages[i].msg_hdr;

	d->out.parts[i] = (struct iovec){(void *)(uintptr_t)bytes, len};
	memcpy(&d->out.names[i], &to->v6, to->len);
	m->msg_namelen = to->len;
	m->msg_control = NULL;
	m->msg_controllen = 0;
	if (local->len > 0) {
		m->msg_control = d->out.controls[i].bytes;
		m->msg_controllen = write_local(&d->out.controls[i], local);
	}
}

/* With an address: answers. A TCP socket that is not connected does not become so by it.
 * sendmmsg(2) tells an error only of the first datagram that it was given; one behind it makes it
 * return how many went before, and the next call begins with the one that failed.
 *
 * #syscalls:relay sendmmsg(3 without MSG_FASTOPEN)
 */
size_t datagrams_send(struct datagrams *d, int fd)
{
	size_t done = 0, failed = 0;

	while (done < d->queued) {
		int n = sendmmsg(fd, d->out.messages + done, (unsigned)(d->queued - done),
				 MSG_DONTWAIT);

		if (n > 0) {
			done += (size_t)n;
		} else if (errno == EAGAIN) { /* so would all that follow */
			failed += d->queued - done;
			break;
		} else if (errno != EINTR) { /* no way to this one; EPERM: of a packet filter */
			failed++;
			done++;
		}
	}
	d->queued = 0;
	return failed;
}

/* #syscalls:relay sendmsg(2 without MSG_FASTOPEN) */
bool datagrams_send_one(int fd, const uint8_t *bytes, size_t len, const struct addr *to)
{
	struct iovec part = {(void *)(uintptr_t)bytes, len};
	struct msghdr m = {
		.msg_name = (void *)(uintptr_t)&to->sa,
		.msg_namelen = to->len,
		.msg_iov = &part,
		.msg_iovlen = 1,
	};
	ssize_t n;

	do
		n = sendmsg(fd, &m, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n >= 0;
}
