/* SPDX-License-Identifier: Apache-2.0 */
/* connector: an endpoint to a connected TCP socket. */
#include "agent/worker/connector.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/container.h"
#include "core/lack.h"
#include "core/nat64.h"

/* One address. */
struct attempt {
	struct ring_op op;
	struct connector *connector;
	struct addr to;
	int fd;	   /* -1: none */
	bool last; /* it was not who was looked for (shunned.h) */
};

struct connector {
	struct agent_worker *worker;
	connector_done_fn *done;
	bool (*may_reach)(void *owner, const struct addr *to); /* NULL: any */
	void *owner;
	struct endpoint to;
	struct timer deadline, next;
	struct resolve_query *query;
	uint64_t timeout_ms, began_ms; /* of the whole; of what is under way */
	struct attempt *attempts;      /* NULL until the addresses are known */
	size_t count, tried, pending;
	bool over;
	bool in_order;
	bool no_way4;	  /* no way led to an IPv4 address */
	bool asked_nat64; /* once is enough */
	bool local;	  /* the last that failed did by this host's own lack */
	char error[CONNECTOR_ERROR_BYTES];
};

void endpoint_text(const struct endpoint *e, char out[ENDPOINT_TEXT_BYTES])
{
	bool literal6 = strchr(e->host, ':') != NULL;

	snprintf(out, ENDPOINT_TEXT_BYTES, literal6 ? "[%s]:%u" : "%s:%u", e->host, e->port);
}

/* #syscalls setsockopt(1 is IPPROTO_TCP) setsockopt(1 is SOL_SOCKET) */
void connector_tune(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{IPPROTO_TCP, TCP_NODELAY, 1},
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		/* Out-of-band data is a byte of the stream: without this it is taken out of it. */
		{SOL_SOCKET, SO_OOBINLINE, 1},
	};

	/* Without them a connection works too, and a local one may not be TCP. */
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		(void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
				 sizeof(options[i].value));
	alive_rest(fd, &connector_beat);
}

/* How much of the whole the name may take. */
static uint64_t resolving_ms(const struct connector *c)
{
	return c->timeout_ms * CONNECTOR_RESOLVING_PERCENT / 100;
}

/* ---- the end ---- */

static void connector_maybe_free(struct connector *c)
{
	struct agent_worker *w = c->worker;

	if (c->pending > 0)
		return;
	ring_timer_cancel(w->ring, &c->deadline);
	ring_timer_cancel(w->ring, &c->next);
	free(c->attempts);
	free(c);
	agent_worker_drop(w);
}

/* Ends everything but the winner, and frees c when nothing is in flight. */
static void connector_finish(struct connector *c, const struct connector_result *r)
{
	connector_done_fn *done = c->done;

	c->over = true;
	c->done = NULL;
	if (c->query)
		resolve_cancel(c->query);
	c->query = NULL;
	ring_timer_cancel(c->worker->ring, &c->deadline);
	ring_timer_cancel(c->worker->ring, &c->next);
	for (size_t i = 0; i < c->tried; i++)
		ring_cancel(c->worker->ring, &c->attempts[i].op);
	if (done)
		done(c->owner, r);
	connector_maybe_free(c);
}

/* c->error says why. */
static void connector_fail(struct connector *c)
{
	const struct connector_result r = {
		.fd = -1,
		.name_failed = !c->attempts,
		.local = c->local,
		.error = c->error,
	};

	connector_finish(c, &r);
}

/* ---- attempts ---- */

/* Whether this host has an address to reach that one from: it is asked by a UDP socket, which sends
 * nothing and needs none of TCP's ports. */
static bool has_source(const struct addr *to)
{
	int fd = socket(to->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && connect(fd, &to->sa, to->len) == 0;

	if (fd >= 0)
		close(fd);
	return has;
}

/* What this host itself lacks, whoever is dialled; NULL: the error is not of that kind. */
static const char *own_lack(int error, const struct addr *to)
{
	if (error != EADDRNOTAVAIL)
		return lack_text(error);
	return has_source(to) ? "this host has no local port left towards it: those of "
				"net.ipv4.ip_local_port_range are in use, or wait a minute in "
				"TIME_WAIT"
			      : "this host has no address that leads there";
}

static void keep_error(struct connector *c, const struct addr *to, int error)
{
	const char *lack = own_lack(error, to), *text = lack ? lack : strerror(error);
	char at[ADDR_TEXT_BYTES];
	struct addr literal;

	c->local = lack != NULL;
	c->no_way4 |=
		to->sa.sa_family == AF_INET && (error == ENETUNREACH || error == EHOSTUNREACH);
	/* A literal is in the caller's sentence already. */
	if (addr_from_literal(c->to.host, c->to.port, &literal) && addr_equal(&literal, to)) {
		snprintf(c->error, sizeof(c->error), "%s", text);
		return;
	}
	addr_format(to, at);
	snprintf(c->error, sizeof(c->error), "%s (at %s)", text, at);
}

static void keep_out_of_reach(struct connector *c, const struct addr *to)
{
	char text[ADDR_TEXT_BYTES];

	addr_format(to, text);
	snprintf(c->error, sizeof(c->error),
		 "%s is not within targets, which the agent's own file sets", text);
}

/* None of the addresses would do: the name may lead elsewhere by now. */
static void connector_in_vain(struct connector *c)
{
	resolver_forget(&c->worker->resolver, c->to.host);
	connector_fail(c);
}

static bool all_failed(const struct connector *c)
{
	return c->pending == 0 && c->tried == c->count;
}

static void connector_all_failed(struct connector *c);

/* Ended or failed: no longer pending. */
static void attempt_over(struct attempt *t, int error)
{
	struct connector *c = t->connector;

	c->pending--;
	ring_close_fd(c->worker->ring, t->fd);
	t->fd = -1;
	if (c->over) {
		connector_maybe_free(c);
		return;
	}
	keep_error(c, &t->to, error);
	if (all_failed(c))
		connector_all_failed(c);
	else
		ring_timer_set(c->worker->ring, &c->next, 0);
}

/* #syscalls getsockopt */
static void attempt_polled(struct ring_op *op, int res)
{
	struct attempt *t = container(op, struct attempt, op);
	struct connector *c = t->connector;
	int error = 0, fd = t->fd;
	socklen_t len = sizeof(error);

	if (res < 0)
		error = -res;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (c->over || error != 0) {
		attempt_over(t, error);
		return;
	}
	c->pending--;
	t->fd = -1;
	connector_finish(c, &(struct connector_result){.fd = fd, .reached = t->to});
}

/* Returns 0 or a positive errno.
 *
 * #syscalls socket(0 is AF_INET) socket(0 is AF_INET6) connect
 */
static int attempt_start(struct attempt *t)
{
	struct connector *c = t->connector;
	const struct addr *to = &t->to;
	int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (fd < 0)
		return errno;
	connector_tune(fd);
	/* connect(2) of a non-blocking TCP socket returns EINPROGRESS; the socket becomes writable
	 * when it has connected and when it has failed, and SO_ERROR, read once, tells which. */
	if (connect(fd, &to->sa, to->len) < 0 && errno != EINPROGRESS) {
		error = errno;
		ring_close_fd(c->worker->ring, fd);
		return error;
	}
	t->fd = fd;
	c->pending++;
	ring_poll(c->worker->ring, &t->op, fd, POLLOUT);
	return 0;
}

/* One that is tried last must not win because it is nearer. */
static void wait_for_next(struct connector *c)
{
	const struct attempt *t = &c->attempts[c->tried - 1];

	if (c->tried < c->count)
		ring_timer_set(c->worker->ring, &c->next,
			       !t->last && t[1].last ? CONNECTOR_LAST_MS : CONNECTOR_STAGGER_MS);
}

static void connector_next_fired(struct timer *timer, uint64_t now_ms)
{
	struct connector *c = container(timer, struct connector, next);

	while (c->tried < c->count) {
		struct attempt *t = &c->attempts[c->tried++];
		int error;

		if (c->may_reach && !c->may_reach(c->owner, &t->to)) {
			keep_out_of_reach(c, &t->to);
			continue;
		}
		error = attempt_start(t);
		if (error == 0) {
			wait_for_next(c);
			return;
		}
		keep_error(c, &t->to, error);
	}
	if (all_failed(c))
		connector_all_failed(c);
}

/* False: out of memory. */
static bool connector_attempts(struct connector *c, const struct addr *addresses, size_t count,
			       size_t last)
{
	struct attempt *attempts = calloc(count, sizeof(*attempts));

	if (!attempts)
		return false;
	for (size_t i = 0; i < count; i++)
		attempts[i] = (struct attempt){.connector = c,
					       .op.done = attempt_polled,
					       .to = addresses[i],
					       .last = i >= count - last,
					       .fd = -1};
	free(c->attempts);
	c->attempts = attempts;
	c->count = count;
	c->tried = 0;
	return true;
}

/* The IPv4 addresses that no way led to, as a translator takes them (nat64.h). */
static void connector_nat64_found(void *owner, const struct addr *addresses, size_t count,
				  const char *error)
{
	struct connector *c = owner;
	struct addr list[RESOLVE_ADDRESSES_MAX];
	struct nat64 prefix;
	size_t made = 0, i = 0;

	c->query = NULL;
	while (i < count && !nat64_find(&addresses[i], &prefix))
		i++;
	for (size_t k = 0; i < count && k < c->count; k++)
		made += nat64_address(&prefix, &c->attempts[k].to, &list[made]);
	if (made > 0 && connector_attempts(c, list, made, 0))
		connector_next_fired(&c->next, 0);
	else
		connector_in_vain(c);
}

/* A network with IPv6 alone may have a translator. Not for a target that has to lie within a
 * ceiling: it is written in addresses of IPv4, and what the session reaches would be another. */
static void connector_all_failed(struct connector *c)
{
	if (c->no_way4 && !c->asked_nat64 && !c->may_reach)
		c->query = resolve_start(&c->worker->resolver, NAT64_NAME, 0, connector_nat64_found,
					 c);
	c->asked_nat64 = true;
	if (!c->query)
		connector_in_vain(c);
}

/* The name has had its time; connecting has what is left of the whole. */
static void connector_try_all(struct connector *c, struct addr *addresses, size_t count)
{
	uint64_t now_ms = ring_now_ms(c->worker->ring), took_ms = now_ms - c->began_ms;
	size_t last = shunned_order(&c->worker->shunned, c->to.host, addresses, count, now_ms);

	if (!connector_attempts(c, addresses, count, last)) {
		snprintf(c->error, sizeof(c->error), "out of memory");
		c->local = true;
		connector_fail(c);
		return;
	}
	c->began_ms = now_ms;
	ring_timer_set(c->worker->ring, &c->deadline,
		       took_ms < c->timeout_ms ? c->timeout_ms - took_ms : 0);
	connector_next_fired(&c->next, 0);
}

/* One family, and of IPv6 one kind by its first three bits: global ones, or those of a site. */
static bool of_one_kind(const struct addr *a, const struct addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	return a->sa.sa_family != AF_INET6 ||
	       a->v6.sin6_addr.s6_addr[0] >> 5 == b->v6.sin6_addr.s6_addr[0] >> 5;
}

static int compare_numbers(const struct addr *a, const struct addr *b)
{
	if (a->sa.sa_family == AF_INET6)
		return memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof(a->v6.sin6_addr));
	return memcmp(&a->v4.sin_addr, &b->v4.sin_addr, sizeof(a->v4.sin_addr));
}

/* Each kind among the places that it has: which kind comes first is for RFC 6724 to say. */
static void put_in_order(struct addr *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = i + 1; j < count; j++) {
			struct addr kept = list[i];

			if (!of_one_kind(&kept, &list[j]) || compare_numbers(&kept, &list[j]) <= 0)
				continue;
			list[i] = list[j];
			list[j] = kept;
		}
}

static void connector_resolved(void *owner, const struct addr *addresses, size_t count,
			       const char *error)
{
	struct connector *c = owner;
	struct addr list[RESOLVE_ADDRESSES_MAX];

	c->local = error && resolve_failed_here(c->query);
	c->query = NULL;
	if (error) {
		snprintf(c->error, sizeof(c->error), "the name could not be resolved: %s", error);
		connector_fail(c);
		return;
	}
	memcpy(list, addresses, count * sizeof(list[0]));
	if (c->in_order)
		put_in_order(list, count);
	connector_try_all(c, list, count);
}

static void connector_start_fired(struct timer *t, uint64_t now_ms)
{
	struct connector *c = container(t, struct connector, next);
	struct addr literal;

	c->next.fire = connector_next_fired;
	if (addr_from_literal(c->to.host, c->to.port, &literal)) {
		connector_try_all(c, &literal, 1);
		return;
	}
	c->query =
		resolve_start(&c->worker->resolver, c->to.host, c->to.port, connector_resolved, c);
	if (c->query)
		return;
	snprintf(c->error, sizeof(c->error), "too many names are being resolved");
	connector_fail(c);
}

/* Those that were tried and have not answered, behind what is in c->error. */
static void name_the_silent(struct connector *c)
{
	size_t n = strlen(c->error), left;
	char at[ADDR_TEXT_BYTES];
	struct addr literal;
	uint64_t tenths;
	bool first = true;

	tenths = (ring_now_ms(c->worker->ring) - c->began_ms + 50) / 100;
	snprintf(c->error + n, sizeof(c->error) - n, "%sno answer within %g s", n ? ", " : "",
		 (double)tenths / 10);
	if (addr_from_literal(c->to.host, c->to.port, &literal))
		return;
	for (size_t i = 0; i < c->tried; i++) {
		n = strlen(c->error);
		left = sizeof(c->error) - n;
		if (c->attempts[i].fd < 0 || left < ADDR_TEXT_BYTES + 8)
			continue;
		addr_format(&c->attempts[i].to, at);
		snprintf(c->error + n, left, "%s%s", first ? " (at " : ", ", at);
		first = false;
	}
	n = strlen(c->error);
	if (!first)
		snprintf(c->error + n, sizeof(c->error) - n, ")");
}

static void connector_deadline_fired(struct timer *t, uint64_t now_ms)
{
	struct connector *c = container(t, struct connector, deadline);

	c->local = false;
	if (!c->attempts) {
		snprintf(c->error, sizeof(c->error),
			 "the name could not be resolved: no answer from the name servers");
		connector_fail(c);
	} else {
		name_the_silent(c);
		connector_in_vain(c);
	}
}

struct connector *connector_start(struct agent_worker *w, const struct endpoint *to,
				  uint64_t timeout_ms, connector_done_fn *done, void *owner)
{
	struct connector *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->worker = w;
	c->to = *to;
	c->timeout_ms = timeout_ms;
	c->began_ms = ring_now_ms(w->ring);
	c->done = done;
	c->owner = owner;
	c->deadline.fire = connector_deadline_fired;
	c->next.fire = connector_start_fired;
	agent_worker_hold(w);
	ring_timer_set(w->ring, &c->deadline, resolving_ms(c));
	ring_timer_set(w->ring, &c->next, 0);
	return c;
}

void connector_limit(struct connector *c, bool (*may_reach)(void *owner, const struct addr *to))
{
	c->may_reach = may_reach;
}

void connector_in_order(struct connector *c)
{
	c->in_order = true;
}

void connector_cancel(struct connector *c)
{
	c->done = NULL;
	connector_fail(c);
}
