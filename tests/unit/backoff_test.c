/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backoff_test: delays grow to their bound, spread, and start again only after stability.
 *
 * links: agent/engine/backoff.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/engine/backoff.h"

static void delays_double_up_to_the_bound(void **state)
{
	struct backoff b;
	uint64_t bound = 500;

	backoff_init(&b, 500, 30000, 1);
	for (int i = 0; i < 20; i++) {
		uint64_t delay = backoff_next(&b);

		assert_in_range(delay, bound / 2, bound);
		bound = bound * 2 < 30000 ? bound * 2 : 30000;
	}
}

static void delays_of_different_seeds_spread(void **state)
{
	uint64_t least = UINT64_MAX, most = 0;

	for (uint64_t seed = 0; seed < 200; seed++) {
		struct backoff b;
		uint64_t delay;

		backoff_init(&b, 10000, 10000, seed * 0x9e3779b97f4a7c15u);
		(void)backoff_next(&b); /* small seeds begin alike */
		delay = backoff_next(&b);
		least = delay < least ? delay : least;
		most = delay > most ? delay : most;
	}
	assert_true(least < 5500);
	assert_true(most > 9500);
}

static void only_stability_starts_again(void **state)
{
	struct backoff b;

	backoff_init(&b, 100, 10000, 7);
	for (int i = 0; i < 12; i++)
		(void)backoff_next(&b);
	backoff_lasted(&b, BACKOFF_STABLE_MS - 1);
	assert_in_range(backoff_next(&b), 5000, 10000);
	backoff_lasted(&b, BACKOFF_STABLE_MS);
	assert_in_range(backoff_next(&b), 50, 100);
}

static void a_slow_delay_has_a_floor_and_grows_past_the_bound(void **state)
{
	struct backoff b;
	uint64_t delay = 0;

	backoff_init(&b, 100, 1000, 7);
	for (int i = 0; i < 12; i++) {
		delay = backoff_next_slow(&b, 30000, 600000);
		assert_in_range(delay, 30000, 600000);
	}
	assert_in_range(delay, 300000, 600000);
	assert_in_range(backoff_next(&b), 500, 1000); /* the ordinary bound holds again */
}

static void odd_bounds_are_harmless(void **state)
{
	struct backoff b;

	backoff_init(&b, 0, 0, 0);
	for (int i = 0; i < 5; i++)
		assert_in_range(backoff_next(&b), 0, 1);
	backoff_init(&b, 500, 10, 0);
	for (int i = 0; i < 5; i++)
		assert_in_range(backoff_next(&b), 250, 500);
	backoff_init(&b, UINT64_MAX / 2, UINT64_MAX, 3);
	for (int i = 0; i < 5; i++)
		assert_true(backoff_next(&b) >= UINT64_MAX / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delays_double_up_to_the_bound),
		cmocka_unit_test(delays_of_different_seeds_spread),
		cmocka_unit_test(only_stability_starts_again),
		cmocka_unit_test(a_slow_delay_has_a_floor_and_grows_past_the_bound),
		cmocka_unit_test(odd_bounds_are_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
