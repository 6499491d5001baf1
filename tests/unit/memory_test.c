/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_test: what is charged, what is refused, and that all is given back.
 *
 * links: core/memory.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/memory.h"
#include "core/sanitized.h"

static struct memory account;

static int set_up(void **state)
{
	account.used = 0;
	account.refused = 0;
	account.most = 100000;
	return memory_adopt(&account) == NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)memory_adopt(NULL);
	return 0;
}

static void test_charged_and_given_back(void **state)
{
	char *a = memory_get(1000), *b = memory_zeroed(2000), *c = memory_text("three");
	char *d = memory_aligned(64, 64);

	assert_non_null(a);
	assert_non_null(b);
	assert_string_equal(c, "three");
	assert_int_equal((uintptr_t)d % 64, 0);
	assert_in_range(account.used, 3070, 3300);
	memory_free(d);
	assert_in_range(account.used, 3006, 3200);
	for (size_t i = 0; i < 2000; i++)
		assert_int_equal(b[i], 0);
	memset(a, 'a', 1000);
	a = memory_resize(a, 5000);
	assert_non_null(a);
	assert_int_equal(a[999], 'a');
	assert_in_range(account.used, 7006, 7300);
	a = memory_resize(a, 100);
	assert_in_range(account.used, 2106, 2400);
	memory_free(a);
	memory_free(b);
	memory_free(c);
	memory_free(NULL);
	assert_int_equal(account.used, 0);
	assert_int_equal(account.refused, 0);
}

static void test_refused_at_the_limit(void **state)
{
	char *a = memory_get(90000), *b;

	assert_non_null(a);
	assert_null(memory_get(20000));
	assert_null(memory_zeroed(20000));
	assert_null(memory_resize(a, 120000)); /* and a is as it was */
	assert_false(memory_take(20000));
	assert_int_equal(account.refused, 4);
	a[89999] = 'a';
	b = memory_get(5000);
	assert_non_null(b);
	memory_free(a);
	a = memory_get(20000);
	assert_non_null(a);
	memory_free(a);
	memory_free(b);
	assert_int_equal(account.used, 0);
}

/* Refusals are counted where they happen: what was made since can be asked whether it is whole. */
static void test_refusals(void **state)
{
	unsigned before = memory_refusals();
	char *a = memory_get(100), *b = memory_text_of("seven letters", 5);

	assert_non_null(a);
	assert_string_equal(b, "seven");
	assert_int_equal(memory_refusals(), before);
	assert_null(memory_get(200000));
	assert_int_equal(memory_refusals(), before + 1);
	assert_null(memory_array(SIZE_MAX / 2, 4)); /* that many there are not */
	assert_false(memory_take(200000));
	assert_int_equal(memory_refusals(), before + 3);
	if (!SANITIZED) { /* whose allocator ends the program */
		(void)memory_adopt(NULL);
		assert_null(memory_get(SIZE_MAX / 4)); /* by the system */
		assert_null(memory_resize(NULL, SIZE_MAX / 4));
		assert_int_equal(memory_refusals(), before + 5);
		(void)memory_adopt(&account);
	}
	memory_free(a);
	memory_free(b);
	assert_int_equal(account.used, 0);
}

/* A limit that was lowered below what is used lets nothing grow, and all be given back. */
static void test_a_lower_limit(void **state)
{
	char *a = memory_get(50000);

	account.most = 10000;
	assert_null(memory_get(1));
	assert_true(memory_tight());
	memory_free(a);
	assert_false(memory_tight());
	a = memory_get(1);
	assert_non_null(a);
	memory_free(a);
}

static void test_the_last_quarter(void **state)
{
	assert_true(memory_take(75000));
	assert_false(memory_tight());
	assert_true(memory_take(1));
	assert_true(memory_tight());
	assert_true(memory_take(24999)); /* for those that may */
	assert_false(memory_take(1));
	memory_give(100000);
	assert_int_equal(account.used, 0);
}

static void test_without_an_account(void **state)
{
	char *a;

	(void)memory_adopt(NULL);
	a = memory_get(200000);
	assert_non_null(a);
	assert_false(memory_tight());
	assert_true(memory_take(SIZE_MAX));
	memory_give(SIZE_MAX);
	memory_free(a);
	assert_int_equal(account.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_charged_and_given_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused_at_the_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_lower_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_last_quarter, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_without_an_account, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
