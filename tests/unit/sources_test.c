/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sources: a source's connections are counted to its limit and forgotten with the last.
 * links: relay/rendezvous/sources.c core/addr.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "relay/rendezvous/sources.h"

static struct addr_key key_of(const char *literal)
{
	struct addr a;

	assert_true(addr_from_literal(literal, 1, &a));
	return addr_source_key(&a);
}

static void a_source_reaches_its_limit_alone(void **state)
{
	struct sources *s = sources_new(2);
	struct addr_key one = key_of("192.0.2.1"), two = key_of("192.0.2.2");

	assert_true(sources_enter(s, one));
	assert_true(sources_enter(s, one));
	assert_false(sources_enter(s, one));
	assert_true(sources_enter(s, two));
	sources_leave(s, one);
	assert_true(sources_enter(s, one));
	sources_free(s);
}

static void an_ipv6_site_is_one_source(void **state)
{
	struct sources *s = sources_new(1);

	assert_true(sources_enter(s, key_of("2001:db8:1:2::1")));
	assert_false(sources_enter(s, key_of("2001:db8:1:2:ffff::9")));
	assert_true(sources_enter(s, key_of("2001:db8:1:3::1")));
	sources_free(s);
}

static void the_table_forgets(void **state)
{
	struct sources *s = sources_new(1);
	struct addr_key one = key_of("192.0.2.1");

	assert_true(sources_enter(s, one));
	assert_int_equal(sources_count(s), 1);
	sources_leave(s, one);
	assert_int_equal(sources_count(s), 0);
	sources_leave(s, one); /* unknown: harmless */
	sources_free(s);
}

static void a_limit_of_none_refuses_and_keeps_nothing(void **state)
{
	struct sources *s = sources_new(0);

	assert_false(sources_enter(s, key_of("192.0.2.1")));
	assert_int_equal(sources_count(s), 0);
	sources_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_source_reaches_its_limit_alone),
		cmocka_unit_test(an_ipv6_site_is_one_source),
		cmocka_unit_test(the_table_forgets),
		cmocka_unit_test(a_limit_of_none_refuses_and_keeps_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
