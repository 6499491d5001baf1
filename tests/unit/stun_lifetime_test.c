/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stun_lifetime: the search closes in on every lifetime, and keeps to its time.
 * links: stun/lifetime.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stun/lifetime.h"

/* Each try takes its idle time and ten seconds; returns what all took. */
static uint64_t search(struct stun_lifetime *l, uint32_t lifetime_s, uint32_t total_s)
{
	uint64_t now_ms = 7000;
	uint32_t idle_s;

	stun_lifetime_start(l, total_s, now_ms);
	while ((idle_s = stun_lifetime_next(l, now_ms)) > 0) {
		assert_true(idle_s > l->alive_s && (l->gone_s == 0 || idle_s < l->gone_s));
		now_ms += (idle_s + 10) * 1000ull;
		stun_lifetime_tried(l, idle_s, idle_s <= lifetime_s);
	}
	return now_ms - 7000;
}

static void every_lifetime_is_found(void **state)
{
	struct stun_lifetime l;

	for (uint32_t s = 1; s < 600; s++) {
		assert_true(search(&l, s, STUN_LIFETIME_MAX_S) <= STUN_LIFETIME_MAX_S * 1000ull);
		assert_true(l.alive_s <= s && s < l.gone_s);
		assert_true(l.gone_s - l.alive_s <= STUN_LIFETIME_GAP_S ||
			    l.gone_s - l.alive_s <= l.alive_s / 8);
	}
}

static void time_is_kept(void **state)
{
	struct stun_lifetime l;

	for (uint32_t total_s = 0; total_s < 1500; total_s += 7) {
		assert_true(search(&l, 100000, total_s) <= total_s * 1000ull);
		assert_int_equal(l.gone_s, 0);
		assert_true(search(&l, 40, total_s) <= total_s * 1000ull);
		assert_true(l.alive_s <= 40 && (l.gone_s == 0 || l.gone_s > 40));
	}
	/* What is left of the time is used. */
	search(&l, 100000, 300);
	assert_true(l.alive_s >= 120);
	search(&l, 1, STUN_LIFETIME_TRY_S);
	assert_int_equal(l.gone_s, 0);
}

static void there_is_an_end_to_it(void **state)
{
	struct stun_lifetime l;

	assert_true(search(&l, UINT32_MAX, UINT32_MAX) <= STUN_LIFETIME_MAX_S * 1000ull);
	assert_true(l.alive_s > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_lifetime_is_found),
		cmocka_unit_test(time_is_kept),
		cmocka_unit_test(there_is_an_end_to_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
