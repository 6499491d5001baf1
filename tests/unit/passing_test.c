/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passing_test: one descriptor goes along with a message; more than one leave nothing behind.
 *
 * links: core/passing.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/passing.h"

static size_t open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* Sends so many copies of fd; what passing_take() makes of them. */
static int pass(int fd, unsigned count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(4 * sizeof(int))];
	} out = {.bytes = {0}};
	union passing in;
	char byte = 'x';
	struct iovec v = {&byte, 1};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = out.bytes,
			   .msg_controllen = CMSG_SPACE(count * sizeof(int))};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int pair[2], taken;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof(int));
	for (unsigned i = 0; i < count; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
	if (count == 0)
		m.msg_control = NULL, m.msg_controllen = 0;
	assert_int_equal(sendmsg(pair[0], &m, MSG_NOSIGNAL), 1);
	m.msg_control = in.bytes;
	m.msg_controllen = sizeof(in.bytes);
	assert_int_equal(recvmsg(pair[1], &m, MSG_CMSG_CLOEXEC), 1);
	taken = passing_take(&m);
	close(pair[0]);
	close(pair[1]);
	return taken;
}

static void one_arrives(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), taken = pass(fd, 1);

	assert_true(taken >= 0 && taken != fd);
	assert_true(fcntl(taken, F_GETFD) & FD_CLOEXEC);
	close(taken);
	close(fd);
}

static void none_is_none(void **state)
{
	assert_int_equal(pass(-1, 0), -1);
}

static void more_than_one_are_closed(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	size_t before = open_descriptors();

	for (unsigned count = 2; count <= 4; count++) {
		assert_int_equal(pass(fd, count), -1);
		assert_int_equal(open_descriptors(), before);
	}
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_arrives),
		cmocka_unit_test(none_is_none),
		cmocka_unit_test(more_than_one_are_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
