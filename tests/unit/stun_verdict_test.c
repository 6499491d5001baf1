/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stun_verdict: servers that agree, and the ways in which they do not.
 * links: stun/verdict.c core/addr.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "stun/verdict.h"

#define SERVERS 5

struct scene {
	const char *externals[SERVERS]; /* "": no answer; NULL: no more servers */
	enum stun_agreement agreement;
	const char *external; /* NULL: none */
	size_t odd;
};

static const struct scene scenes[] = {
	{{NULL}, STUN_AGREE_NONE, NULL, 0},
	{{"", ""}, STUN_AGREE_NONE, NULL, 0},
	{{"45.0.0.1:1"}, STUN_AGREE_ALONE, "45.0.0.1:1", 0},
	{{"", "45.0.0.1:1", ""}, STUN_AGREE_ALONE, "45.0.0.1:1", 0},
	{{"45.0.0.1:1", "", "45.0.0.1:1"}, STUN_AGREE_ALL, "45.0.0.1:1", 0},
	{{"[2001:db8::1]:1", "[2001:db8::1]:1"}, STUN_AGREE_ALL, "[2001:db8::1]:1", 0},
	{{"45.0.0.1:1", "45.0.0.1:2"}, STUN_AGREE_NOT_PORT, "45.0.0.1:0", 0},
	{{"45.0.0.1:1", "45.0.0.1:1", "45.0.0.1:2"}, STUN_AGREE_NOT_PORT, "45.0.0.1:0", 0},
	{{"45.0.0.1:1", "45.0.0.2:1"}, STUN_AGREE_NOT_ADDRESS, NULL, 0},
	{{"45.0.0.1:1", "45.0.0.2:1", "45.0.0.3:1"}, STUN_AGREE_NOT_ADDRESS, NULL, 0},
	{{"45.0.0.1:1", "45.0.0.2:1", "45.0.0.1:1"}, STUN_AGREE_BUT_ONE, "45.0.0.1:1", 1},
	{{"", "45.0.0.2:9", "45.0.0.1:1", "45.0.0.1:2"}, STUN_AGREE_BUT_ONE, "45.0.0.1:0", 1},
	{{"", "45.0.0.1:1", "", "45.0.0.1:1", "45.0.0.2:1"}, STUN_AGREE_BUT_ONE, "45.0.0.1:1", 4},
	{{"45.0.0.1:1", "45.0.0.1:1", "45.0.0.2:1", "45.0.0.2:1"}, STUN_AGREE_NOT_ADDRESS, NULL, 0},
	{{"45.0.0.1:1", "45.0.0.1:1", "45.0.0.1:1", "45.0.0.2:1", "45.0.0.3:1"},
	 STUN_AGREE_NOT_ADDRESS,
	 "45.0.0.1:1",
	 0},
};

static void every_scene(void **state)
{
	for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++) {
		const struct scene *s = &scenes[i];
		struct addr externals[SERVERS] = {{.len = 0}};
		struct stun_verdict v;
		char written[ADDR_TEXT_BYTES];
		size_t n = 0;

		for (; n < SERVERS && s->externals[n]; n++)
			if (s->externals[n][0])
				assert_true(addr_parse(s->externals[n], &externals[n]));
		stun_verdict_compare(externals, n, &v);
		assert_int_equal(v.agreement, s->agreement);
		assert_int_equal(v.external.len > 0, s->external != NULL);
		if (s->external) {
			addr_format(&v.external, written);
			assert_string_equal(written, s->external);
		}
		assert_int_equal(v.odd, s->odd);
	}
}

static void words_for_each(void **state)
{
	for (enum stun_agreement a = 0; a < STUN_AGREEMENTS; a++) {
		assert_non_null(stun_agreement_name(a));
		assert_true(strlen(stun_agreement_sentence(a)) > 20);
	}
	assert_string_equal(stun_agreement_name(STUN_AGREE_NOT_PORT), "ports_differ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_scene),
		cmocka_unit_test(words_for_each),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
