/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_library: the age of BoringSSL, which has no releases and tells no date.
 *
 * What it has is BORINGSSL_API_VERSION, raised when its interface changes, a few times a year. The
 * table gives the year in which each number appeared in include/openssl/base.h, after that file's
 * history; a copy of BoringSSL is from that year or, at most until the next number, a little later.
 * A number that is not there yet is added at the end, and TLS_LIBRARY_NEWEST with it.
 */
#include "core/engine/tls_library.h"

#include <stddef.h>
#include <stdio.h>

#include <openssl/base.h>

#ifndef BORINGSSL_API_VERSION
#error "Postern is written for BoringSSL: make deps, or make BORINGSSL=/prefix"
#endif

/* The first version of each year. Years without one (2019) are not there. */
static const struct {
	unsigned api, year;
} first_of_year[] = {
	{1, 2016},  {3, 2017},	{7, 2018},  {10, 2020}, {13, 2021},
	{17, 2022}, {19, 2023}, {30, 2024}, {34, 2025}, {39, 2026},
};

#define TLS_LIBRARY_NEWEST 43u

unsigned tls_library_api(void)
{
	return BORINGSSL_API_VERSION;
}

unsigned tls_library_year_of(unsigned api, bool *later)
{
	unsigned year = 0;

	for (size_t i = 0; i < sizeof first_of_year / sizeof first_of_year[0]; i++)
		if (api >= first_of_year[i].api)
			year = first_of_year[i].year;
	*later = api > TLS_LIBRARY_NEWEST;
	return year;
}

void tls_library_text(char out[TLS_LIBRARY_TEXT_BYTES])
{
	bool later;
	unsigned year = tls_library_year_of(tls_library_api(), &later);

	snprintf(out, TLS_LIBRARY_TEXT_BYTES, "BoringSSL of %u%s (API version %u)", year,
		 later ? " or later" : "", tls_library_api());
}

void tls_library_json(json_t *status)
{
	char text[TLS_LIBRARY_TEXT_BYTES];
	bool later;

	tls_library_text(text);
	json_object_set_new(status, "tls_library", json_string(text));
	json_object_set_new(status, "tls_library_year",
			    json_integer(tls_library_year_of(tls_library_api(), &later)));
}
