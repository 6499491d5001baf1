/* SPDX-License-Identifier: Apache-2.0 */
/* ring_probe: what ring_fixture.c and ring_fixture_world.c do in the same way; theirs only. */
#ifndef POSTERN_TESTS_RING_PROBE_H
#define POSTERN_TESTS_RING_PROBE_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/ring_fixture.h"

static void on_done(struct ring_op *op, int res)
{
	struct probe *p = (struct probe *)op;
	p->done++;
	p->res = res;
	if (res >= 0 && p->fd_count < sizeof(p->fds) / sizeof(*p->fds))
		p->fds[p->fd_count++] = res;
	ring_stop(p->r);
}

void probe_init(struct ring_fixture *f, struct probe *p)
{
	*p = (struct probe){.op.done = on_done, .r = f->r};
}

void cancel_and_wait(struct ring_fixture *f, struct probe *p)
{
	unsigned before = p->done;
	ring_cancel(f->r, &p->op);
	ring_cancel(f->r, &p->op);
	assert_int_equal(p->done, before);
	run_until(f, p, before + 1);
	assert_int_equal(p->res, -ECANCELED);
	assert_false(ring_op_busy(&p->op));
}

unsigned count_done(const struct probe *p, size_t n)
{
	unsigned done = 0;
	for (size_t i = 0; i < n; i++)
		done += p[i].done;
	return done;
}

int listen_loopback(void)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 128), 0);
	return fd;
}

void tcp_pair(int *ours, int *theirs)
{
	int listener = listen_loopback();
	*theirs = dial_loopback(listener);
	*ours = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(*ours >= 0);
	close(listener);
}

void shut(struct ring_fixture *f, int ours, int theirs)
{
	ring_close_fd(f->r, ours);
	if (theirs >= 0)
		close(theirs);
}

#endif
