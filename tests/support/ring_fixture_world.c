/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_fixture_world: in place of ring_fixture.c, on the simulated kernel and clock of tests/world:
 * what such a test waits for takes no time, and comes in time however busy the machine is. Its
 * sockets and its files are simulated ones.
 *
 * A test that links it says so by linking tests/world/kernel.c: then the linker leads its calls
 * there (Makefile).
 */
#include "tests/support/ring_fixture.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/ring_internal.h"
#include "tests/support/ring_probe.h"
#include "tests/world/kernel.h"
#include "tests/world/store.h"
#include "tests/world/world.h"

#define LIMIT_US    (10 * SECOND)
#define TURN_US	    50u /* for some turns, if there is anything to do */
#define DRAIN_BYTES 40000u
#define DRAIN_US    300u /* between two receives of a drain */

const unsigned ring_fixture_rounds = 8;

static uint64_t next_seed = 1;

static int open_ring(struct ring_fixture *f, unsigned entries, unsigned small_buffers)
{
	struct ring_options options = {
		.engine = f->engine, .entries = entries, .small_buffers = small_buffers};
	char why[256];

	if (ring_open(&f->r, &options, why, sizeof(why)))
		return -1;
	world_ring_add(f->r, k_current);
	return 0;
}

static int setup(void **state, enum ring_engine engine)
{
	struct ring_fixture *f;

	world_begin(next_seed++);
	k_enter(k_program_new("test", k_host_new("test")));
	f = calloc(1, sizeof(*f));
	if (!f)
		return -1;
	f->engine = engine;
	*state = f;
	return open_ring(f, 64, 16);
}

int ring_fixture_io_uring(void **state)
{
	return setup(state, RING_IO_URING);
}

int ring_fixture_epoll(void **state)
{
	return setup(state, RING_EPOLL);
}

void ring_fixture_close(struct ring_fixture *f)
{
	if (!f->r)
		return;
	world_ring_remove(f->r);
	ring_close(f->r);
	f->r = NULL;
}

void ring_fixture_reopen(struct ring_fixture *f, unsigned entries, unsigned small_buffers)
{
	ring_fixture_close(f);
	assert_int_equal(open_ring(f, entries, small_buffers), 0);
}

/* A test that has held may leave nothing open and nothing allocated. */
int ring_fixture_teardown(void **state)
{
	struct ring_fixture *f = *state;
	struct k_program *p = k_current;
	char list[256];
	bool left;

	ring_fixture_close(f);
	free(f);
	k_enter(NULL);
	k_program_list(p, list, sizeof(list));
	left = p->open_count > 0 || p->memory_count > 0;
	if (left)
		print_error("left: %zu allocations, %zu descriptors:%s\n", p->memory_count,
			    p->open_count, list);
	world_end();
	return left ? -1 : 0;
}

struct ring_fixture *ring_fixture(void **state)
{
	return *state;
}

/* ---- running ---- */

static bool has_stopped(void *context)
{
	return world_ring_stopped(((struct ring_fixture *)context)->r);
}

/* False: it was not stopped before that time of the clock. */
static bool run_to_stop(struct ring_fixture *f, uint64_t until_us)
{
	if (!world_until(has_stopped, f, until_us - k_now_us))
		return false;
	atomic_store(&f->r->stop, false); /* as ring_run() does */
	return true;
}

void run_until(struct ring_fixture *f, struct probe *p, unsigned n)
{
	uint64_t limit_us = k_now_us + LIMIT_US;

	while (p->done < n)
		if (k_now_us >= limit_us || !run_to_stop(f, limit_us))
			fail_msg("only %u of %u results in %u s", p->done, n, LIMIT_US / SECOND);
}

void run_until_stopped(struct ring_fixture *f)
{
	assert_true(run_to_stop(f, k_now_us + LIMIT_US));
}

void run_for(struct ring_fixture *f, uint64_t ms)
{
	uint64_t until_us = k_now_us + (ms > 0 ? ms * MS : TURN_US);

	while (k_now_us < until_us)
		(void)run_to_stop(f, until_us);
}

/* ---- the other end, which waits while the world goes on ---- */

static bool is_ready(void *context)
{
	const struct pollfd *p = context;
	struct k_file *f = k_file_get(p->fd);

	return !f || (k_ready(f) & ((unsigned)p->events | POLLERR | POLLHUP));
}

static void wait_for(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	assert_true(world_until(is_ready, &p, LIMIT_US));
}

int dial_loopback(int listener)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	int error = 0, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, len), -1);
	assert_int_equal(errno, EINPROGRESS);
	wait_for(fd, POLLOUT);
	len = sizeof(error);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	assert_int_equal(error, 0);
	return fd;
}

ssize_t read_some(int fd, void *data, size_t len)
{
	ssize_t n;

	while ((n = recv(fd, data, len, 0)) < 0 && errno == EAGAIN)
		wait_for(fd, POLLIN);
	return n;
}

void read_all(int fd, void *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = read_some(fd, (char *)data + at, len - at);
		assert_true(n > 0);
		at += (size_t)n;
	}
}

void write_all(int fd, const void *data, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = send(fd, (const char *)data + at, len - at, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) {
			wait_for(fd, POLLOUT);
			continue;
		}
		assert_true(n > 0);
		at += (size_t)n;
	}
}

static void drain_reads(void *context, uint64_t program)
{
	static uint8_t buf[DRAIN_BYTES];
	struct drain *d = context;
	struct k_program *was = k_enter((struct k_program *)(uintptr_t)program);
	ssize_t n = recv(d->fd, buf, sizeof(buf), 0);

	for (ssize_t i = 0; d->expected && i < n; i++)
		d->wrong |= buf[i] != d->expected(d->got + (size_t)i);
	d->got += n > 0 ? (size_t)n : 0;
	d->ended = n == 0 || (n < 0 && errno != EAGAIN);
	if (!d->ended)
		world_after(DRAIN_US, drain_reads, d, program);
	k_enter(was);
}

void drain_start(struct drain *d)
{
	world_after(DRAIN_US, drain_reads, d, (uintptr_t)k_current);
}

static bool drain_has_ended(void *context)
{
	return ((struct drain *)context)->ended;
}

size_t drain_end(struct drain *d)
{
	assert_true(world_until(drain_has_ended, d, LIMIT_US));
	assert_false(d->wrong);
	return d->got;
}

void fixture_write_file(const char *path, const char *text)
{
	store_write(path, text, strlen(text));
}
