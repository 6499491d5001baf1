/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acceptor: it accepts until it is closed; running out of descriptors only makes it pause.
 *
 * links: core/acceptor.c core/buffers.c core/log*.c core/ring.c core/ring_epoll.c core/ring_uring.c
 * links: core/timer.c tests/support/ring_fixture.c core/memory.c
 */
#include "tests/support/ring_fixture.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/acceptor.h"
#include "core/container.h"

#define CLIENTS 40

struct scene {
	struct acceptor acceptor;
	struct ring_fixture *f;
	unsigned count, paused, dropped, closed;
	int fds[CLIENTS];
	unsigned close_at; /* closes the acceptor in accepted(), with that many; 0: never */
};

static void scene_accepted(struct acceptor *a, int fd)
{
	struct scene *s = container(a, struct scene, acceptor);

	assert_true(s->count < CLIENTS);
	s->fds[s->count++] = fd;
	if (s->count == s->close_at)
		acceptor_close(a);
}

static void scene_paused(struct acceptor *a)
{
	container(a, struct scene, acceptor)->paused++;
}

static bool scene_dropping(struct acceptor *a, int fd)
{
	assert_int_equal(send(fd, "!", 1, MSG_NOSIGNAL), 1);
	container(a, struct scene, acceptor)->dropped++;
	return true;
}

static void scene_closed(struct acceptor *a)
{
	assert_true(acceptor_is_closed(a));
	container(a, struct scene, acceptor)->closed++;
}

/* Returns the listener. */
static int scene_open(void **state, struct scene *s)
{
	int listener = listen_loopback();

	*s = (struct scene){.f = ring_fixture(state)};
	s->acceptor = (struct acceptor){.name = "test",
					.accepted = scene_accepted,
					.paused = scene_paused,
					.dropping = scene_dropping,
					.closed = scene_closed};
	assert_int_equal(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
	acceptor_init(&s->acceptor, listener);
	return listener;
}

static void scene_shut(struct scene *s, const int *clients, unsigned count)
{
	acceptor_close(&s->acceptor);
	for (int i = 0; i < 200 && !acceptor_is_closed(&s->acceptor); i++)
		run_for(s->f, 5);
	assert_true(acceptor_is_closed(&s->acceptor));
	assert_int_equal(s->closed, 1);
	for (unsigned i = 0; i < s->count; i++)
		ring_close_fd(s->f->r, s->fds[i]);
	for (unsigned i = 0; i < count; i++)
		close(clients[i]);
}

/* Runs the loop until so many have been accepted, for two seconds at most. */
static void await(struct scene *s, unsigned count)
{
	for (int i = 0; i < 200 && s->count < count; i++)
		run_for(s->f, 10);
	assert_int_equal(s->count, count);
}

static void test_accepts_all_that_come(void **state)
{
	struct scene s;
	int clients[3], listener = scene_open(state, &s);

	clients[0] = dial_loopback(listener);
	run_for(s.f, 20);
	assert_int_equal(s.count, 0); /* before its start: they wait */
	acceptor_start(&s.acceptor, s.f->r);
	acceptor_start(&s.acceptor, s.f->r);
	await(&s, 1);
	clients[1] = dial_loopback(listener);
	clients[2] = dial_loopback(listener);
	await(&s, 3);
	assert_int_equal(s.paused, 0);
	scene_shut(&s, clients, 3);
}

/* No descriptor is to be had beyond those that are open now. Not 0: poll(2) refuses to look at more
 * descriptors than the limit says. */
static void forbid_descriptors(struct rlimit *before)
{
	struct rlimit none;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, before), 0);
	none = (struct rlimit){.rlim_cur = 3, .rlim_max = before->rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

static void test_pauses_without_descriptors_and_goes_on(void **state)
{
	struct scene s;
	struct rlimit before;
	int clients[2], listener = scene_open(state, &s);

	clients[0] = dial_loopback(listener);
	clients[1] = dial_loopback(listener);
	acceptor_start(&s.acceptor, s.f->r);
	forbid_descriptors(&before);
	for (int i = 0; i < 100 && s.paused < 3; i++)
		run_for(s.f, 10);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	/* It has tried again, and not without a pause. */
	assert_in_range(s.paused, 3, 4);
	assert_int_equal(s.acceptor.pauses, s.paused);
	assert_true(s.acceptor.failing);
	assert_int_equal(s.count, 0);
	await(&s, 2);
	assert_false(s.acceptor.failing);
	scene_shut(&s, clients, 2);
}

/* Not one descriptor more than are open now. */
static void fill_descriptors(struct rlimit *before, int *fillers, unsigned *count)
{
	struct rlimit some;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, before), 0);
	some = (struct rlimit){.rlim_cur = 100, .rlim_max = before->rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &some), 0);
	for (*count = 0; *count < 100 && (fillers[*count] = dup(0)) >= 0; ++*count)
		;
}

/* Those who wait hear the end, and why; what comes later finds the reserve as it was. */
static void test_drops_what_waits_without_descriptors(void **state)
{
	struct scene s;
	struct rlimit before;
	int clients[7], fillers[100], listener = scene_open(state, &s);
	unsigned filled;
	char byte = 0;

	for (unsigned i = 0; i < 3; i++)
		clients[i] = dial_loopback(listener);
	clients[3] = dial_loopback(listener);
	clients[4] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	clients[5] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	acceptor_start(&s.acceptor, s.f->r);
	fill_descriptors(&before, fillers, &filled);
	for (int i = 0; i < 100 && s.dropped < 4; i++)
		run_for(s.f, 10);
	assert_int_equal(s.dropped, 4);
	assert_int_equal(s.acceptor.dropped, 4);
	assert_true(s.paused >= 2); /* a short want costs nobody anything */
	assert_int_equal(s.count, 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(recv(clients[i], &byte, 1, 0), 1);
		assert_int_equal(byte, '!');
		assert_int_equal(recv(clients[i], &byte, 1, 0), 0);
	}
	for (unsigned i = 4; i < 6; i++) { /* one at a time */
		struct sockaddr_storage at;
		socklen_t len = sizeof(at);

		assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
		assert_int_equal(connect(clients[i], (struct sockaddr *)&at, len), 0);
		for (int n = 0; n < 100 && s.dropped < i + 1; n++)
			run_for(s.f, 10);
		assert_int_equal(s.dropped, i + 1);
	}
	while (filled > 0)
		close(fillers[--filled]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	clients[6] = dial_loopback(listener);
	await(&s, 1);
	scene_shut(&s, clients, 7);
}

static void test_closes_while_it_pauses(void **state)
{
	struct scene s;
	struct rlimit before;
	int client, listener = scene_open(state, &s);

	client = dial_loopback(listener);
	acceptor_start(&s.acceptor, s.f->r);
	forbid_descriptors(&before);
	for (int i = 0; i < 100 && s.paused == 0; i++)
		run_for(s.f, 5);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(s.paused, 1);
	acceptor_close(&s.acceptor);
	assert_int_equal(s.closed, 1); /* nothing is in flight */
	run_for(s.f, ACCEPTOR_PAUSE_MS * 2);
	assert_int_equal(s.count, 0);
	acceptor_close(&s.acceptor);
	scene_shut(&s, &client, 1);
}

static void test_closes_before_its_start(void **state)
{
	struct scene s;

	(void)scene_open(state, &s);
	scene_shut(&s, NULL, 0);
}

/* What is still in the kernel's queue then is turned away by it, or closed: it has no owner. */
static void test_closes_from_inside(void **state)
{
	struct scene s;
	int clients[10], listener = scene_open(state, &s);
	char byte;

	for (unsigned i = 0; i < 10; i++)
		clients[i] = dial_loopback(listener);
	s.close_at = 3;
	acceptor_start(&s.acceptor, s.f->r);
	for (int i = 0; i < 100 && s.closed == 0; i++)
		run_for(s.f, 5);
	assert_int_equal(s.closed, 1);
	assert_int_equal(s.count, 3);
	for (unsigned i = 3; i < 10; i++)
		assert_true(recv(clients[i], &byte, 1, 0) <= 0);
	scene_shut(&s, clients, 10);
}

/* An owner that wants them gets all that have come. */
static void test_empties_its_queue_at_the_end(void **state)
{
	struct scene s;
	int clients[10], listener = scene_open(state, &s);

	for (unsigned i = 0; i < 10; i++)
		clients[i] = dial_loopback(listener);
	s.close_at = 3;
	s.acceptor.empties = true;
	acceptor_start(&s.acceptor, s.f->r);
	for (int i = 0; i < 100 && s.closed == 0; i++)
		run_for(s.f, 5);
	assert_int_equal(s.closed, 1);
	assert_int_equal(s.count, 10);
	scene_shut(&s, clients, 10);
}

/* Nothing of it listens any more: neither its socket nor its reserve. */
static void test_is_gone_at_the_end(void **state)
{
	struct scene s;
	struct sockaddr_storage at;
	socklen_t len = sizeof(at);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int listener = scene_open(state, &s);

	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	acceptor_start(&s.acceptor, s.f->r);
	run_for(s.f, 20);
	scene_shut(&s, NULL, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&at, len), -1);
	close(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(test_accepts_all_that_come),
		RING_TEST(test_pauses_without_descriptors_and_goes_on),
		RING_TEST(test_drops_what_waits_without_descriptors),
		RING_TEST(test_empties_its_queue_at_the_end),
		RING_TEST(test_is_gone_at_the_end),
		RING_TEST(test_closes_while_it_pauses),
		RING_TEST(test_closes_before_its_start),
		RING_TEST(test_closes_from_inside),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
