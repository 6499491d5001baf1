/* SPDX-License-Identifier: Apache-2.0 */
/*
 * truth_test: verdicts on what gateways and STUN servers say.
 * links: portmap/engine/truth.c core/addr.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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

/* The verdict's name, for these addresses (NULL: not known). */
static const char *verdict(const char *own, const char *gateway, const char *outside,
			   bool no_external, bool silent)
{
	static struct truth t;
	struct truth_facts f = {host(own), host(gateway), host(outside), no_external, true, silent};

	truth_judge(&f, &t);
	assert_true(strlen(t.sentence) > 0);
	assert_int_equal(strlen(t.advice) > 0, t.verdict == TRUTH_DOUBLE_NAT ||
						       t.verdict == TRUTH_CGNAT ||
						       t.verdict == TRUTH_OFFLINE);
	return truth_verdict_name(t.verdict);
}

static void verdicts_follow_from_addresses(void **state)
{
	static const struct {
		const char *own, *gateway, *outside;
		bool no_external, silent;
		const char *verdict;
	} cases[] = {
		{"192.168.77.2", "45.0.0.10", "45.0.0.10", false, false, "one_nat"},
		{"45.0.0.7", NULL, "45.0.0.7", false, false, "no_nat"},
		{"45.0.0.7", "45.0.0.7", "45.0.0.7", false, false, "no_nat"},
		{"192.168.77.2", "45.0.0.10", NULL, false, true, "plausible"},
		{"192.168.77.2", "45.0.0.10", "45.0.0.99", false, false, "double_nat"},
		{"192.168.77.2", "10.99.0.10", "45.0.0.1", false, false, "double_nat"},
		{"192.168.77.2", "10.99.0.10", NULL, false, true, "double_nat"},
		{"192.168.77.2", "172.31.255.255", NULL, false, true, "double_nat"},
		{"192.168.77.2", "169.254.1.1", "45.0.0.1", false, false, "double_nat"},
		{"192.168.77.2", "100.64.0.1", "45.0.0.1", false, false, "cgnat"},
		{"192.168.77.2", "100.127.255.255", NULL, false, true, "cgnat"},
		{"192.168.77.2", "192.0.0.2", NULL, false, true, "cgnat"},
		{"192.168.77.2", NULL, "45.0.0.1", true, false, "double_nat"},
		{"192.168.77.2", NULL, NULL, true, true, "offline"},
		{"192.168.77.2", NULL, NULL, true, false, "double_nat"},
		{"192.168.77.2", NULL, "45.0.0.1", false, false, "unknown"},
		{NULL, NULL, NULL, false, false, "unknown"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(verdict(cases[i].own, cases[i].gateway, cases[i].outside,
					    cases[i].no_external, cases[i].silent),
				    cases[i].verdict);
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
		{"192.169.0.0", TRUTH_PUBLIC},	    {"192.0.0.7", TRUTH_SHARED},
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
		cmocka_unit_test(verdicts_follow_from_addresses),
		cmocka_unit_test(ranges_end_where_they_should),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
