/* SPDX-License-Identifier: Apache-2.0 */
/* resolve_channel: the states of c-ares behind resolve.h: their sockets, servers and files. */
#include "core/program/resolve_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/container.h"
#include "core/lack.h"
#include "core/log.h"

/* A person waits. With two servers that are silent for good, each has been asked twice after 6 s;
 * RESOLVE_MS is what is waited for. */
#define TRY_MS 1000
#define TRIES  2

/* One socket of c-ares. */
struct resolve_watch {
	struct ring_op op;
	struct resolve_channel *channel;
	struct resolve_watch *next;
	struct addr server; /* where it is connected to; len 0: not yet */
	uint64_t asked_ms;  /* nothing was heard since; 0: nothing is open */
	int fd;
	unsigned events; /* poll(2) bits that c-ares wants */
	bool closed;	 /* c-ares is done with it; ours until the operation has reported */
};

static void channel_maybe_free(struct resolve_channel *c);

/* ---- servers that are silent ---- */

static struct resolve_silent *silent_find(struct resolver *r, const struct addr *server)
{
	for (size_t i = 0; i < RESOLVE_SERVERS_MAX; i++)
		if (r->silent[i].since_ms && addr_same_host(&r->silent[i].server, server))
			return &r->silent[i];
	return NULL;
}

static bool is_silent(struct resolver *r, const struct addr *server)
{
	const struct resolve_silent *s = silent_find(r, server);

	return s && ring_now_ms(r->ring) - s->since_ms < RESOLVE_SILENT_MS;
}

/* In the place of the oldest, where there is no free one. */
static void note_silent(struct resolver *r, const struct addr *server)
{
	struct resolve_silent *s = silent_find(r, server);

	if (!s) {
		s = &r->silent[0];
		for (size_t i = 1; i < RESOLVE_SERVERS_MAX; i++)
			if (r->silent[i].since_ms < s->since_ms)
				s = &r->silent[i];
	}
	*s = (struct resolve_silent){.server = *server, .since_ms = ring_now_ms(r->ring)};
}

/* A server that answers, while an earlier one is silent, is to be asked first. */
static void note_heard(struct resolve_channel *c, const struct addr *server)
{
	struct resolve_silent *s = silent_find(c->resolver, server);

	c->heard_ms = ring_now_ms(c->resolver->ring);
	if (s)
		s->since_ms = 0;
	for (size_t i = 0; i < c->server_count && !addr_same_host(&c->servers[i], server); i++)
		c->outdated |= is_silent(c->resolver, &c->servers[i]);
}

static void look_for_silence(struct resolve_channel *c)
{
	uint64_t now_ms = ring_now_ms(c->resolver->ring);

	for (struct resolve_watch *w = c->watches; w; w = w->next)
		if (!w->closed && w->server.len && w->asked_ms &&
		    now_ms - w->asked_ms >= TRY_MS * 9 / 10)
			note_silent(c->resolver, &w->server);
}

/* ---- sockets ---- */

static void watch_free(struct resolve_watch *w)
{
	struct resolve_channel *c = w->channel;
	struct resolve_watch **at = &c->watches;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	ring_close_fd(c->resolver->ring, w->fd);
	free(w);
}

static struct resolve_watch *watch_find(struct resolve_channel *c, int fd)
{
	struct resolve_watch *w = c->watches;

	while (w && (w->fd != fd || w->closed))
		w = w->next;
	return w;
}

/* With no question left, a channel that takes no new ones ends: from the loop, since this may be
 * called by c-ares. */
static void resolve_set_timer(struct resolve_channel *c)
{
	struct timeval most = {60, 0}, tv, *next;
	struct ring *ring = c->resolver->ring;

	if (!c->open || (c->questions == 0 && !c->outdated)) {
		ring_timer_cancel(ring, &c->timer);
	} else if (c->questions == 0) {
		ring_timer_set(ring, &c->timer, 0);
	} else {
		next = ares_timeout(c->ares, &most, &tv);
		ring_timer_set(ring, &c->timer,
			       (uint64_t)next->tv_sec * 1000 + (uint64_t)next->tv_usec / 1000 + 1);
	}
}

/* Polls for what c-ares wants now. */
static void resolve_rearm(struct resolve_channel *c)
{
	for (struct resolve_watch *w = c->watches; w; w = w->next)
		if (!w->closed && w->events && !ring_op_busy(&w->op))
			ring_poll(c->resolver->ring, &w->op, w->fd, w->events);
	resolve_set_timer(c);
}

static void resolve_watch_ready(struct ring_op *op, int res)
{
	struct resolve_watch *w = container(op, struct resolve_watch, op);
	struct resolve_channel *c = w->channel;
	ares_socket_t fd = w->fd;

	if (w->closed) {
		watch_free(w);
		channel_maybe_free(c);
		return;
	}
	/* A cancelled poll only wants its events changed. From here w may be gone. */
	if (res != -ECANCELED)
		ares_process_fd(c->ares, res < 0 || res & ~POLLOUT ? fd : ARES_SOCKET_BAD,
				res > 0 && res & POLLOUT ? fd : ARES_SOCKET_BAD);
	resolve_rearm(c);
}

static void channel_close(struct resolve_channel *c);

static void resolve_timer_fired(struct timer *t, uint64_t now_ms)
{
	struct resolve_channel *c = container(t, struct resolve_channel, timer);

	if (c->questions == 0) {
		channel_close(c);
		return;
	}
	look_for_silence(c);
	ares_process_fd(c->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	resolve_rearm(c);
}

static void resolve_state_changed(void *data, ares_socket_t fd, int readable, int writable)
{
	struct resolve_watch *w = watch_find(data, fd);
	unsigned events = (readable ? POLLIN : 0u) | (writable ? POLLOUT : 0u);

	if (!w || w->events == events)
		return;
	w->events = events;
	ring_cancel(w->channel->resolver->ring, &w->op);
}

/* #syscalls socket(0 is AF_INET)
 * #syscalls-rare socket(0 is AF_INET6); where a name server has such an address
 */
static ares_socket_t resolve_make_socket(int family, int type, int protocol, void *data)
{
	struct resolve_channel *c = data;
	struct resolve_watch *w = calloc(1, sizeof(*w));

	if (!w) {
		c->socket_error = errno = ENOMEM;
		return -1;
	}
	w->fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	if (w->fd < 0) {
		c->socket_error = errno;
		free(w);
		return -1;
	}
	c->socket_error = 0;
	w->channel = c;
	w->op.done = resolve_watch_ready;
	w->next = c->watches;
	c->watches = w;
	return w->fd;
}

static int resolve_close_socket(ares_socket_t fd, void *data)
{
	struct resolve_watch *w = watch_find(data, fd);

	if (!w)
		return 0;
	w->closed = true;
	if (ring_op_busy(&w->op))
		ring_cancel(w->channel->resolver->ring, &w->op);
	else
		watch_free(w);
	return 0;
}

/* #syscalls connect */
static int resolve_connect_socket(ares_socket_t fd, const struct sockaddr *to, ares_socklen_t len,
				  void *data)
{
	struct resolve_watch *w = watch_find(data, fd);

	if (w && len <= sizeof(w->server.v6)) {
		memcpy(&w->server.sa, to, len);
		w->server.len = len;
	}
	return connect(fd, to, len);
}

/* #syscalls recvfrom */
static ares_ssize_t resolve_receive(ares_socket_t fd, void *buf, size_t len, int flags,
				    struct sockaddr *from, ares_socklen_t *from_len, void *data)
{
	ares_ssize_t got = recvfrom(fd, buf, len, flags, from, from_len);
	struct resolve_watch *w = got > 0 ? watch_find(data, fd) : NULL;

	if (w) {
		w->asked_ms = 0;
		note_heard(data, &w->server);
	}
	return got;
}

/* #syscalls:natd writev
 * #syscalls-rare:agent writev; where relays are not in /etc/hosts
 */
static ares_ssize_t resolve_send_vector(ares_socket_t fd, const struct iovec *parts, int count,
					void *data)
{
	struct resolve_channel *c = data;
	struct resolve_watch *w = watch_find(c, fd);

	if (w && !w->asked_ms)
		w->asked_ms = ring_now_ms(c->resolver->ring);
	return writev(fd, parts, count);
}

static const struct ares_socket_functions socket_functions = {
	.asocket = resolve_make_socket,
	.aclose = resolve_close_socket,
	.aconnect = resolve_connect_socket,
	.arecvfrom = resolve_receive,
	.asendv = resolve_send_vector,
};

/* ---- the files ---- */

/* What is not there is all zero. Landlock does not deny it: a file that may not be read shows, too,
 * when it changes. */
static struct resolve_file file_look(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return (struct resolve_file){0};
	return (struct resolve_file){
		.device = st.st_dev,
		.inode = st.st_ino,
		.size = (uint64_t)st.st_size,
		.written_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec,
		.changed_ns = st.st_ctim.tv_sec * INT64_C(1000000000) + st.st_ctim.tv_nsec,
	};
}

static bool file_changed(const char *path, struct resolve_file *seen)
{
	struct resolve_file now = file_look(path);
	bool same = now.device == seen->device && now.inode == seen->inode &&
		    now.size == seen->size && now.written_ns == seen->written_ns &&
		    now.changed_ns == seen->changed_ns;

	*seen = now;
	return !same;
}

/* c-ares passes over what it cannot read, and asks 127.0.0.1 then. Returns 0 or errno. */
static int file_error(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static void look_at_files(struct resolver *r)
{
	uint64_t now_ms = ring_now_ms(r->ring);
	bool conf, hosts;

	if (now_ms - r->looked_ms < RESOLVE_LOOK_MS)
		return;
	r->looked_ms = now_ms;
	conf = file_changed(r->conf, &r->conf_seen);
	hosts = file_changed(r->hosts, &r->hosts_seen);
	if (conf || hosts)
		resolve_cache_clear(&r->cache);
	if (!r->channels)
		return;
	/* What could not be read may be readable now without having changed. */
	if (conf || r->channels->conf_error)
		r->channels->outdated = true;
}

/* ---- the servers ---- */

static bool server_of(const struct ares_addr_port_node *n, struct addr *out)
{
	*out = (struct addr){.len = 0};
	if (n->family == AF_INET) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_addr = n->addr.addr4;
		out->len = sizeof(out->v4);
	} else if (n->family == AF_INET6) {
		out->v6.sin6_family = AF_INET6;
		memcpy(&out->v6.sin6_addr, &n->addr.addr6, sizeof(out->v6.sin6_addr));
		out->len = sizeof(out->v6);
	}
	return out->len > 0;
}

static void server_tell(const struct addr *last, const struct addr *first)
{
	char silent[ADDR_TEXT_BYTES], heard[ADDR_TEXT_BYTES];

	addr_format_host(last, silent);
	addr_format_host(first, heard);
	log_info("names", "name server %s does not answer; for 10 min it is asked after %s", silent,
		 heard);
}

/* Takes those that are silent, or the others, out of *from to the end of *to. */
static struct ares_addr_port_node **servers_move(struct resolver *r,
						 struct ares_addr_port_node **from,
						 struct ares_addr_port_node **to, bool silent)
{
	while (*from) {
		struct ares_addr_port_node *n = *from;
		struct addr a;

		if ((server_of(n, &a) && is_silent(r, &a)) != silent) {
			from = &n->next;
			continue;
		}
		*from = n->next;
		n->next = NULL;
		*to = n;
		to = &n->next;
	}
	return to;
}

/* Those that are silent come last, each in the order of the configuration. */
static void servers_order(struct resolve_channel *c)
{
	struct ares_addr_port_node *list = NULL, *ordered = NULL, *first, **end;
	struct addr a;

	if (ares_get_servers_ports(c->ares, &list) != ARES_SUCCESS)
		return;
	first = list;
	end = servers_move(c->resolver, &list, &ordered, false);
	(void)servers_move(c->resolver, &list, end, true);
	/* Without its own order c-ares goes on with that of the file. */
	if (first && ordered && ordered != first &&
	    ares_set_servers_ports(c->ares, ordered) == ARES_SUCCESS && server_of(first, &a)) {
		struct addr heard;

		if (server_of(ordered, &heard))
			server_tell(&a, &heard);
	}
	for (const struct ares_addr_port_node *n = ordered;
	     n && c->server_count < RESOLVE_SERVERS_MAX; n = n->next)
		c->server_count += server_of(n, &c->servers[c->server_count]);
	ares_free_data(ordered);
}

/* "name server 127.0.0.1 does", "name servers 127.0.0.1 and ::1 do" */
static void servers_text(const struct resolve_channel *c, char *out, size_t room)
{
	size_t n = (size_t)snprintf(out, room, "name server%s", c->server_count == 1 ? "" : "s");
	char text[ADDR_TEXT_BYTES];

	for (size_t i = 0; i < c->server_count && n + ADDR_TEXT_BYTES < room; i++) {
		addr_format_host(&c->servers[i], text);
		n += (size_t)snprintf(out + n, room - n, "%s%s",
				      i == 0			 ? " "
				      : i + 1 == c->server_count ? " and "
								 : ", ",
				      text);
	}
	snprintf(out + n, room - n, c->server_count == 1 ? " does" : " do");
}

bool resolve_channel_why(const struct resolve_channel *c, int status, uint64_t since_ms,
			 char out[RESOLVE_ERROR_BYTES])
{
	int own = c->conf_error && lack_text(c->conf_error) ? c->conf_error : c->socket_error;
	char servers[160];
	size_t n;

	switch (status) {
	case ARES_ENODATA:
	case ARES_ENOTFOUND:
	case ARES_EBADNAME:
	case ARES_EDESTRUCTION:
		snprintf(out, RESOLVE_ERROR_BYTES, "%s", ares_strerror(status));
		return false;
	default:
		break;
	}
	if (status == ARES_ENOMEM)
		own = ENOMEM;
	if (lack_text(own)) {
		snprintf(out, RESOLVE_ERROR_BYTES, "%s", lack_text(own));
		return true;
	}
	servers_text(c, servers, sizeof(servers));
	/* c-ares says "refused" when the last server failed, in whichever way. */
	if (status == ARES_ESERVFAIL || status == ARES_EREFUSED || status == ARES_ENOTIMP ||
	    (status == ARES_ECONNREFUSED && c->heard_ms >= since_ms))
		n = (size_t)snprintf(out, RESOLVE_ERROR_BYTES, "%s not tell: %s, or refuse%s",
				     servers, c->server_count == 1 ? "it fails" : "they fail",
				     c->server_count == 1 ? "s" : "");
	else if (status == ARES_ETIMEOUT || status == ARES_ECONNREFUSED)
		n = (size_t)snprintf(out, RESOLVE_ERROR_BYTES, "%s not answer", servers);
	else
		n = (size_t)snprintf(out, RESOLVE_ERROR_BYTES, "%s", ares_strerror(status));
	if (c->conf_error && n < RESOLVE_ERROR_BYTES)
		snprintf(out + n, RESOLVE_ERROR_BYTES - n, "; %s cannot be read: %s",
			 c->resolver->conf, strerror(c->conf_error));
	return false;
}

/* ---- the channel ---- */

/* c-ares reads the system's configuration, and hosts for each name; newer ones look first whether
 * it has changed. It orders addresses by how the kernel would go to them.
 *
 * #syscalls openat(2 without O_WRONLY | O_RDWR | O_CREAT | O_TRUNC) fstat|newfstatat read close
 * #syscalls stat|newfstatat
 * #syscalls-rare open(1 without O_WRONLY | O_RDWR | O_CREAT | O_TRUNC); other C libraries
 * #syscalls-rare stat statx lseek; newer c-ares, other C libraries
 * #syscalls-rare uname; gethostname(), for a configuration without a domain
 * #syscalls getsockname
 */
static int channel_open(struct resolver *r)
{
	char path[256];
	struct ares_options options = {
		.timeout = TRY_MS,
		.tries = TRIES,
		.udp_port = r->port,
		.tcp_port = r->port,
		.sock_state_cb = resolve_state_changed,
		.resolvconf_path = path,
	};
	struct resolve_channel *c = calloc(1, sizeof(*c));
	int wanted =
		ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB | ARES_OPT_RESOLVCONF;
	int status;

	if (!c)
		return -ENOMEM;
	snprintf(path, sizeof(path), "%s", r->conf);
	options.sock_state_cb_data = c;
	c->conf_error = file_error(r->conf);
	status = ares_init_options(&c->ares, &options,
				   wanted | (r->port ? ARES_OPT_UDP_PORT | ARES_OPT_TCP_PORT : 0));
	if (status != ARES_SUCCESS) {
		free(c);
		return status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
	}
	c->resolver = r;
	c->timer.fire = resolve_timer_fired;
	ares_set_socket_functions(c->ares, &socket_functions, c);
	c->open = true;
	c->opened_ms = ring_now_ms(r->ring);
	servers_order(c);
	c->next = r->channels;
	r->channels = c;
	return 0;
}

static void channel_maybe_free(struct resolve_channel *c)
{
	struct resolve_channel **at = &c->resolver->channels;

	if (c->open || c->watches)
		return;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	ring_timer_cancel(c->resolver->ring, &c->timer);
	free(c);
}

/* Answers that come from inside ares_destroy() must not use it. */
static void channel_close(struct resolve_channel *c)
{
	if (!c->open)
		return;
	c->open = false;
	ring_timer_cancel(c->resolver->ring, &c->timer);
	ares_destroy(c->ares);
	channel_maybe_free(c);
}

/* ---- what resolve.c calls ---- */

struct resolve_channel *resolve_channel_for_query(struct resolver *r)
{
	struct resolve_channel *c;

	if (r->closing)
		return NULL;
	look_at_files(r);
	c = r->channels;
	if (c && c->open && !c->outdated && ring_now_ms(r->ring) - c->opened_ms < RESOLVE_FRESH_MS)
		return c;
	if (channel_open(r) < 0)
		return c && c->open ? c : NULL;
	if (c && c->open) {
		c->outdated = true;
		resolve_set_timer(c);
	}
	return r->channels;
}

void resolve_channel_asks(struct resolve_channel *c)
{
	c->questions++;
}

void resolve_channel_asked(struct resolve_channel *c)
{
	resolve_rearm(c);
}

void resolve_channel_answered(struct resolve_channel *c)
{
	c->questions--;
	resolve_set_timer(c);
}

void resolve_channels_close(struct resolver *r)
{
	struct resolve_channel *next;

	for (struct resolve_channel *c = r->channels; c; c = next) {
		next = c->next;
		channel_close(c);
	}
}

int resolver_open(struct resolver *r, struct ring *ring)
{
	*r = (struct resolver){.ring = ring, .conf = "/etc/resolv.conf", .hosts = "/etc/hosts"};
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		return -ENOMEM;
	r->looked_ms = ring_now_ms(ring);
	(void)file_changed(r->conf, &r->conf_seen);
	(void)file_changed(r->hosts, &r->hosts_seen);
	return channel_open(r);
}

void resolver_close(struct resolver *r)
{
	if (!r->ring || r->closing)
		return;
	r->closing = true;
	resolve_channels_close(r); /* queries still open are answered with an error */
	resolve_cache_clear(&r->cache);
	ares_library_cleanup();
}

bool resolver_idle(const struct resolver *r)
{
	return !r->channels && r->queries == 0;
}

void resolver_changed(struct resolver *r)
{
	resolve_cache_clear(&r->cache);
	if (r->channels)
		r->channels->outdated = true;
	for (size_t i = 0; i < RESOLVE_SERVERS_MAX; i++)
		r->silent[i].since_ms = 0;
}

void resolver_forget(struct resolver *r, const char *host)
{
	resolve_cache_forget(&r->cache, host);
}
