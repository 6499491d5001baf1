/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stun_findings: names, the classic type of each behaviour, and a meaning for all of them.
 * links: stun/findings.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "stun/findings.h"

static struct stun_findings found(enum stun_mapping mapping, enum stun_filtering filtering)
{
	struct stun_findings f = {.answered = true, .mapping = mapping, .filtering = filtering};

	return f;
}

static void types_of_behaviours(void **state)
{
	static const enum stun_nat_type cone[] = {STUN_NAT_UNKNOWN, STUN_NAT_FULL_CONE,
						  STUN_NAT_ADDRESS_RESTRICTED,
						  STUN_NAT_PORT_RESTRICTED},
					none[] = {STUN_NAT_UNKNOWN, STUN_NAT_OPEN,
						  STUN_NAT_FIREWALL, STUN_NAT_FIREWALL};
	struct stun_findings f = {.answered = false};

	assert_int_equal(stun_findings_type(&f), STUN_NAT_BLOCKED);
	for (enum stun_filtering i = 0; i < STUN_FILTERINGS; i++) {
		f = found(STUN_MAPPING_NONE, i);
		assert_int_equal(stun_findings_type(&f), none[i]);
		f = found(STUN_MAPPING_ENDPOINT_INDEPENDENT, i);
		assert_int_equal(stun_findings_type(&f), cone[i]);
		f = found(STUN_MAPPING_ADDRESS_DEPENDENT, i);
		assert_int_equal(stun_findings_type(&f), STUN_NAT_SYMMETRIC);
		f = found(STUN_MAPPING_ADDRESS_AND_PORT_DEPENDENT, i);
		assert_int_equal(stun_findings_type(&f), STUN_NAT_SYMMETRIC);
		f = found(STUN_MAPPING_UNKNOWN, i);
		assert_int_equal(stun_findings_type(&f), STUN_NAT_UNKNOWN);
	}
}

static bool is_sentence(const char *text)
{
	size_t len = text ? strlen(text) : 0;

	return len > 20 && text[len - 1] == '.';
}

static void a_meaning_for_each(void **state)
{
	struct stun_findings f = {.answered = false};

	assert_true(is_sentence(stun_findings_meaning(&f)));
	for (enum stun_mapping m = 0; m < STUN_MAPPINGS; m++) {
		for (enum stun_filtering i = 0; i < STUN_FILTERINGS; i++) {
			f = found(m, i);
			assert_true(is_sentence(stun_findings_meaning(&f)));
		}
	}
	/* What is known is used, even where the type is not. */
	f = found(STUN_MAPPING_NONE, STUN_FILTERING_UNKNOWN);
	assert_non_null(strstr(stun_findings_meaning(&f), "no NAT"));
}

static void names(void **state)
{
	assert_string_equal(stun_mapping_name(STUN_MAPPING_NONE), "none");
	assert_string_equal(stun_mapping_name(STUN_MAPPING_ADDRESS_DEPENDENT), "address-dependent");
	assert_string_equal(stun_filtering_name(STUN_FILTERING_ADDRESS_AND_PORT_DEPENDENT),
			    "address-and-port-dependent");
	assert_string_equal(stun_hairpin_name(STUN_HAIRPIN_YES), "yes");
	assert_string_equal(stun_nat_type_name(STUN_NAT_PORT_RESTRICTED), "port-restricted");
	assert_string_equal(stun_nat_type_name(STUN_NAT_SYMMETRIC), "symmetric");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types_of_behaviours),
		cmocka_unit_test(a_meaning_for_each),
		cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
