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
#include "tests/support/ring_probe.h"

#define LIMIT_MS 10000

const unsigned ring_fixture_rounds = 1;

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

void ring_fixture_close(struct ring_fixture *f)
{
	ring_close(f->r);
	f->r = NULL;
}

void ring_fixture_reopen(struct ring_fixture *f, unsigned entries, unsigned small_buffers)
{
	ring_fixture_close(f);
	assert_int_equal(open_ring(f, entries, small_buffers), 0);
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

void run_until_stopped(struct ring_fixture *f)
{
	start_limit(f, LIMIT_MS);
	assert_int_equal(ring_run(f->r), 0);
	assert_false(f->limit_reached);
	ring_timer_cancel(f->r, &f->limit);
}

void run_for(struct ring_fixture *f, uint64_t ms)
{
	start_limit(f, ms);
	while (!f->limit_reached)
		assert_int_equal(ring_run(f->r), 0);
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

ssize_t read_some(int fd, void *data, size_t len)
{
	return recv(fd, data, len, 0);
}

static void *drain_main(void *arg)
{
	static _Thread_local uint8_t buf[40000];
	struct drain *d = arg;
	ssize_t n;

	while ((n = recv(d->fd, buf, sizeof(buf), 0)) > 0) {
		for (ssize_t i = 0; d->expected && i < n; i++)
			d->wrong |= buf[i] != d->expected(d->got + (size_t)i);
		d->got += (size_t)n;
		if (d->got % 7 == 0)
			usleep(1000);
	}
	return NULL;
}

void drain_start(struct drain *d)
{
	assert_int_equal(pthread_create(&d->thread, NULL, drain_main, d), 0);
}

size_t drain_end(struct drain *d)
{
	pthread_join(d->thread, NULL);
	assert_false(d->wrong);
	return d->got;
}

void fixture_write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}
