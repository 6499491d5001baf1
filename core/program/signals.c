/* SPDX-License-Identifier: Apache-2.0 */
/* signals: the signals that a program answers in its loop, by signalfd(2). An interface of its own:
 * all daemons use it. */
#include "core/program/signals.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/container.h"
#include "core/log.h"

static void signals_finish(struct signals *s)
{
	ring_close_fd(s->ring, s->fd);
	s->fd = -1;
	if (s->closed)
		s->closed(s);
}

static void signals_polled(struct ring_op *op, int res)
{
	struct signals *s = container(op, struct signals, op);
	struct signalfd_siginfo info;

	s->reading = true;
	while (res > 0 && !s->closing && read(s->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		s->came(s, (int)info.ssi_signo);
	s->reading = false;
	if (s->closing)
		signals_finish(s);
	else if (res < 0)
		log_error("signals", "signals are not answered any more: error %d", -res);
	else
		ring_poll(s->ring, op, s->fd, POLLIN);
}

int signals_open(struct signals *s, const int *numbers)
{
	sigset_t set;
	int error;

	sigemptyset(&set);
	for (; *numbers; numbers++)
		sigaddset(&set, *numbers);
	s->fd = -1;
	error = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (error)
		return -error;
	s->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return s->fd < 0 ? -errno : 0;
}

void signals_follow(struct signals *s, struct ring *ring)
{
	s->ring = ring;
	s->reading = s->closing = false;
	s->op.done = signals_polled;
	ring_poll(ring, &s->op, s->fd, POLLIN);
}

void signals_close(struct signals *s)
{
	if (s->closing || s->fd < 0)
		return;
	s->closing = true;
	if (ring_op_busy(&s->op))
		ring_cancel(s->ring, &s->op);
	else if (!s->reading)
		signals_finish(s);
}

void signals_free(struct signals *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}
