/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signals_test: signals that arrive in the loop, on both engines.
 * links: core/program/signals.c core/ring.c core/ring_uring.c core/ring_epoll.c core/timer.c
 * links: core/log*.c tests/support/ring_fixture.c
 */
#include <signal.h>
#include <unistd.h>

#include "core/container.h"
#include "core/program/signals.h"
#include "tests/support/ring_fixture.h"

struct watcher {
	struct signals signals;
	struct ring *r;
	int numbers[8];
	unsigned count;
	bool ends; /* closes from inside came() */
	unsigned closed;
};

static void watcher_came(struct signals *s, int number)
{
	struct watcher *w = container(s, struct watcher, signals);

	w->numbers[w->count++] = number;
	if (w->ends)
		signals_close(s);
	else
		ring_stop(w->r);
}

static void watcher_closed(struct signals *s)
{
	struct watcher *w = container(s, struct watcher, signals);

	w->closed++;
	ring_stop(w->r);
}

static void begin(struct watcher *w, struct ring_fixture *f)
{
	static const int numbers[] = {SIGUSR1, SIGUSR2, 0};

	*w = (struct watcher){.r = f->r};
	w->signals.came = watcher_came;
	w->signals.closed = watcher_closed;
	assert_int_equal(signals_open(&w->signals, numbers), 0);
	signals_follow(&w->signals, f->r);
}

static void each_arrives(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct watcher w;

	begin(&w, f);
	kill(getpid(), SIGUSR1);
	assert_int_equal(ring_run(f->r), 0);
	assert_int_equal(w.count, 1);
	assert_int_equal(w.numbers[0], SIGUSR1);

	/* And again, after the loop was left. */
	kill(getpid(), SIGUSR2);
	assert_int_equal(ring_run(f->r), 0);
	assert_int_equal(w.count, 2);
	assert_int_equal(w.numbers[1], SIGUSR2);

	signals_close(&w.signals);
	signals_close(&w.signals);
	if (!w.closed)
		assert_int_equal(ring_run(f->r), 0);
	assert_int_equal(w.closed, 1);
	assert_int_equal(w.signals.fd, -1);
}

/* The second one is not told: the owner has closed while it heard of the first. */
static void may_be_closed_from_inside(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct watcher w;

	begin(&w, f);
	w.ends = true;
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR2);
	assert_int_equal(ring_run(f->r), 0);
	assert_int_equal(w.count, 1);
	assert_int_equal(w.closed, 1);
	assert_int_equal(w.signals.fd, -1);
	signals_free(&w.signals);
}

static void may_be_freed_without_the_loop(void **state)
{
	struct ring_fixture *f = ring_fixture(state);
	struct watcher w;
	int fd;

	begin(&w, f);
	fd = w.signals.fd;
	ring_fixture_reopen(f, 64, 16); /* the ring is gone, and with it what was in flight */
	signals_free(&w.signals);
	assert_int_equal(w.closed, 0);
	assert_int_equal(close(fd), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(each_arrives),
		RING_TEST(may_be_closed_from_inside),
		RING_TEST(may_be_freed_without_the_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
