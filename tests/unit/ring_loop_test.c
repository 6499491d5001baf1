/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_loop_test: timers, messages, stopping, and descriptors that change rings.
 *
 * links: core/ring.c core/ring_uring.c core/ring_epoll.c core/timer.c
 * links: tests/support/ring_fixture.c
 */
#include "tests/support/ring_fixture.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- timers -------------------------------------------------------------------------------- */

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
	usleep(5000); /* the ring's clock is not the time of its opening */
	uint64_t start = clock_ms();
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

#define SENDERS	 4
#define MESSAGES 2000

struct note {
	struct ring_msg msg;
	struct ring *r;
	unsigned sender, number;
};

static struct note notes[SENDERS][MESSAGES];
static unsigned received[SENDERS];

static void on_note(struct ring_msg *msg)
{
	struct note *n = (struct note *)msg;
	assert_int_equal(n->number, received[n->sender]);
	received[n->sender]++;
	unsigned all = 0;
	for (int i = 0; i < SENDERS; i++)
		all += received[i];
	if (all == SENDERS * MESSAGES)
		ring_stop(n->r);
}

static void *sender_main(void *arg)
{
	struct note *n = arg;
	for (unsigned i = 0; i < MESSAGES; i++) {
		ring_post(n[i].r, &n[i].msg);
		if (i % 100 == 0)
			usleep(100);
	}
	return NULL;
}

static void messages_arrive_in_each_senders_order(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	pthread_t thread[SENDERS];
	memset(received, 0, sizeof(received));
	for (unsigned s = 0; s < SENDERS; s++) {
		for (unsigned i = 0; i < MESSAGES; i++)
			notes[s][i] = (struct note){{.run = on_note}, f->r, s, i};
		assert_int_equal(pthread_create(&thread[s], NULL, sender_main, notes[s]), 0);
	}
	assert_int_equal(ring_run(f->r), 0);
	for (unsigned s = 0; s < SENDERS; s++) {
		pthread_join(thread[s], NULL);
		assert_int_equal(received[s], MESSAGES);
	}
}

static unsigned echoes;

static void on_echo(struct ring_msg *msg)
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
	struct note n = {{.run = on_echo}, f->r, 0, 0};
	echoes = 0;
	ring_post(f->r, &n.msg);
	assert_int_equal(echoes, 0);
	assert_int_equal(ring_run(f->r), 0);
	assert_int_equal(echoes, 10);
}

/* ---- stopping ------------------------------------------------------------------------------ */

static struct ring *stopped_by_signal;

static void on_signal(int number)
{
	ring_stop(stopped_by_signal);
}

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#endif
#endif
#ifndef THREAD_SANITIZER
#define THREAD_SANITIZER 0
#endif

/* ThreadSanitizer keeps a signal back until the thread blocks in a call that it knows; it does not
 * know io_uring_enter. */
static void let_signals_in(struct timer *t, uint64_t now_ms)
{
	usleep(1);
}

static void a_signal_handler_can_stop_the_loop(void **state)
{
	struct timer doorman = {.fire = let_signals_in};
	struct ring_fixture *f = ring_fixture(state);
	struct sigaction act = {.sa_handler = on_signal}, old;
	struct itimerval in_20_ms = {.it_value.tv_usec = 20000};
	stopped_by_signal = f->r;
	sigaction(SIGALRM, &act, &old);
	uint64_t start = clock_ms();
	setitimer(ITIMER_REAL, &in_20_ms, NULL);
	if (THREAD_SANITIZER)
		ring_timer_set(f->r, &doorman, 60);
	assert_int_equal(ring_run(f->r), 0);
	assert_true(clock_ms() - start >= 15);
	ring_timer_cancel(f->r, &doorman);
	sigaction(SIGALRM, &old, NULL);
}

/* A signal that stops nothing must not end the loop with an error. */
static void on_nothing(int number)
{
}

static void other_signals_do_not_disturb(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct sigaction act = {.sa_handler = on_nothing}, old;
	struct itimerval every_ms = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
	struct probe p;
	char buf[4];
	int ours, theirs;
	tcp_pair(&ours, &theirs);
	probe_init(f, &p);
	sigaction(SIGALRM, &act, &old);
	setitimer(ITIMER_REAL, &every_ms, NULL);
	ring_recv(f->r, &p.op, ours, buf, sizeof(buf));
	run_for(f, 30);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &old, NULL);
	write_all(theirs, "x", 1);
	run_until(f, &p, 1);
	assert_int_equal(p.res, 1);
	ring_close_fd(f->r, ours);
	close(theirs);
}

static void *stopper_main(void *arg)
{
	usleep(10000);
	ring_stop(arg);
	return NULL;
}

static void another_thread_can_stop_the_loop(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, stopper_main, f->r), 0);
	assert_int_equal(ring_run(f->r), 0);
	pthread_join(thread, NULL);
	/* And before it runs. */
	ring_stop(f->r);
	assert_int_equal(ring_run(f->r), 0);
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
	ring_close(g.r);
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
		RING_TEST(messages_arrive_in_each_senders_order),
		RING_TEST(a_message_may_post_itself_again),
		RING_TEST(a_signal_handler_can_stop_the_loop),
		RING_TEST(other_signals_do_not_disturb),
		RING_TEST(another_thread_can_stop_the_loop),
		RING_TEST(a_descriptor_can_move_to_another_ring),
		RING_TEST(a_wrong_pool_size_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
