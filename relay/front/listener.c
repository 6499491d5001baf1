/* SPDX-License-Identifier: Apache-2.0 */
/* listener: accepting, on one socket per worker and address. */
#include "relay/front/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/container.h"
#include "core/log.h"
#include "relay/front/conn.h"

#define ACCEPT_PAUSE_MS 100u
#define LISTEN_BACKLOG	4096

int listener_bind(const struct addr *address)
{
	const int on = 1;
	int fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0 ||
	    bind(fd, &address->sa, address->len) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
		int error = errno;
		close(fd);
		return -error;
	}
	return fd;
}

static void listener_free(struct relay_listener *l)
{
	struct relay_listener **at = &l->worker->listeners;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	ring_timer_cancel(l->worker->ring, &l->retry);
	ring_close_fd(l->worker->ring, l->fd);
	free(l);
}

static void listener_accepted(struct ring_op *op, int res)
{
	struct relay_listener *l = (struct relay_listener *)op;

	if (res >= 0) {
		conn_accepted(l, res);
	} else if (l->closing) {
		listener_free(l);
	} else {
		worker_count(l->worker, REASON_LIMIT_CONNECTIONS);
		log_warning("relay", "cannot accept: %s; trying again in %u ms", strerror(-res),
			    ACCEPT_PAUSE_MS);
		ring_timer_set(l->worker->ring, &l->retry, ACCEPT_PAUSE_MS);
	}
}

/* Stops accepting and goes away. A sealed relay may not shut a listener down, only close it. */
static void listener_close(struct relay_listener *l)
{
	l->closing = true;
	if (ring_op_busy(&l->op))
		ring_cancel(l->worker->ring, &l->op);
	else
		listener_free(l);
}

static void listener_start(struct relay_listener *l)
{
	l->op.done = listener_accepted;
	ring_accept(l->worker->ring, &l->op, l->fd);
}

static void listener_retry(struct timer *t, uint64_t now_ms)
{
	struct relay_listener *l = container(t, struct relay_listener, retry);

	if (!ring_op_busy(&l->op) && !l->worker->draining)
		listener_start(l);
}

bool listener_add(struct worker *w, const struct bind_address *at, int fd)
{
	struct relay_listener *l = calloc(1, sizeof *l);

	if (!l) {
		close(fd);
		return false;
	}
	l->worker = w;
	l->retry.fire = listener_retry;
	l->address = at->address;
	l->proxy_protocol = at->proxy_protocol;
	l->stun_only = at->kind == BIND_STUN;
	l->fd = fd;
	l->next = w->listeners;
	w->listeners = l;
	return true;
}

void listener_start_all(struct worker *w)
{
	for (struct relay_listener *l = w->listeners; l; l = l->next)
		if (!ring_op_busy(&l->op) && !l->closing && !timer_pending(&l->retry))
			listener_start(l);
}

void listener_keep(struct worker *w, const struct bind_list *next)
{
	for (struct relay_listener *l = w->listeners, *after; l; l = after) {
		const struct bind_address *at = bind_list_find(next, false, &l->address);

		after = l->next;
		if (at) {
			l->proxy_protocol = at->proxy_protocol;
			l->stun_only = at->kind == BIND_STUN;
		} else if (!l->closing) {
			listener_close(l);
		}
	}
}

void listener_close_all(struct worker *w)
{
	for (struct relay_listener *l = w->listeners, *after; l; l = after) {
		after = l->next;
		listener_close(l);
	}
}

void listener_free_all(struct worker *w)
{
	while (w->listeners) {
		struct relay_listener *l = w->listeners;

		w->listeners = l->next;
		close(l->fd);
		free(l);
	}
}
