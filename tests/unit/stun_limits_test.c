/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stun_limits: a prefix gets its burst and its rate, and a flood cannot make the table grow.
 * links: stun/limits.c core/addr.c core/memory.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "stun/limits.h"

static bool take(struct stun_limits *l, const char *literal, uint64_t now_ms)
{
	struct addr a;

	assert_true(addr_from_literal(literal, 1, &a));
	return stun_limits_take(l, &a, now_ms);
}

static unsigned take_all(struct stun_limits *l, const char *literal, uint64_t now_ms)
{
	unsigned n = 0;

	while (n < 1000 && take(l, literal, now_ms))
		n++;
	return n;
}

static void burst_and_rate(void **state)
{
	struct stun_limits *l = stun_limits_new(64, 10, 25);

	assert_int_equal(take_all(l, "192.0.2.1", 5000), 25);
	assert_int_equal(take_all(l, "192.0.2.1", 5099), 0);
	assert_int_equal(take_all(l, "192.0.2.1", 5100), 1);
	assert_int_equal(take_all(l, "192.0.2.1", 6100), 10);
	assert_int_equal(take_all(l, "192.0.2.1", 8599), 24);
	assert_int_equal(take_all(l, "192.0.2.1", UINT64_MAX), 25); /* never more than the burst */
	stun_limits_free(l);
}

static void asking_often_does_not_lose_time(void **state)
{
	struct stun_limits *l = stun_limits_new(64, 3, 1);
	unsigned n = 0;

	for (uint64_t now = 0; now <= 10000; now++)
		n += take(l, "192.0.2.1", now);
	assert_in_range(n, 30, 31);
	stun_limits_free(l);
}

static void a_clock_that_goes_back_gives_nothing(void **state)
{
	struct stun_limits *l = stun_limits_new(64, 10, 5);

	assert_int_equal(take_all(l, "192.0.2.1", 5000), 5);
	assert_int_equal(take_all(l, "192.0.2.1", 1000), 0);
	assert_int_equal(take_all(l, "192.0.2.1", 5000), 0);
	stun_limits_free(l);
}

static void what_is_one_prefix(void **state)
{
	struct stun_limits *l = stun_limits_new(64, 1, 1);

	assert_true(take(l, "192.0.2.1", 0));
	assert_false(take(l, "192.0.2.255", 0));
	assert_false(take(l, "::ffff:192.0.2.9", 0));
	assert_true(take(l, "192.0.3.1", 0));
	assert_true(take(l, "2001:db8:0:1200::1", 0));
	assert_false(take(l, "2001:db8:0:12ff:1::1", 0));
	assert_true(take(l, "2001:db8:0:1300::1", 0));
	assert_true(take(l, "::", 0)); /* no prefix is taken for an empty place */
	assert_false(take(l, "::1", 0));
	assert_true(take(l, "0.0.0.0", 0));
	assert_false(take(l, "0.0.0.1", 0));
	stun_limits_free(l);
}

static void an_active_source_stays_and_a_quiet_one_goes(void **state)
{
	struct stun_limits *l = stun_limits_new(8, 1, 3); /* one set */
	char literal[32];

	assert_int_equal(take_all(l, "192.0.2.1", 0), 3);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(literal, sizeof literal, "10.0.%u.1", i);
		assert_true(take(l, literal, 1 + i));
		assert_false(take(l, "192.0.2.1", 2 + i));
	}
	for (unsigned i = 0; i < 8; i++) {
		snprintf(literal, sizeof literal, "10.1.%u.1", i);
		assert_true(take(l, literal, 300));
	}
	assert_int_equal(take_all(l, "192.0.2.1", 300), 3); /* forgotten, so it begins anew */
	stun_limits_free(l);
}

static void none_at_all(void **state)
{
	struct stun_limits *l = stun_limits_new(0, 0, 2);

	assert_int_equal(take_all(l, "192.0.2.1", 0), 2);
	assert_int_equal(take_all(l, "192.0.2.1", 1000000), 0);
	stun_limits_free(l);
	stun_limits_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(burst_and_rate),
		cmocka_unit_test(asking_often_does_not_lose_time),
		cmocka_unit_test(a_clock_that_goes_back_gives_nothing),
		cmocka_unit_test(what_is_one_prefix),
		cmocka_unit_test(an_active_source_stays_and_a_quiet_one_goes),
		cmocka_unit_test(none_at_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
