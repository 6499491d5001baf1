/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buffers_test: the bound holds, the warmest comes first, trimming gives back.
 *
 * links: core/buffers.c core/memory.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/buffers.h"
#include "core/memory.h"

#define EACH (64u << 10)

static void stops_at_the_bound(void **state)
{
	struct buffers b;
	uint8_t *got[3];
	assert_int_equal(buffers_init(&b, EACH, 3), 0);
	for (int i = 0; i < 3; i++) {
		got[i] = buffers_get(&b);
		assert_non_null(got[i]);
		memset(got[i], i, EACH);
	}
	assert_null(buffers_get(&b));
	for (int i = 0; i < 3; i++)
		assert_int_equal(got[i][EACH - 1], i);
	buffers_put(&b, got[1]);
	assert_ptr_equal(buffers_get(&b), got[1]);
	for (int i = 0; i < 3; i++)
		buffers_put(&b, got[i]);
	buffers_free(&b);
}

static void the_last_returned_comes_first(void **state)
{
	struct buffers b;
	assert_int_equal(buffers_init(&b, EACH, 8), 0);
	uint8_t *one = buffers_get(&b), *two = buffers_get(&b);
	buffers_put(&b, one);
	buffers_put(&b, two);
	assert_ptr_equal(buffers_get(&b), two);
	assert_ptr_equal(buffers_get(&b), one);
	assert_int_equal(b.made, 2);
	buffers_put(&b, one);
	buffers_put(&b, two);
	buffers_free(&b);
}

static void trimming_keeps_what_is_asked(void **state)
{
	struct buffers b;
	uint8_t *got[4];
	assert_int_equal(buffers_init(&b, EACH, 4), 0);
	for (int i = 0; i < 4; i++)
		got[i] = buffers_get(&b);
	for (int i = 0; i < 3; i++)
		buffers_put(&b, got[i]);
	buffers_trim(&b, 1);
	assert_int_equal(b.free_count, 1);
	assert_int_equal(b.made, 2);
	buffers_trim(&b, 5);
	assert_int_equal(b.made, 2);
	/* The bound counts what exists, so there is room again. */
	for (int i = 0; i < 3; i++) {
		got[i] = buffers_get(&b);
		assert_non_null(got[i]);
	}
	assert_null(buffers_get(&b));
	for (int i = 0; i < 4; i++)
		buffers_put(&b, got[i]);
	buffers_free(&b);
}

static void none_at_all(void **state)
{
	struct buffers b;
	assert_int_equal(buffers_init(&b, EACH, 0), 0);
	assert_null(buffers_get(&b));
	buffers_trim(&b, 0);
	buffers_free(&b);
}

static void what_exists_is_charged(void **state)
{
	struct memory account = {.most = 8 * EACH};
	struct buffers b;
	uint8_t *got[6];

	(void)memory_adopt(&account);
	assert_int_equal(buffers_init(&b, EACH, 8), 0);
	for (int i = 0; i < 6; i++) {
		got[i] = buffers_get(&b);
		assert_non_null(got[i]);
	}
	assert_int_equal(account.used, 6 * EACH);
	assert_true(memory_take(1)); /* the last quarter is for others */
	assert_null(buffers_get(&b));
	for (int i = 0; i < 6; i++)
		buffers_put(&b, got[i]);
	assert_int_equal(account.used, 6 * EACH + 1);
	buffers_free(&b);
	assert_int_equal(account.used, 1);
	(void)memory_adopt(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stops_at_the_bound),
		cmocka_unit_test(the_last_returned_comes_first),
		cmocka_unit_test(trimming_keeps_what_is_asked),
		cmocka_unit_test(none_at_all),
		cmocka_unit_test(what_exists_is_charged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
