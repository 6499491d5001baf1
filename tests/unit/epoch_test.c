/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoch_test: the rules of RFC 6887 section 8.5 and RFC 6886 section 3.6, at their borders.
 *
 * links: natpmp/epoch.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "natpmp/epoch.h"

#define NOW_MS	  1000000000u
#define SERVER	  50000u
#define HOUR	  3600
#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

typedef bool rule_fn(struct epoch *e, uint32_t server_s, uint64_t now_ms);

/* Whether an answer that came client_ms after the first, and server_s further on, is valid. */
static bool second_is_valid(rule_fn *rule, int64_t server_s, uint64_t client_ms)
{
	struct epoch e = {.doubt = EPOCH_SURE};

	assert_true(rule(&e, SERVER, NOW_MS));
	return rule(&e, (uint32_t)(SERVER + server_s), NOW_MS + client_ms);
}

struct example {
	int64_t server_s;
	uint64_t client_ms;
	bool valid;
};

static void check(rule_fn *rule, const struct example *examples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct example *x = &examples[i];

		if (second_is_valid(rule, x->server_s, x->client_ms) != x->valid)
			fail_msg("%d s of theirs in %u ms of ours: wanted %d", (int)x->server_s,
				 (unsigned)x->client_ms, x->valid);
	}
}

static void the_first_answer_is_always_valid(void **state)
{
	static const uint32_t values[] = {0, 1, SERVER, UINT32_MAX};

	for (size_t i = 0; i < LENGTH(values); i++) {
		struct epoch pcp = {.doubt = EPOCH_SURE}, natpmp = {.doubt = EPOCH_SURE};

		assert_true(epoch_pcp_valid(&pcp, values[i], NOW_MS));
		assert_true(epoch_natpmp_valid(&natpmp, values[i], NOW_MS));
	}
}

static void pcp_time_goes_back_by_one_second_at_most(void **state)
{
	static const struct example examples[] = {
		{0, 0, true},
		{-1, 0, true},
		{-2, 0, false},
		{-1, 900, true},
		{-1, 1200, false}, /* one back, and we a second on: too far apart */
		{-(int64_t)SERVER, 0, false},
	};

	check(epoch_pcp_valid, examples, LENGTH(examples));
}

/* client + 2 < server - server/16, or server + 2 < client - client/16. */
static void pcp_clocks_may_differ_by_a_sixteenth_and_two_seconds(void **state)
{
	static const struct example examples[] = {
		{1600, 1600000, true},
		/* The server ahead: 1600 - 100 = 1500. */
		{1600, 1498000, true},
		{1600, 1497999, false},
		/* The server behind. */
		{1498, 1600000, true},
		{1497, 1600000, false},
		/* Close together, the two seconds count. */
		{2, 0, true},
		{3, 0, false},
		{0, 2000, true},
		{0, 3000, false},
		/* A day. */
		{24 * HOUR, 24 * HOUR * 1000ull, true},
		{23 * HOUR, 24 * HOUR * 1000ull, true},
		{22 * HOUR, 24 * HOUR * 1000ull, false},
	};

	check(epoch_pcp_valid, examples, LENGTH(examples));
}

static void natpmp_may_be_ahead_but_not_behind(void **state)
{
	static const struct example examples[] = {
		{800, 800000, true},
		{698, 800000, true}, /* 7/8 of 800 less 2 */
		{697, 800000, false},
		{8000, 800000, true}, /* ahead */
		{0, 2280, true},
		{0, 2290, false},
		{-2, 0, true},
		{-3, 0, false},
		{-(int64_t)SERVER, 1000, false},
	};

	check(epoch_natpmp_valid, examples, LENGTH(examples));
}

static void a_reboot_is_seen_once(void **state)
{
	rule_fn *rules[] = {epoch_pcp_valid, epoch_natpmp_valid};

	for (size_t i = 0; i < LENGTH(rules); i++) {
		struct epoch e = {.doubt = EPOCH_SURE};

		assert_true(rules[i](&e, SERVER, NOW_MS));
		assert_false(rules[i](&e, 3, NOW_MS + 60000));
		assert_true(rules[i](&e, 4, NOW_MS + 61000));
	}
}

/* Eight hours asleep with a gateway that went on, and with one that was restarted meanwhile. */
static void sleep_counts_as_time(void **state)
{
	const uint64_t night_ms = 8 * HOUR * 1000ull;

	assert_true(second_is_valid(epoch_pcp_valid, 8 * HOUR, night_ms));
	assert_true(second_is_valid(epoch_natpmp_valid, 8 * HOUR, night_ms));
	/* Restarted 4 h before waking: further on than before, yet not as far as it should be. */
	assert_false(second_is_valid(epoch_pcp_valid, 4 * HOUR, night_ms));
	assert_false(second_is_valid(epoch_natpmp_valid, 4 * HOUR, night_ms));
	/* What a clock that stood still would make of it. */
	assert_false(second_is_valid(epoch_pcp_valid, 8 * HOUR, 1000));
	assert_true(second_is_valid(epoch_natpmp_valid, 4 * HOUR, 1000));
}

static void a_wrapped_counter_looks_like_a_restart(void **state)
{
	struct epoch pcp = {.doubt = EPOCH_SURE}, natpmp = {.doubt = EPOCH_SURE};

	assert_true(epoch_pcp_valid(&pcp, UINT32_MAX, NOW_MS));
	assert_false(epoch_pcp_valid(&pcp, 0, NOW_MS + 1000));
	assert_true(epoch_pcp_valid(&pcp, 1, NOW_MS + 2000));
	assert_true(epoch_natpmp_valid(&natpmp, UINT32_MAX, NOW_MS));
	assert_false(epoch_natpmp_valid(&natpmp, 0, NOW_MS + 1000));
	assert_true(epoch_natpmp_valid(&natpmp, 1, NOW_MS + 2000));
}

static void our_clock_going_back_is_no_time(void **state)
{
	struct epoch e = {.doubt = EPOCH_SURE};

	assert_true(epoch_pcp_valid(&e, SERVER, NOW_MS));
	assert_true(epoch_pcp_valid(&e, SERVER, NOW_MS - 500000));
	assert_true(epoch_natpmp_valid(&e, SERVER, NOW_MS - 900000));
}

/* A pair that answers in turn: the first change looks like a loss, those that follow do not. */
static void two_servers_in_turn_are_told_from_a_loss(void **state)
{
	rule_fn *rules[] = {epoch_pcp_valid, epoch_natpmp_valid};

	for (size_t i = 0; i < LENGTH(rules); i++) {
		struct epoch e = {.doubt = EPOCH_SURE};

		assert_true(rules[i](&e, SERVER, NOW_MS));
		assert_false(rules[i](&e, 1000, NOW_MS + 1000));
		assert_null(epoch_doubt_sentence(&e));
		for (uint32_t t = 2; t < 200; t += 2) {
			(void)!rules[i](&e, SERVER + t, NOW_MS + t * 1000);
			assert_false(rules[i](&e, 1000 + t, NOW_MS + (t + 1) * 1000));
			assert_int_equal(e.doubt, EPOCH_TURNS);
			assert_non_null(epoch_doubt_sentence(&e));
		}
		/* And one that restarts all the same has lost its mappings. */
		assert_false(rules[i](&e, 0, NOW_MS + 300000));
		assert_int_equal(e.doubt, EPOCH_SURE);
	}
}

static void a_clock_that_stands_still_is_believed_twice(void **state)
{
	rule_fn *rules[] = {epoch_pcp_valid, epoch_natpmp_valid};

	for (size_t i = 0; i < LENGTH(rules); i++) {
		struct epoch e = {.doubt = EPOCH_SURE};

		assert_true(rules[i](&e, 7, NOW_MS));
		assert_false(rules[i](&e, 7, NOW_MS + 60000));
		assert_int_equal(e.doubt, EPOCH_SURE);
		assert_false(rules[i](&e, 7, NOW_MS + 120000));
		assert_int_equal(e.doubt, EPOCH_STANDS);
		assert_non_null(epoch_doubt_sentence(&e));
		assert_false(rules[i](&e, 2, NOW_MS + 180000));
		assert_int_equal(e.doubt, EPOCH_SURE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_answer_is_always_valid),
		cmocka_unit_test(pcp_time_goes_back_by_one_second_at_most),
		cmocka_unit_test(pcp_clocks_may_differ_by_a_sixteenth_and_two_seconds),
		cmocka_unit_test(natpmp_may_be_ahead_but_not_behind),
		cmocka_unit_test(a_reboot_is_seen_once),
		cmocka_unit_test(two_servers_in_turn_are_told_from_a_loss),
		cmocka_unit_test(a_clock_that_stands_still_is_believed_twice),
		cmocka_unit_test(sleep_counts_as_time),
		cmocka_unit_test(a_wrapped_counter_looks_like_a_restart),
		cmocka_unit_test(our_clock_going_back_is_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
