/* SPDX-License-Identifier: Apache-2.0 */
/* acceptor: one accept operation, and a timer that starts it again. */
#include "core/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/container.h"
#include "core/log.h"

static const char *remedy(int error)
{
	switch (error) {
	case EMFILE:
		return "; raise the limit of descriptors (LimitNOFILE), or lower the limits of "
		       "connections in the configuration";
	case ENFILE:
		return "; raise the system's limit of files, fs.file-max";
	case ENOMEM:
	case ENOBUFS:
		return "; the system is short of memory";
	default:
		return "";
	}
}

/* #syscalls-rare accept4; where descriptors have run out, and where a listener closes */
static int accept_now(int listener)
{
	int fd;

	do
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	while (fd < 0 && ring_accept_again(errno));
	return fd;
}

/* ---- the reserve ---- */

/* #syscalls fcntl(1 is F_DUPFD_CLOEXEC) */
static void reserve_take(struct acceptor *a)
{
	if (a->reserve < 0)
		a->reserve = fcntl(a->fd, F_DUPFD_CLOEXEC, 0);
}

static void reserve_give_back(struct acceptor *a)
{
	if (a->reserve >= 0)
		close(a->reserve);
	a->reserve = -1;
}

/* Another thread may take the place meanwhile: then they wait for the next pause. */
static void acceptor_drop_waiting(struct acceptor *a)
{
	int fd;

	reserve_give_back(a);
	for (unsigned n = 0; n < ACCEPTOR_DROPS && (fd = accept_now(a->fd)) >= 0; n++) {
		a->dropped++;
		if (a->dropping && a->dropping(a, fd))
			ring_close_fd(a->ring, fd);
		else
			ring_reset_fd(a->ring, fd);
	}
	reserve_take(a);
}

/* ---- accepting ---- */

/* A connection that comes behind the last look is the kernel's to reset. */
static void acceptor_empty(struct acceptor *a)
{
	int fd;

	while ((fd = accept_now(a->fd)) >= 0)
		a->accepted(a, fd);
}

static void acceptor_maybe_closed(struct acceptor *a)
{
	if (ring_op_busy(&a->op))
		return;
	if (a->empties && a->ring)
		acceptor_empty(a);
	reserve_give_back(a);
	if (a->ring)
		ring_close_fd(a->ring, a->fd);
	else
		close(a->fd);
	a->fd = -1;
	if (a->closed)
		a->closed(a);
}

static void acceptor_pause(struct acceptor *a, int error)
{
	if (a->failing && (error == EMFILE || error == ENFILE))
		acceptor_drop_waiting(a);
	if (!a->failing)
		log_warning(a->name, "cannot accept: %s; trying again every %u ms%s",
			    strerror(error), ACCEPTOR_PAUSE_MS, remedy(error));
	a->failing = true;
	a->pauses++;
	ring_timer_set(a->ring, &a->pause, ACCEPTOR_PAUSE_MS);
	if (a->paused)
		a->paused(a);
}

static void acceptor_accepted(struct ring_op *op, int res)
{
	struct acceptor *a = container(op, struct acceptor, op);

	if (res >= 0 && !a->closing) {
		a->failing = false;
		reserve_take(a);
		a->accepted(a, res);
		return;
	}
	if (res >= 0 && a->empties)
		a->accepted(a, res);
	else if (res >= 0)
		ring_close_fd(a->ring, res);
	if (a->closing)
		acceptor_maybe_closed(a);
	else
		acceptor_pause(a, -res);
}

static void acceptor_pause_over(struct timer *t, uint64_t now_ms)
{
	struct acceptor *a = container(t, struct acceptor, pause);

	ring_accept(a->ring, &a->op, a->fd);
}

void acceptor_init(struct acceptor *a, int fd)
{
	a->fd = fd;
	a->reserve = -1;
	reserve_take(a);
	a->op.done = acceptor_accepted;
	a->pause.fire = acceptor_pause_over;
}

void acceptor_start(struct acceptor *a, struct ring *ring)
{
	if (a->ring || a->closing)
		return;
	a->ring = ring;
	ring_accept(a->ring, &a->op, a->fd);
}

void acceptor_close(struct acceptor *a)
{
	if (a->closing || a->fd < 0)
		return;
	a->closing = true;
	if (a->ring) {
		ring_timer_cancel(a->ring, &a->pause);
		ring_cancel(a->ring, &a->op);
	}
	acceptor_maybe_closed(a);
}

bool acceptor_is_closed(const struct acceptor *a)
{
	return a->fd < 0;
}

void acceptor_free(struct acceptor *a)
{
	if (a->fd >= 0) {
		reserve_give_back(a);
		close(a->fd);
	}
	a->fd = -1;
}
