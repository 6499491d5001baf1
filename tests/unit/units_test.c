/* SPDX-License-Identifier: Apache-2.0 */
/*
 * units_test: how people write times, and how sizes, rates and spans are shown to them.
 *
 * links: ctl/terminal/units.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ctl/terminal/units.h"

/* Sat 2026-11-21 10:00:00 CET */
#define NOW 1795251600

static int setup(void **state)
{
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	return 0;
}

static void test_spans(void **state)
{
	static const struct {
		const char *text;
		uint64_t seconds; /* 0: refused */
	} rows[] = {
		{"1s", 1},
		{"90s", 90},
		{"5m", 300},
		{"12h", 43200},
		{"3d", 259200},
		{"4w", 2419200},
		{"100y", 3153600000},
		{"101y", 0},
		{"0s", 0},
		{"", 0},
		{"5", 0},
		{"m", 0},
		{"-5m", 0},
		{" 5m", 0},
		{"5 m", 0},
		{"5min", 0},
		{"99999999999999999999d", 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t seconds = 7;
		bool ok = units_parse_span(rows[i].text, &seconds);

		if (ok != (rows[i].seconds != 0) || seconds != (ok ? rows[i].seconds : 7))
			fail_msg("%s: %d, %llu", rows[i].text, ok, (unsigned long long)seconds);
	}
}

static void test_until(void **state)
{
	static const struct {
		const char *text, *shown;
	} rows[] = {
		{"friday", "Fri 2026-11-27 23:59:59 CET"},
		{"FRI", "Fri 2026-11-27 23:59:59 CET"},
		{"saturday", "Sat 2026-11-21 23:59:59 CET"}, /* today counts */
		{"today", "Sat 2026-11-21 23:59:59 CET"},
		{"tomorrow", "Sun 2026-11-22 23:59:59 CET"},
		{"wed", "Wed 2026-11-25 23:59:59 CET"},
		{"3d", "Tue 2026-11-24 10:00:00 CET"},
		{"12h", "Sat 2026-11-21 22:00:00 CET"},
		{"2026-11-27", "Fri 2026-11-27 23:59:59 CET"},
		{"2027-07-01", "Thu 2027-07-01 23:59:59 CEST"}, /* summer by then */
		{"2028-02-29", "Tue 2028-02-29 23:59:59 CET"},
		{"2026-11-27 18:00", "Fri 2026-11-27 18:00:00 CET"},
		{"2026-11-27T18:00", "Fri 2026-11-27 18:00:00 CET"},
		{"2026-11-27T18:00:00Z", "Fri 2026-11-27 19:00:00 CET"},
		{"2026-11-27T18:00:00+05:30", "Fri 2026-11-27 13:30:00 CET"},
		{"2026-11-27t18:00:00-01:00", "Fri 2026-11-27 20:00:00 CET"},
	};
	char why[256], shown[UNITS_MOMENT_BYTES];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		time_t t = 0;

		if (!units_parse_moment(rows[i].text, NOW, &t, why, sizeof(why)))
			fail_msg("%s: %s", rows[i].text, why);
		if (strcmp(units_moment(t, shown), rows[i].shown) != 0)
			fail_msg("%s: %s", rows[i].text, shown);
	}
}

static void test_until_refused(void **state)
{
	static const char *const rows[] = {
		"",
		"fr",
		"fridays",
		"noon",
		"2026-13-01",
		"2026-02-29",
		"2026-11-31",
		"2026-11-00",
		"26-11-27",
		"2026-11-27 24:00",
		"2026-11-27 1:00",
		"2026-11-27 18:00 UTC",
		"2026-11-2",
		"2026-11-27x",
		"2026-11-27T18:00+1",
		"-3d",
		"2026-11-20",
		"2026-11-21 09:59",
		"1970-01-01",
	};
	char why[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		time_t t = 5;

		why[0] = '\0';
		if (units_parse_moment(rows[i], NOW, &t, why, sizeof(why)) || t != 5 ||
		    why[0] == '\0')
			fail_msg("'%s' was taken", rows[i]);
	}
}

static void test_http_date(void **state)
{
	time_t t = 0;

	assert_true(units_parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT", &t)); /* RFC 9110 */
	assert_int_equal(t, 784111777);
	assert_true(units_parse_http_date("Sat, 21 Nov 2026 09:00:00 GMT\r\n", &t));
	assert_int_equal(t, NOW);
	assert_false(units_parse_http_date("Sun, 06 Nov 1994 08:49:37 CET", &t));
	assert_false(units_parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT", &t));
	assert_false(units_parse_http_date("Sun, 06 Nvo 1994 08:49:37 GMT", &t));
	assert_false(units_parse_http_date("Sun, 06 anF 1994 08:49:37 GMT", &t));
	assert_false(units_parse_http_date("Sun, 06", &t));
	assert_false(units_parse_http_date("", &t));
}

static void test_units(void **state)
{
	char out[UNITS_BYTES];

	assert_string_equal(units_size(0, out), "0 B");
	assert_string_equal(units_size(999, out), "999 B");
	assert_string_equal(units_size(1000, out), "1.00 kB");
	assert_string_equal(units_size(9994, out), "9.99 kB");
	assert_string_equal(units_size(9996, out), "10.0 kB");
	assert_string_equal(units_size(99960, out), "100 kB");
	assert_string_equal(units_size(999499, out), "999 kB");
	assert_string_equal(units_size(999500, out), "1.00 MB");
	assert_string_equal(units_size(UINT64_MAX, out), "18.4 EB");
	assert_string_equal(units_rate(0, out), "-");
	assert_string_equal(units_rate(20000000, out), "20.0 MB/s");
	assert_string_equal(units_rate(UINT64_MAX, out), "18.4 EB/s");
	assert_string_equal(units_span(0, out), "0.0s");
	assert_string_equal(units_span(999, out), "0.9s");
	assert_string_equal(units_span(59999, out), "59s");
	assert_string_equal(units_span(60000, out), "1m00s");
	assert_string_equal(units_span(3725000, out), "1h02m");
	assert_string_equal(units_span(90000000, out), "1d01h");
	units_span(UINT64_MAX, out);
	assert_true(strlen(out) < UNITS_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spans),	      cmocka_unit_test(test_until),
		cmocka_unit_test(test_until_refused), cmocka_unit_test(test_http_date),
		cmocka_unit_test(test_units),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
