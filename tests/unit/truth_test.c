/* SPDX-License-Identifier: Apache-2.0 */
/*
 * truth_test: ranges of addresses, the routers behind a gateway, and room for the longest
 * sentences; topologies_test has the verdicts.
 * links: portmap/engine/truth.c core/addr.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "portmap/engine/truth.h"

static struct addr host(const char *text)
{
	struct addr a = {.len = 0};

	if (text)
		assert_true(addr_from_literal(text, 0, &a));
	return a;
}

/* A longest address of each kind, and as many as there is room for: nothing is cut short. */
static void long_addresses_fit(void **state)
{
	const struct addr shared = host("100.127.255.255"), own = host("192.168.255.254");

	for (unsigned n = 0; n < 3 * 4 * 2 * 4 * 2 * 4 * 2; n++) {
		static const char *const gateways[] = {NULL, "255.255.255.254", "172.131.255.254"};
		struct truth_facts f = {
			.ipv4 = true,
			.router = own,
			.own = n % 2 ? own : host("172.131.255.253"),
			.gateway = host(gateways[n / 2 % 3]),
			.no_external = n / 6 % 2,
			.stun_configured = true,
			.seen = {host("172.131.255.251"), host("172.131.255.252"),
				 host("172.131.255.254"), host("172.131.255.250")},
			.seen_count = n / 12 % 4 + 1,
			.behind = n / 48 % 2 ? shared : host(NULL),
			.entry = (enum truth_entry)(n % 4),
			.provider = (enum truth_provider)(n / 192 % 4),
			.looked = n / 768 % 2,
			.contained = true,
		};
		struct truth said;

		truth_judge(&f, &said);
		assert_true(strlen(said.sentence) < TRUTH_TEXT_BYTES - 1 &&
			    strlen(said.advice) < TRUTH_TEXT_BYTES - 1);
	}
}

/* The provider's NAT maps for this host, and not where the gateway says that it is: that is no
 * single NAT as far as anybody knows, until something comes in. */
static void a_providers_nat_that_maps_elsewhere_counts_against_one_nat(void **state)
{
	struct truth_facts f = {
		.ipv4 = true,
		.router = host("192.168.1.1"),
		.own = host("192.168.1.7"),
		.speaks = true,
		.maps = true,
		.gateway = host("45.0.0.10"),
		.stun_configured = true,
		.outside = host("45.0.0.10"),
		.seen = {host("45.0.0.10")},
		.seen_count = 1,
		.looked = true,
	};
	struct truth said;

	truth_judge(&f, &said);
	assert_int_equal(said.verdict, TRUTH_ONE_NAT);
	f.provider = TRUTH_PROVIDER_BEHIND;
	truth_judge(&f, &said);
	assert_int_equal(said.verdict, TRUTH_PLAUSIBLE);
	assert_non_null(strstr(said.sentence, "at another address"));
	f.entry = TRUTH_ENTRY_ANSWERED; /* that NAT may have let it in */
	truth_judge(&f, &said);
	assert_int_equal(said.verdict, TRUTH_PLAUSIBLE);
	f.entry = TRUTH_ENTRY_FAILED;
	truth_judge(&f, &said);
	assert_int_equal(said.verdict, TRUTH_CGNAT);
	f.entry = TRUTH_ENTRY_VISITED;
	truth_judge(&f, &said);
	assert_int_equal(said.verdict, TRUTH_ONE_NAT);
}

static void the_routers_behind_are_told(void **state)
{
	static const struct {
		const char *routers[5], *behind;
		bool looked;
	} cases[] = {
		{{"45.0.0.1"}, NULL, true},
		{{NULL, "45.0.0.1"}, NULL, false},
		{{"10.99.0.1", "45.0.0.1"}, "10.99.0.1", true},
		{{"10.99.0.1", "10.98.0.1", "45.0.0.1"}, "10.99.0.1", true},
		/* A provider's tells more. */
		{{"192.168.1.1", "100.64.0.1", "100.64.0.2", "45.0.0.1"}, "100.64.0.1", true},
		{{NULL, "192.0.0.1", "10.0.0.1"}, "192.0.0.1", false},
		/* What lies behind a public one is no matter. */
		{{"45.0.0.1", "100.64.0.1"}, NULL, true},
		{{"169.254.0.1", "45.0.0.1"}, NULL, false},
		{{NULL}, NULL, false},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct addr routers[5], behind, expected = host(cases[i].behind);
		bool looked;

		for (size_t r = 0; r < 5; r++)
			routers[r] = host(cases[i].routers[r]);
		truth_look_behind(routers, 5, &behind, &looked);
		assert_int_equal(looked, cases[i].looked);
		assert_int_equal(behind.len > 0, expected.len > 0);
		assert_true(behind.len == 0 || addr_equal(&behind, &expected));
	}
}

static void ranges_end_where_they_should(void **state)
{
	static const struct {
		const char *address;
		enum truth_range range;
	} cases[] = {
		{"9.255.255.255", TRUTH_PUBLIC},    {"10.0.0.0", TRUTH_PRIVATE},
		{"10.255.255.255", TRUTH_PRIVATE},  {"11.0.0.0", TRUTH_PUBLIC},
		{"100.63.255.255", TRUTH_PUBLIC},   {"100.64.0.0", TRUTH_SHARED},
		{"100.127.255.255", TRUTH_SHARED},  {"100.128.0.0", TRUTH_PUBLIC},
		{"172.15.255.255", TRUTH_PUBLIC},   {"172.16.0.0", TRUTH_PRIVATE},
		{"172.31.255.255", TRUTH_PRIVATE},  {"172.32.0.0", TRUTH_PUBLIC},
		{"192.167.255.255", TRUTH_PUBLIC},  {"192.168.0.0", TRUTH_PRIVATE},
		{"192.169.0.0", TRUTH_PUBLIC},	    {"192.0.0.7", TRUTH_TRANSLATED},
		{"192.0.0.8", TRUTH_SPECIAL},	    {"198.17.255.255", TRUTH_PUBLIC},
		{"198.18.0.0", TRUTH_SPECIAL},	    {"198.19.255.255", TRUTH_SPECIAL},
		{"223.255.255.255", TRUTH_PUBLIC},  {"224.0.0.0", TRUTH_SPECIAL},
		{"255.255.255.255", TRUTH_SPECIAL}, {"0.0.0.0", TRUTH_SPECIAL},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct addr a = host(cases[i].address);

		assert_int_equal(truth_range_of(&a), cases[i].range);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(long_addresses_fit),
		cmocka_unit_test(a_providers_nat_that_maps_elsewhere_counts_against_one_nat),
		cmocka_unit_test(the_routers_behind_are_told),
		cmocka_unit_test(ranges_end_where_they_should),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
