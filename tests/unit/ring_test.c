/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_test: every operation, on both engines. tests/sim/ring_sim_test.c has the same tests on the
 * simulated ring.
 *
 * links: core/ring.c core/ring_uring.c core/ring_epoll.c core/timer.c
 * links: tests/support/ring_fixture.c
 */
#include "tests/support/ring_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/ring_internal.h"

/* ---- accepting ----------------------------------------------------------------------------- */

static void accept_delivers_each_connection(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe p;
	int theirs[40], listener = listen_loopback();
	probe_init(f, &p);
	ring_accept(f->r, &p.op, listener);
	for (int i = 0; i < 20; i++)
		theirs[i] = dial_loopback(listener);
	run_until(f, &p, 20);
	for (int i = 20; i < 40; i++)
		theirs[i] = dial_loopback(listener);
	run_until(f, &p, 40);
	assert_true(ring_op_busy(&p.op));
	for (int i = 0; i < 40; i++) {
		assert_true(fcntl(p.fds[i], F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(p.fds[i], F_GETFD) & FD_CLOEXEC);
		shut(f, p.fds[i], theirs[i]);
	}
	cancel_and_wait(f, &p);
	ring_close_fd(f->r, listener);
}

static void accept_reports_the_descriptor_limit_and_goes_on_later(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe p;
	struct rlimit old, low;
	int listener = listen_loopback();
	int theirs = dial_loopback(listener);
	probe_init(f, &p);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = old;
	low.rlim_cur = (rlim_t)theirs + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	ring_accept(f->r, &p.op, listener);
	run_until(f, &p, 1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(p.res, -EMFILE);
	assert_false(ring_op_busy(&p.op));

	ring_accept(f->r, &p.op, listener);
	run_until(f, &p, 2);
	assert_true(p.res >= 0);
	shut(f, p.res, theirs);
	cancel_and_wait(f, &p);
	ring_close_fd(f->r, listener);
}

struct fickle {
	struct ring_op op;
	struct ring *r;
	unsigned accepted, ended;
};

static void fickle_accepted(struct ring_op *op, int res)
{
	struct fickle *one = (struct fickle *)op;
	if (res < 0) {
		assert_int_equal(res, -ECANCELED);
		one->ended++;
		ring_stop(one->r);
		return;
	}
	one->accepted++;
	close(res);
	ring_cancel(one->r, op);
}

static void accepting_can_end_inside_its_own_handler(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct fickle one = {.op.done = fickle_accepted, .r = f->r};
	int theirs[3], listener = listen_loopback();
	for (int i = 0; i < 3; i++)
		theirs[i] = dial_loopback(listener);
	ring_accept(f->r, &one.op, listener);
	run_for(f, 50);
	assert_int_equal(one.ended, 1);
	assert_false(ring_op_busy(&one.op));
	/* io_uring may have had them all before it heard; epoll asks one by one. */
	if (f->engine == RING_EPOLL)
		assert_int_equal(one.accepted, 1);
	for (int i = 0; i < 3; i++)
		close(theirs[i]);
	ring_close_fd(f->r, listener);
}

/* accept(2) reports what has happened to one connection, or to the network, as its own error. */
static void errors_of_one_connection_do_not_end_accepting(void **state)
{
	static const int passing[] = {EINTR,	   ECONNABORTED, EPROTO,
				      ENOPROTOOPT, ENETDOWN,	 ENETUNREACH,
				      EHOSTDOWN,   EHOSTUNREACH, ENONET};
	static const int lasting[] = {EMFILE, ENFILE, ENOMEM, ENOBUFS,
				      EBADF,  EINVAL, EPERM,  EAGAIN};
	for (size_t i = 0; i < sizeof(passing) / sizeof(*passing); i++)
		assert_true(ring_accept_again(passing[i]));
	for (size_t i = 0; i < sizeof(lasting) / sizeof(*lasting); i++)
		assert_false(ring_accept_again(lasting[i]));
}

/* ---- receiving ----------------------------------------------------------------------------- */

static void recv_never_completes_inside_the_call(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe p;
	int ours, theirs;
	char buf[16];
	tcp_pair(&ours, &theirs);
	probe_init(f, &p);
	write_all(theirs, "hello", 5);
	ring_recv(f->r, &p.op, ours, buf, sizeof(buf));
	assert_int_equal(p.done, 0);
	assert_true(ring_op_busy(&p.op));
	run_until(f, &p, 1);
	assert_int_equal(p.res, 5);
	assert_memory_equal(buf, "hello", 5);
	shut(f, ours, theirs);
}

static void recv_waits_again_and_again(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe p;
	int ours, theirs;
	char buf[4];
	tcp_pair(&ours, &theirs);
	probe_init(f, &p);
	for (unsigned i = 0; i < 50; i++) {
		ring_recv(f->r, &p.op, ours, buf, sizeof(buf));
		if (i % 5 == 0)
			run_for(f, 1);
		write_all(theirs, &i, sizeof(i));
		run_until(f, &p, i + 1);
		assert_int_equal(p.res, sizeof(i));
		assert_memory_equal(buf, &i, sizeof(i));
	}
	shut(f, ours, theirs);
}

static void end_of_file_after_the_last_bytes(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe p;
	int ours, theirs;
	char buf[16];
	tcp_pair(&ours, &theirs);
	probe_init(f, &p);
	/* Registered and asleep before bytes and the end come together. */
	ring_recv(f->r, &p.op, ours, buf, sizeof(buf));
	run_for(f, 5);
	write_all(theirs, "bye", 3);
	close(theirs);
	run_until(f, &p, 1);
	assert_int_equal(p.res, 3);
	for (unsigned i = 2; i < 4; i++) {
		ring_recv(f->r, &p.op, ours, buf, sizeof(buf));
		run_until(f, &p, i);
		assert_int_equal(p.res, 0);
	}
	shut(f, ours, -1);
}

static void half_close_leaves_the_other_direction(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe in, out;
	int ours, theirs;
	char buf[16];
	tcp_pair(&ours, &theirs);
	probe_init(f, &in);
	probe_init(f, &out);
	ring_recv(f->r, &in.op, ours, buf, sizeof(buf));
	shutdown(theirs, SHUT_WR);
	run_until(f, &in, 1);
	assert_int_equal(in.res, 0);
	ring_send(f->r, &out.op, ours, "still here", 10);
	run_until(f, &out, 1);
	assert_int_equal(out.res, 10);
	read_all(theirs, buf, 10);
	shutdown(ours, SHUT_WR);
	assert_int_equal(read_some(theirs, buf, sizeof(buf)), 0);
	shut(f, ours, theirs);
}

static void recv_now_does_not_wait(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe p;
	int ours, theirs;
	char buf[16];
	tcp_pair(&ours, &theirs);
	probe_init(f, &p);
	for (unsigned i = 1; i < 7; i += 2) {
		ring_recv_now(f->r, &p.op, ours, buf, sizeof(buf));
		assert_int_equal(p.done, i - 1);
		run_until(f, &p, i);
		assert_int_equal(p.res, -EAGAIN);
		write_all(theirs, "x", 1);
		run_for(f, 1); /* it is there */
		ring_recv_now(f->r, &p.op, ours, buf, sizeof(buf));
		run_until(f, &p, i + 1);
		assert_int_equal(p.res, 1);
	}
	shut(f, ours, theirs);
}

/* ---- sending ------------------------------------------------------------------------------- */

#define LARGE (4u << 20)

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i ^ (i >> 8) ^ (i >> 16));
}

static void a_large_send_completes_once_for_a_slow_reader(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe p;
	int ours, theirs, bounded = 256 << 10; /* less would be slower than this test may be */
	uint8_t *data = malloc(LARGE);
	struct drain drain = {.expected = pattern};
	for (size_t i = 0; i < LARGE; i++)
		data[i] = pattern(i);
	tcp_pair(&ours, &theirs);
	setsockopt(ours, SOL_SOCKET, SO_SNDBUF, &bounded, sizeof(bounded));
	setsockopt(theirs, SOL_SOCKET, SO_RCVBUF, &bounded, sizeof(bounded));
	probe_init(f, &p);
	ring_send(f->r, &p.op, ours, data, LARGE);
	run_for(f, 20);
	assert_int_equal(p.done, 0);
	drain.fd = theirs;
	drain_start(&drain);
	run_until(f, &p, 1);
	assert_int_equal(p.res, LARGE);
	run_for(f, 5);
	assert_int_equal(p.done, 1);
	shutdown(ours, SHUT_WR);
	assert_int_equal(drain_end(&drain), LARGE);
	free(data);
	shut(f, ours, theirs);
}

/* Full, emptied, and then a few bytes: nothing says any more that there is room. */
static void a_socket_that_was_full_takes_more_when_it_was_read(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe p;
	int ours, theirs;
	uint8_t *data = malloc(LARGE), *got = malloc(LARGE);
	tcp_pair(&ours, &theirs);
	probe_init(f, &p);
	for (unsigned i = 0; i < LARGE; i++)
		data[i] = pattern(i);
	for (unsigned round = 0; round < 3; round++) {
		ring_send(f->r, &p.op, ours, data, LARGE);
		run_for(f, 20);
		if (p.done == 2 * round) {
			size_t at = 0;
			while (at < LARGE) {
				ssize_t n = recv(theirs, got + at, LARGE - at, MSG_DONTWAIT);
				at += n > 0 ? (size_t)n : 0;
				run_for(f, 1);
			}
		} else {
			read_all(theirs, got, LARGE);
		}
		run_until(f, &p, 2 * round + 1);
		assert_memory_equal(got, data, LARGE);
		run_for(f, 5);
		ring_send(f->r, &p.op, ours, "more", 4);
		run_until(f, &p, 2 * round + 2);
		read_all(theirs, got, 4);
		assert_memory_equal(got, "more", 4);
	}
	free(data);
	free(got);
	shut(f, ours, theirs);
}

/* The same, and the send that had to wait was taken back before the peer read. */
static void a_socket_that_was_read_while_no_send_waited_takes_more(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe p;
	int ours, theirs, bounded = 64 << 10, quiet = 0;
	uint8_t *data = calloc(1, LARGE), last[4] = "";
	tcp_pair(&ours, &theirs);
	setsockopt(ours, SOL_SOCKET, SO_SNDBUF, &bounded, sizeof(bounded));
	setsockopt(theirs, SOL_SOCKET, SO_RCVBUF, &bounded, sizeof(bounded));
	probe_init(f, &p);
	for (unsigned round = 0; round < 2; round++) {
		p.done = 0;
		ring_send(f->r, &p.op, ours, data, LARGE);
		run_for(f, 20);
		assert_int_equal(p.done, 0);
		cancel_and_wait(f, &p);
		for (quiet = 0; quiet < 5;) {
			ssize_t n = recv(theirs, data, LARGE, MSG_DONTWAIT);
			quiet = n > 0 ? 0 : quiet + 1;
			run_for(f, 2);
		}
	}
	p.done = 0;
	ring_send(f->r, &p.op, ours, "more", 4);
	run_until(f, &p, 1);
	assert_int_equal(p.res, 4);
	read_all(theirs, last, 4);
	assert_memory_equal(last, "more", 4);
	free(data);
	shut(f, ours, theirs);
}

static void sending_to_a_closed_peer_is_an_error_without_a_signal(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe p;
	int ours, theirs;
	tcp_pair(&ours, &theirs);
	probe_init(f, &p);
	close(theirs);
	for (unsigned i = 1; i < 4 && p.res >= 0; i++) {
		ring_send(f->r, &p.op, ours, "x", 1);
		run_until(f, &p, i);
		run_for(f, 2);
	}
	assert_true(p.res == -EPIPE || p.res == -ECONNRESET);
	shut(f, ours, -1);
}

static void both_directions_at_once(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe in, out;
	int ours, theirs;
	char buf[64], echo[64];
	tcp_pair(&ours, &theirs);
	probe_init(f, &in);
	probe_init(f, &out);
	for (unsigned i = 1; i <= 50; i++) {
		ring_recv(f->r, &in.op, ours, buf, sizeof(buf));
		ring_send(f->r, &out.op, ours, "ping", 4);
		run_until(f, &out, i);
		read_all(theirs, echo, 4);
		write_all(theirs, echo, 4);
		run_until(f, &in, i);
		assert_int_equal(in.res, 4);
	}
	shut(f, ours, theirs);
}

/* ---- polling, resets, errors --------------------------------------------------------------- */

static void poll_reports_what_is_there_and_what_comes(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe in, out;
	int ours, theirs;
	tcp_pair(&ours, &theirs);
	probe_init(f, &in);
	probe_init(f, &out);
	ring_poll(f->r, &in.op, ours, POLLIN);
	ring_poll(f->r, &out.op, ours, POLLOUT);
	run_until(f, &out, 1);
	assert_true(out.res & POLLOUT);
	run_for(f, 5);
	assert_int_equal(in.done, 0);
	write_all(theirs, "x", 1);
	run_until(f, &in, 1);
	assert_true(in.res & POLLIN);
	/* Still there, so again at once. */
	ring_poll(f->r, &in.op, ours, POLLIN | POLLOUT);
	run_until(f, &in, 2);
	assert_int_equal(in.res & (POLLIN | POLLOUT), POLLIN | POLLOUT);
	shut(f, ours, theirs);
}

static void poll_tells_when_a_connect_is_through(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe p;
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	int error = -1, listener = listen_loopback();
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	probe_init(f, &p);
	assert_true(connect(fd, (struct sockaddr *)&at, len) == 0 || errno == EINPROGRESS);
	ring_poll(f->r, &p.op, fd, POLLOUT);
	run_until(f, &p, 1);
	len = sizeof(error);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	assert_int_equal(error, 0);
	shut(f, fd, listener);
}

static void a_reset_is_seen_as_one(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe p;
	int ours, theirs, other_ours, other_theirs;
	char buf[4];
	tcp_pair(&ours, &theirs);
	ring_reset_fd(f->r, ours);
	assert_int_equal(read_some(theirs, buf, sizeof(buf)), -1);
	assert_int_equal(errno, ECONNRESET);
	close(theirs);

	tcp_pair(&other_ours, &other_theirs);
	probe_init(f, &p);
	ring_recv(f->r, &p.op, other_ours, buf, sizeof(buf));
	run_for(f, 5);
	ring_reset_fd(f->r, other_theirs);
	run_until(f, &p, 1);
	assert_int_equal(p.res, -ECONNRESET);
	shut(f, other_ours, -1);
}

static void a_bad_descriptor_is_an_error(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe p;
	char buf[4];
	int fd = listen_loopback();
	close(fd);
	probe_init(f, &p);
	ring_recv(f->r, &p.op, fd, buf, sizeof(buf));
	run_until(f, &p, 1);
	assert_int_equal(p.res, -EBADF);
	ring_send(f->r, &p.op, -1, buf, sizeof(buf));
	run_until(f, &p, 2);
	assert_int_equal(p.res, -EBADF);
	ring_poll(f->r, &p.op, fd, POLLIN);
	run_until(f, &p, 3);
	assert_int_equal(p.res, -EBADF);
	ring_recv_pooled(f->r, &p.op, fd);
	run_until(f, &p, 4);
	assert_int_equal(p.res, -EBADF);
	ring_accept(f->r, &p.op, fd);
	run_until(f, &p, 5);
	assert_int_equal(p.res, -EBADF);
	assert_false(ring_op_busy(&p.op));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(accept_delivers_each_connection),
		RING_TEST(accept_reports_the_descriptor_limit_and_goes_on_later),
		RING_TEST(accepting_can_end_inside_its_own_handler),
		cmocka_unit_test(errors_of_one_connection_do_not_end_accepting),
		RING_TEST(recv_never_completes_inside_the_call),
		RING_TEST(recv_waits_again_and_again),
		RING_TEST(end_of_file_after_the_last_bytes),
		RING_TEST(half_close_leaves_the_other_direction),
		RING_TEST(recv_now_does_not_wait),
		RING_TEST(a_large_send_completes_once_for_a_slow_reader),
		RING_TEST(a_socket_that_was_full_takes_more_when_it_was_read),
		RING_TEST(a_socket_that_was_read_while_no_send_waited_takes_more),
		RING_TEST(sending_to_a_closed_peer_is_an_error_without_a_signal),
		RING_TEST(both_directions_at_once),
		RING_TEST(poll_reports_what_is_there_and_what_comes),
		RING_TEST(poll_tells_when_a_connect_is_through),
		RING_TEST(a_reset_is_seen_as_one),
		RING_TEST(a_bad_descriptor_is_an_error),
	};
	return RING_TESTS_RUN(tests);
}
