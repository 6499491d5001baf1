/* SPDX-License-Identifier: Apache-2.0 */
/* listener: accepting, on one socket per worker and address. */
#include "relay/front/listener.h"

#include <stdlib.h>
#include <unistd.h>

#include "core/container.h"
#include "core/memory.h"
#include "relay/front/conn.h"

static void listener_accepted(struct acceptor *a, int fd)
{
	conn_accepted(container(a, struct relay_listener, acceptor), fd);
}

static bool listener_dropping(struct acceptor *a, int fd)
{
	struct relay_listener *l = container(a, struct relay_listener, acceptor);

	worker_count(l->worker, REASON_LIMIT_CONNECTIONS);
	return false;
}

static void listener_closed(struct acceptor *a)
{
	struct relay_listener *l = container(a, struct relay_listener, acceptor);
	struct relay_listener **at = &l->worker->listeners;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	memory_free(l);
}

bool listener_add(struct worker *w, const struct bind_address *at, int fd)
{
	struct relay_listener *l = memory_zeroed(sizeof *l);

	if (!l) {
		close(fd);
		return false;
	}
	l->acceptor = (struct acceptor){
		.name = "relay",
		.accepted = listener_accepted,
		.dropping = listener_dropping,
		.empties = true,
		.closed = listener_closed,
	};
	acceptor_init(&l->acceptor, fd);
	l->worker = w;
	l->address = at->address;
	l->proxy_protocol = at->proxy_protocol;
	l->stun_only = at->kind == BIND_STUN;
	l->next = w->listeners;
	w->listeners = l;
	return true;
}

void listener_start_all(struct worker *w)
{
	for (struct relay_listener *l = w->listeners; l; l = l->next)
		acceptor_start(&l->acceptor, w->ring);
}

void listener_keep(struct worker *w, const struct bind_list *next)
{
	for (struct relay_listener *l = w->listeners, *after; l; l = after) {
		const struct bind_address *at = bind_list_find(next, false, &l->address);

		after = l->next;
		if (at) {
			l->proxy_protocol = at->proxy_protocol;
			l->stun_only = at->kind == BIND_STUN;
		} else {
			acceptor_close(&l->acceptor); /* a sealed relay may not shut it down */
		}
	}
}

/* What waits in a socket's queue is accepted first, and served here. What is still shaking hands
 * with the kernel then is reset, not handed to other sockets of the address (unless
 * net.ipv4.tcp_migrate_req says so, since Linux 5.14). */
void listener_close_all(struct worker *w)
{
	for (struct relay_listener *l = w->listeners, *after; l; l = after) {
		after = l->next;
		acceptor_close(&l->acceptor);
	}
}

void listener_free_all(struct worker *w)
{
	while (w->listeners) {
		struct relay_listener *l = w->listeners;

		w->listeners = l->next;
		acceptor_free(&l->acceptor);
		memory_free(l);
	}
}
