/* SPDX-License-Identifier: Apache-2.0 */
/*
 * responders: who is left alone, for how long, and who makes room.
 * links: upnp/responders.c upnp/location.c core/addr.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "upnp/responders.h"

static struct addr host(unsigned n)
{
	char text[32];
	struct addr a;

	snprintf(text, sizeof(text), "10.0.0.%u", n);
	assert_true(addr_from_literal(text, (uint16_t)n, &a));
	return a;
}

static void test_longer_each_time(void **state)
{
	struct responders r = {0};
	struct addr a = host(1);
	uint64_t now = 1000, wait = RESPONDERS_WAIT_MS;

	assert_false(responders_avoided(&r, &a, now));
	for (int i = 0; i < 20; i++) {
		responders_avoid(&r, &a, now);
		assert_true(responders_avoided(&r, &a, now + wait - 1));
		now += wait;
		assert_false(responders_avoided(&r, &a, now));
		wait = wait * 2 < RESPONDERS_WAIT_MAX_MS ? wait * 2 : RESPONDERS_WAIT_MAX_MS;
	}
	responders_pardon(&r, &a);
	responders_avoid(&r, &a, now);
	assert_false(responders_avoided(&r, &a, now + RESPONDERS_WAIT_MS));
}

static void test_the_first_to_be_over_makes_room(void **state)
{
	struct responders r = {0};
	struct addr a;

	for (unsigned i = 1; i <= RESPONDERS_MAX + 1; i++) {
		a = host(i);
		responders_avoid(&r, &a, i);
	}
	a = host(1);
	assert_false(responders_avoided(&r, &a, 20));
	a = host(2);
	assert_true(responders_avoided(&r, &a, 20));
	a = host(RESPONDERS_MAX + 1);
	a.v4.sin_port = 0; /* the port does not count */
	assert_true(responders_avoided(&r, &a, 20));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_longer_each_time),
		cmocka_unit_test(test_the_first_to_be_over_makes_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
