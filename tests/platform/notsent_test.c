/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notsent_test: the kernel keeps little for a peer that does not read where TCP_NOTSENT_LOWAT says
 * so, and as much as it likes again afterwards.
 *
 * links: core/addr.c
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/loopback.h"

#define LOWAT 16384
#define BULK  262144 /* of a session's client that has proved nothing */
#define CHUNK 16384u

static int side[2]; /* the one that sends, and the one that does not read */

static int set_up(void **state)
{
	struct addr at = test_loopback(77, 0);
	int listener = socket(AF_INET, SOCK_STREAM, 0), small = 4096;

	/* The reader's window stays small, so that what is sent waits at the sender. */
	if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small) < 0 ||
	    bind(listener, &at.sa, at.len) < 0 || listen(listener, 1) < 0 ||
	    getsockname(listener, &at.sa, &at.len) < 0)
		return -1;
	side[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (side[0] < 0 || connect(side[0], &at.sa, at.len) < 0)
		return -1;
	side[1] = accept(listener, NULL, NULL);
	close(listener);
	return side[1] < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	close(side[0]);
	close(side[1]);
	return 0;
}

/* How much the kernel takes until it says that it is full. */
static size_t takes(void)
{
	static char bytes[CHUNK];
	size_t taken = 0;
	ssize_t n;

	while ((n = send(side[0], bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
		taken += (size_t)n;
	assert_int_equal(errno, EAGAIN);
	return taken;
}

static void test_bounded_and_then_free(void **state)
{
	const int lowat = LOWAT, bulk = BULK, none = 0;
	size_t bounded, more, free_again;

	assert_int_equal(setsockopt(side[0], IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat),
			 0);
	bounded = takes();
	/* The reader's buffer, what may wait, and the buffer that was begun below that. */
	assert_in_range(bounded, 1, 8 * LOWAT);
	assert_int_equal(setsockopt(side[0], IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bulk, sizeof bulk),
			 0);
	more = takes();
	assert_in_range(more, BULK / 2, BULK + 8 * LOWAT);
	assert_int_equal(setsockopt(side[0], IPPROTO_TCP, TCP_NOTSENT_LOWAT, &none, sizeof none),
			 0);
	free_again = takes();
	assert_true(free_again > 32 * LOWAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bounded_and_then_free, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
