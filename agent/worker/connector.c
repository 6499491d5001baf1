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

#include "core/container.h"

#define KEEPALIVE_IDLE_S     30
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES     3

struct attempt {
	struct ring_op op;
	struct connector *connector;
	int fd; /* -1: none */
};

struct connector {
	struct agent_worker *worker;
	connector_done_fn *done;
	bool (*may_reach)(void *owner, const struct addr *to); /* NULL: any */
	void *owner;
	struct endpoint to;
	struct timer deadline, next;
	struct resolve_query *query;
	struct addr addresses[RESOLVE_ADDRESSES_MAX];
	struct attempt attempts[RESOLVE_ADDRESSES_MAX];
	size_t count, tried, pending;
	bool resolved, over;
	char error[160];
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
		{IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
		{IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
		{IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
	};

	/* Without them a connection works too, and a local one may not be TCP. */
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		(void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
				 sizeof(options[i].value));
}

/* ---- the end ---- */

static void connector_maybe_free(struct connector *c)
{
	struct agent_worker *w = c->worker;

	if (c->pending > 0)
		return;
	ring_timer_cancel(w->ring, &c->deadline);
	ring_timer_cancel(w->ring, &c->next);
	free(c);
	agent_worker_drop(w);
}

/* Ends everything but the winner, and frees c when nothing is in flight. */
static void connector_finish(struct connector *c, int fd, bool name_failed)
{
	connector_done_fn *done = c->done;
	struct connector_result r = {fd, name_failed, fd < 0 ? c->error : NULL};

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
		done(c->owner, &r);
	connector_maybe_free(c);
}

/* ---- attempts ---- */

static void keep_error(struct connector *c, const struct addr *to, int error)
{
	char text[ADDR_TEXT_BYTES];
	struct addr literal;

	/* A literal is in the caller's sentence already. */
	if (addr_from_literal(c->to.host, c->to.port, &literal)) {
		snprintf(c->error, sizeof(c->error), "%s", strerror(error));
		return;
	}
	addr_format(to, text);
	snprintf(c->error, sizeof(c->error), "%s (at %s)", strerror(error), text);
}

static void keep_out_of_reach(struct connector *c, const struct addr *to)
{
	char text[ADDR_TEXT_BYTES];

	addr_format(to, text);
	snprintf(c->error, sizeof(c->error),
		 "%s is not within targets, which the agent's own file sets", text);
}

static bool all_failed(const struct connector *c)
{
	return c->pending == 0 && c->tried == c->count;
}

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
	keep_error(c, &c->addresses[t - c->attempts], error);
	if (all_failed(c))
		connector_finish(c, -1, false);
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
	connector_finish(c, fd, false);
}

/* Returns 0 or a positive errno.
 *
 * #syscalls socket(0 is AF_INET) socket(0 is AF_INET6) connect
 */
static int attempt_start(struct attempt *t, const struct addr *to)
{
	struct connector *c = t->connector;
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

static void connector_next_fired(struct timer *timer, uint64_t now_ms)
{
	struct connector *c = container(timer, struct connector, next);

	while (c->tried < c->count) {
		const struct addr *to = &c->addresses[c->tried];
		struct attempt *t = &c->attempts[c->tried];
		int error;

		c->tried++;
		t->connector = c;
		t->op.done = attempt_polled;
		t->fd = -1;
		if (c->may_reach && !c->may_reach(c->owner, to)) {
			keep_out_of_reach(c, to);
			continue;
		}
		error = attempt_start(t, to);
		if (error == 0) {
			if (c->tried < c->count)
				ring_timer_set(c->worker->ring, &c->next, CONNECTOR_STAGGER_MS);
			return;
		}
		keep_error(c, to, error);
	}
	if (all_failed(c))
		connector_finish(c, -1, false);
}

static void connector_resolved(void *owner, const struct addr *addresses, size_t count,
			       const char *error)
{
	struct connector *c = owner;

	c->query = NULL;
	if (error) {
		snprintf(c->error, sizeof(c->error), "the name could not be resolved: %s", error);
		connector_finish(c, -1, true);
		return;
	}
	c->resolved = true;
	memcpy(c->addresses, addresses, count * sizeof(addresses[0]));
	c->count = count;
	connector_next_fired(&c->next, 0);
}

static void connector_start_fired(struct timer *t, uint64_t now_ms)
{
	struct connector *c = container(t, struct connector, next);

	c->next.fire = connector_next_fired;
	if (addr_from_literal(c->to.host, c->to.port, &c->addresses[0])) {
		c->resolved = true;
		c->count = 1;
		connector_next_fired(t, now_ms);
		return;
	}
	c->query =
		resolve_start(&c->worker->resolver, c->to.host, c->to.port, connector_resolved, c);
	if (c->query)
		return;
	snprintf(c->error, sizeof(c->error), "too many names are being resolved");
	connector_finish(c, -1, true);
}

static void connector_deadline_fired(struct timer *t, uint64_t now_ms)
{
	struct connector *c = container(t, struct connector, deadline);

	if (!c->resolved)
		snprintf(c->error, sizeof(c->error),
			 "the name could not be resolved: no answer from the name servers");
	else if (c->error[0] == '\0')
		snprintf(c->error, sizeof(c->error), "no answer in time");
	connector_finish(c, -1, !c->resolved);
}

struct connector *connector_start(struct agent_worker *w, const struct endpoint *to,
				  uint64_t timeout_ms, connector_done_fn *done, void *owner)
{
	struct connector *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->worker = w;
	c->to = *to;
	c->done = done;
	c->owner = owner;
	c->deadline.fire = connector_deadline_fired;
	c->next.fire = connector_start_fired;
	agent_worker_hold(w);
	ring_timer_set(w->ring, &c->deadline, timeout_ms);
	ring_timer_set(w->ring, &c->next, 0);
	return c;
}

void connector_limit(struct connector *c, bool (*may_reach)(void *owner, const struct addr *to))
{
	c->may_reach = may_reach;
}

void connector_cancel(struct connector *c)
{
	c->done = NULL;
	connector_finish(c, -1, false);
}
