/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launcher: children that serve and children that run a program; their deadlines and ends.
 * links: core/program/launcher.c core/program/launcher_main.c core/isolation.c core/ring.c
 * links: core/ring_uring.c core/ring_epoll.c core/buffers.c core/timer.c
 * links: tests/support/ring_fixture.c core/passing.c
 * links: core/file.c core/memory.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/program/launcher.h"
#include "gen/launcher_test_calls.h"
#include "tests/support/ring_fixture.h"

static struct ring_fixture *fixture;
static uint32_t ended_number;
static int ended_status;
static bool gone;

static void child_ended(struct launcher *l, uint32_t number, int status)
{
	ended_number = number;
	ended_status = status;
	ring_stop(l->ring);
}

static void launcher_gone(struct launcher *l)
{
	gone = true;
	ring_stop(l->ring);
}

/* Runs the ring until a child has ended; fails after ten seconds. */
static void await_end(uint32_t number)
{

	for (int i = 0; ended_number != number && i < 1000; i++)
		run_for(fixture, 10);
	assert_int_equal(ended_number, number);
}

/* "e": echoes; "x": exits with 3; "f": tries to open a file; "h": hangs.
 *
 * #syscalls read write poll|ppoll openat
 */
static void serve(int fd)
{
	char c;

	while (read(fd, &c, 1) == 1) {
		if (c == 'x')
			_exit(3);
		if (c == 'h')
			for (;;)
				(void)!poll(NULL, 0, 1000);
		if (c == 'f')
			c = open("/etc/passwd", O_RDONLY) < 0 ? 'n' : 'y';
		(void)!write(fd, &c, 1);
	}
}

static const struct isolation_plan plan_of_serve = {.calls = &launcher_test_calls};

static void begin(void **state, struct launcher *l, const struct launcher_plan *plan)
{
	fixture = ring_fixture(state);
	ended_number = 0;
	gone = false;
	memset(l, 0, sizeof(*l));
	assert_int_equal(launcher_start(l, plan), 0);
	l->child_ended = child_ended;
	l->gone = launcher_gone;
	launcher_follow(l, fixture->r);
}

static void begin_serving(void **state, struct launcher *l)
{
	const struct launcher_plan plan = {
		.name = "test-serve", .serve = serve, .isolation = &plan_of_serve};

	begin(state, l, &plan);
}

static void finish(struct launcher *l)
{
	for (int i = 0; !launcher_stop(l) && i < 1000; i++)
		run_for(fixture, 1);
	assert_true(launcher_stop(l));
}

/* What a child says to c; 0 when it has ended. */
static char ask(int fd, char c)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	assert_int_equal(send(fd, &c, 1, MSG_NOSIGNAL), 1);
	assert_int_equal(poll(&p, 1, 10000), 1);
	return recv(fd, &c, 1, 0) == 1 ? c : 0;
}

static void test_children_serve(void **state)
{
	struct launcher l;
	uint32_t one, two;
	int a, b;

	begin_serving(state, &l);
	assert_int_equal(launcher_serve(&l, 0, &a, &one), 0);
	assert_int_equal(launcher_serve(&l, 0, &b, &two), 0);
	assert_int_not_equal(one, two);
	assert_true(fcntl(a, F_GETFL) & O_NONBLOCK); /* a daemon does not wait for it */
	assert_int_equal(ask(a, 'e'), 'e');
	assert_int_equal(ask(b, 'e'), 'e');
	assert_int_equal(ask(a, 'f'), 'n'); /* by Landlock, where the kernel has it */
	assert_int_equal(ask(a, 'x'), 0);
	await_end(one);
	assert_int_equal(WEXITSTATUS(ended_status), 3);
	assert_int_equal(ask(b, 'e'), 'e');
	close(b); /* its end is the child's, too */
	await_end(two);
	assert_int_equal(ended_status, 0);
	close(a);
	finish(&l);
}

static void test_a_child_that_hangs_is_killed(void **state)
{
	struct launcher l;
	uint32_t one, two;
	int a, b;

	begin_serving(state, &l);
	assert_int_equal(launcher_serve(&l, 0, &a, &one), 0);
	assert_int_equal(launcher_serve(&l, 100, &b, &two), 0);
	assert_int_equal(send(a, "h", 1, 0), 1);
	assert_int_equal(send(b, "h", 1, 0), 1);
	await_end(two); /* by its deadline */
	assert_int_equal(WTERMSIG(ended_status), SIGKILL);
	launcher_kill(&l, one);
	await_end(one);
	assert_int_equal(WTERMSIG(ended_status), SIGKILL);
	launcher_kill(&l, one); /* harmless */
	close(a);
	close(b);
	finish(&l);
}

static void test_children_end_with_their_daemon(void **state)
{
	struct launcher l;
	uint32_t one;
	char c;
	int a;

	begin_serving(state, &l);
	assert_int_equal(launcher_serve(&l, 0, &a, &one), 0);
	assert_int_equal(ask(a, 'e'), 'e');
	assert_int_equal(send(a, "h", 1, 0), 1);
	finish(&l);
	struct pollfd p = {.fd = a, .events = POLLIN};
	assert_int_equal(poll(&p, 1, 10000), 1);
	/* A slow child may not have read what it was sent: then the end is a reset. */
	ssize_t n = recv(a, &c, 1, 0);
	assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
	close(a);
	assert_int_equal(launcher_serve(&l, 0, &a, &one), -EPIPE);
}

static void test_a_lost_launcher_is_noticed(void **state)
{
	struct launcher l;

	begin_serving(state, &l);
	kill(l.pid, SIGKILL);
	for (int i = 0; !gone && i < 1000; i++)
		run_for(fixture, 10);
	assert_true(gone);
	finish(&l);
}

static void test_too_many_children(void **state)
{
	struct launcher l;
	uint32_t number = 0;
	int fds[LAUNCHER_CHILDREN_MAX + 1];

	begin_serving(state, &l);
	for (size_t i = 0; i <= LAUNCHER_CHILDREN_MAX; i++)
		assert_int_equal(launcher_serve(&l, 0, &fds[i], &number), 0);
	await_end(number);
	assert_int_equal(WEXITSTATUS(ended_status), 127);
	assert_int_equal(ask(fds[0], 'e'), 'e');
	for (size_t i = 0; i <= LAUNCHER_CHILDREN_MAX; i++)
		close(fds[i]);
	finish(&l);
}

static void test_a_program_is_run(void **state)
{
	const struct launcher_plan plan = {.name = "test-run", .program = "/bin/sh"};
	const char *const exits[] = {"-c", "exit $1", "sh", "5", NULL};
	const char *const sleeps[] = {"-c", "sleep 1000; true", NULL};
	const char *const many[] = {"1", "2", "3", "4", "5", "6", "7", "8", "9", NULL};
	const char *const ended[] = {"-c", "kill -TERM $$; exit 0", NULL};
	static char text[LAUNCHER_TEXT_BYTES + 1];
	const char *const large[] = {"-c", text, NULL};
	struct launcher l;
	uint32_t number;
	int fd;

	begin(state, &l, &plan);
	assert_int_equal(launcher_run(&l, exits, 0, &number), 0);
	await_end(number);
	assert_int_equal(WEXITSTATUS(ended_status), 5);
	assert_int_equal(launcher_run(&l, sleeps, 100, &number), 0);
	await_end(number);
	assert_int_equal(WTERMSIG(ended_status), SIGKILL);
	assert_int_equal(launcher_run(&l, many, 0, &number), -E2BIG);
	memset(text, ' ', sizeof(text) - 1);
	assert_int_equal(launcher_run(&l, large, 0, &number), -E2BIG);
	/* The launcher ignores signals, what it starts does not. */
	assert_int_equal(launcher_run(&l, ended, 0, &number), 0);
	await_end(number);
	assert_true(WIFSIGNALED(ended_status) && WTERMSIG(ended_status) == SIGTERM);
	/* Of the other kind: there is no program to serve. */
	assert_int_equal(launcher_serve(&l, 0, &fd, &number), 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_true(p.revents & POLLHUP);
	close(fd);
	finish(&l);
}

/* What holds the other end of the FIFO is a child of the program's own. */
static void test_what_a_program_has_started_ends_with_it(void **state)
{
	const struct launcher_plan plan = {.name = "test-run", .program = "/bin/sh"};
	char dir[] = "/tmp/postern-launcher-XXXXXX", fifo[64];
	const char *const starts[] = {"-c", "sleep 30 >\"$1\" & wait", "sh", fifo, NULL};
	struct launcher l;
	uint32_t number;

	assert_non_null(mkdtemp(dir));
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	struct pollfd p = {.fd = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
	assert_true(p.fd >= 0);
	begin(state, &l, &plan);
	assert_int_equal(launcher_run(&l, starts, 300, &number), 0);
	await_end(number);
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_true(p.revents & POLLHUP);
	close(p.fd);
	unlink(fifo);
	rmdir(dir);
	finish(&l);
}

static void test_a_program_that_is_not_there(void **state)
{
	const struct launcher_plan plan = {.name = "test-run", .program = "/nowhere/hook"};
	const char *const none[] = {NULL};
	struct launcher l;
	uint32_t number;

	begin(state, &l, &plan);
	assert_int_equal(launcher_run(&l, none, 0, &number), 0);
	await_end(number);
	assert_int_equal(WEXITSTATUS(ended_status), 127);
	finish(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(test_children_serve),
		RING_TEST(test_a_child_that_hangs_is_killed),
		RING_TEST(test_children_end_with_their_daemon),
		RING_TEST(test_a_lost_launcher_is_noticed),
		RING_TEST(test_too_many_children),
		RING_TEST(test_a_program_is_run),
		RING_TEST(test_what_a_program_has_started_ends_with_it),
		RING_TEST(test_a_program_that_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
