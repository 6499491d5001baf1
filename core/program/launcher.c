/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launcher: the daemon's side: starts the launcher, asks it, hears of ends. Never waits for it.
 *
 * In a sealed daemon this takes socketpair, fcntl, sendmsg and what the ring does.
 */
#include "core/program/launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/container.h"
#include "core/passing.h"
#include "core/program/launcher_internal.h"

#define READY_MS 5000

/* ---- start ---------------------------------------------------------------------------------- */

/* The launcher's first note: 0 or -errno of its confinement. */
static int await_ready(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct launcher_note note;
	int n;

	while ((n = poll(&p, 1, READY_MS)) < 0 && errno == EINTR)
		;
	if (n == 0)
		return -ETIMEDOUT;
	if (n < 0 || recv(fd, &note, sizeof(note), MSG_DONTWAIT) != (ssize_t)sizeof(note))
		return -EPIPE;
	return note.status;
}

int launcher_start(struct launcher *l, const struct launcher_plan *plan)
{
	int pair[2], error;
	pid_t child;

	l->fd = -1;
	l->last = 0;
	l->ring = NULL;
	memset(&l->op, 0, sizeof(l->op));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return -errno;
	child = fork();
	if (child == 0)
		launcher_main(pair[1], plan);
	error = child < 0 ? -errno : 0;
	close(pair[1]);
	if (!error)
		error = await_ready(pair[0]);
	l->fd = pair[0];
	l->pid = child;
	if (error)
		(void)launcher_stop(l);
	return error;
}

/* ---- requests -------------------------------------------------------------------------------- */

/* socket -1: none comes along. */
/* #syscalls sendmsg */
static int launcher_ask(const struct launcher *l, struct launcher_request *r, int socket)
{
	struct iovec whole = {r, sizeof(*r)};
	union passing along;
	struct msghdr m = {.msg_iov = &whole, .msg_iovlen = 1};

	if (l->fd < 0)
		return -EPIPE;
	if (socket >= 0)
		passing_put(&m, &along, socket);
	return sendmsg(l->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* #syscalls socketpair(0 is AF_UNIX) fcntl(1 is F_SETFL) */
int launcher_serve(struct launcher *l, uint32_t deadline_ms, int *fd, uint32_t *number)
{
	struct launcher_request r = {
		.act = LAUNCHER_SERVE, .number = l->last + 1, .deadline_ms = deadline_ms};
	int pair[2], error = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	/* Ours alone: the child may wait. */
	if (fcntl(pair[0], F_SETFL, O_NONBLOCK))
		error = -errno;
	if (!error)
		error = launcher_ask(l, &r, pair[1]);
	close(pair[1]);
	if (error) {
		close(pair[0]);
		return error;
	}
	*fd = pair[0];
	*number = ++l->last;
	return 0;
}

int launcher_run(struct launcher *l, const char *const *arguments, uint32_t deadline_ms,
		 uint32_t *number)
{
	struct launcher_request r = {
		.act = LAUNCHER_RUN, .number = l->last + 1, .deadline_ms = deadline_ms};
	size_t used = 0, size;
	int error;

	for (; arguments[r.argument_count]; r.argument_count++) {
		size = strlen(arguments[r.argument_count]) + 1;
		if (r.argument_count == LAUNCHER_ARGUMENTS_MAX || size > sizeof(r.text) - used)
			return -E2BIG;
		memcpy(r.text + used, arguments[r.argument_count], size);
		used += size;
	}
	error = launcher_ask(l, &r, -1);
	if (!error)
		*number = ++l->last;
	return error;
}

void launcher_kill(struct launcher *l, uint32_t number)
{
	struct launcher_request r = {.act = LAUNCHER_KILL, .number = number};

	/* Where it cannot be said, the deadline or the daemon's own end does it. */
	(void)!launcher_ask(l, &r, -1);
}

/* ---- notes ----------------------------------------------------------------------------------- */

static void launcher_heard(struct ring_op *op, int res)
{
	struct launcher *l = container(op, struct launcher, op);

	if (res == -ECANCELED || !l->ring)
		return;
	if (res <= 0) {
		if (l->gone)
			l->gone(l);
		return;
	}
	if (res == (int)sizeof(l->note) && l->child_ended)
		l->child_ended(l, l->note.number, l->note.status);
	if (l->ring)
		ring_recv(l->ring, &l->op, l->fd, &l->note, sizeof(l->note));
}

void launcher_follow(struct launcher *l, struct ring *ring)
{
	l->ring = ring;
	l->op.done = launcher_heard;
	ring_recv(ring, &l->op, l->fd, &l->note, sizeof(l->note));
}

bool launcher_stop(struct launcher *l)
{
	struct ring *ring = l->ring;

	if (l->fd < 0)
		return true;
	if (ring && ring_op_busy(&l->op)) {
		ring_cancel(ring, &l->op);
		return false;
	}
	if (ring)
		ring_close_fd(ring, l->fd);
	else
		close(l->fd);
	l->fd = -1;
	l->ring = NULL;
	/* A sealed daemon cannot wait for its child, which sees the socket end.
	 *
	 * #syscalls-denied wait4|waitid; the child ends by itself
	 */
	if (l->pid > 0)
		(void)waitpid(l->pid, NULL, ring ? WNOHANG : 0);
	l->pid = 0;
	return true;
}
