/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nat_follow: what natd tells becomes a view; news are told, nonsense and the end are, too.
 *
 * links: core/program/nat_follow.c core/engine/nat_view.c core/follower.c core/isolation.c core/lines.c core/outbox.c
 * links: core/addr.c core/log*.c core/ring.c core/ring_epoll.c core/ring_uring.c core/timer.c
 * links: tests/support/ring_fixture.c
 * links: core/file.c core/memory.c
 * links: core/parse/json_read.c
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

#include "core/program/nat_follow.h"

#define STATUS                                                                                     \
	"{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"external\":{\"verdict\":\"one_nat\","         \
	"\"sentence\":\"fine\",\"gateway\":\"45.0.0.10\"},\"mappings\":[" MAPPING(                 \
		"requested") "]}}\n"
#define MAPPING(state)                                                                             \
	"{\"kind\":\"mapping\",\"id\":1,\"protocol\":\"tcp\",\"family\":\"ipv4\",\"port\":443,"    \
	"\"state\":\"" state "\"}"
#define EVENT(what) "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":" what "}\n"

struct follower_world {
	struct nat_follow follow; /* first */
	struct ring *ring;
	unsigned changed, ended;
	int listener, fd;
};

static char dir[64], path[96];

static void nat_was_changed(struct nat_follow *n)
{
	((struct follower_world *)n)->changed++;
	ring_stop(((struct follower_world *)n)->ring);
}

static void nat_has_ended(struct nat_follow *n)
{
	((struct follower_world *)n)->ended++;
	ring_stop(((struct follower_world *)n)->ring);
}

static int make_dir(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/postern-nat-XXXXXX");
	snprintf(path, sizeof(path), "%s/sock", mkdtemp(dir) ? dir : "");
	return 0;
}

static int remove_dir(void **state)
{
	unlink(path);
	return rmdir(dir);
}

static void say(struct follower_world *w, const char *text)
{
	write_all(w->fd, text, strlen(text));
}

/* natd listens, has been asked, and has told its status. */
static void begin(struct ring_fixture *f, struct follower_world *w)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char asked[sizeof(NAT_VIEW_HELLO)] = "";

	*w = (struct follower_world){.follow = {.program = "relay",
						.changed = nat_was_changed,
						.ended = nat_has_ended,
						.retry_ms = 20},
				     .ring = f->r};
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	unlink(path);
	w->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(w->listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(w->listener, 1), 0);
	assert_int_equal(nat_follow_open(&w->follow, path), 0);
	assert_true(nat_follow_start(&w->follow, f->r));
	w->fd = accept(w->listener, NULL, NULL);
	assert_true(w->fd >= 0);
	assert_int_equal(recv(w->fd, asked, sizeof(asked) - 1, MSG_WAITALL), sizeof(asked) - 1);
	assert_string_equal(asked, NAT_VIEW_HELLO);
	say(w, STATUS);
	while (w->changed == 0)
		assert_int_equal(ring_run(f->r), 0);
	assert_true(w->follow.view.connected);
	assert_string_equal(w->follow.view.external, "45.0.0.10");
	assert_int_equal(w->follow.view.mapping_count, 1);
	assert_string_equal(w->follow.socket, path);
}

static void wait_for(struct ring_fixture *f, const unsigned *count, unsigned least)
{
	for (unsigned turns = 0; *count < least; turns++) {
		assert_in_range(turns, 0, 1000);
		run_for(f, 5);
	}
}

static void finish(struct ring_fixture *f, struct follower_world *w)
{
	unsigned changed = w->changed;

	nat_follow_stop(&w->follow);
	nat_follow_stop(&w->follow);
	wait_for(f, &w->ended, 1);
	run_for(f, 30);
	assert_int_equal(w->ended, 1);
	assert_int_equal(w->changed, changed); /* one that stops is told nothing */
	close(w->fd);
	close(w->listener);
	while (wait(NULL) > 0)
		;
}

/* The address and the verdict are news; a mapping is in the view, and no news. */
static void news_are_told(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct follower_world w;

	begin(f, &w);
	assert_int_equal(w.changed, 1);
	say(&w, EVENT(MAPPING("verified")));
	for (int i = 0; i < 1000 && w.follow.view.mappings[0].state != NAT_MAPPING_VERIFIED; i++)
		run_for(f, 2);
	assert_int_equal(w.follow.view.mappings[0].state, NAT_MAPPING_VERIFIED);
	assert_int_equal(w.changed, 1);
	say(&w, EVENT("{\"kind\":\"external\",\"address\":\"45.0.0.99\"}"));
	wait_for(f, &w.changed, 2);
	assert_string_equal(w.follow.view.external, "45.0.0.99");
	finish(f, &w);
}

/* Nonsense is counted and changes nothing; what follows is read all the same. */
static void nonsense_changes_nothing(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct follower_world w;

	begin(f, &w);
	say(&w, "what?\n" EVENT("{\"kind\":\"external\",\"address\":\"45.0.0.999\"}"));
	for (int i = 0; i < 1000 && w.follow.view.malformed < 2; i++)
		run_for(f, 2);
	assert_int_equal(w.follow.view.malformed, 2);
	assert_int_equal(w.changed, 1);
	assert_string_equal(w.follow.view.external, "45.0.0.10");
	say(&w, EVENT("{\"kind\":\"external\",\"address\":\"45.0.0.99\"}"));
	wait_for(f, &w.changed, 2);
	finish(f, &w);
}

/* natd is away: told once, and nothing is known of it; it comes back. */
static void natd_goes_and_comes_back(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct follower_world w;

	begin(f, &w);
	close(w.fd);
	wait_for(f, &w.changed, 2);
	assert_false(w.follow.view.connected);
	assert_int_equal(w.follow.view.mapping_count, 0);
	w.fd = accept(w.listener, NULL, NULL);
	assert_true(w.fd >= 0);
	assert_int_equal(w.changed, 2);
	say(&w, STATUS);
	wait_for(f, &w.changed, 3);
	assert_true(w.follow.view.connected);
	finish(f, &w);
}

/* The follower dies: natd is away for good, and both are told. */
static void a_dead_follower_is_told(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct follower_world w;
	char children[64] = "";
	FILE *list;

	begin(f, &w);
	snprintf(children, sizeof(children), "/proc/self/task/%d/children", getpid());
	list = fopen(children, "r");
	assert_non_null(list);
	int pid = 0;
	assert_int_equal(fscanf(list, "%d", &pid), 1);
	fclose(list);
	assert_int_equal(kill(pid, SIGKILL), 0);
	wait_for(f, &w.ended, 1);
	assert_int_equal(w.changed, 2);
	assert_false(w.follow.view.connected);
	assert_false(w.follow.following);
	nat_follow_stop(&w.follow); /* nothing is left to stop */
	run_for(f, 20);
	assert_int_equal(w.ended, 1);
	nat_follow_free(&w.follow);
	close(w.fd);
	close(w.listener);
	while (wait(NULL) > 0)
		;
}

static void nothing_is_followed_without_a_path(void **state)
{
	struct nat_follow n = {.program = "agent"};
	char longest[200];

	assert_int_equal(nat_follow_open(&n, NULL), 0);
	assert_false(nat_follow_start(&n, NULL));
	assert_string_equal(n.socket, "");
	nat_follow_stop(&n);
	nat_follow_free(&n);
	memset(longest, 'p', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(nat_follow_open(&n, longest), -ENAMETOOLONG);
	assert_string_equal(n.socket, "");
	assert_false(nat_follow_start(&n, NULL));
}

/* Stopped before it was started: nothing is in flight, and nothing is told. */
static void what_was_not_started_does_not_end(void **state)
{
	struct follower_world w = {
		.follow = {.program = "relay", .changed = nat_was_changed, .ended = nat_has_ended}};

	assert_int_equal(nat_follow_open(&w.follow, path), 0);
	nat_follow_stop(&w.follow);
	assert_int_equal(w.ended, 0);
	assert_false(w.follow.following);
	while (wait(NULL) > 0) /* the follower has seen our end and gone */
		;
	assert_int_equal(errno, ECHILD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(news_are_told),
		RING_TEST(nonsense_changes_nothing),
		RING_TEST(natd_goes_and_comes_back),
		RING_TEST(a_dead_follower_is_told),
		cmocka_unit_test(nothing_is_followed_without_a_path),
		cmocka_unit_test(what_was_not_started_does_not_end),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
