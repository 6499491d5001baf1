/* SPDX-License-Identifier: Apache-2.0 */
/* resolve: host names to addresses, and services to hosts, by c-ares, on a program's ring. */
#include "core/program/resolve.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "core/container.h"

#define TRY_MS 2000
#define TRIES  2

/* One socket of c-ares. */
struct resolve_watch {
	struct ring_op op;
	struct resolver *resolver;
	struct resolve_watch *next;
	int fd;
	unsigned events; /* poll(2) bits that c-ares wants */
	bool closed;	 /* c-ares is done with it; ours until the operation has reported */
};

struct resolve_query {
	struct resolver *resolver;
	struct timer deliver;
	resolve_done_fn *done; /* both NULL: cancelled */
	resolve_services_fn *services_done;
	void *owner;
	uint16_t port;
	bool answered;
	size_t count;
	struct addr addresses[RESOLVE_ADDRESSES_MAX];
	struct endpoint *hosts; /* for services_done */
	char error[128];
};

/* ---- sockets ---- */

static void watch_free(struct resolve_watch *w)
{
	struct resolver *r = w->resolver;
	struct resolve_watch **at = &r->watches;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	ring_close_fd(r->ring, w->fd);
	free(w);
}

static struct resolve_watch *watch_find(struct resolver *r, int fd)
{
	struct resolve_watch *w = r->watches;

	while (w && (w->fd != fd || w->closed))
		w = w->next;
	return w;
}

static void resolve_set_timer(struct resolver *r)
{
	struct timeval most = {60, 0}, tv, *next;

	if (r->queries == 0 || !r->open) {
		ring_timer_cancel(r->ring, &r->timer);
		return;
	}
	next = ares_timeout(r->channel, &most, &tv);
	ring_timer_set(r->ring, &r->timer,
		       (uint64_t)next->tv_sec * 1000 + (uint64_t)next->tv_usec / 1000 + 1);
}

/* Polls for what c-ares wants now. */
static void resolve_rearm(struct resolver *r)
{
	for (struct resolve_watch *w = r->watches; w; w = w->next)
		if (!w->closed && w->events && !ring_op_busy(&w->op))
			ring_poll(r->ring, &w->op, w->fd, w->events);
	resolve_set_timer(r);
}

static void resolve_watch_ready(struct ring_op *op, int res)
{
	struct resolve_watch *w = container(op, struct resolve_watch, op);
	struct resolver *r = w->resolver;
	ares_socket_t fd = w->fd;

	if (w->closed) {
		watch_free(w);
		return;
	}
	/* A cancelled poll only wants its events changed. From here w may be gone. */
	if (res != -ECANCELED)
		ares_process_fd(r->channel, res < 0 || res & ~POLLOUT ? fd : ARES_SOCKET_BAD,
				res > 0 && res & POLLOUT ? fd : ARES_SOCKET_BAD);
	resolve_rearm(r);
}

static void resolve_timer_fired(struct timer *t, uint64_t now_ms)
{
	struct resolver *r = container(t, struct resolver, timer);

	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	resolve_rearm(r);
}

static void resolve_state_changed(void *data, ares_socket_t fd, int readable, int writable)
{
	struct resolve_watch *w = watch_find(data, fd);
	unsigned events = (readable ? POLLIN : 0u) | (writable ? POLLOUT : 0u);

	if (!w || w->events == events)
		return;
	w->events = events;
	ring_cancel(w->resolver->ring, &w->op);
}

/* #syscalls socket(0 is AF_INET)
 * #syscalls-rare socket(0 is AF_INET6); where a name server has such an address
 */
static ares_socket_t resolve_make_socket(int family, int type, int protocol, void *data)
{
	struct resolver *r = data;
	struct resolve_watch *w = calloc(1, sizeof(*w));

	if (!w) {
		errno = ENOMEM;
		return -1;
	}
	w->fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	if (w->fd < 0) {
		free(w);
		return -1;
	}
	w->resolver = r;
	w->op.done = resolve_watch_ready;
	w->next = r->watches;
	r->watches = w;
	return w->fd;
}

static int resolve_close_socket(ares_socket_t fd, void *data)
{
	struct resolve_watch *w = watch_find(data, fd);

	if (!w)
		return 0;
	w->closed = true;
	if (ring_op_busy(&w->op))
		ring_cancel(w->resolver->ring, &w->op);
	else
		watch_free(w);
	return 0;
}

/* #syscalls connect */
static int resolve_connect_socket(ares_socket_t fd, const struct sockaddr *to, ares_socklen_t len,
				  void *data)
{
	return connect(fd, to, len);
}

/* #syscalls recvfrom */
static ares_ssize_t resolve_receive(ares_socket_t fd, void *buf, size_t len, int flags,
				    struct sockaddr *from, ares_socklen_t *from_len, void *data)
{
	return recvfrom(fd, buf, len, flags, from, from_len);
}

/* #syscalls:natd writev
 * #syscalls-rare:agent writev; where relays are not in /etc/hosts
 */
static ares_ssize_t resolve_send_vector(ares_socket_t fd, const struct iovec *parts, int count,
					void *data)
{
	return writev(fd, parts, count);
}

static const struct ares_socket_functions socket_functions = {
	.asocket = resolve_make_socket,
	.aclose = resolve_close_socket,
	.aconnect = resolve_connect_socket,
	.arecvfrom = resolve_receive,
	.asendv = resolve_send_vector,
};

/* ---- the channel ---- */

/* c-ares reads the system's configuration, and hosts for each name; newer ones look first whether
 * it has changed. It orders addresses by how the kernel would go to them.
 *
 * #syscalls openat(2 without O_WRONLY | O_RDWR | O_CREAT | O_TRUNC) fstat|newfstatat read close
 * #syscalls-rare open(1 without O_WRONLY | O_RDWR | O_CREAT | O_TRUNC); other C libraries
 * #syscalls-rare stat statx lseek; newer c-ares, other C libraries
 * #syscalls-rare uname; gethostname(), for a configuration without a domain
 * #syscalls getsockname
 */
static int channel_open(struct resolver *r)
{
	struct ares_options options = {
		.timeout = TRY_MS,
		.tries = TRIES,
		.sock_state_cb = resolve_state_changed,
		.sock_state_cb_data = r,
	};
	int status =
		ares_init_options(&r->channel, &options,
				  ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);

	if (status != ARES_SUCCESS)
		return status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
	ares_set_socket_functions(r->channel, &socket_functions, r);
	r->open = true;
	r->opened_ms = ring_now_ms(r->ring);
	return 0;
}

static void channel_close(struct resolver *r)
{
	bool was_open = r->open;

	r->open = false; /* answers that come from inside ares_destroy() must not use it */
	if (was_open)
		ares_destroy(r->channel);
}

int resolver_open(struct resolver *r, struct ring *ring)
{
	*r = (struct resolver){.ring = ring, .timer.fire = resolve_timer_fired};
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		return -ENOMEM;
	return channel_open(r);
}

void resolver_close(struct resolver *r)
{
	if (!r->ring || r->closing)
		return;
	r->closing = true;
	channel_close(r); /* queries still open are answered with an error */
	ring_timer_cancel(r->ring, &r->timer);
	ares_library_cleanup();
}

bool resolver_idle(const struct resolver *r)
{
	return !r->watches && r->queries == 0;
}

static bool channel_ready(struct resolver *r)
{
	if (r->closing)
		return false;
	if (r->open && r->queries == 0 && ring_now_ms(r->ring) - r->opened_ms > RESOLVE_FRESH_MS)
		channel_close(r);
	return r->open || channel_open(r) == 0;
}

/* ---- queries ---- */

static void query_free(struct resolve_query *q)
{
	ring_timer_cancel(q->resolver->ring, &q->deliver);
	q->resolver->queries--;
	resolve_set_timer(q->resolver);
	free(q->hosts);
	free(q);
}

static bool address_of(const struct ares_addrinfo_node *node, uint16_t port, struct addr *out)
{
	struct addr a = {.len = node->ai_addrlen};

	if (node->ai_family == AF_INET && node->ai_addrlen == sizeof(a.v4)) {
		memcpy(&a.v4, node->ai_addr, sizeof(a.v4));
		a.v4.sin_port = htons(port);
	} else if (node->ai_family == AF_INET6 && node->ai_addrlen == sizeof(a.v6)) {
		memcpy(&a.v6, node->ai_addr, sizeof(a.v6));
		a.v6.sin6_port = htons(port);
	} else {
		return false;
	}
	*out = a;
	return true;
}

static bool already_has(const struct resolve_query *q, const struct addr *a)
{
	for (size_t i = 0; i < q->count; i++)
		if (q->addresses[i].len == a->len &&
		    memcmp(&q->addresses[i].sa, &a->sa, a->len) == 0)
			return true;
	return false;
}

/* Takes the next address of the family, or of any other family; false when there is none. */
static bool take_next(struct resolve_query *q, const struct ares_addrinfo_node *nodes, int family,
		      bool other)
{
	for (const struct ares_addrinfo_node *n = nodes; n; n = n->ai_next) {
		struct addr a;

		if ((n->ai_family == family) == other || !address_of(n, q->port, &a) ||
		    already_has(q, &a))
			continue;
		q->addresses[q->count++] = a;
		return true;
	}
	return false;
}

/* RFC 8305 section 4: the order of RFC 6724 (c-ares sorts so), families alternating. */
static void take_addresses(struct resolve_query *q, const struct ares_addrinfo_node *nodes)
{
	int first = nodes ? nodes->ai_family : AF_UNSPEC;
	bool more = true;

	while (more && q->count < RESOLVE_ADDRESSES_MAX) {
		more = take_next(q, nodes, first, false);
		if (q->count < RESOLVE_ADDRESSES_MAX)
			more = take_next(q, nodes, first, true) || more;
	}
}

/* What came, or why nothing did, is told from the loop. */
static void resolve_complete(struct resolve_query *q)
{
	q->answered = true;
	if (!q->done && !q->services_done)
		query_free(q);
	else
		ring_timer_set(q->resolver->ring, &q->deliver, 0);
}

static void resolve_answered(void *data, int status, int timeouts, struct ares_addrinfo *info)
{
	struct resolve_query *q = data;

	if (status == ARES_SUCCESS)
		take_addresses(q, info->nodes);
	if (q->count == 0)
		snprintf(q->error, sizeof(q->error), "%s",
			 status == ARES_SUCCESS ? "the name has no address"
						: ares_strerror(status));
	ares_freeaddrinfo(info);
	resolve_complete(q);
}

static void resolve_deliver_fired(struct timer *t, uint64_t now_ms)
{
	struct resolve_query *q = container(t, struct resolve_query, deliver);

	if (q->done)
		q->done(q->owner, q->addresses, q->count, q->count ? NULL : q->error);
	if (q->services_done)
		q->services_done(q->owner, q->hosts, q->count, q->count ? NULL : q->error);
	query_free(q);
}

static struct resolve_query *query_new(struct resolver *r, void *owner)
{
	struct resolve_query *q;

	if (r->queries >= RESOLVE_QUERIES_MAX || !channel_ready(r))
		return NULL;
	q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->resolver = r;
	q->deliver.fire = resolve_deliver_fired;
	q->owner = owner;
	r->queries++;
	return q;
}

struct resolve_query *resolve_start(struct resolver *r, const char *host, uint16_t port,
				    resolve_done_fn *done, void *owner)
{
	const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC,
						  .ai_socktype = SOCK_STREAM};
	struct resolve_query *q = query_new(r, owner);

	if (!q)
		return NULL;
	q->done = done;
	q->port = port;
	ares_getaddrinfo(r->channel, host, NULL, &hints, resolve_answered, q);
	resolve_rearm(r);
	return q;
}

/* ---- services (RFC 2782) ---- */

/* Takes the next host out of those of the lowest priority that are left, by weight. */
static struct ares_srv_reply *resolve_take_service(struct ares_srv_reply **list)
{
	struct ares_srv_reply **chosen = list, *taken;
	unsigned lowest = UINT_MAX, sum = 0, left;

	for (struct ares_srv_reply *s = *list; s; s = s->next)
		lowest = s->priority < lowest ? s->priority : lowest;
	for (struct ares_srv_reply *s = *list; s; s = s->next)
		sum += s->priority == lowest ? s->weight + 1u : 0;
	left = arc4random_uniform(sum);
	for (struct ares_srv_reply **at = list; *at; at = &(*at)->next) {
		if ((*at)->priority != lowest)
			continue;
		chosen = at;
		if ((*at)->weight >= left)
			break;
		left -= (*at)->weight + 1u;
	}
	taken = *chosen;
	*chosen = taken->next;
	taken->next = NULL;
	return taken;
}

/* "." says that there is no such service. */
static void take_services(struct resolve_query *q, struct ares_srv_reply *list)
{
	while (list && q->count < RESOLVE_SERVICES_MAX) {
		struct ares_srv_reply *s = resolve_take_service(&list);
		struct endpoint *e = &q->hosts[q->count];

		if (s->port > 0 && addr_host_name_ok(s->host)) {
			snprintf(e->host, sizeof(e->host), "%s", s->host);
			e->port = s->port;
			q->count++;
		}
		ares_free_data(s);
	}
	ares_free_data(list);
}

static void resolve_services_answered(void *data, int status, int timeouts, unsigned char *answer,
				      int len)
{
	struct resolve_query *q = data;
	struct ares_srv_reply *list = NULL;

	if (status == ARES_SUCCESS)
		status = ares_parse_srv_reply(answer, len, &list);
	if (status == ARES_SUCCESS)
		take_services(q, list);
	if (q->count == 0)
		snprintf(q->error, sizeof(q->error), "%s",
			 status == ARES_SUCCESS ? "the name offers no such service"
						: ares_strerror(status));
	resolve_complete(q);
}

struct resolve_query *resolve_services_start(struct resolver *r, const char *name,
					     resolve_services_fn *done, void *owner)
{
	struct endpoint *hosts = calloc(RESOLVE_SERVICES_MAX, sizeof(*hosts));
	struct resolve_query *q = hosts ? query_new(r, owner) : NULL;

	if (!q) {
		free(hosts);
		return NULL;
	}
	q->hosts = hosts;
	q->services_done = done;
	ares_query(r->channel, name, ns_c_in, ns_t_srv, resolve_services_answered, q);
	resolve_rearm(r);
	return q;
}

void resolve_cancel(struct resolve_query *q)
{
	q->done = NULL;
	q->services_done = NULL;
	if (q->answered)
		query_free(q);
}
