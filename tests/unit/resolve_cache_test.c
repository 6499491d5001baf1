/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve_cache_test: what names led to is kept for its time to live, and no longer.
 *
 * links: core/program/resolve_cache.c core/addr.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/program/resolve_cache.h"

static const uint64_t begin_ms = 5000;

static struct addr address(const char *literal)
{
	struct addr a;

	assert_true(addr_from_literal(literal, 443, &a));
	return a;
}

static void it_is_kept_for_its_time(void **state)
{
	struct resolve_cache c = {0};
	const struct addr list[] = {address("192.0.2.1"), address("2001:db8::1")};
	const struct resolve_kept *k;

	assert_null(resolve_cache_find(&c, "a.example", begin_ms));
	resolve_cache_keep(&c, "a.example", list, 2, 60, begin_ms);
	k = resolve_cache_find(&c, "A.Example", begin_ms + 59999);
	assert_non_null(k);
	assert_int_equal(k->count, 2);
	assert_true(addr_same_host(&k->addresses[0], &list[0]));
	assert_true(addr_same_host(&k->addresses[1], &list[1]));
	assert_int_equal(addr_port(&k->addresses[0]), 0);
	assert_null(resolve_cache_find(&c, "a.example", begin_ms + 60000));
	assert_null(resolve_cache_find(&c, "a.example.org", begin_ms));
	/* Anew, in the place of what was. */
	resolve_cache_keep(&c, "a.example", &list[1], 1, 60, begin_ms + 60000);
	k = resolve_cache_find(&c, "a.example", begin_ms + 60001);
	assert_int_equal(k->count, 1);
	assert_int_equal(c.count, 1);
	resolve_cache_clear(&c);
	assert_null(c.first);
}

static void none_is_kept_without_a_time_or_too_long(void **state)
{
	struct resolve_cache c = {0};
	const struct addr a = address("192.0.2.1");

	resolve_cache_keep(&c, "a.example", &a, 1, 0, begin_ms);
	resolve_cache_keep(&c, "b.example", &a, 0, 60, begin_ms);
	assert_int_equal(c.count, 0);
	resolve_cache_keep(&c, "a.example", &a, 1, UINT32_MAX, begin_ms);
	assert_non_null(
		resolve_cache_find(&c, "a.example", begin_ms + RESOLVE_CACHE_MOST_S * 1000 - 1));
	assert_null(resolve_cache_find(&c, "a.example", begin_ms + RESOLVE_CACHE_MOST_S * 1000));
	resolve_cache_clear(&c);
}

static void what_is_of_no_use_is_forgotten_and_what_was_slow_is_not(void **state)
{
	struct resolve_cache c = {0};
	const struct addr a = address("192.0.2.1");

	resolve_cache_note(&c, "a.example", true, begin_ms);
	resolve_cache_keep(&c, "a.example", &a, 1, 60, begin_ms);
	resolve_cache_forget(&c, "a.example");
	resolve_cache_forget(&c, "b.example");
	assert_null(resolve_cache_find(&c, "a.example", begin_ms));
	assert_true(resolve_cache_is_slow(&c, "a.example", begin_ms));
	assert_false(resolve_cache_is_slow(&c, "a.example", begin_ms + RESOLVE_SLOW_MS));
	assert_false(resolve_cache_is_slow(&c, "b.example", begin_ms));
	resolve_cache_note(&c, "a.example", false, begin_ms);
	resolve_cache_note(&c, "b.example", false, begin_ms);
	assert_false(resolve_cache_is_slow(&c, "a.example", begin_ms));
	assert_int_equal(c.count, 1);
	resolve_cache_clear(&c);
}

static void a_full_one_gives_up_what_was_used_longest_ago(void **state)
{
	struct resolve_cache c = {0};
	const struct addr a = address("192.0.2.1");
	char name[16];

	for (unsigned i = 0; i < RESOLVE_CACHE_NAMES; i++) {
		snprintf(name, sizeof(name), "n%u.example", i);
		resolve_cache_keep(&c, name, &a, 1, 60, begin_ms);
	}
	assert_non_null(resolve_cache_find(&c, "n0.example", begin_ms));
	resolve_cache_keep(&c, "another.example", &a, 1, 60, begin_ms);
	assert_int_equal(c.count, RESOLVE_CACHE_NAMES);
	assert_non_null(resolve_cache_find(&c, "n0.example", begin_ms));
	assert_null(resolve_cache_find(&c, "n1.example", begin_ms));
	assert_non_null(resolve_cache_find(&c, "another.example", begin_ms));
	resolve_cache_clear(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_kept_for_its_time),
		cmocka_unit_test(none_is_kept_without_a_time_or_too_long),
		cmocka_unit_test(what_is_of_no_use_is_forgotten_and_what_was_slow_is_not),
		cmocka_unit_test(a_full_one_gives_up_what_was_used_longest_ago),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
