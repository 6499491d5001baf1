/* SPDX-License-Identifier: Apache-2.0 */
/* stream_connect: how streams come to be: sockets, listeners, connecting; and their options. */
#include <errno.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "tests/world/real.h"
#include "tests/world/stream_internal.h"

/* ---- connections ---- */

int k_stream_socket(int family, bool nonblock)
{
	struct k_stream *s = stream_new(family, k_current->host, nonblock);
	int fd = k_install(&s->file);

	if (fd < 0)
		k_file_unref(&s->file);
	return fd;
}

static void join(struct k_stream *a, struct k_stream *b)
{
	a->peer = b;
	b->peer = a;
	a->far = b->host;
	b->far = a->host;
	a->state = b->state = CONNECTED;
	a->heard_us = b->heard_us = k_now_us;
}

int k_stream_pair(int out[2], bool nonblock)
{
	struct k_stream *a = stream_new(AF_UNIX, k_current->host, nonblock);
	struct k_stream *b = stream_new(AF_UNIX, k_current->host, nonblock);

	join(a, b);
	out[0] = k_install(&a->file);
	out[1] = out[0] < 0 ? out[0] : k_install(&b->file);
	if (out[1] >= 0)
		return 0;
	int error = out[1];
	if (out[0] >= 0)
		k_close(out[0]);
	else
		k_file_unref(&a->file);
	k_file_unref(&b->file);
	return error;
}

/* NULL: none. Of several (SO_REUSEPORT) chance takes one. */
static struct k_stream *find_listener(struct k_host *host, const struct sockaddr *to)
{
	struct k_stream *found = NULL;
	unsigned n = 0;

	for (struct k_stream *s = k_listeners; s; s = s->next_listener) {
		if (s->host != host || !s->open)
			continue;
		if (to->sa_family == AF_UNIX) {
			if (s->family != AF_UNIX ||
			    strcmp(s->path, ((const struct sockaddr_un *)to)->sun_path) != 0)
				continue;
		} else {
			struct addr at = {.len = to->sa_family == AF_INET
							 ? sizeof(struct sockaddr_in)
							 : sizeof(struct sockaddr_in6)};

			memcpy(&at.sa, to, at.len);
			if (s->family == AF_UNIX || !addr_covers(&s->local, &at))
				continue;
		}
		if (dice_below(&k_dice, ++n) == 0)
			found = s;
	}
	return found;
}

static void answered(void *context, uint64_t argument)
{
	struct k_stream *s = context;
	int error = (int)argument;

	s->held--;
	if (s->state == CONNECTING && s->open) {
		if (error) {
			s->state = OVER;
			s->reset = true;
			s->error = error;
		} else if (!s->reset) {
			s->state = CONNECTED;
			stream_keepalive_start(s);
		}
		k_touch(&s->file);
	}
	stream_maybe_free(s);
}

static void set_sockname(struct k_stream *s, const struct sockaddr *like)
{
	if (s->bound && addr_port(&s->local) != 0)
		return;
	struct addr a = {.len = 0};
	bool loopback =
		like->sa_family == AF_INET
			? ntohl(((const struct sockaddr_in *)like)->sin_addr.s_addr) >> 24 == 127
			: IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)like)->sin6_addr);

	if (s->bound) {
		a = s->local;
		addr_set_port(&a, k_host_port(s->host));
	} else if (like->sa_family == AF_INET6) {
		a = k_address(loopback ? "::1" : k_host_address6(s->host), k_host_port(s->host));
	} else {
		a = k_address(loopback ? "127.0.0.1" : k_host_address(s->host),
			      k_host_port(s->host));
	}
	s->local = a;
}

/* As a socket of that family shows it: IPv4 is mapped into IPv6. */
static struct addr shown(const struct addr *a, int family)
{
	char literal[ADDR_TEXT_BYTES], mapped[ADDR_TEXT_BYTES + 8];

	if (family != AF_INET6 || a->sa.sa_family != AF_INET)
		return *a;
	addr_format_host(a, literal);
	snprintf(mapped, sizeof(mapped), "::ffff:%s", literal);
	return k_address(mapped, addr_port(a));
}

static struct k_stream *make_passive(struct k_stream *listener, struct k_stream *s)
{
	struct k_stream *n = stream_new(listener->family, listener->host, true);

	n->file.holder = listener->file.holder;
	n->uid = listener->uid;
	n->local = shown(&s->remote, n->family);
	n->remote = shown(&s->local, n->family);
	n->parent = listener;
	n->send_buffer = listener->send_buffer;
	n->receive_buffer = listener->receive_buffer;
	snprintf(n->path, sizeof(n->path), "%s", listener->path);
	if (listener->queued % 64 == 0)
		listener->queue =
			world_realloc(listener->queue, (listener->queued + 64) * sizeof(n));
	listener->queue[listener->queued++] = n;
	k_touch(&listener->file);
	return n;
}

static void knock(void *context, uint64_t argument);

static void knock_again(struct k_stream *s)
{
	uint64_t wait = UINT64_C(1000000) << s->syns;

	if (++s->syns >= SYN_TRIES)
		stream_later(s, k_now_us + wait, answered, ETIMEDOUT);
	else
		stream_later(s, k_now_us + wait, knock, 0);
}

/* A SYN is where it wanted to go. */
static void knock(void *context, uint64_t argument)
{
	struct k_stream *s = context;
	struct k_host *host = k_host_of(&s->remote.sa);
	struct k_stream *listener;

	s->held--;
	if (!s->open || s->state != CONNECTING) {
		stream_maybe_free(s);
		return;
	}
	if (k_host_has(s->host, &s->remote.sa))
		host = s->host;
	if (!host || k_cable_pulled(s->host, host)) {
		knock_again(s);
		return;
	}
	listener = find_listener(host, &s->remote.sa);
	if (listener && listener->queued >= listener->backlog + 1) {
		knock_again(s);
		return;
	}
	uint64_t at = k_now_us + k_cable_time(host, s->host);
	if (!listener) {
		stream_later(s, at, answered, ECONNREFUSED);
		return;
	}
	struct k_stream *n = make_passive(listener, s);
	join(s, n);
	s->state = CONNECTING;
	s->last_at = at;
	stream_later(s, at, answered, 0);
}

static int connect_here(struct k_stream *s, const struct sockaddr *a)
{
	struct k_stream *listener = find_listener(s->host, a);

	if (!listener)
		return k_store_exists(((const struct sockaddr_un *)a)->sun_path) ? -ECONNREFUSED
										 : -ENOENT;
	if (listener->queued >= listener->backlog + 1)
		return -EAGAIN;
	join(s, make_passive(listener, s));
	return 0;
}

int k_stream_connect(struct k_file *f, const struct sockaddr *a, socklen_t len)
{
	struct k_stream *s = stream_of(f);
	struct k_host *host;

	if (s->state == CONNECTING)
		return -EALREADY;
	if (s->state != FRESH)
		return -EISCONN;
	if (a->sa_family != s->family)
		return -EAFNOSUPPORT;
	if (s->family == AF_UNIX)
		return connect_here(s, a);
	memcpy(&s->remote.sa, a, len);
	s->remote.len = len;
	set_sockname(s, a);
	s->state = CONNECTING;
	host = k_host_of(a);
	uint64_t wait = host ? k_cable_time(s->host, host) : 0;
	stream_later(s, k_now_us + wait, knock, 0);
	return -EINPROGRESS;
}

int k_stream_bind(struct k_file *f, const struct sockaddr *a, socklen_t len)
{
	struct k_stream *s = stream_of(f);

	if (s->bound)
		return -EINVAL;
	if (a->sa_family == AF_UNIX) {
		const char *path = ((const struct sockaddr_un *)a)->sun_path;

		if (k_store_exists(path))
			return -EADDRINUSE;
		int fd = k_store_open(path, 0100 /* O_CREAT */);
		if (fd < 0)
			return fd;
		k_close(fd);
		k_store_is_socket(path);
		snprintf(s->path, sizeof(s->path), "%s", path);
		s->bound = true;
		return 0;
	}
	struct addr at = {.len = len};
	memcpy(&at.sa, a, len);
	bool wildcard = addr_port(&at) != 0 && !k_host_has(s->host, a);
	for (struct k_stream *o = k_listeners; o && addr_port(&at) != 0; o = o->next_listener)
		if (o != s && o->bound && o->open && o->host == s->host && o->family != AF_UNIX &&
		    addr_port(&o->local) == addr_port(&at) &&
		    (addr_covers(&o->local, &at) || addr_covers(&at, &o->local)) &&
		    !(o->reuseport && s->reuseport))
			return -EADDRINUSE;
	if (wildcard && !addr_covers(&at, &at))
		return -EADDRNOTAVAIL;
	if (addr_port(&at) == 0)
		addr_set_port(&at, k_host_port(s->host));
	s->local = at;
	s->bound = true;
	return 0;
}

int k_stream_listen(struct k_file *f, int backlog)
{
	struct k_stream *s = stream_of(f), **at = &k_listeners;

	if (s->state != LISTENING) {
		while (*at && (*at)->number > s->number)
			at = &(*at)->next_listener;
		s->next_listener = *at;
		*at = s;
	}
	s->state = LISTENING;
	s->backlog = (size_t)(backlog < 1 ? 1 : backlog);
	return 0;
}

int k_accept(int fd)
{
	struct k_stream *s = stream_of(k_file_get(fd)), *n;
	int got;

	if (!s)
		return -EBADF;
	if (s->file.kind != &k_stream_kind || s->state != LISTENING)
		return -EINVAL;
	if (s->queued == 0)
		return -EAGAIN;
	n = s->queue[0];
	got = k_install(&n->file);
	if (got < 0)
		return got;
	memmove(s->queue, s->queue + 1, --s->queued * sizeof(n));
	n->parent = NULL;
	if (dice_chance(&k_dice, k_faults.aborted) && !is_local(n)) {
		n->linger0 = true;
		k_close(got);
		return -ECONNABORTED;
	}
	stream_keepalive_start(n);
	return got;
}

/* ---- options and names ---- */

int k_stream_setsockopt(struct k_file *f, int level, int name, const void *value, socklen_t len)
{
	struct k_stream *s = stream_of(f);
	int n = 0;

	if (level == IPPROTO_TCP && is_local(s))
		return -EOPNOTSUPP;
	if (level == SOL_SOCKET && name == SO_LINGER) {
		const struct linger *l = value;

		s->linger0 = l->l_onoff && l->l_linger == 0;
		return 0;
	}
	if (level == IPPROTO_TCP && name == TCP_CONGESTION) {
		snprintf(s->congestion, sizeof(s->congestion), "%.*s", (int)len,
			 (const char *)value);
		return 0;
	}
	if (len >= sizeof(n))
		memcpy(&n, value, sizeof(n));
	if (level == SOL_SOCKET && name == SO_KEEPALIVE) {
		s->keepalive = n != 0;
		stream_keepalive_start(s);
	} else if (level == SOL_SOCKET && name == SO_REUSEPORT) {
		s->reuseport = n != 0;
	} else if (level == SOL_SOCKET && name == SO_SNDBUF) {
		s->send_buffer = n > 2304 ? (size_t)n * 2 : 4608;
	} else if (level == SOL_SOCKET && name == SO_RCVBUF) {
		s->receive_buffer = n > 1152 ? (size_t)n * 2 : 2304;
	} else if (level == IPPROTO_TCP && name == TCP_KEEPIDLE) {
		s->idle_s = (unsigned)n;
		stream_keepalive_again(s);
	} else if (level == IPPROTO_TCP && name == TCP_KEEPINTVL) {
		s->interval_s = (unsigned)n;
	} else if (level == IPPROTO_TCP && name == TCP_KEEPCNT) {
		s->count = (unsigned)n;
	} else if (level == IPPROTO_TCP && name == TCP_USER_TIMEOUT) {
		s->user_timeout_ms = (unsigned)n;
	} else if (level == IPPROTO_TCP && name == TCP_NOTSENT_LOWAT) {
		s->notsent = n;
	}
	return 0;
}

static int give(const void *from, size_t size, void *value, socklen_t *len)
{
	if (*len < size)
		size = *len;
	memcpy(value, from, size);
	*len = (socklen_t)size;
	return 0;
}

int k_stream_getsockopt(struct k_file *f, int level, int name, void *value, socklen_t *len)
{
	struct k_stream *s = stream_of(f);

	if (level == SOL_SOCKET && name == SO_ERROR) {
		int error = s->error;

		s->error = 0;
		return give(&error, sizeof(error), value, len);
	}
	if (level == SOL_SOCKET && name == SO_PEERCRED) {
		struct ucred who = {.pid = 1, .uid = s->peer ? s->peer->uid : 0, .gid = 0};

		return is_local(s) ? give(&who, sizeof(who), value, len) : -EINVAL;
	}
	if (level == SOL_SOCKET && name == SO_PEERGROUPS) {
		/* Each program of a world is also in a group that has the number of its user. */
		gid_t group = s->peer ? s->peer->uid : 0;

		return is_local(s) ? give(&group, sizeof(group), value, len) : -EINVAL;
	}
	if (level == IPPROTO_TCP && name == TCP_NOTSENT_LOWAT && !is_local(s))
		return give(&s->notsent, sizeof(s->notsent), value, len);
	if (level == IPPROTO_TCP && name == TCP_CONGESTION && !is_local(s))
		return give(s->congestion, strlen(s->congestion) + 1, value, len);
	if (level == IPPROTO_TCP && name == TCP_INFO && !is_local(s)) {
		struct stream_sent sent = stream_sent(s);
		struct tcp_info info = {
			.tcpi_state = s->state == CONNECTED ? 1 : 0,
			.tcpi_unacked = sent.unacked,
			.tcpi_notsent_bytes = sent.notsent,
			.tcpi_retransmits = (uint8_t)sent.retransmits,
			.tcpi_probes = (uint8_t)sent.probes,
			.tcpi_last_ack_recv = (uint32_t)((k_now_us - s->heard_us) / 1000),
			.tcpi_rtt =
				s->peer ? (uint32_t)(2 * k_cable_time(s->host, s->peer->host)) : 0,
			.tcpi_snd_mss = MSS,
		};

		return give(&info, sizeof(info), value, len);
	}
	return -ENOPROTOOPT;
}

int k_stream_name(struct k_file *f, bool peer, struct sockaddr *out, socklen_t *len)
{
	struct k_stream *s = stream_of(f);

	if (peer && (s->state != CONNECTED || s->reset))
		return -ENOTCONN;
	if (is_local(s)) {
		struct sockaddr_un at = {.sun_family = AF_UNIX};

		return give(&at, sizeof(sa_family_t), out, len);
	}
	struct addr *a = peer ? &s->remote : &s->local;
	if (a->len == 0)
		*a = k_address(s->family == AF_INET ? "0.0.0.0" : "::", 0);
	socklen_t whole = a->len;
	give(&a->sa, a->len, out, len);
	*len = whole;
	return 0;
}
