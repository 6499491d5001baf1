/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_source: what a network's text means, and which networks hold an address.
 * links: relay/policy/source.c relay/policy/index.c core/addr.c core/memory.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "relay/policy/source.h"

static void networks(void **state)
{
	static const struct {
		const char *text;
		enum source_status status;
	} cases[] = {
		{"203.0.113.0/24", SOURCE_OK},
		{"203.0.113.7", SOURCE_OK},
		{"203.0.113.7/32", SOURCE_OK},
		{"0.0.0.0/0", SOURCE_OK},
		{"2001:db8::/32", SOURCE_OK},
		{"2001:db8::1", SOURCE_OK},
		{"::/0", SOURCE_OK},
		{"::ffff:10.0.0.0/104", SOURCE_OK},
		{"203.0.113.7/24", SOURCE_HOST_BITS},
		{"1.0.0.0/0", SOURCE_HOST_BITS},
		{"2001:db8::1/64", SOURCE_HOST_BITS},
		{"8000::/0", SOURCE_HOST_BITS},
		{"", SOURCE_MALFORMED},
		{"/24", SOURCE_MALFORMED},
		{"203.0.113.0/", SOURCE_MALFORMED},
		{"203.0.113.0/33", SOURCE_MALFORMED},
		{"203.0.113.0/024", SOURCE_MALFORMED},
		{"203.0.113.0/+24", SOURCE_MALFORMED},
		{"203.0.113.0/24 ", SOURCE_MALFORMED},
		{"203.0.113/24", SOURCE_MALFORMED},
		{"2001:db8::/129", SOURCE_MALFORMED},
		{"[2001:db8::]/32", SOURCE_MALFORMED},
		{"fe80::1%2", SOURCE_MALFORMED},
		{"example.org", SOURCE_MALFORMED},
		{"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/1", SOURCE_MALFORMED},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct source_network n = {.prefix = 999};

		if (source_parse(cases[i].text, &n) != cases[i].status)
			fail_msg("\"%s\" is %d", cases[i].text, source_parse(cases[i].text, &n));
		assert_true((n.prefix != 999) == (cases[i].status == SOURCE_OK));
	}
}

/* ---- the index ------------------------------------------------------------------------------ */

static uint32_t add_set(struct source_index *x, const char *const *texts)
{
	struct source_network networks[8];
	size_t count = 0;
	uint32_t set;

	for (; texts[count]; count++)
		assert_int_equal(source_parse(texts[count], &networks[count]), SOURCE_OK);
	assert_true(source_set_add(x, networks, count, &set));
	return set;
}

/* Which of the sets hold the address, as bits. */
static unsigned sets_of(const struct source_index *x, const char *address)
{
	uint32_t networks[SOURCE_MATCH_MAX];
	struct source_number n;
	unsigned sets = 0;
	struct addr a;
	size_t count;

	assert_true(addr_from_literal(address, 443, &a));
	assert_true(source_number(&a, &n));
	count = source_match(x, n, networks);
	for (size_t i = 0; i < count; i++) {
		for (uint32_t m = x->first[networks[i]]; m < x->first[networks[i] + 1]; m++)
			sets |= 1u << x->members[m];
	}
	return sets;
}

static void an_address_finds_its_sets(void **state)
{
	static const char *const office[] = {"203.0.113.0/24", "2001:db8:5::/48", NULL};
	static const char *const desk[] = {"203.0.113.7", NULL};
	static const char *const v4[] = {"0.0.0.0/0", NULL};
	static const char *const v6[] = {"::/0", NULL};
	static const char *const same[] = {"2001:db8:5::/48", "203.0.113.0/24", NULL};
	struct source_index x = {0};

	assert_int_equal(add_set(&x, office), 0);
	assert_int_equal(add_set(&x, desk), 1);
	assert_int_equal(add_set(&x, v4), 2);
	assert_int_equal(add_set(&x, v6), 3);
	assert_int_equal(add_set(&x, same), 0);
	assert_true(source_index_finish(&x));
	assert_int_equal(sets_of(&x, "203.0.113.7"), 1 | 2 | 4);
	assert_int_equal(sets_of(&x, "203.0.113.8"), 1 | 4);
	assert_int_equal(sets_of(&x, "203.0.114.0"), 4);
	assert_int_equal(sets_of(&x, "::ffff:203.0.113.7"), 1 | 2 | 4);
	assert_int_equal(sets_of(&x, "2001:db8:5::1"), 1 | 8);
	assert_int_equal(sets_of(&x, "2001:db8:6::1"), 8);
	assert_int_equal(sets_of(&x, "::"), 8);
	source_index_free(&x);
}

static void an_empty_index_holds_nothing(void **state)
{
	struct source_index x = {0};

	assert_true(source_index_finish(&x));
	assert_int_equal(sets_of(&x, "203.0.113.7"), 0);
	source_index_free(&x);
}

static void what_is_no_address_has_no_number(void **state)
{
	struct source_number n = {7, 7};
	struct addr nothing = {.len = 0};

	assert_false(source_number(&nothing, &n));
	assert_int_equal(n.high, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networks),
		cmocka_unit_test(an_address_finds_its_sets),
		cmocka_unit_test(an_empty_index_holds_nothing),
		cmocka_unit_test(what_is_no_address_has_no_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
