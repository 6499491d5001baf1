/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_loop_test: timers, messages, stopping, and descriptors that change rings.
 * tests/sim/ring_loop_sim_test.c has the same tests on the simulated ring; what other threads and
 * signals do to a ring is in ring_threads_test.c.
 *
 * links: core/ring.c core/ring_uring.c core/ring_epoll.c core/timer.c
 * links: tests/support/ring_fixture.c
 */
#include "tests/support/ring_fixture.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"

/* ---- timers -------------------------------------------------------------------------------- */

static void wait_outside_the_loop(void)
{
	struct pollfd none = {.fd = -1};
	poll(&none, 1, 5);
}

struct alarm {
	struct timer timer;
	struct ring *r;
	uint64_t fired_at;
	int place;
};

static int alarms_fired;

static void on_alarm(struct timer *t, uint64_t now_ms)
{
	struct alarm *a = (struct alarm *)t;
	assert_int_equal(now_ms, ring_now_ms(a->r));
	a->fired_at = now_ms;
	a->place = ++alarms_fired;
}

static void timers_fire_in_order_and_not_early(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	static const unsigned after[] = {30, 10, 20, 0};
	static const int place[] = {4, 2, 3, 1};
	struct alarm a[4], cancelled = {.timer.fire = on_alarm, .r = f->r};
	alarms_fired = 0;
	wait_outside_the_loop(); /* the ring's clock is not the time of its opening */
	uint64_t start = clock_ms(CLOCK_MONOTONIC);
	for (int i = 0; i < 4; i++) {
		a[i] = (struct alarm){.timer.fire = on_alarm, .r = f->r};
		ring_timer_set(f->r, &a[i].timer, after[i]);
	}
	ring_timer_set(f->r, &cancelled.timer, 15);
	ring_timer_cancel(f->r, &cancelled.timer);
	run_for(f, 60);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(a[i].place, place[i]);
		assert_true(a[i].fired_at >= start + after[i]);
		assert_true(a[i].fired_at < start + after[i] + 500);
	}
	assert_int_equal(cancelled.fired_at, 0);
}

/* Ready at every look, and started again each time. */
struct restless {
	struct ring_op op;
	struct ring *r;
	int fd;
	unsigned turns;
	bool enough;
};

static void restless_polled(struct ring_op *op, int res)
{
	struct restless *one = (struct restless *)op;
	one->turns++;
	if (one->enough)
		return;
	ring_poll(one->r, op, one->fd, POLLIN);
}

static void a_busy_descriptor_does_not_keep_timers_waiting(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	int ours, theirs;
	tcp_pair(&ours, &theirs);
	write_all(theirs, "x", 1);
	struct restless one = {.op.done = restless_polled, .r = f->r, .fd = ours};
	ring_poll(f->r, &one.op, ours, POLLIN);
	run_for(f, 20);
	assert_true(one.turns > 0);
	one.enough = true;
	ring_cancel(f->r, &one.op);
	run_for(f, 5);
	assert_false(ring_op_busy(&one.op));
	shut(f, ours, theirs);
}

/* ---- messages ------------------------------------------------------------------------------ */

struct note {
	struct ring_msg msg;
	struct ring *r;
	unsigned number;
};

#define NOTES 100

static unsigned received;

static void note_arrived(struct ring_msg *msg)
{
	struct note *n = (struct note *)msg;
	assert_int_equal(n->number, received);
	if (++received == NOTES)
		ring_stop(n->r);
}

static void messages_arrive_in_order(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	static struct note notes[NOTES];
	received = 0;
	for (unsigned i = 0; i < NOTES; i++) {
		notes[i] = (struct note){{.run = note_arrived}, f->r, i};
		ring_post(f->r, &notes[i].msg);
	}
	assert_int_equal(received, 0);
	run_until_stopped(f);
	assert_int_equal(received, NOTES);
}

static unsigned echoes;

static void echo_arrived(struct ring_msg *msg)
{
	struct note *n = (struct note *)msg;
	if (++echoes == 10)
		ring_stop(n->r);
	else
		ring_post(n->r, msg);
}

static void a_message_may_post_itself_again(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct note n = {{.run = echo_arrived}, f->r, 0};
	echoes = 0;
	ring_post(f->r, &n.msg);
	assert_int_equal(echoes, 0);
	run_until_stopped(f);
	assert_int_equal(echoes, 10);
}

/* ---- stopping ------------------------------------------------------------------------------ */

static void a_loop_that_was_stopped_before_it_runs_ends(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct alarm late = {.timer.fire = on_alarm, .r = f->r};
	ring_timer_set(f->r, &late.timer, 50);
	ring_stop(f->r);
	run_until_stopped(f);
	assert_int_equal(late.fired_at, 0);
	/* Once: it runs again. */
	run_for(f, 100);
	assert_true(late.fired_at > 0);
}

/* ---- moving and configuration -------------------------------------------------------------- */

static void a_descriptor_can_move_to_another_ring(void **state)
{
	struct ring_fixture *f = ring_fixture(state), g = {.engine = f->engine};
	struct probe in_f, in_g;
	char buf[8];
	int ours, theirs;
	ring_fixture_reopen(&g, 8, 2);
	tcp_pair(&ours, &theirs);
	probe_init(f, &in_f);
	probe_init(&g, &in_g);
	for (unsigned i = 1; i <= 5; i++) {
		/* Asleep, then woken, in the one; */
		ring_recv(f->r, &in_f.op, ours, buf, sizeof(buf));
		run_for(f, 3);
		write_all(theirs, "one", 3);
		run_until(f, &in_f, i);
		assert_int_equal(in_f.res, 3);
		ring_detach_fd(f->r, ours);
		/* bytes arrive in between; then the other reads them and sleeps as well. */
		write_all(theirs, "two!", 4);
		ring_recv(g.r, &in_g.op, ours, buf, sizeof(buf));
		run_until(&g, &in_g, 2 * i - 1);
		assert_int_equal(in_g.res, 4);
		ring_recv(g.r, &in_g.op, ours, buf, sizeof(buf));
		run_for(&g, 3);
		write_all(theirs, "three", 5);
		run_until(&g, &in_g, 2 * i);
		assert_int_equal(in_g.res, 5);
		ring_detach_fd(g.r, ours);
	}
	ring_close_fd(f->r, ours);
	close(theirs);
	ring_fixture_close(&g);
}

static void a_wrong_pool_size_is_refused(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct ring *r = NULL;
	char why[256] = "x";
	const struct ring_options odd = {.engine = f->engine, .small_buffers = 3};
	const struct ring_options huge = {.engine = f->engine, .small_buffers = 1u << 16};
	assert_int_equal(ring_open(&r, &odd, why, sizeof(why)), -EINVAL);
	assert_int_equal(ring_open(&r, &huge, why, sizeof(why)), -EINVAL);
	assert_null(r);
	assert_int_equal(ring_engine(f->r), f->engine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(timers_fire_in_order_and_not_early),
		RING_TEST(a_busy_descriptor_does_not_keep_timers_waiting),
		RING_TEST(messages_arrive_in_order),
		RING_TEST(a_message_may_post_itself_again),
		RING_TEST(a_loop_that_was_stopped_before_it_runs_ends),
		RING_TEST(a_descriptor_can_move_to_another_ring),
		RING_TEST(a_wrong_pool_size_is_refused),
	};
	return RING_TESTS_RUN(tests);
}
