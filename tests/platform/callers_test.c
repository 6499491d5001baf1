/* SPDX-License-Identifier: Apache-2.0 */
/*
 * callers: a Unix socket's callers are let in by who they are, and answered; the socket is taken
 * over from the dead.
 *
 * links: core/acceptor.c core/engine/calls.c core/lines.c core/outbox.c core/log*.c core/parse/jsonrpc.c core/program/callers.c
 * links: core/ring.c core/ring_epoll.c core/ring_uring.c core/timer.c
 * links: tests/support/ring_fixture.c core/memory.c
 * links: core/parse/json_read.c
 */
#include "tests/support/ring_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/program/callers.h"

#define CALL "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"act\"}\n"

static char dir[64], path[96];
static enum caller_level given; /* to each that comes */
static const char *refusal;
static uid_t seen;

static int make_dir(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/postern-callers-XXXXXX");
	snprintf(path, sizeof(path), "%s/sock", mkdtemp(dir) ? dir : "");
	return 0;
}

static int remove_dir(void **state)
{
	unlink(path);
	return rmdir(dir);
}

static struct caller_peer peer; /* of who called last */

static void act_run(struct call *c)
{
	peer = *callers_peer(c->caller);
	call_answer(c, json_pack("{s:s}", "who", c->caller->who));
}

static const struct method methods[] = {
	{.name = "act", .level = CALLER_ADMIN, .run = act_run, .help = "", .result = ""},
	{.name = NULL},
};
static const struct method *const tables[] = {methods, NULL};
static struct calls calls = {.tables = tables, .admin_remedy = "ask as another"};

static const char *admit(struct callers *cs, uid_t uid, enum caller_level *level)
{
	seen = uid;
	*level = given;
	return refusal;
}

static void start(struct callers *cs, struct ring_fixture *f, size_t most)
{
	int listener = callers_listen(path);

	assert_true(listener >= 0);
	*cs = (struct callers){
		.ring = f->r, .calls = &calls, .line_max = 1024, .most = most, .admit = admit};
	given = CALLER_ADMIN;
	refusal = NULL;
	callers_start(cs, listener);
}

static void stop(struct callers *cs, struct ring_fixture *f)
{
	for (int i = 0; i < 500 && !callers_stop(cs); i++)
		run_for(f, 10);
	assert_true(callers_stop(cs));
	callers_free(cs);
}

static int dial(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(at.sun_path, path, sizeof(path));
	assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* What comes back, waiting for it at most five seconds; "": the end. */
static const char *next_line(struct ring_fixture *f, int fd)
{
	static char line[1024];
	ssize_t n = -1;

	for (int i = 0; i < 500 && n < 0; i++) {
		n = recv(fd, line, sizeof(line) - 1, MSG_DONTWAIT);
		if (n < 0)
			run_for(f, 10);
	}
	assert_true(n >= 0);
	line[n] = '\0';
	return line;
}

static void assert_says(const char *line, const char *part)
{
	if (!strstr(line, part))
		fail_msg("'%s' is not in: %s", part, line);
}

static void test_answered_by_level(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct callers cs;
	char who[32];
	int fd;

	start(&cs, f, 4);
	fd = dial();
	assert_int_equal(write(fd, CALL, strlen(CALL)), strlen(CALL));
	snprintf(who, sizeof(who), "\"uid:%u\"", (unsigned)getuid());
	assert_says(next_line(f, fd), who);
	assert_int_equal(seen, getuid());
	close(fd);

	given = CALLER_READ;
	fd = dial();
	assert_int_equal(write(fd, CALL, strlen(CALL)), strlen(CALL));
	assert_says(next_line(f, fd), "ask as another");
	stop(&cs, f);
	assert_string_equal(next_line(f, fd), "");
	close(fd);
}

static void test_refused(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct callers cs;
	const int places = getuid() == 0 ? 2 : 1; /* the second is root's */
	int fds[3];

	start(&cs, f, 2);
	refusal = "not this one";
	fds[0] = dial();
	assert_says(next_line(f, fds[0]), "not this one");
	assert_string_equal(next_line(f, fds[0]), "");
	close(fds[0]);

	refusal = NULL;
	fds[0] = dial();
	assert_int_equal(write(fds[0], CALL, strlen(CALL)), strlen(CALL));
	assert_says(next_line(f, fds[0]), "result");
	for (int i = 1; i <= places; i++)
		fds[i] = dial();
	assert_says(next_line(f, fds[places]), "close one of them");
	assert_string_equal(next_line(f, fds[places]), "");
	for (int i = 0; i <= places; i++)
		close(fds[i]);
	stop(&cs, f);
}

/* The ring ends first where a daemon does not wait for its callers. */
static void test_free_without_stop(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct callers cs;
	int fd;

	start(&cs, f, 4);
	fd = dial();
	assert_int_equal(write(fd, CALL, strlen(CALL)), strlen(CALL));
	assert_says(next_line(f, fd), "result");
	ring_fixture_reopen(f, 64, 0);
	callers_free(&cs);
	assert_null(calls.callers);
	close(fd);
}

static void test_path(void **state)
{
	char longer[200];
	struct stat st;
	int first, second;

	assert_false(callers_path_taken(path));
	first = callers_listen(path);
	assert_true(first >= 0);
	assert_true(callers_path_taken(path));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	close(first);
	assert_false(callers_path_taken(path));
	second = callers_listen(path);
	assert_true(second >= 0);
	close(second);

	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_true(callers_listen(longer) < 0);
	assert_false(callers_path_taken(longer));
}

/* What is no socket of ours stays, and so does what a link leads to. */
static void test_path_of_others(void **state)
{
	char elsewhere[128];
	struct stat st;
	int fd;

	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(callers_listen(path), -EEXIST);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(callers_listen(path), -EEXIST);
	assert_int_equal(rmdir(path), 0);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(callers_listen(path), -EEXIST);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(unlink(path), 0);
	/* A link to a socket of ours. */
	snprintf(elsewhere, sizeof(elsewhere), "%s.target", path);
	fd = callers_listen(elsewhere);
	assert_true(fd >= 0);
	assert_int_equal(symlink(elsewhere, path), 0);
	assert_int_equal(callers_listen(path), -EEXIST);
	assert_true(callers_path_taken(elsewhere));
	close(fd);
	assert_int_equal(unlink(path), 0);
	/* Another user's socket. */
	if (geteuid() == 0) {
		assert_int_equal(rename(elsewhere, path), 0);
		assert_int_equal(chown(path, 65534, 65534), 0);
		assert_int_equal(callers_listen(path), -EEXIST);
		assert_int_equal(unlink(path), 0);
	} else {
		assert_int_equal(unlink(elsewhere), 0);
	}
}

static bool peer_is_in(gid_t group)
{
	for (size_t i = 0; i < peer.group_count; i++)
		if (peer.groups[i] == group)
			return true;
	return false;
}

/* All groups of the process at the other end, and of very many the first. */
static void test_groups(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	gid_t before[NGROUPS_MAX], now[100];
	int count = getgroups(NGROUPS_MAX, before);

	assert_true(count >= 0);
	for (size_t i = 0; i < 100; i++)
		now[i] = (gid_t)(4321 + i);
	for (size_t most = 2; most <= 100; most += 98) {
		/* Who may not choose them has those it was started with. */
		bool chosen = setgroups(most, now) == 0;
		const gid_t *groups = chosen ? now : before;
		size_t all = chosen ? most : (size_t)count;
		struct callers cs;
		int fd;

		start(&cs, f, 4);
		fd = dial();
		assert_int_equal(write(fd, CALL, strlen(CALL)), strlen(CALL));
		assert_says(next_line(f, fd), "uid:");
		close(fd);
		assert_int_equal(peer.uid, getuid());
		assert_true(peer_is_in(getgid()));
		assert_int_equal(peer.group_count,
				 all < CALLERS_GROUPS_MAX ? all + 1 : CALLERS_GROUPS_MAX);
		for (size_t i = 0; i < all && i < CALLERS_GROUPS_MAX - 1; i++)
			assert_true(peer_is_in(groups[i]));
		stop(&cs, f);
		if (chosen)
			assert_int_equal(setgroups((size_t)count, before), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(test_groups),	     RING_TEST(test_answered_by_level),
		RING_TEST(test_refused),     RING_TEST(test_free_without_stop),
		cmocka_unit_test(test_path), cmocka_unit_test(test_path_of_others),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
