/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reason: the table's names and sentences.
 * links: core/parse/reason.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/parse/reason.h"

static const unsigned codes[] = {
#define X(number, name, sentence) number,
	REASONS(X)
#undef X
};

#define CODE_COUNT (sizeof(codes) / sizeof(codes[0]))

static void test_names(void **state)
{
	assert_string_equal(reason_name(REASON_OK), "OK");
	assert_string_equal(reason_name(REASON_AGENT_OFFLINE), "AGENT_OFFLINE");
	assert_string_equal(reason_name(99), "UNKNOWN");
	assert_string_equal(reason_name(65535), "UNKNOWN");
}

static void test_sentences(void **state)
{
	assert_string_equal(reason_sentence(REASON_SHUTDOWN), "the other side is shutting down");
	assert_true(strlen(reason_sentence(99)) > 0);
	for (size_t i = 0; i < CODE_COUNT; i++) {
		const char *s = reason_sentence(codes[i]);

		assert_in_range(strlen(s), 1, REASON_SENTENCE_MAX);
		for (const char *p = s; *p; p++)
			assert_in_range(*p, 0x20, 0x7e);
		assert_true(s[strlen(s) - 1] != '.'); /* they stand inside log lines */
	}
}

/* What went wrong at our own end is told without a sentence of another cause before it. */
static void test_texts_that_say_it_all(void **state)
{
	assert_true(reason_says_text(REASON_LINK_GONE));
	assert_true(reason_says_text(REASON_LINK_ELSEWHERE));
	assert_true(reason_says_text(REASON_TIMEOUT));
	assert_false(reason_says_text(REASON_PEER_GONE));
	assert_false(reason_says_text(REASON_NOT_ALLOWED));
}

static void test_numbers_ascend_and_differ(void **state)
{
	for (size_t i = 1; i < CODE_COUNT; i++)
		assert_true(codes[i - 1] < codes[i]);
	for (size_t i = 0; i < CODE_COUNT; i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(reason_name(codes[i]), reason_name(codes[j]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_sentences),
		cmocka_unit_test(test_texts_that_say_it_all),
		cmocka_unit_test(test_numbers_ascend_and_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
