/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shunned_test: an address that was not who was looked for is tried last, of that name, for a
 * while.
 *
 * links: agent/worker/shunned.c core/addr.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "agent/worker/shunned.h"

static const uint64_t begin_ms = 7000;

static struct addr address(unsigned last)
{
	char literal[16];
	struct addr a;

	snprintf(literal, sizeof(literal), "192.0.2.%u", last);
	assert_true(addr_from_literal(literal, 443, &a));
	return a;
}

static void it_is_tried_last_and_the_others_keep_their_order(void **state)
{
	struct shunned s = {0};
	struct addr list[] = {address(1), address(2), address(3), address(4)};
	const struct addr first = address(1), third = address(3);

	shunned_add(&s, "relay.example", &third, begin_ms);
	shunned_add(&s, "Relay.example", &first, begin_ms);
	assert_int_equal(shunned_order(&s, "other.example", list, 4, begin_ms), 0);
	assert_true(addr_equal(&list[0], &first));
	assert_int_equal(shunned_order(&s, "relay.example", list, 4, begin_ms), 2);
	for (unsigned i = 0; i < 4; i++) {
		const unsigned expected[] = {2, 4, 1, 3};
		const struct addr a = address(expected[i]);

		assert_true(addr_equal(&list[i], &a));
	}
	shunned_remove(&s, "relay.example", &first);
	assert_false(shunned_has(&s, "relay.example", &first, begin_ms));
	assert_true(shunned_has(&s, "relay.example", &third, begin_ms + SHUNNED_MS - 1));
	assert_false(shunned_has(&s, "relay.example", &third, begin_ms + SHUNNED_MS));
}

static void a_full_one_forgets_the_oldest(void **state)
{
	struct shunned s = {0};
	const struct addr first = address(0), second = address(1), another = address(200);

	for (unsigned i = 0; i < SHUNNED_MAX; i++) {
		const struct addr a = address(i);

		shunned_add(&s, "relay.example", &a, begin_ms + i);
	}
	/* Anew: it is not the oldest any more, and takes no second place. */
	shunned_add(&s, "relay.example", &first, begin_ms + SHUNNED_MAX);
	shunned_add(&s, "relay.example", &another, begin_ms + SHUNNED_MAX);
	assert_true(shunned_has(&s, "relay.example", &first, begin_ms + SHUNNED_MAX));
	assert_false(shunned_has(&s, "relay.example", &second, begin_ms + SHUNNED_MAX));
	assert_true(shunned_has(&s, "relay.example", &another, begin_ms + SHUNNED_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_tried_last_and_the_others_keep_their_order),
		cmocka_unit_test(a_full_one_forgets_the_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
