/* SPDX-License-Identifier: Apache-2.0 */
/*
 * splicer_test: everything arrives, and nothing stays in the pipe for the next session.
 * links: relay/session/splicer.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/session/splicer.h"

struct scene {
	struct splicer splicer;
	int from[2], to[2]; /* [0] is the test's end */
};

/*
 * Two ends of one TCP connection, as the relay's are. Unix sockets would not do: before Linux 6.5
 * splice() adds pages to what waits in one without asking whether it is full.
 */
static void connect_ends(int ends[2])
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	ends[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(ends[0], (struct sockaddr *)&at, len), 0);
	ends[1] = accept(listener, NULL, NULL);
	assert_true(ends[1] >= 0);
	close(listener);
	for (int i = 0; i < 2; i++)
		assert_int_equal(fcntl(ends[i], F_SETFL, O_NONBLOCK), 0);
}

/* Bytes cross the loopback by themselves, but not always before the next call. */
static void await(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	assert_int_equal(poll(&p, 1, 5000), 1);
}

static void scene_open(struct scene *s)
{
	splicer_open(&s->splicer);
	assert_true(splicer_ready(&s->splicer));
	connect_ends(s->from);
	connect_ends(s->to);
}

static void scene_close(struct scene *s)
{
	splicer_close(&s->splicer);
	for (int i = 0; i < 2; i++) {
		close(s->from[i]);
		close(s->to[i]);
	}
}

static void assert_empty(struct splicer *s)
{
	char byte;

	assert_int_equal(read(s->out, &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
}

static void bytes_go_through(void **state)
{
	struct scene s;
	char back[16];
	int error = 0;

	scene_open(&s);
	assert_int_equal(write(s.from[0], "through", 7), 7);
	await(s.from[1], POLLIN);
	assert_int_equal(splicer_fill(&s.splicer, s.from[1]), 7);
	assert_int_equal(splicer_drain(&s.splicer, s.to[1], 7, &error), 0);
	await(s.to[0], POLLIN);
	assert_int_equal(read(s.to[0], back, sizeof back), 7);
	assert_memory_equal(back, "through", 7);
	assert_empty(&s.splicer);
	scene_close(&s);
}

static void an_empty_socket_and_an_ended_one_differ(void **state)
{
	struct scene s;

	scene_open(&s);
	assert_int_equal(splicer_fill(&s.splicer, s.from[1]), -EAGAIN);
	shutdown(s.from[0], SHUT_WR);
	await(s.from[1], POLLRDHUP);
	assert_int_equal(splicer_fill(&s.splicer, s.from[1]), 0);
	scene_close(&s);
}

/* Fills the connection until neither its sender nor its receiver takes more. */
static void stuff(int fd)
{
	static const char block[4096];
	struct pollfd room = {.fd = fd, .events = POLLOUT};

	do {
		while (write(fd, block, sizeof block) > 0)
			;
	} while (poll(&room, 1, 100) > 0);
}

/* A full connection may still find room for some pages, and for how many the kernel's version
 * tells. */
static void what_a_slow_receiver_leaves_is_taken_back(void **state)
{
	static uint8_t sent[SPLICER_BYTES], back[sizeof sent];
	struct scene s;
	size_t held = 0;
	int error = 0;

	scene_open(&s);
	for (size_t i = 0; i < sizeof sent; i++)
		sent[i] = (uint8_t)(i >> 8 ^ i);
	stuff(s.to[1]);
	assert_true(write(s.from[0], sent, sizeof sent) > 0);
	await(s.from[1], POLLIN);
	for (ssize_t n; (n = splicer_fill(&s.splicer, s.from[1])) > 0;)
		held += (size_t)n;
	size_t left = splicer_drain(&s.splicer, s.to[1], held, &error);
	assert_true(left > 0);
	assert_int_equal(error, -EAGAIN);
	assert_true(splicer_take_back(&s.splicer, back, left));
	assert_memory_equal(back, sent + held - left, left);
	assert_empty(&s.splicer);
	scene_close(&s);
}

static void bytes_without_a_reader_do_not_stay(void **state)
{
	const struct linger reset = {.l_onoff = 1};
	struct scene s;
	char many[10000];
	int error = 0;

	scene_open(&s);
	memset(many, 'x', sizeof many);
	assert_int_equal(write(s.from[0], many, sizeof many), sizeof many);
	await(s.from[1], POLLIN);
	assert_int_equal(splicer_fill(&s.splicer, s.from[1]), sizeof many);
	assert_int_equal(setsockopt(s.to[0], SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
	close(s.to[0]);
	await(s.to[1], POLLHUP);
	signal(SIGPIPE, SIG_IGN);
	size_t left = splicer_drain(&s.splicer, s.to[1], sizeof many, &error);
	assert_true(left > 0 && error < 0);
	assert_true(splicer_take_back(&s.splicer, NULL, left));
	assert_empty(&s.splicer);
	s.to[0] = dup(s.to[1]);
	scene_close(&s);
}

static void a_pipe_that_cannot_be_emptied_is_closed(void **state)
{
	struct scene s;

	scene_open(&s);
	assert_false(splicer_take_back(&s.splicer, NULL, 1));
	assert_false(splicer_ready(&s.splicer));
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_go_through),
		cmocka_unit_test(an_empty_socket_and_an_ended_one_differ),
		cmocka_unit_test(what_a_slow_receiver_leaves_is_taken_back),
		cmocka_unit_test(bytes_without_a_reader_do_not_stay),
		cmocka_unit_test(a_pipe_that_cannot_be_emptied_is_closed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
