/* SPDX-License-Identifier: Apache-2.0 */
/* random: the numbers of splitmix64 as published, and spread evenly. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/random.h"

/* The first numbers of the reference implementation (prng.di.unimi.it/splitmix64.c). */
static void test_published_numbers(void **context)
{
	static const uint64_t of_1234567[] = {
		UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
		UINT64_C(9817491932198370423), UINT64_C(4593380528125082431),
		UINT64_C(16408922859458223821)};
	uint64_t state = 1234567;

	for (size_t i = 0; i < sizeof(of_1234567) / sizeof(of_1234567[0]); i++)
		assert_true(random_next(&state) == of_1234567[i]);
}

/* Its users take remainders, and seed it with what they have. */
static void test_remainders_are_spread(void **context)
{
	static const uint64_t seeds[] = {0, 1, UINT64_MAX};

	for (size_t s = 0; s < sizeof(seeds) / sizeof(seeds[0]); s++) {
		uint64_t state = seeds[s];
		unsigned counts[10] = {0};

		for (unsigned i = 0; i < 10000; i++)
			counts[random_next(&state) % 10]++;
		for (unsigned i = 0; i < 10; i++)
			assert_in_range(counts[i], 850, 1150);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published_numbers),
		cmocka_unit_test(test_remainders_are_spread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
