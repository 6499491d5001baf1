/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paged: what is charged is what is there.
 * links: core/paged.c core/memory.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/mman.h>

#include "core/memory.h"
#include "core/paged.h"

#define COUNT 100000u

struct item {
	uint64_t a, b, c; /* 24 bytes: some lie across two pages */
};

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

static void put(struct paged *p, size_t i)
{
	paged_use(p, i);
	((struct item *)p->items)[i] = (struct item){i, i, i};
}

static void a_page_is_charged_once(void **state)
{
	struct paged p;

	assert_true(paged_init(&p, COUNT, sizeof(struct item)));
	assert_int_equal(account.used, 0);
	put(&p, 0);
	put(&p, 1);
	put(&p, 0);
	assert_int_equal(account.used, PAGED_BYTES);
	put(&p, PAGED_BYTES / sizeof(struct item)); /* bytes 4080 to 4103 */
	assert_int_equal(account.used, 2 * PAGED_BYTES);
	put(&p, COUNT - 1);
	assert_int_equal(account.used, 3 * PAGED_BYTES);
	paged_free(&p);
	assert_int_equal(account.used, 0);
}

/* The last item ends where the table does: no page behind it is counted. */
static void a_small_table_has_one_page(void **state)
{
	struct paged p;

	assert_true(paged_init(&p, PAGED_BYTES / 8, 8));
	for (size_t i = 0; i < PAGED_BYTES / 8; i++)
		paged_use(&p, i);
	assert_int_equal(account.used, PAGED_BYTES);
	paged_free(&p);
}

/* As many pages of the area are in memory as are charged. */
static void what_is_charged_is_resident(void **state)
{
	static unsigned char there[COUNT * sizeof(struct item) / PAGED_BYTES + 2];
	size_t resident = 0;
	struct paged p;

	assert_true(paged_init(&p, COUNT, sizeof(struct item)));
	for (size_t i = 0; i < 600; i++)
		put(&p, i * 7919 % COUNT * 31 % COUNT);
	uintptr_t from = (uintptr_t)p.items / PAGED_BYTES * PAGED_BYTES,
		  to = (uintptr_t)p.items + COUNT * sizeof(struct item);
	assert_int_equal(mincore((void *)from, to - from, there), 0);
	for (size_t i = 0; i < (to - from + PAGED_BYTES - 1) / PAGED_BYTES; i++)
		resident += there[i] & 1;
	size_t charged = (size_t)account.used / PAGED_BYTES;
	assert_true(charged > 50);
	/* malloc's head puts the area off its pages: an item near an edge lies in the other one. */
	assert_in_range(charged * 100 / resident, 95, 105);
	paged_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_page_is_charged_once, begin, end),
		cmocka_unit_test_setup_teardown(a_small_table_has_one_page, begin, end),
		cmocka_unit_test_setup_teardown(what_is_charged_is_resident, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
