/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paged: what is charged is what is there.
 * links: core/area.c core/paged.c core/memory.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

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

/* Whether the flags of the mapping at p (smaps) have this one: 1, 0, or -1: the kernel does not
 * tell. */
static int mapping_has(const void *p, const char *flag)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long from, to;
	char line[512], *flags = NULL;
	bool here = false;

	while (f && !flags && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = (uintptr_t)p >= from && (uintptr_t)p < to;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			flags = line;
	}
	if (f)
		fclose(f);
	return flags ? strstr(flags, flag) != NULL : -1;
}

/* Where the kernel would give each 2 MiB whole, it has been told not to. */
static void a_page_stays_a_page(void **state)
{
	bool huge = access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) == 0;
	struct paged p;

	assert_true(paged_init(&p, 1u << 20, sizeof(struct item)));
	put(&p, 1u << 19);
	if (huge)
		assert_int_not_equal(mapping_has(p.items, " nh"), 0);
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
	assert_int_equal(mincore(p.items, p.bytes, there), 0);
	for (size_t i = 0; i < (p.bytes + PAGED_BYTES - 1) / PAGED_BYTES; i++)
		resident += there[i] & 1;
	size_t charged = (size_t)account.used / PAGED_BYTES;
	assert_true(charged > 50);
	assert_int_equal(charged, resident);
	paged_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_page_is_charged_once, begin, end),
		cmocka_unit_test_setup_teardown(a_small_table_has_one_page, begin, end),
		cmocka_unit_test_setup_teardown(a_page_stays_a_page, begin, end),
		cmocka_unit_test_setup_teardown(what_is_charged_is_resident, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
