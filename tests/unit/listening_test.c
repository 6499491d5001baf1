/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listening_test: an address is one listener's, unless all of its listeners share it.
 *
 * links: core/listening.c core/addr.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/listening.h"

static int first(bool shared, struct addr *at)
{
	int fd;

	assert_true(addr_from_literal("127.0.0.1", 0, at));
	fd = listening_open(at, shared);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(getsockname(fd, &at->sa, &at->len), 0);
	return fd;
}

static void an_address_is_one_listeners(void **state)
{
	struct addr at;
	int fd = first(false, &at), next;

	assert_int_equal(listening_open(&at, false), -EADDRINUSE);
	assert_int_equal(listening_open(&at, true), -EADDRINUSE);
	/* The sockets of the two that failed are closed. */
	next = dup(fd);
	assert_int_equal(next, fd + 1);
	close(next);
	close(fd);
}

static void threads_share_one(void **state)
{
	struct addr at;
	int fd = first(true, &at), other = listening_open(&at, true);

	assert_true(other >= 0);
	assert_int_equal(listening_open(&at, false), -EADDRINUSE);
	close(other);
	close(fd);
}

static void an_address_of_another_host_is_refused(void **state)
{
	struct addr at;

	assert_true(addr_from_literal("192.0.2.1", 0, &at));
	assert_int_equal(listening_open(&at, false), -EADDRNOTAVAIL);
	assert_int_equal(listening_probe(&at), -EADDRNOTAVAIL);
}

static void an_address_that_comes_later(void **state)
{
	static const char *const texts[] = {"192.0.2.1", "2001:db8::1"};
	struct addr at;
	bool absent;

	for (size_t i = 0; i < 2; i++) {
		assert_true(addr_from_literal(texts[i], 0, &at));
		int fd = listening_open_ahead(&at, &absent);

		if (fd == -EAFNOSUPPORT) /* a kernel without IPv6 */
			continue;
		assert_true(fd >= 0);
		assert_true(absent);
		close(fd);
	}
	assert_true(addr_from_literal("127.0.0.1", 0, &at));
	int fd = listening_open_ahead(&at, &absent);

	assert_true(fd >= 0);
	assert_false(absent);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_is_one_listeners),
		cmocka_unit_test(threads_share_one),
		cmocka_unit_test(an_address_of_another_host_is_refused),
		cmocka_unit_test(an_address_that_comes_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
