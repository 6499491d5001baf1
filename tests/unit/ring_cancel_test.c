/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_cancel_test: an operation that is cancelled ends once, in every state; and more of them than
 * the ring has entries. tests/sim/ring_cancel_sim_test.c has the same tests on the simulated ring.
 *
 * links: core/ring.c core/ring_uring.c core/ring_epoll.c core/timer.c
 * links: tests/support/ring_fixture.c
 */
#include "tests/support/ring_fixture.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LARGE (4u << 20)

static void start_kind(struct ring_fixture *f, struct probe *p, int kind, int fd)
{
	static uint8_t data[LARGE];
	switch (kind) {
	case 0:
		ring_recv(f->r, &p->op, fd, data, sizeof(data));
		break;
	case 1:
		ring_recv_pooled(f->r, &p->op, fd);
		break;
	case 2:
		ring_send(f->r, &p->op, fd, data, sizeof(data));
		break;
	case 3:
		ring_poll(f->r, &p->op, fd, POLLIN);
		break;
	}
}

static void every_waiting_operation_can_be_cancelled(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe p;
	for (int kind = 0; kind < 4; kind++) {
		for (int asleep = 0; asleep < 2; asleep++) {
			int ours, theirs;
			tcp_pair(&ours, &theirs);
			probe_init(f, &p);
			ring_cancel(f->r, &p.op);
			start_kind(f, &p, kind, ours);
			if (asleep)
				run_for(f, 10);
			assert_int_equal(p.done, 0);
			cancel_and_wait(f, &p);
			run_for(f, 2);
			assert_int_equal(p.done, 1);
			/* It can be used again. */
			if (kind != 2) {
				start_kind(f, &p, kind, ours);
				write_all(theirs, "x", 1);
				run_until(f, &p, 2);
				assert_int_equal(p.res, 1);
				if (kind == 1)
					ring_buffer_put(f->r, p.op.buf);
			}
			shut(f, ours, theirs);
		}
	}
}

/* Closed with bytes that were never read, right after the cancelled operation has ended: what comes
 * under the same number afterwards is another connection. */
static void a_number_that_comes_again_is_another_connection(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe p, room;
	int ours, theirs, before = -1;
	char buf[8];
	for (unsigned i = 0; i < 20; i++) {
		tcp_pair(&ours, &theirs);
		if (before >= 0)
			assert_int_equal(ours, before);
		before = ours;
		probe_init(f, &p);
		probe_init(f, &room);
		ring_recv(f->r, &p.op, ours, buf, sizeof(buf));
		ring_poll(f->r, &room.op, ours, POLLOUT);
		run_until(f, &room, 1);
		assert_int_equal(room.res & (POLLOUT | POLLHUP | POLLERR), POLLOUT);
		assert_int_equal(p.done, 0); /* nothing of the one before */
		write_all(theirs, "new", 3);
		run_until(f, &p, 1);
		assert_int_equal(p.res, 3);
		assert_memory_equal(buf, "new", 3);
		ring_recv(f->r, &p.op, ours, buf, sizeof(buf));
		run_for(f, i % 3);
		p.done = 0;
		cancel_and_wait(f, &p);
		write_all(theirs, "old", 3);
		if (i % 2)
			run_for(f, 1);
		shut(f, ours, theirs);
	}
}

static void a_starved_receive_can_be_cancelled(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe holder, p, q;
	int ours[3], theirs[3];
	ring_fixture_reopen(f, 64, 1);
	for (int i = 0; i < 3; i++) {
		tcp_pair(&ours[i], &theirs[i]);
		write_all(theirs[i], "x", 1);
	}
	probe_init(f, &holder);
	probe_init(f, &p);
	probe_init(f, &q);
	ring_recv_pooled(f->r, &holder.op, ours[0]);
	run_until(f, &holder, 1);
	ring_recv_pooled(f->r, &p.op, ours[1]);
	ring_recv_pooled(f->r, &q.op, ours[2]);
	run_for(f, 5);
	cancel_and_wait(f, &p);
	ring_buffer_put(f->r, holder.op.buf);
	run_until(f, &q, 1);
	assert_int_equal(q.res, 1);
	for (int i = 0; i < 3; i++)
		shut(f, ours[i], theirs[i]);
}

static void cancelling_what_is_through_already_changes_nothing(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct probe p;
	int ours, theirs;
	char buf[4];
	tcp_pair(&ours, &theirs);
	probe_init(f, &p);
	for (unsigned i = 0; i < 20; i++) {
		write_all(theirs, "x", 1);
		ring_recv(f->r, &p.op, ours, buf, sizeof(buf));
		ring_cancel(f->r, &p.op);
		run_until(f, &p, p.done + 1);
		assert_true(p.res == 1 || p.res == -ECANCELED);
		if (p.res < 0)
			read_all(ours, buf, 1);
	}
	/* None of those cancellations hits a later operation at the same address. */
	ring_recv(f->r, &p.op, ours, buf, sizeof(buf));
	run_for(f, 10);
	assert_true(ring_op_busy(&p.op));
	write_all(theirs, "x", 1);
	run_until(f, &p, p.done + 1);
	assert_int_equal(p.res, 1);
	shut(f, ours, theirs);
}

/* Whether it is running, asleep, or on its way between, a cancelled send ends. */
static void a_busy_send_can_be_cancelled_at_any_moment(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	static uint8_t data[1 << 20];
	struct drain drain = {.expected = NULL};
	struct probe p;
	int ours, theirs;
	tcp_pair(&ours, &theirs);
	probe_init(f, &p);
	drain.fd = theirs;
	drain_start(&drain);
	for (unsigned i = 1; i <= 400; i++) {
		ring_send(f->r, &p.op, ours, data, sizeof(data));
		if (i % 4)
			run_for(f, i % 2);
		ring_cancel(f->r, &p.op);
		run_until(f, &p, i);
		assert_true(p.res == -ECANCELED || p.res == sizeof(data));
	}
	shutdown(ours, SHUT_WR);
	drain_end(&drain);
	shut(f, ours, theirs);
}

#define MANY 100

static void more_operations_than_entries(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	static struct probe p[MANY];
	static int ours[MANY], theirs[MANY];
	static char buf[MANY];
	ring_fixture_reopen(f, 4, 16);
	for (int i = 0; i < MANY; i++) {
		tcp_pair(&ours[i], &theirs[i]);
		probe_init(f, &p[i]);
		ring_recv(f->r, &p[i].op, ours[i], &buf[i], 1);
	}
	for (int i = 0; i < MANY; i += 2)
		write_all(theirs[i], "m", 1);
	for (int i = 0; i < MANY; i++)
		if (i % 2 == 0)
			run_until(f, &p[i], 1);
	assert_int_equal(count_done(p, MANY), MANY / 2);
	for (int i = 1; i < MANY; i += 2)
		ring_cancel(f->r, &p[i].op);
	for (int i = 1; i < MANY; i += 2)
		run_until(f, &p[i], 1);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(p[i].done, 1);
		assert_int_equal(p[i].res, i % 2 ? -ECANCELED : 1);
		shut(f, ours[i], theirs[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(every_waiting_operation_can_be_cancelled),
		RING_TEST(a_number_that_comes_again_is_another_connection),
		RING_TEST(a_starved_receive_can_be_cancelled),
		RING_TEST(cancelling_what_is_through_already_changes_nothing),
		RING_TEST(a_busy_send_can_be_cancelled_at_any_moment),
		RING_TEST(more_operations_than_entries),
	};
	return RING_TESTS_RUN(tests);
}
