/* SPDX-License-Identifier: Apache-2.0 */
/*
 * revocations_test: lists of revoked certificates, by name, serial number and key, up to the bound.
 *
 * links: core/engine/revocations.c core/parse/wire.c core/parse/reason.c core/memory.c
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/engine/revocations.h"

static const struct identity_peer laptop = {
	.role = IDENTITY_AGENT,
	.name = "laptop",
	.not_before = 1000,
	.serial = "0a1b2c",
	.key = {0xde, 0xad, 1},
};

static bool add(struct revocations *r, enum wire_revocation_kind kind, const char *value,
		int64_t before)
{
	struct revocation v = {.kind = kind, .before = before};

	snprintf(v.value, sizeof(v.value), "%s", value);
	return revocations_add(r, &v);
}

/* Whether a list of this alone covers laptop. */
static bool covers(enum wire_revocation_kind kind, const char *value, int64_t before)
{
	struct revocations r = {0};
	bool answer;

	assert_true(add(&r, kind, value, before));
	revocations_finish(&r);
	answer = revocations_cover(&r, &laptop);
	revocations_free(&r);
	return answer;
}

static void nothing_is_revoked_at_first(void **state)
{
	struct revocations r = {0};

	revocations_finish(&r);
	assert_false(revocations_cover(&r, &laptop) || revocations_cover(NULL, &laptop));
	assert_false(revocations_cover_name(&r, "laptop") || revocations_cover_name(NULL, ""));
	assert_true(revocations_mark(&r) == revocations_mark(NULL) && revocations_mark(&r) != 0);
	revocations_free(&r);
}

static void each_kind_covers_its_own(void **state)
{
	char key[WIRE_REVOCATION_MAX + 1];

	revocation_key_text(laptop.key, key);
	assert_int_equal(strlen(key), 64);
	assert_memory_equal(key, "dead0100", 8);
	assert_true(covers(WIRE_REVOKED_NAME, "laptop", REVOCATIONS_ALWAYS));
	assert_true(covers(WIRE_REVOKED_SERIAL, "0a1b2c", REVOCATIONS_ALWAYS));
	assert_true(covers(WIRE_REVOKED_KEY, key, REVOCATIONS_ALWAYS));
	assert_false(covers(WIRE_REVOKED_NAME, "lapto", REVOCATIONS_ALWAYS));
	assert_false(covers(WIRE_REVOKED_NAME, "0a1b2c", REVOCATIONS_ALWAYS));
	assert_false(covers(WIRE_REVOKED_SERIAL, "laptop", REVOCATIONS_ALWAYS));
	assert_false(covers(WIRE_REVOKED_SERIAL, "0a1b2d", REVOCATIONS_ALWAYS));
	key[63] = '1';
	assert_false(covers(WIRE_REVOKED_KEY, key, REVOCATIONS_ALWAYS));
}

/* What begins at that second, or later, was issued again. */
static void a_name_can_be_issued_again(void **state)
{
	struct revocations r = {0};

	assert_true(covers(WIRE_REVOKED_NAME, "laptop", 1001));
	assert_false(covers(WIRE_REVOKED_NAME, "laptop", 1000));
	assert_false(covers(WIRE_REVOKED_NAME, "laptop", 1));
	assert_true(add(&r, WIRE_REVOKED_NAME, "laptop", 1001));
	assert_true(add(&r, WIRE_REVOKED_NAME, "sold", REVOCATIONS_ALWAYS));
	revocations_finish(&r);
	assert_false(revocations_cover_name(&r, "laptop"));
	assert_true(revocations_cover_name(&r, "sold"));
	revocations_free(&r);
}

/* In whatever order they stand, of two the one that revokes more counts. */
static void of_several_the_strictest_counts(void **state)
{
	static const int64_t orders[][3] = {{5, 9, 7}, {9, 7, 5}, {7, 5, 9}};
	struct revocations r;

	for (size_t i = 0; i < 3; i++) {
		r = (struct revocations){0};
		for (size_t k = 0; k < 3; k++)
			assert_true(add(&r, WIRE_REVOKED_NAME, "laptop", orders[i][k]));
		revocations_finish(&r);
		assert_int_equal(r.count, 1);
		assert_int_equal(r.list[0].before, 9);
		assert_true(add(&r, WIRE_REVOKED_NAME, "laptop", REVOCATIONS_ALWAYS));
		assert_true(add(&r, WIRE_REVOKED_NAME, "laptop", 11));
		revocations_finish(&r);
		assert_int_equal(r.count, 1);
		assert_int_equal(r.list[0].before, REVOCATIONS_ALWAYS);
		revocations_free(&r);
	}
}

static void the_mark_tells_lists_apart(void **state)
{
	struct revocations a = {0}, b = {0};

	assert_true(add(&a, WIRE_REVOKED_NAME, "eve", 0) && add(&a, WIRE_REVOKED_NAME, "adam", 5));
	assert_true(add(&b, WIRE_REVOKED_NAME, "adam", 5) && add(&b, WIRE_REVOKED_NAME, "eve", 0));
	revocations_finish(&a);
	revocations_finish(&b);
	assert_true(revocations_mark(&a) == revocations_mark(&b));
	b.list[0].before = 6;
	assert_true(revocations_mark(&a) != revocations_mark(&b));
	b.list[0].before = 5;
	b.list[0].kind = WIRE_REVOKED_SERIAL;
	assert_true(revocations_mark(&a) != revocations_mark(&b));
	b.count = 0;
	assert_true(revocations_mark(&a) != revocations_mark(&b));
	revocations_free(&a);
	revocations_free(&b);
}

static void there_are_only_so_many(void **state)
{
	struct revocations r = {0};
	char name[16];

	for (unsigned i = 0; i < REVOCATIONS_LIST_MAX; i++) {
		snprintf(name, sizeof(name), "n%u", (i * 7919) % REVOCATIONS_LIST_MAX);
		assert_true(add(&r, WIRE_REVOKED_NAME, name, 0));
	}
	assert_false(add(&r, WIRE_REVOKED_NAME, "laptop", 0));
	assert_int_equal(r.dropped, 1);
	revocations_finish(&r);
	assert_int_equal(r.count, REVOCATIONS_LIST_MAX);
	for (unsigned i = 0; i < REVOCATIONS_LIST_MAX; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		assert_true(revocations_cover_name(&r, name));
	}
	assert_false(revocations_cover(&r, &laptop));
	revocations_free(&r);
}

/* What is signed counts with each relay's word, and is no part of it. */
static void another_list_counts_beside_it(void **state)
{
	struct revocations word = {0}, beside = {0};
	uint64_t mark;

	assert_true(add(&beside, WIRE_REVOKED_NAME, "sold", 0));
	assert_true(add(&beside, WIRE_REVOKED_SERIAL, "0a1b2c", 0));
	revocations_finish(&beside);
	mark = revocations_mark(&word);
	word.beside = &beside;
	assert_true(revocations_cover(&word, &laptop));
	assert_true(revocations_cover_name(&word, "sold"));
	assert_false(revocations_cover_name(&word, "laptop"));
	assert_true(revocations_mark(&word) == mark);
	assert_true(add(&word, WIRE_REVOKED_NAME, "eve", 0));
	revocations_finish(&word);
	assert_true(revocations_cover(&word, &laptop) && revocations_cover_name(&word, "eve"));
	assert_false(revocations_cover_name(&beside, "eve"));
	revocations_free(&word);
	revocations_free(&beside);
}

static void values_are_of_one_spelling(void **state)
{
	assert_true(revocation_is_serial("00") && revocation_is_serial("0123456789abcdef"));
	assert_false(revocation_is_serial("") || revocation_is_serial("0") ||
		     revocation_is_serial("0A") || revocation_is_serial("0a:b") ||
		     revocation_is_serial("0g"));
	assert_true(revocation_is_serial("0123456789abcdef0123456789abcdef0123456789abcd"));
	assert_false(revocation_is_serial("0123456789abcdef0123456789abcdef0123456789abcdef"));
	assert_false(revocation_is_key("0123456789abcdef"));
	assert_true(revocation_is_key(
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_revoked_at_first),
		cmocka_unit_test(each_kind_covers_its_own),
		cmocka_unit_test(a_name_can_be_issued_again),
		cmocka_unit_test(of_several_the_strictest_counts),
		cmocka_unit_test(the_mark_tells_lists_apart),
		cmocka_unit_test(there_are_only_so_many),
		cmocka_unit_test(another_list_counts_beside_it),
		cmocka_unit_test(values_are_of_one_spelling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
