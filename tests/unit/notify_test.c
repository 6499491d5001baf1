/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify: what a service manager receives, by both kinds of socket names.
 * links: core/notify.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/notify.h"

/* Binds a manager's socket and names it in the environment; '@' stands for the abstract space. */
static int listen_as(const char *name)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t len = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(sun.sun_path, name, len);
	if (name[0] == '@')
		sun.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&sun,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
			 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void assert_receives(int fd, const char *want)
{
	char got[1024];
	ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);

	assert_true(n >= 0);
	got[n] = '\0';
	assert_string_equal(got, want);
}

static void talk_to(const char *name)
{
	int fd = listen_as(name);

	assert_int_equal(notify_open(), 0);
	assert_null(getenv("NOTIFY_SOCKET"));
	notify_ready();
	assert_receives(fd, "READY=1");
	notify_status("%u sessions\nWATCHDOG=1", 3u);
	assert_receives(fd, "STATUS=3 sessions WATCHDOG=1");
	notify_status("3 sessions WATCHDOG=1"); /* nothing new */
	notify_concern("the certificate ends in %d days", 3);
	assert_receives(fd, "STATUS=the certificate ends in 3 days; 3 sessions WATCHDOG=1");
	notify_status("4 sessions");
	assert_receives(fd, "STATUS=the certificate ends in 3 days; 4 sessions");
	notify_concern("%s", "");
	assert_receives(fd, "STATUS=4 sessions");
	notify_stopping();
	assert_receives(fd, "STOPPING=1");
	close(fd);
	notify_stopping(); /* the socket has no listener any more */
	notify_close();
}

static void test_abstract(void **state)
{
	char name[64];

	snprintf(name, sizeof(name), "@postern-notify-test-%ld", (long)getpid());
	talk_to(name);
}

static void test_path(void **state)
{
	char dir[] = "/tmp/notify-test-XXXXXX", name[64];

	assert_non_null(mkdtemp(dir));
	snprintf(name, sizeof(name), "%s/socket", dir);
	talk_to(name);
	unlink(name);
	rmdir(dir);
}

static void test_absent(void **state)
{
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_open(), 0);
	notify_ready();
	notify_status("not heard");
}

static void test_unusable(void **state)
{
	char name[200];

	setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
	assert_int_equal(notify_open(), -EAFNOSUPPORT);
	memset(name, 'a', sizeof(name));
	name[0] = '/';
	name[sizeof(name) - 1] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	assert_int_equal(notify_open(), -ENAMETOOLONG);
	setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
	assert_int_equal(notify_open(), -ENOENT);
	notify_ready();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_abstract),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_unusable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
