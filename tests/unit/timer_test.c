/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer_test: order, moving, cancelling, and timers that set timers.
 *
 * links: core/timer.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/timer.h"

#define MANY 500

struct probe {
	struct timer timer;
	unsigned fired;
	uint64_t fired_at;
};

static struct timers timers;
static uint64_t last_due;

static int setup(void **state)
{
	timers_init(&timers);
	last_due = 0;
	return 0;
}

static void note(struct timer *t, uint64_t now_ms)
{
	struct probe *p = (struct probe *)t;
	assert_false(timer_pending(t));
	assert_true(t->due_ms >= last_due);
	assert_true(t->due_ms <= now_ms);
	last_due = t->due_ms;
	p->fired++;
	p->fired_at = now_ms;
}

static void set(struct probe *p, uint64_t due_ms)
{
	p->timer.fire = note;
	timers_set(&timers, &p->timer, due_ms);
}

static void empty_has_no_deadline(void **state)
{
	assert_true(timers_next(&timers) == TIMERS_NEVER);
	timers_run(&timers, 1000);
	struct probe p = {.timer = {.fire = note}};
	timers_cancel(&timers, &p.timer);
	assert_int_equal(p.fired, 0);
}

static void fires_at_the_deadline_not_before(void **state)
{
	struct probe p = {0};
	set(&p, 100);
	assert_true(timer_pending(&p.timer));
	assert_int_equal(timers_next(&timers), 100);
	timers_run(&timers, 99);
	assert_int_equal(p.fired, 0);
	timers_run(&timers, 100);
	assert_int_equal(p.fired, 1);
	timers_run(&timers, 200);
	assert_int_equal(p.fired, 1);
}

static void setting_again_moves(void **state)
{
	struct probe early = {0}, late = {0};
	set(&early, 10);
	set(&late, 20);
	set(&early, 30);
	assert_int_equal(timers_next(&timers), 20);
	set(&early, 5);
	assert_int_equal(timers_next(&timers), 5);
	timers_run(&timers, 100);
	assert_int_equal(early.fired, 1);
	assert_int_equal(late.fired, 1);
}

/* Sets, moves and cancels at random, then checks the order and that nothing is lost. */
static void many_in_order(void **state)
{
	static struct probe p[MANY];
	unsigned cancelled = 0, fired = 0;
	srand(20240817);
	for (int i = 0; i < MANY; i++)
		set(&p[i], (uint64_t)(rand() % 1000));
	for (int i = 0; i < MANY; i += 3)
		set(&p[i], (uint64_t)(rand() % 1000));
	for (int i = 0; i < MANY; i += 7) {
		timers_cancel(&timers, &p[i].timer);
		assert_false(timer_pending(&p[i].timer));
		cancelled++;
	}
	for (uint64_t now = 0; now <= 1000; now += 50) {
		timers_run(&timers, now);
		assert_true(timers_next(&timers) > now);
	}
	for (int i = 0; i < MANY; i++) {
		assert_true(p[i].fired <= 1);
		fired += p[i].fired;
	}
	assert_int_equal(fired, MANY - cancelled);
	assert_true(timers_next(&timers) == TIMERS_NEVER);
}

static unsigned repeats;

static void repeat_at_once(struct timer *t, uint64_t now_ms)
{
	repeats++;
	timers_set(&timers, t, now_ms);
}

static void a_timer_that_repeats_at_once_fires_once_a_run(void **state)
{
	struct timer t = {.fire = repeat_at_once};
	repeats = 0;
	timers_set(&timers, &t, 10);
	timers_run(&timers, 10);
	assert_int_equal(repeats, 1);
	assert_true(timer_pending(&t));
	timers_run(&timers, 11);
	assert_int_equal(repeats, 2);
	timers_cancel(&timers, &t);
}

static struct probe victim;

static void cancel_victim(struct timer *t, uint64_t now_ms)
{
	timers_cancel(&timers, &victim.timer);
}

static void a_due_timer_can_be_cancelled_by_an_earlier_one(void **state)
{
	struct timer t = {.fire = cancel_victim};
	victim = (struct probe){0};
	timers_set(&timers, &t, 10);
	set(&victim, 11);
	timers_run(&timers, 50);
	assert_int_equal(victim.fired, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(empty_has_no_deadline, setup),
		cmocka_unit_test_setup(fires_at_the_deadline_not_before, setup),
		cmocka_unit_test_setup(setting_again_moves, setup),
		cmocka_unit_test_setup(many_in_order, setup),
		cmocka_unit_test_setup(a_timer_that_repeats_at_once_fires_once_a_run, setup),
		cmocka_unit_test_setup(a_due_timer_can_be_cancelled_by_an_earlier_one, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
