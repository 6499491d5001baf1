/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follower: lines arrive, a neighbour may come late, go and come back, and the follower ends with
 * us.
 *
 * links: core/isolation.c core/follower.c core/lines.c core/outbox.c core/ring.c core/ring_epoll.c core/ring_uring.c
 * links: core/timer.c tests/support/ring_fixture.c
 * links: core/file.c core/memory.c
 */
#include "tests/support/ring_fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/follower.h"

#define HELLO "subscribe\n"

struct watcher {
	struct follower follower; /* first */
	struct ring *ring;
	char last[64];
	unsigned lines, gone;
	size_t longest;
	bool ended;
};

static char dir[64], path[96];

static void line_came(struct follower *f, const char *line, size_t len)
{
	struct watcher *w = (struct watcher *)f;

	w->lines++;
	w->longest = len > w->longest ? len : w->longest;
	snprintf(w->last, sizeof(w->last), "%.*s", (int)len, line);
	ring_stop(w->ring);
}

static void went(struct follower *f)
{
	struct watcher *w = (struct watcher *)f;

	w->gone++;
	ring_stop(w->ring);
}

static void ended(struct follower *f)
{
	struct watcher *w = (struct watcher *)f;

	w->ended = true;
	ring_stop(w->ring);
}

static int make_dir(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/postern-follow-XXXXXX");
	snprintf(path, sizeof(path), "%s/sock", mkdtemp(dir) ? dir : "");
	return 0;
}

static int remove_dir(void **state)
{
	unlink(path);
	return rmdir(dir);
}

static int listen_here(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

/* The follower's connection, once it has said what it was told to. */
static int accept_one(int listener)
{
	char text[sizeof(HELLO)] = "";
	int fd = accept(listener, NULL, NULL);

	assert_true(fd >= 0);
	assert_int_equal(recv(fd, text, sizeof(HELLO) - 1, MSG_WAITALL), sizeof(HELLO) - 1);
	assert_string_equal(text, HELLO);
	return fd;
}

static void start(struct ring_fixture *f, struct watcher *w)
{
	*w = (struct watcher){
		.follower = {.line = line_came, .gone = went, .ended = ended, .retry_ms = 20},
		.ring = f->r};
	assert_int_equal(follower_start(&w->follower, path, HELLO), 0);
	follower_attach(&w->follower, f->r);
}

static void run_while(struct ring_fixture *f, const unsigned *count, unsigned below)
{
	for (unsigned turns = 0; *count < below; turns++) {
		assert_in_range(turns, 0, 10000);
		assert_int_equal(ring_run(f->r), 0);
	}
}

/* The follower sees our end and goes: no child of ours is left. */
static void finish(struct ring_fixture *f, struct watcher *w)
{
	follower_close(&w->follower);
	while (!w->ended)
		assert_int_equal(ring_run(f->r), 0);
	while (wait(NULL) > 0)
		;
	assert_int_equal(errno, ECHILD);
}

static void test_lines_late_neighbour_and_return(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct watcher w;

	start(f, &w);
	run_while(f, &w.gone, 1); /* natd is not there yet */
	int listener = listen_here(), fd = accept_one(listener);
	assert_int_equal(write(fd, "one\ntw", 6), 6);
	run_while(f, &w.lines, 1);
	assert_string_equal(w.last, "one");
	assert_int_equal(write(fd, "o\n", 2), 2);
	run_while(f, &w.lines, 2);
	assert_string_equal(w.last, "two");

	unsigned before = w.gone;
	close(fd);
	run_while(f, &w.gone, before + 1);
	fd = accept_one(listener);
	assert_int_equal(write(fd, "back\n", 5), 5);
	run_while(f, &w.lines, 3);
	assert_string_equal(w.last, "back");
	close(fd);
	close(listener);
	finish(f, &w);
}

static void test_line_without_end(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	static char much[2 * FOLLOWER_LINE_MAX];
	struct watcher w;
	int listener = listen_here(), fd;

	memset(much, 'x', sizeof(much));
	start(f, &w);
	fd = accept_one(listener);
	/* It hangs up in the middle, and comes back. */
	(void)!send(fd, much, sizeof(much), MSG_NOSIGNAL);
	close(fd);
	run_while(f, &w.gone, 1);
	fd = accept_one(listener);
	memset(much + FOLLOWER_LINE_MAX - 1, '\n', 1);
	assert_int_equal(send(fd, much, FOLLOWER_LINE_MAX, MSG_NOSIGNAL), FOLLOWER_LINE_MAX);
	run_while(f, &w.lines, 1);
	assert_int_equal(w.longest, FOLLOWER_LINE_MAX - 1);
	close(fd);
	close(listener);
	finish(f, &w);
}

/* Without its ring it is freed, whether it was followed or not; the follower goes. */
static void test_freed_without_its_ring(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct watcher w;

	start(f, &w);
	run_while(f, &w.gone, 1);
	ring_close(f->r);
	f->r = NULL;
	follower_free(&w.follower);
	assert_int_equal(follower_start(&w.follower, path, HELLO), 0);
	follower_free(&w.follower);
	follower_free(&w.follower);
	assert_false(w.ended);
	while (wait(NULL) > 0)
		;
	assert_int_equal(errno, ECHILD);
}

static void test_path_too_long(void **state)
{
	struct follower f = {0};
	char longest[200];

	memset(longest, 'p', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(follower_start(&f, longest, HELLO), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(test_lines_late_neighbour_and_return),
		RING_TEST(test_line_without_end),
		RING_TEST(test_freed_without_its_ring),
		cmocka_unit_test(test_path_too_long),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
