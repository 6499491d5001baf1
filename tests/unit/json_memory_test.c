/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_memory: documents are charged, and refused.
 * links: core/engine/json_memory.c core/memory.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>

#include "core/memory.h"

static struct memory account;

static int begin(void **state)
{
	account = (struct memory){.most = 1u << 20};
	return memory_adopt(&account) == NULL ? 0 : -1;
}

static int end(void **state)
{
	(void)memory_adopt(NULL);
	return 0;
}

static void a_document_is_charged(void **state)
{
	json_t *list = json_array();
	char *text;

	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(json_array_append_new(list, json_pack("{s:i}", "number", i)), 0);
	/* An object takes some 300 bytes, and its text 15. */
	assert_in_range(account.used, 200000, 500000);
	int64_t before = account.used;
	text = json_dumps(list, JSON_COMPACT);
	assert_non_null(text);
	assert_in_range(account.used - before, 13000, 20000);
	memory_free(text);
	assert_int_equal(account.used, before);
	json_decref(list);
	assert_int_equal(account.used, 0);
}

static void a_document_is_refused(void **state)
{
	json_t *list = json_array();
	size_t n = 0;

	while (n < 100000 && json_array_append_new(list, json_integer(1)) == 0)
		n++;
	assert_in_range(n, 1000, 50000);
	assert_true(account.refused > 0);
	json_decref(list);
	assert_int_equal(account.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_document_is_charged, begin, end),
		cmocka_unit_test_setup_teardown(a_document_is_refused, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
