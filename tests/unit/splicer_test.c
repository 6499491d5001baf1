/* SPDX-License-Identifier: Apache-2.0 */
/*
 * splicer: everything arrives, and nothing stays in the pipe for the next session.
 * links: relay/session/splicer.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
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

static void scene_open(struct scene *s)
{
	splicer_open(&s->splicer);
	assert_true(splicer_ready(&s->splicer));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s->from), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s->to), 0);
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
	assert_int_equal(splicer_fill(&s.splicer, s.from[1]), 7);
	assert_int_equal(splicer_drain(&s.splicer, s.to[1], 7, &error), 0);
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
	assert_int_equal(splicer_fill(&s.splicer, s.from[1]), 0);
	scene_close(&s);
}

/* Fills the receiver's socket until it takes no more. */
static void stuff(int fd)
{
	static const char block[4096];

	while (write(fd, block, sizeof block) > 0)
		;
}

static void what_a_slow_receiver_leaves_is_taken_back(void **state)
{
	struct scene s;
	uint8_t left[8];
	int error = 0;

	scene_open(&s);
	stuff(s.to[1]);
	assert_int_equal(write(s.from[0], "leftover", 8), 8);
	assert_int_equal(splicer_fill(&s.splicer, s.from[1]), 8);
	assert_int_equal(splicer_drain(&s.splicer, s.to[1], 8, &error), 8);
	assert_int_equal(error, -EAGAIN);
	assert_true(splicer_take_back(&s.splicer, left, 8));
	assert_memory_equal(left, "leftover", 8);
	assert_empty(&s.splicer);
	scene_close(&s);
}

static void bytes_for_nobody_do_not_stay(void **state)
{
	struct scene s;
	char many[10000];
	int error = 0;

	scene_open(&s);
	memset(many, 'x', sizeof many);
	assert_int_equal(write(s.from[0], many, sizeof many), sizeof many);
	assert_int_equal(splicer_fill(&s.splicer, s.from[1]), sizeof many);
	close(s.to[0]);
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
		cmocka_unit_test(bytes_for_nobody_do_not_stay),
		cmocka_unit_test(a_pipe_that_cannot_be_emptied_is_closed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
