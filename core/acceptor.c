/* SPDX-License-Identifier: Apache-2.0 */
/* acceptor: one accept operation, and a timer that starts it again. */
#include "core/acceptor.h"

#include <errno.h>
#include <string.h>
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

static void acceptor_maybe_closed(struct acceptor *a)
{
	if (ring_op_busy(&a->op))
		return;
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
		a->accepted(a, res);
		return;
	}
	if (res >= 0)
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
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
}
