/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_library_test: the year of a BoringSSL by its version, old, known and not yet known.
 * links: core/engine/tls_library.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <openssl/base.h>

#include "core/engine/tls_library.h"

static void the_year_goes_by_the_version(void **state)
{
	static const struct {
		unsigned api, year;
	} known[] = {
		{0, 0},	    {1, 2016},	{6, 2017},  {9, 2018},	{12, 2020}, {16, 2021}, {17, 2022},
		{18, 2022}, {19, 2023}, {29, 2023}, {30, 2024}, {38, 2025}, {39, 2026}, {43, 2026},
	};
	bool later = true;

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		assert_int_equal(tls_library_year_of(known[i].api, &later), known[i].year);
		assert_false(later);
	}
}

static void a_newer_one_is_of_the_last_year_or_later(void **state)
{
	bool later = false;

	assert_int_equal(tls_library_year_of(44, &later), 2026);
	assert_true(later);
}

static void this_one_is_told(void **state)
{
	char text[TLS_LIBRARY_TEXT_BYTES], version[32];
	bool later;

	assert_int_equal(tls_library_api(), BORINGSSL_API_VERSION);
	assert_true(tls_library_year_of(tls_library_api(), &later) >= 2022);
	tls_library_text(text);
	assert_ptr_equal(strstr(text, "BoringSSL of 20"), text);
	snprintf(version, sizeof version, "(API version %d)", BORINGSSL_API_VERSION);
	assert_non_null(strstr(text, version));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_year_goes_by_the_version),
		cmocka_unit_test(a_newer_one_is_of_the_last_year_or_later),
		cmocka_unit_test(this_one_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
