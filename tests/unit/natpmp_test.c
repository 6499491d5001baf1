/* SPDX-License-Identifier: Apache-2.0 */
/*
 * natpmp_test: which datagrams libnatpmp gets to read, and announcements.
 * links: natpmp/natpmp.c core/addr.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "natpmp/natpmp.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static const struct natpmp_question where = {.opcode = NATPMP_ADDRESS};
static const struct natpmp_question map = {.opcode = NATPMP_MAP_TCP, .internal_port = 443};
static const struct natpmp_question unmap = {
	.opcode = NATPMP_MAP_TCP, .internal_port = 443, .deletion = true};

/* In memory of that size, so that a sanitizer sees a read past the end. */
static enum natpmp_verdict check(const uint8_t *in, size_t len, const struct natpmp_question *q)
{
	uint8_t *copy = malloc(len ? len : 1);
	enum natpmp_verdict v;

	memcpy(copy, in, len);
	v = natpmp_answer_check(copy, len, q);
	free(copy);
	return v;
}

struct example {
	const struct natpmp_question *question;
	uint8_t bytes[20];
	size_t len;
	enum natpmp_verdict verdict;
};

/* Sections 3.2, 3.3 and 3.5; 443 is 1 187. */
static const struct example examples[] = {
	{&where, {0, 128, 0, 0, 0, 0, 0, 9, 45, 0, 0, 10}, 12, NATPMP_ANSWER},
	{&where, {0, 128, 0, 0, 0, 0, 0, 9, 45, 0, 0, 10}, 16, NATPMP_MALFORMED},
	{&where, {0, 128, 0, 3, 0, 0, 0, 9, 0, 0, 0, 0}, 12, NATPMP_ANSWER},
	{&where, {0, 128, 0, 3, 0, 0, 0, 9}, 8, NATPMP_ANSWER},
	{&where, {0, 128, 0, 0, 0, 0, 0, 9}, 8, NATPMP_MALFORMED},
	{&where, {0, 130, 0, 0, 0, 0, 0, 9, 1, 187, 1, 187, 0, 0, 0, 9}, 16, NATPMP_STRAY},
	{&map, {0, 130, 0, 0, 0, 0, 0, 9, 1, 187, 1, 187, 0, 0, 0, 9}, 16, NATPMP_ANSWER},
	{&map, {0, 130, 0, 0, 0, 0, 0, 9, 1, 187, 1, 187, 0, 0, 0, 9}, 20, NATPMP_MALFORMED},
	{&map, {0, 129, 0, 0, 0, 0, 0, 9, 1, 187, 1, 187, 0, 0, 0, 9}, 16, NATPMP_STRAY},
	/* It mapped another port than was asked for; none is no port. */
	{&map, {0, 130, 0, 0, 0, 0, 0, 9, 1, 188, 1, 187, 0, 0, 0, 9}, 16, NATPMP_ANSWER},
	{&map, {0, 130, 0, 0, 0, 0, 0, 9, 0, 0, 1, 187, 0, 0, 0, 9}, 16, NATPMP_STRAY},
	{&unmap, {0, 130, 0, 0, 0, 0, 0, 9, 1, 188, 0, 0, 0, 0, 0, 0}, 16, NATPMP_STRAY},
	{&map, {0, 130, 0, 0, 0, 0, 0, 9, 1, 187, 0, 0, 0, 0, 0, 9}, 16, NATPMP_MALFORMED},
	{&map, {0, 130, 0, 0, 0, 0, 0, 9, 1, 187, 0, 0, 0, 0, 0, 0}, 16, NATPMP_STRAY},
	{&map, {0, 130, 0, 4, 0, 0, 0, 9, 1, 187, 0, 0, 0, 0, 0, 0}, 16, NATPMP_ANSWER},
	{&map, {0, 130, 0, 4, 0, 0, 0, 9, 1, 188, 0, 0, 0, 0, 0, 0}, 16, NATPMP_STRAY},
	{&map, {0, 130, 0, 4, 0, 0, 0, 9}, 8, NATPMP_ANSWER},
	{&map, {0, 130, 0, 4, 0, 0, 0, 9, 1, 187}, 10, NATPMP_MALFORMED},
	{&unmap, {0, 130, 0, 0, 0, 0, 0, 9, 1, 187, 0, 0, 0, 0, 0, 0}, 16, NATPMP_ANSWER},
	{&unmap, {0, 130, 0, 0, 0, 0, 0, 9, 1, 187, 1, 187, 0, 0, 0, 9}, 16, NATPMP_STRAY},
	/* RFC 6887 section 9: from a server of PCP alone; and a refusal within NAT-PMP. */
	{&where, {2, 128, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9}, 20, NATPMP_OTHER_VERSION},
	{&where, {0, 128, 0, 1, 0, 0, 0, 9}, 8, NATPMP_OTHER_VERSION},
	{&where, {0, 0}, 2, NATPMP_MALFORMED},					/* a request */
	{&where, {0, 0, 0, 0, 0, 0, 0, 9, 45, 0, 0, 10}, 12, NATPMP_MALFORMED}, /* no answer */
};

static void only_answers_to_the_question_pass(void **state)
{
	for (size_t i = 0; i < LENGTH(examples); i++) {
		const struct example *x = &examples[i];

		if (check(x->bytes, x->len, x->question) != x->verdict)
			fail_msg("example %zu: not %d", i, (int)x->verdict);
	}
}

static void cut_answers_never_pass(void **state)
{
	for (size_t i = 0; i < LENGTH(examples); i++) {
		const struct example *x = &examples[i];
		size_t least = x->bytes[3] ? NATPMP_ERROR_BYTES : x->len;

		for (size_t len = 0; len < least && x->verdict == NATPMP_ANSWER; len++)
			assert_int_equal(check(x->bytes, len, x->question), NATPMP_MALFORMED);
	}
}

static void announcements_are_read(void **state)
{
	static const uint8_t in[] = {0, 128, 0, 0, 0, 1, 0, 2, 45, 0, 0, 10};
	static const uint8_t down[] = {0, 128, 0, 3, 0, 0, 0, 2, 1, 2, 3, 4};
	struct natpmp_announcement a;
	char text[ADDR_TEXT_BYTES];

	assert_true(natpmp_announcement_parse(in, sizeof(in), &a));
	assert_int_equal(a.epoch_s, 65538);
	assert_int_equal(a.result, NATPMP_SUCCESS);
	addr_format(&a.external, text);
	assert_string_equal(text, "45.0.0.10:0");
	assert_true(natpmp_announcement_parse(down, sizeof(down), &a));
	assert_int_equal(a.result, NATPMP_NETWORK_FAILURE);
	assert_int_equal(a.external.len, 0);
}

static void what_is_no_announcement_is_refused(void **state)
{
	static const uint8_t right[16] = {0, 128, 0, 0, 0, 1, 0, 2, 45, 0, 0, 10};
	struct natpmp_announcement a, before;
	uint8_t in[16];

	memset(&a, 0xa5, sizeof(a));
	before = a;
	for (size_t len = 0; len <= sizeof(right); len++) {
		if (len != NATPMP_ADDRESS_BYTES)
			assert_false(natpmp_announcement_parse(right, len, &a));
	}
	for (size_t at = 0; at < 2; at++) {
		memcpy(in, right, sizeof(in));
		in[at] ^= 2;
		assert_false(natpmp_announcement_parse(in, NATPMP_ADDRESS_BYTES, &a));
	}
	memcpy(in, right, sizeof(in));
	in[1] = 0;
	assert_false(natpmp_announcement_parse(in, NATPMP_ADDRESS_BYTES, &a));
	assert_memory_equal(&a, &before, sizeof(a));
}

static void results_have_names(void **state)
{
	assert_string_equal(natpmp_result_name(NATPMP_SUCCESS), "success");
	assert_string_equal(natpmp_result_name(5), "unsupported opcode");
	assert_string_equal(natpmp_result_name(6), "unknown result");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_answers_to_the_question_pass),
		cmocka_unit_test(cut_answers_never_pass),
		cmocka_unit_test(announcements_are_read),
		cmocka_unit_test(what_is_no_announcement_is_refused),
		cmocka_unit_test(results_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
