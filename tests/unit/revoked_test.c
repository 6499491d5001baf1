/* SPDX-License-Identifier: Apache-2.0 */
/*
 * revoked_test: names that several relays tell, in any order, up to the bound.
 *
 * links: agent/engine/revoked.c core/parse/wire.c core/parse/reason.c
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

#include "agent/engine/revoked.h"

static size_t say(struct revoked *r, unsigned relay, const char *const *names, size_t count)
{
	struct wire_bytes list[WIRE_SERVICES_MAX];

	for (size_t i = 0; i < count; i++)
		list[i] = wire_text(names[i]);
	return revoked_add(r, relay, list, count);
}

static void assert_sorted(const struct revoked *r)
{
	for (size_t i = 1; i < r->count; i++)
		assert_true(strcmp(r->names[i - 1].name, r->names[i].name) < 0);
}

static void no_name_is_revoked_at_first(void **state)
{
	struct revoked r = {0};

	assert_false(revoked_has(&r, "home"));
	assert_false(revoked_has(&r, ""));
	revoked_forget(&r, 3);
	revoked_free(&r);
}

static void names_accumulate_in_any_order(void **state)
{
	static const char *const first[] = {"mallory", "eve", "eve"}, *const second[] = {"adam",
											 "eve"};
	struct revoked r = {0};

	assert_int_equal(say(&r, 0, first, 3), 2);
	assert_int_equal(say(&r, 0, second, 2), 1);
	assert_true(revoked_has(&r, "adam") && revoked_has(&r, "eve") &&
		    revoked_has(&r, "mallory"));
	assert_false(revoked_has(&r, "ev") || revoked_has(&r, "evelyn") || revoked_has(&r, "z"));
	assert_sorted(&r);
	revoked_free(&r);
}

static void a_name_counts_while_any_relay_says_so(void **state)
{
	static const char *const eve[] = {"eve"}, *const both[] = {"adam", "eve"};
	struct revoked r = {0};

	assert_int_equal(say(&r, 0, both, 2), 2);
	assert_int_equal(say(&r, REVOKED_RELAYS_MAX - 1, eve, 1), 0);
	revoked_forget(&r, 0);
	assert_false(revoked_has(&r, "adam"));
	assert_true(revoked_has(&r, "eve"));
	revoked_forget(&r, REVOKED_RELAYS_MAX - 1);
	assert_int_equal(r.count, 0);
	revoked_free(&r);
}

static void a_name_of_any_length_is_no_trouble(void **state)
{
	char longest[WIRE_NAME_MAX + 1], longer[WIRE_NAME_MAX + 2];
	const char *names[] = {longest};
	struct revoked r = {0};

	memset(longest, 'x', sizeof(longest));
	longest[WIRE_NAME_MAX] = '\0';
	memset(longer, 'x', sizeof(longer));
	longer[WIRE_NAME_MAX + 1] = '\0';
	assert_int_equal(say(&r, 1, names, 1), 1);
	assert_true(revoked_has(&r, longest));
	assert_false(revoked_has(&r, longer));
	revoked_free(&r);
}

/* The relay does not send them in order, and sends too many. */
static void there_is_a_bound(void **state)
{
	char texts[WIRE_SERVICES_MAX][16];
	const char *names[WIRE_SERVICES_MAX];
	struct revoked r = {0};
	uint32_t n = 0;

	for (size_t message = 0; message < REVOKED_NAMES_MAX / WIRE_SERVICES_MAX + 2; message++) {
		for (size_t i = 0; i < WIRE_SERVICES_MAX; i++, n++) {
			snprintf(texts[i], sizeof(texts[i]), "n%08" PRIx32, n * 2654435761u);
			names[i] = texts[i];
		}
		(void)say(&r, 5, names, WIRE_SERVICES_MAX);
	}
	assert_int_equal(r.count, REVOKED_NAMES_MAX);
	assert_int_equal(r.dropped, 2 * WIRE_SERVICES_MAX);
	assert_sorted(&r);
	snprintf(texts[0], sizeof(texts[0]), "n%08" PRIx32, 77 * 2654435761u);
	assert_true(revoked_has(&r, texts[0]));
	revoked_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_name_is_revoked_at_first),
		cmocka_unit_test(names_accumulate_in_any_order),
		cmocka_unit_test(a_name_counts_while_any_relay_says_so),
		cmocka_unit_test(a_name_of_any_length_is_no_trouble),
		cmocka_unit_test(there_is_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
