/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nat64_test: the examples of RFC 6052 section 2.4, and the prefixes that RFC 7050 finds by them.
 *
 * links: core/nat64.c core/addr.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/nat64.h"

static struct addr address(const char *literal)
{
	struct addr a;

	assert_true(addr_from_literal(literal, 443, &a));
	return a;
}

/* What a name server makes of 192.0.0.170, and what 192.0.2.33 is then. */
static const struct {
	unsigned bits;
	const char *found, *expected;
} examples[] = {
	{32, "2001:db8:c000:aa::", "2001:db8:c000:221::"},
	{40, "2001:db8:1c0:0:aa::", "2001:db8:1c0:2:21::"},
	{48, "2001:db8:122:c000:0:aa00::", "2001:db8:122:c000:2:2100::"},
	{56, "2001:db8:122:3c0:0:aa::", "2001:db8:122:3c0:0:221::"},
	{64, "2001:db8:122:344:c0:0:aa00::", "2001:db8:122:344:c0:2:2100::"},
	{96, "2001:db8:122:344::192.0.0.170", "2001:db8:122:344::192.0.2.33"},
	{96, "64:ff9b::192.0.0.171", "64:ff9b::192.0.2.33"},
};

static void each_length_of_prefix(void **state)
{
	const struct addr v4 = address("192.0.2.33");

	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		const struct addr found = address(examples[i].found);
		const struct addr expected = address(examples[i].expected);
		struct nat64 n;
		struct addr a;

		assert_true(nat64_find(&found, &n));
		assert_int_equal(n.bits, examples[i].bits);
		assert_true(nat64_address(&n, &v4, &a));
		assert_true(addr_equal(&a, &expected));
	}
}

static void what_holds_no_prefix(void **state)
{
	static const char *const others[] = {"192.0.0.170", "2001:db8::1", "64:ff9b::192.0.0.172",
					     "2001:db8:122:344:ffc0:2:2100:0", "::"};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		const struct addr a = address(others[i]);
		struct nat64 n;

		assert_false(nat64_find(&a, &n));
	}
}

static void what_a_translator_does_not_take(void **state)
{
	static const char *const never[] = {"127.0.0.1", "169.254.1.1",	    "224.0.0.1",
					    "0.0.0.0",	 "255.255.255.255", "2001:db8::1"};
	const struct addr known = address("64:ff9b::192.0.0.170");
	const struct addr own = address("2001:db8::192.0.0.170"), inside = address("10.1.2.3");
	struct nat64 n, o;
	struct addr a;

	assert_true(nat64_find(&known, &n));
	assert_true(nat64_find(&own, &o));
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		const struct addr v4 = address(never[i]);

		assert_false(nat64_address(&n, &v4, &a));
		assert_false(nat64_address(&o, &v4, &a));
	}
	/* A network's own prefix may lead to its own addresses. */
	assert_false(nat64_address(&n, &inside, &a));
	assert_true(nat64_address(&o, &inside, &a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_length_of_prefix),
		cmocka_unit_test(what_holds_no_prefix),
		cmocka_unit_test(what_a_translator_does_not_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
