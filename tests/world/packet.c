/* SPDX-License-Identifier: Apache-2.0 */
/* packet: pairs of SOCK_SEQPACKET, which hand descriptors over, and UDP. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

#include "tests/world/kernel_internal.h"
#include "tests/world/real.h"

#define QUEUE_MAX 256u

struct packet {
	struct packet *next;
	uint64_t at;
	struct addr from, to;
	struct k_host *sender, *host; /* UDP's: where it comes from, and goes */
	struct k_file *along;	      /* a descriptor on its way */
	size_t len;
	uint8_t bytes[];
};

struct k_packet {
	struct k_file file; /* first */
	struct k_packet *peer;
	struct packet *first, *last;
	size_t count;
	/* UDP's. */
	struct k_packet *next;
	struct k_host *host;
	struct addr local, remote; /* remote.len 0: not connected */
	int family;
	bool bound, reuseport, tells_local;
	bool refused; /* there is no socket at its remote: its next call is told */
};

static struct k_packet *udp_sockets;

static struct packet *packet_new(const struct msghdr *m)
{
	size_t len = 0;

	for (size_t i = 0; i < m->msg_iovlen; i++)
		len += m->msg_iov[i].iov_len;
	struct packet *p = world_alloc(sizeof(*p) + len);
	for (size_t i = 0; i < m->msg_iovlen; i++) {
		if (m->msg_iov[i].iov_len == 0)
			continue;
		memcpy(p->bytes + p->len, m->msg_iov[i].iov_base, m->msg_iov[i].iov_len);
		p->len += m->msg_iov[i].iov_len;
	}
	return p;
}

static void packet_free(struct packet *p)
{
	if (p->along)
		k_file_unref(p->along);
	world_free(p);
}

static void push(struct k_packet *s, struct packet *p)
{
	p->next = NULL;
	if (s->last)
		s->last->next = p;
	else
		s->first = p;
	s->last = p;
	s->count++;
	k_touch(&s->file);
}

static struct packet *pop(struct k_packet *s)
{
	struct packet *p = s->first;

	s->first = p->next;
	if (!s->first)
		s->last = NULL;
	s->count--;
	return p;
}

static size_t scatter(struct packet *p, struct msghdr *m)
{
	size_t done = 0;

	for (size_t i = 0; i < m->msg_iovlen && done < p->len; i++) {
		size_t part = p->len - done < m->msg_iov[i].iov_len ? p->len - done
								    : m->msg_iov[i].iov_len;
		memcpy(m->msg_iov[i].iov_base, p->bytes + done, part);
		done += part;
	}
	if (done < p->len)
		m->msg_flags |= MSG_TRUNC;
	return done;
}

/* ---- SOCK_SEQPACKET ---- */

static struct k_file *descriptor_in(const struct msghdr *m)
{
	struct cmsghdr *c = m->msg_control ? CMSG_FIRSTHDR(m) : NULL;
	int fd;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return NULL;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return k_file_get(fd);
}

static ssize_t packet_sendmsg(struct k_file *f, const struct msghdr *m, int flags)
{
	struct k_packet *s = (struct k_packet *)f;

	if (!s->peer)
		return -EPIPE;
	if (s->peer->count >= QUEUE_MAX)
		return -EAGAIN;
	struct packet *p = packet_new(m);
	p->along = descriptor_in(m);
	if (p->along)
		p->along->refs++;
	ssize_t len = (ssize_t)p->len;
	push(s->peer, p);
	return len;
}

static void hand_descriptor(struct packet *p, struct msghdr *m)
{
	struct cmsghdr *c = m->msg_control ? CMSG_FIRSTHDR(m) : NULL;
	int fd = c && p->along ? k_install(p->along) : -1;

	if (fd < 0) {
		if (p->along)
			m->msg_flags |= MSG_CTRUNC;
		m->msg_controllen = 0;
		return;
	}
	p->along = NULL;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	m->msg_controllen = CMSG_SPACE(sizeof(fd));
}

static ssize_t packet_recvmsg(struct k_file *f, struct msghdr *m, int flags)
{
	struct k_packet *s = (struct k_packet *)f;

	if (!s->first)
		return s->peer ? -EAGAIN : 0;
	struct packet *p = pop(s);
	m->msg_flags = 0;
	size_t n = scatter(p, m);
	hand_descriptor(p, m);
	packet_free(p);
	return (ssize_t)n;
}

static ssize_t packet_send(struct k_file *f, const void *buf, size_t len, int flags)
{
	struct iovec whole = {(void *)(uintptr_t)buf, len};
	struct msghdr m = {.msg_iov = &whole, .msg_iovlen = 1};

	return f->kind->sendmsg(f, &m, flags);
}

static ssize_t packet_recv(struct k_file *f, void *buf, size_t len, int flags)
{
	struct iovec whole = {buf, len};
	struct msghdr m = {.msg_iov = &whole, .msg_iovlen = 1};

	return f->kind->recvmsg(f, &m, flags);
}

static unsigned packet_ready(struct k_file *f)
{
	struct k_packet *s = (struct k_packet *)f;

	return (s->first ? POLLIN : 0u) | (s->peer ? POLLOUT : POLLIN | POLLHUP | POLLOUT);
}

static void drop_all(struct k_packet *s)
{
	while (s->first)
		packet_free(pop(s));
}

static void packet_release(struct k_file *f)
{
	struct k_packet *s = (struct k_packet *)f;

	drop_all(s);
	if (s->peer) {
		s->peer->peer = NULL;
		k_touch(&s->peer->file);
	}
	world_free(s);
}

int k_packet_pair(int out[2], bool nonblock)
{
	struct k_packet *a = k_file_new(&k_packet_kind, sizeof(*a), nonblock);
	struct k_packet *b = k_file_new(&k_packet_kind, sizeof(*b), nonblock);

	a->peer = b;
	b->peer = a;
	out[0] = k_install(&a->file);
	out[1] = out[0] < 0 ? out[0] : k_install(&b->file);
	if (out[1] >= 0)
		return 0;
	if (out[0] >= 0)
		k_close(out[0]);
	else
		k_file_unref(&a->file);
	k_file_unref(&b->file);
	return -EMFILE;
}

const struct k_kind k_packet_kind = {
	.name = "packets",
	.ready = packet_ready,
	.recv = packet_recv,
	.send = packet_send,
	.recvmsg = packet_recvmsg,
	.sendmsg = packet_sendmsg,
	.release = packet_release,
};

/* ---- UDP ---- */

int k_udp_socket(int family, bool nonblock)
{
	struct k_packet *s = k_file_new(&k_udp_kind, sizeof(*s), nonblock);

	s->family = family;
	s->host = k_current->host;
	s->next = udp_sockets;
	udp_sockets = s;
	int fd = k_install(&s->file);
	if (fd < 0)
		k_file_unref(&s->file);
	return fd;
}

int k_udp_bind(struct k_file *f, const struct sockaddr *a, socklen_t len)
{
	struct k_packet *s = (struct k_packet *)f;

	memcpy(&s->local.sa, a, len);
	s->local.len = len;
	for (struct k_packet *o = udp_sockets; o && addr_port(&s->local) != 0; o = o->next)
		if (o != s && o->bound && o->host == s->host && addr_equal(&o->local, &s->local) &&
		    !(o->reuseport && s->reuseport))
			return -EADDRINUSE;
	if (addr_port(&s->local) == 0)
		addr_set_port(&s->local, k_host_port(s->host));
	s->bound = true;
	return 0;
}

int k_udp_setsockopt(struct k_file *f, int level, int name, const void *value, socklen_t len)
{
	struct k_packet *s = (struct k_packet *)f;
	int n = 0;

	if (len >= sizeof(n))
		memcpy(&n, value, sizeof(n));
	if (level == SOL_SOCKET && name == SO_REUSEPORT)
		s->reuseport = n != 0;
	if (level == IPPROTO_IP && name == IP_PKTINFO)
		s->tells_local = n != 0;
	return 0;
}

int k_udp_name(struct k_file *f, struct sockaddr *out, socklen_t *len)
{
	struct k_packet *s = (struct k_packet *)f;

	memcpy(out, &s->local.sa, s->local.len < *len ? s->local.len : *len);
	*len = s->local.len;
	return 0;
}

/* An unbound socket gets the address that the way to there begins with. */
static void udp_bind_towards(struct k_packet *s, const struct addr *to)
{
	bool loopback = to->sa.sa_family == AF_INET && ntohl(to->v4.sin_addr.s_addr) >> 24 == 127;
	struct addr at = k_address(loopback ? "127.0.0.1" : k_host_address(s->host), 0);

	(void)k_udp_bind(&s->file, &at.sa, at.len);
}

int k_udp_connect(struct k_file *f, const struct sockaddr *a, socklen_t len)
{
	struct k_packet *s = (struct k_packet *)f;

	memcpy(&s->remote.sa, a, len);
	s->remote.len = len;
	if (!s->bound)
		udp_bind_towards(s, &s->remote);
	return 0;
}

static struct k_packet *udp_find(struct k_host *host, const struct packet *p)
{
	struct k_packet *found = NULL;
	unsigned n = 0;

	for (struct k_packet *s = udp_sockets; s; s = s->next) {
		if (!s->bound || s->host != host || !addr_covers(&s->local, &p->to))
			continue;
		if (s->remote.len > 0) {
			if (addr_equal(&s->remote, &p->from))
				return s;
		} else if (dice_below(&k_dice, ++n) == 0) {
			found = s;
		}
	}
	return found;
}

/* ICMP's "port unreachable" reaches connected sockets only: udp(7). */
static void port_unreachable(void *context, uint64_t argument)
{
	struct packet *p = context;

	for (struct k_packet *s = udp_sockets; s; s = s->next) {
		if (s->host != p->sender || !addr_equal(&s->local, &p->from) ||
		    s->remote.len == 0 || !addr_equal(&s->remote, &p->to))
			continue;
		s->refused = true;
		k_touch(&s->file);
	}
	packet_free(p);
}

static void datagram_came(void *context, uint64_t argument)
{
	struct packet *p = context;
	struct k_packet *s = udp_find(p->host, p);

	if (s && s->count < QUEUE_MAX)
		push(s, p);
	else if (s)
		packet_free(p);
	else
		k_at(k_now_us + k_cable_time(p->host, p->sender), port_unreachable, p, 0);
}

static bool take_refusal(struct k_packet *s)
{
	bool refused = s->refused;

	s->refused = false;
	return refused;
}

static ssize_t udp_sendmsg(struct k_file *f, const struct msghdr *m, int flags)
{
	struct k_packet *s = (struct k_packet *)f;
	struct addr to = s->remote;
	struct k_host *host;

	if (m->msg_name) {
		memcpy(&to.sa, m->msg_name, m->msg_namelen);
		to.len = m->msg_namelen;
	}
	if (to.len == 0)
		return -EDESTADDRREQ;
	if (take_refusal(s))
		return -ECONNREFUSED;
	host = k_host_of(&to.sa);
	if (!s->bound)
		udp_bind_towards(s, &to);
	struct packet *p = packet_new(m);
	ssize_t len = (ssize_t)p->len;
	p->to = to;
	p->sender = s->host;
	p->host = host;
	p->from = s->local;
	if (m->msg_control && CMSG_FIRSTHDR(m) && CMSG_FIRSTHDR(m)->cmsg_type == IP_PKTINFO) {
		struct in_pktinfo info;

		memcpy(&info, CMSG_DATA(CMSG_FIRSTHDR(m)), sizeof(info));
		p->from.v4.sin_addr = info.ipi_spec_dst;
	}
	if (!host || k_cable_pulled(s->host, host) ||
	    dice_chance(&k_dice, k_faults.datagram_loss)) {
		packet_free(p);
		return len;
	}
	if (k_faults.datagram_twice && dice_chance(&k_dice, k_faults.datagram_twice)) {
		struct packet *again = packet_new(m);

		again->to = p->to;
		again->from = p->from;
		again->sender = s->host;
		again->host = host;
		k_at(k_now_us + k_cable_time(s->host, host), datagram_came, again, 0);
	}
	k_at(k_now_us + k_cable_time(s->host, host), datagram_came, p, 0);
	return len;
}

static ssize_t udp_recvmsg(struct k_file *f, struct msghdr *m, int flags)
{
	struct k_packet *s = (struct k_packet *)f;

	if (flags & MSG_ERRQUEUE) /* no router on the way says anything */
		return -EAGAIN;
	if (take_refusal(s))
		return -ECONNREFUSED;
	if (!s->first)
		return -EAGAIN;
	struct packet *p = flags & MSG_PEEK ? s->first : pop(s);
	m->msg_flags = 0;
	size_t n = scatter(p, m);
	if (flags & MSG_TRUNC)
		n = p->len;
	if (m->msg_name) {
		memcpy(m->msg_name, &p->from.sa,
		       p->from.len < m->msg_namelen ? p->from.len : m->msg_namelen);
		m->msg_namelen = p->from.len;
	}
	struct cmsghdr *c = s->tells_local && m->msg_control ? CMSG_FIRSTHDR(m) : NULL;
	if (c) {
		struct in_pktinfo info = {.ipi_addr = p->to.v4.sin_addr,
					  .ipi_spec_dst = p->to.v4.sin_addr};

		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(info));
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		m->msg_controllen = CMSG_SPACE(sizeof(info));
	} else {
		m->msg_controllen = 0;
	}
	if (!(flags & MSG_PEEK))
		packet_free(p);
	return (ssize_t)n;
}

static unsigned udp_ready(struct k_file *f)
{
	const struct k_packet *s = (struct k_packet *)f;

	return POLLOUT | (s->first || s->refused ? POLLIN : 0u) | (s->refused ? POLLERR : 0u);
}

static void udp_release(struct k_file *f)
{
	struct k_packet *s = (struct k_packet *)f, **at = &udp_sockets;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	drop_all(s);
	world_free(s);
}

const struct k_kind k_udp_kind = {
	.name = "udp",
	.ready = udp_ready,
	.recv = packet_recv,
	.send = packet_send,
	.recvmsg = udp_recvmsg,
	.sendmsg = udp_sendmsg,
	.release = udp_release,
};
