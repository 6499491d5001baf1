/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uring_restrictions_test: a ring of ring_open() refuses all that opens, dials or registers; and
 * where there is no io_uring, ring_open() falls back and says why.
 *
 * links: core/ring.c core/ring_uring.c core/ring_epoll.c core/timer.c
 * links: tests/support/ring_fixture.c
 */
#include "tests/support/ring_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/ring_internal.h"

/* Not in the headers of liburing 2.3. */
#define OP_LAST_TO_TRY 64u

static bool allowed(unsigned opcode)
{
	switch (opcode) {
	case IORING_OP_ACCEPT:
	case IORING_OP_RECV:
	case IORING_OP_SEND:
	case IORING_OP_POLL_ADD:
	case IORING_OP_ASYNC_CANCEL:
		return true;
	default:
		return false;
	}
}

/* Submits one entry, waits, and returns its result. The ring's own wake-up stays asleep. */
static int result_of(struct io_uring *u)
{
	struct io_uring_cqe *cqe;
	assert_int_equal(io_uring_submit_and_wait(u, 1), 1);
	assert_int_equal(io_uring_peek_cqe(u, &cqe), 0);
	assert_int_equal(cqe->user_data, 77);
	int res = cqe->res;
	io_uring_cqe_seen(u, cqe);
	return res;
}

static struct io_uring_sqe *entry(struct io_uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(u);
	assert_non_null(sqe);
	memset(sqe, 0, sizeof(*sqe));
	return sqe;
}

static struct io_uring *raw_ring(struct ring_fixture *f)
{
	struct io_uring *u = ring_uring_raw(f->r);
	io_uring_submit(u); /* the wake-up that ring_open() started */
	return u;
}

static void dialling_and_opening_are_refused(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct io_uring *u = raw_ring(f);
	struct io_uring_sqe *sqe;
	struct sockaddr_in at;
	struct msghdr msg = {.msg_name = &at, .msg_namelen = sizeof(at)};
	socklen_t len = sizeof(at);
	int listener = listen_loopback();
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);

	sqe = entry(u);
	io_uring_prep_connect(sqe, fd, (struct sockaddr *)&at, len);
	sqe->user_data = 77;
	assert_int_equal(result_of(u), -EACCES);
	assert_int_equal(getpeername(fd, (struct sockaddr *)&at, &len), -1);

	sqe = entry(u);
	io_uring_prep_openat(sqe, AT_FDCWD, "/etc/hostname", O_RDONLY, 0);
	sqe->user_data = 77;
	assert_int_equal(result_of(u), -EACCES);

	sqe = entry(u);
	io_uring_prep_rw(IORING_OP_SOCKET, sqe, AF_INET, NULL, 0, SOCK_STREAM);
	sqe->user_data = 77;
	assert_int_equal(result_of(u), -EACCES);

	sqe = entry(u);
	io_uring_prep_sendmsg(sqe, fd, &msg, MSG_FASTOPEN);
	sqe->user_data = 77;
	assert_int_equal(result_of(u), -EACCES);
	close(fd);
	close(listener);
}

static void every_other_opcode_is_refused(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct io_uring *u = raw_ring(f);
	struct io_uring_probe *known = io_uring_get_probe();
	unsigned last = known ? known->last_op : IORING_OP_SEND_ZC;
	io_uring_free_probe(known);
	assert_true(last >= IORING_OP_SEND_ZC);
	for (unsigned op = 0; op <= last && op < OP_LAST_TO_TRY; op++) {
		if (allowed(op))
			continue;
		struct io_uring_sqe *sqe = entry(u);
		sqe->opcode = (uint8_t)op;
		sqe->fd = -1;
		sqe->user_data = 77;
		int res = result_of(u);
		if (res != -EACCES)
			fail_msg("opcode %u: %d", op, res);
	}
}

static void flags_that_are_not_needed_are_refused(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct io_uring *u = raw_ring(f);
	static const unsigned flags[] = {IOSQE_FIXED_FILE, IOSQE_IO_LINK, IOSQE_IO_DRAIN,
					 IOSQE_ASYNC};
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		struct io_uring_sqe *sqe = entry(u);
		io_uring_prep_poll_add(sqe, 0, 0);
		sqe->flags = (uint8_t)flags[i];
		sqe->user_data = 77;
		assert_int_equal(result_of(u), -EACCES);
	}
}

static void nothing_new_can_be_registered(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct io_uring *u = raw_ring(f);
	static char memory[4096];
	struct iovec iov = {memory, sizeof(memory)};
	struct io_uring_restriction more = {
		.opcode = IORING_RESTRICTION_SQE_OP,
		.sqe_op = IORING_OP_CONNECT,
	};
	struct io_uring_buf_reg reg = {.ring_entries = 1, .bgid = 1};
	int fd = eventfd(0, 0);
	assert_int_equal(io_uring_register_files(u, &fd, 1), -EACCES);
	assert_int_equal(io_uring_register_buffers(u, &iov, 1), -EACCES);
	assert_int_equal(io_uring_register_eventfd(u, fd), -EACCES);
	assert_int_equal(io_uring_register_personality(u), -EACCES);
	assert_int_equal(io_uring_register_buf_ring(u, &reg, 0), -EACCES);
	assert_int_equal(io_uring_register_restrictions(u, &more, 1), -EACCES);
	assert_int_not_equal(io_uring_enable_rings(u), 0);
	close(fd);
}

/* ---- the fallback -------------------------------------------------------------------------- */

/* Exit status 0 when all is as it should be; else the number of the check that was not. */
static int without_io_uring(int error)
{
	struct ring *r;
	struct ring_options opt = {.engine = RING_AUTO};
	char why[512];
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	if (seccomp_rule_add(filter, SCMP_ACT_ERRNO((unsigned)error), SCMP_SYS(io_uring_setup),
			     0) ||
	    seccomp_load(filter))
		return 1;
	seccomp_release(filter);
	if (ring_open(&r, &opt, why, sizeof(why)))
		return 2;
	if (ring_engine(r) != RING_EPOLL)
		return 3;
	if (!strstr(why, "using epoll") || !strstr(why, "seccomp") ||
	    !strstr(why, "io_uring_setup, io_uring_enter and io_uring_register"))
		return 4;
	ring_close(r);
	opt.engine = RING_IO_URING;
	if (ring_open(&r, &opt, why, sizeof(why)) != -error)
		return 5;
	if (strstr(why, "using epoll") || !strstr(why, strerror(error)))
		return 6;
	opt.engine = RING_EPOLL;
	if (ring_open(&r, &opt, why, sizeof(why)) || why[0])
		return 7;
	ring_close(r);
	return 0;
}

static void a_refusal_falls_back_and_says_so(void **state)
{
	static const int errors[] = {EPERM, ENOSYS};
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		int status;
		pid_t child = fork();
		if (child == 0)
			_exit(without_io_uring(errors[i]));
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

#define URING_TEST(f)                                                                              \
	cmocka_unit_test_setup_teardown(f, ring_fixture_io_uring, ring_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		URING_TEST(dialling_and_opening_are_refused),
		URING_TEST(every_other_opcode_is_refused),
		URING_TEST(flags_that_are_not_needed_are_refused),
		URING_TEST(nothing_new_can_be_registered),
		cmocka_unit_test(a_refusal_falls_back_and_says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
