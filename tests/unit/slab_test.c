/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slab: ids find their object for one life only.
 * links: core/area.c core/slab.c core/memory.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/memory.h"
#include "core/slab.h"

struct thing {
	uint64_t a, b;
};

static void an_id_dies_with_its_object(void **state)
{
	struct slab s;
	slab_id first, second;

	assert_int_equal(slab_init(&s, sizeof(struct thing), 2, 7), 0);
	struct thing *t = slab_get(&s, &first);
	assert_non_null(t);
	assert_int_equal(slab_id_tag(first), 7);
	assert_ptr_equal(slab_find(&s, first), t);
	t->a = 5;
	slab_put(&s, first);
	assert_null(slab_find(&s, first));

	struct thing *again = slab_get(&s, &second);
	assert_ptr_equal(again, t);
	assert_int_equal(again->a, 0);
	assert_true(first != second);
	assert_null(slab_find(&s, first));
	slab_free(&s);
}

static void a_full_table_refuses_and_recovers(void **state)
{
	struct slab s;
	slab_id id[3];

	assert_int_equal(slab_init(&s, sizeof(struct thing), 2, 0), 0);
	assert_non_null(slab_get(&s, &id[0]));
	assert_non_null(slab_get(&s, &id[1]));
	assert_null(slab_get(&s, &id[2]));
	assert_int_equal(s.used, 2);
	slab_put(&s, id[0]);
	assert_null(slab_at(&s, 0));
	assert_non_null(slab_at(&s, 1));
	assert_non_null(slab_get(&s, &id[2]));
	slab_free(&s);
}

static void foreign_and_zero_ids_find_nothing(void **state)
{
	struct slab s;
	slab_id id;

	assert_int_equal(slab_init(&s, 8, 4, 1), 0);
	assert_null(slab_find(&s, 0));
	assert_non_null(slab_get(&s, &id));
	assert_null(slab_find(&s, id ^ (uint64_t)3 << 56));
	assert_null(slab_find(&s, id + 1));
	slab_free(&s);
}

static void it_is_charged_as_it_fills(void **state)
{
	struct memory account = {.most = 128};
	struct slab s;
	slab_id id[3];

	(void)memory_adopt(&account);
	assert_int_equal(slab_init(&s, 64, 8, 1), 0);
	assert_non_null(slab_get(&s, &id[0]));
	assert_non_null(slab_get(&s, &id[1]));
	assert_int_equal(account.used, 128);
	assert_null(slab_get(&s, &id[2]));
	slab_put(&s, id[0]);
	assert_non_null(slab_get(&s, &id[2])); /* what was touched costs nothing more */
	slab_free(&s);
	assert_int_equal(account.used, 0);
	(void)memory_adopt(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_dies_with_its_object),
		cmocka_unit_test(a_full_table_refuses_and_recovers),
		cmocka_unit_test(foreign_and_zero_ids_find_nothing),
		cmocka_unit_test(it_is_charged_as_it_fills),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
