/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring_threads_test: what other threads, and signals, do to a ring.
 *
 * links: core/ring.c core/ring_uring.c core/ring_epoll.c core/timer.c
 * links: tests/support/ring_fixture.c
 */
#include "tests/support/ring_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/clock.h"

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
	uint64_t start = clock_ms(CLOCK_MONOTONIC);
	setitimer(ITIMER_REAL, &in_20_ms, NULL);
	if (THREAD_SANITIZER)
		ring_timer_set(f->r, &doorman, 60);
	assert_int_equal(ring_run(f->r), 0);
	assert_true(clock_ms(CLOCK_MONOTONIC) - start >= 15);
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
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(messages_arrive_in_each_senders_order),
		RING_TEST(a_signal_handler_can_stop_the_loop),
		RING_TEST(other_signals_do_not_disturb),
		RING_TEST(another_thread_can_stop_the_loop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
