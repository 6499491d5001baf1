/* SPDX-License-Identifier: Apache-2.0 */
/* ring_fixture: rings for tests, probes on them, and loopback connections. */

#include "tests/support/ring_fixture.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/container.h"

#define LIMIT_MS 10000

static int open_ring(struct ring_fixture *f, unsigned entries, unsigned small_buffers)
{
	char why[512];
	struct ring_options opt = {
		.engine = f->engine,
		.entries = entries,
		.small_buffers = small_buffers,
	};
	int err = ring_open(&f->r, &opt, why, sizeof(why));
	if (err)
		print_message("%s: %s\n", ring_engine_name(f->engine), why);
	return err;
}

static int setup(void **state, enum ring_engine engine)
{
	struct ring_fixture *f = calloc(1, sizeof(*f));
	f->engine = engine;
	int err = open_ring(f, 64, 16);
	*state = f;
	return engine == RING_EPOLL ? err : 0;
}

int ring_fixture_io_uring(void **state)
{
	return setup(state, RING_IO_URING);
}

int ring_fixture_epoll(void **state)
{
	return setup(state, RING_EPOLL);
}

int ring_fixture_teardown(void **state)
{
	struct ring_fixture *f = *state;
	ring_close(f->r);
	free(f);
	return 0;
}

struct ring_fixture *ring_fixture(void **state)
{
	struct ring_fixture *f = *state;
	if (!f->r)
		skip();
	return f;
}

void ring_fixture_reopen(struct ring_fixture *f, unsigned entries, unsigned small_buffers)
{
	ring_close(f->r);
	f->r = NULL;
	assert_int_equal(open_ring(f, entries, small_buffers), 0);
}

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

static void on_limit(struct timer *t, uint64_t now_ms)
{
	struct ring_fixture *f = container(t, struct ring_fixture, limit);
	f->limit_reached = true;
	ring_stop(f->r);
}

static void start_limit(struct ring_fixture *f, uint64_t ms)
{
	f->limit_reached = false;
	f->limit.fire = on_limit;
	ring_timer_set(f->r, &f->limit, ms);
}

void run_until(struct ring_fixture *f, struct probe *p, unsigned n)
{
	start_limit(f, LIMIT_MS);
	while (p->done < n) {
		assert_int_equal(ring_run(f->r), 0);
		if (f->limit_reached)
			fail_msg("only %u of %u results in %d ms", p->done, n, LIMIT_MS);
	}
	ring_timer_cancel(f->r, &f->limit);
}

void run_for(struct ring_fixture *f, uint64_t ms)
{
	start_limit(f, ms);
	while (!f->limit_reached)
		assert_int_equal(ring_run(f->r), 0);
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

int dial_loopback(int listener)
{
	struct timeval limit = {.tv_sec = LIMIT_MS / 1000};
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)), 0);
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

void write_all(int fd, const void *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = send(fd, (const char *)data + at, len - at, MSG_NOSIGNAL);
		assert_true(n > 0);
		at += (size_t)n;
	}
}

void read_all(int fd, void *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = recv(fd, (char *)data + at, len - at, 0);
		assert_true(n > 0);
		at += (size_t)n;
	}
}

void shut(struct ring_fixture *f, int ours, int theirs)
{
	ring_close_fd(f->r, ours);
	if (theirs >= 0)
		close(theirs);
}
