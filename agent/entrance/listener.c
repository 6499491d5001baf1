/* SPDX-License-Identifier: Apache-2.0 */
/* listener: one local listening socket. */
#include "agent/entrance/listener.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/worker/connector.h"
#include "core/container.h"
#include "core/listening.h"

#define IN_USE_TRIES	50
#define IN_USE_PAUSE_NS 20000000L

/* #syscalls getpeername */
static void agent_listener_accepted(struct acceptor *a, int fd)
{
	struct agent_listener *l = container(a, struct agent_listener, acceptor);
	char source[ADDR_TEXT_BYTES] = "";
	struct addr from = {.len = sizeof(from.v6)};

	connector_tune(fd);
	if (getpeername(fd, &from.sa, &from.len) == 0)
		addr_format(&from, source);
	l->accepted(l, fd, source);
}

static void agent_listener_closed(struct acceptor *a)
{
	struct agent_listener *l = container(a, struct agent_listener, acceptor);
	struct agent_worker *w = l->worker;

	l->closed(l);
	agent_worker_drop(w);
}

/* When a process with an io_uring is killed, the kernel takes the ring down a moment after the
 * process has gone, and only then closes its listeners: the next one waits for that, for a second
 * at most. */
static int entrance_listen(const struct addr *address, bool patiently, bool *absent)
{
	const struct timespec pause = {.tv_nsec = IN_USE_PAUSE_NS};
	int fd = listening_open_ahead(address, absent);

	for (unsigned tries = 0; fd == -EADDRINUSE && patiently && tries < IN_USE_TRIES; tries++) {
		nanosleep(&pause, NULL);
		fd = listening_open_ahead(address, absent);
	}
	return fd;
}

/* #syscalls getsockname */
int agent_listener_open(struct agent_listener *l, struct agent_worker *w,
			const struct addr *address, bool patiently, struct addr *bound,
			bool *absent)
{
	struct addr in_use = {.len = sizeof(in_use.v6)};
	int fd = entrance_listen(address, patiently, absent);

	if (fd < 0)
		return fd;
	if (getsockname(fd, &in_use.sa, &in_use.len) < 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	l->worker = w;
	l->acceptor = (struct acceptor){
		.name = "listen",
		.accepted = agent_listener_accepted,
		.closed = agent_listener_closed,
	};
	acceptor_init(&l->acceptor, fd);
	*bound = in_use;
	agent_worker_hold(w);
	return 0;
}

void agent_listener_begin(struct agent_listener *l)
{
	acceptor_start(&l->acceptor, l->worker->ring);
}

void agent_listener_close(struct agent_listener *l)
{
	acceptor_close(&l->acceptor);
}
