/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_time: dates are those of the calendar, windows those of the week, and what is neither is
 * refused.
 * links: relay/policy/time.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "relay/policy/time.h"

#define MONDAY INT64_C(1795996800) /* 2026-11-30T00:00:00Z */
#define HOUR   3600
#define DAY    (24 * HOUR)

/* ---- until ---------------------------------------------------------------------------------- */

static int64_t until(const char *text)
{
	int64_t end = -1;

	if (!policy_until_parse(text, &end))
		fail_msg("%s is refused", text);
	return end;
}

static void dates(void **state)
{
	assert_int_equal(until("1970-01-01T00:00:00Z"), 0);
	assert_int_equal(until("1970-01-01"), DAY);
	assert_int_equal(until("2000-02-29T12:34:56Z"), 951827696);
	assert_int_equal(until("2026-11-27T18:00:00Z"), 1795802400);
	assert_int_equal(until("2026-11-29"), MONDAY);
	assert_int_equal(until("2038-01-19T03:14:08Z"), INT64_C(2147483648));
	assert_int_equal(until("2100-03-01T00:00:00Z"), INT64_C(4107542400));
	assert_int_equal(until("9999-12-31"), INT64_C(253402300800));
}

/* Every day of the years around each rule of the calendar follows the day before. */
static void every_day_follows_the_one_before(void **state)
{
	struct tm tm;
	time_t t;
	char text[32];

	for (t = 0; t < INT64_C(17000000000); t += DAY) {
		gmtime_r(&t, &tm);
		strftime(text, sizeof text, "%Y-%m-%d", &tm);
		if (until(text) != t + DAY)
			fail_msg("%s ends at %lld", text, (long long)until(text));
	}
}

static void no_dates(void **state)
{
	static const char *const texts[] = {
		"",
		"friday",
		"2026-11",
		"2026-11-31",
		"2026-02-29",
		"2100-02-29",
		"2026-13-01",
		"2026-00-01",
		"2026-01-00",
		"1969-12-31",
		"26-11-27",
		"2026-1-27",
		"2026-11-27 ",
		" 2026-11-27",
		"2026-11-27T",
		"2026-11-27T18:00Z",
		"2026-11-27T18:00:00",
		"2026-11-27T18:00:00z",
		"2026-11-27 18:00:00Z",
		"2026-11-27T24:00:00Z",
		"2026-11-27T18:60:00Z",
		"2026-11-27T18:00:60Z",
		"2026-11-27T18:00:00+01:00",
		"2026-11-27T18:00:00Zx",
		"2026-11-27T18:00:00.5Z",
		"+026-11-27",
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		int64_t end = -7;

		if (policy_until_parse(texts[i], &end))
			fail_msg("\"%s\" is taken", texts[i]);
		assert_int_equal(end, -7);
	}
}

/* ---- hours ---------------------------------------------------------------------------------- */

static struct policy_hours hours(const char *text)
{
	struct policy_hours h = {0};
	const char *remedy = "";

	if (!policy_hours_parse(text, &h, &remedy))
		fail_msg("\"%s\" is refused: %s", text, remedy);
	return h;
}

/* Whether text holds at a moment after Monday, and when that changes (0: never). */
static void assert_hours(const char *text, int64_t after, bool holds, int64_t change)
{
	struct policy_hours h = hours(text);
	int64_t at = -1;

	assert_int_equal(policy_hours_hold(h.spans, h.count, MONDAY + after, &at), holds);
	if (change == 0)
		assert_true(at == POLICY_NEVER);
	else
		assert_int_equal(at - MONDAY, change);
}

static void office_hours(void **state)
{
	static const char text[] = "mon-fri 08:00-18:00";

	assert_hours(text, 0, false, 8 * HOUR);
	assert_hours(text, 8 * HOUR - 1, false, 8 * HOUR);
	assert_hours(text, 8 * HOUR, true, 18 * HOUR);
	assert_hours(text, 18 * HOUR - 1, true, 18 * HOUR);
	assert_hours(text, 18 * HOUR, false, DAY + 8 * HOUR);
	assert_hours(text, 4 * DAY + 18 * HOUR, false, 7 * DAY + 8 * HOUR);
	assert_hours(text, 6 * DAY, false, 7 * DAY + 8 * HOUR);
	assert_hours(text, -DAY, false, 8 * HOUR);
}

static void every_day_over_midnight(void **state)
{
	static const char text[] = "22:00-06:00";

	assert_hours(text, 0, true, 6 * HOUR);
	assert_hours(text, 6 * HOUR, false, 22 * HOUR);
	assert_hours(text, 22 * HOUR, true, DAY + 6 * HOUR);
	assert_hours(text, 6 * DAY + 23 * HOUR, true, 7 * DAY + 6 * HOUR); /* Sunday night */
}

static void nights_belong_to_their_evening(void **state)
{
	assert_hours("fri 22:00-06:00", 4 * DAY + 3 * HOUR, false, 4 * DAY + 22 * HOUR);
	assert_hours("fri 22:00-06:00", 5 * DAY + 3 * HOUR, true, 5 * DAY + 6 * HOUR);
	assert_hours("sun 22:00-06:00", 3 * HOUR, true, 6 * HOUR);
}

static void days_go_around_sunday(void **state)
{
	assert_hours("sat-mon 00:00-24:00", 0, true, DAY);
	assert_hours("sat-mon 00:00-24:00", DAY, false, 5 * DAY);
	assert_hours("sat-mon 00:00-24:00", 6 * DAY, true, 8 * DAY);
	assert_hours("Sun 00:00-24:00", 6 * DAY, true, 7 * DAY);
}

static void windows_join(void **state)
{
	static const char text[] = " 08:00-12:00 ,12:00-14:00,mon 13:00-15:30 ";

	assert_hours(text, 9 * HOUR, true, 15 * HOUR + HOUR / 2);
	assert_hours(text, DAY + 9 * HOUR, true, DAY + 14 * HOUR);
	assert_int_equal(hours(text).count, 7);
}

static void always_is_always(void **state)
{
	assert_hours("00:00-24:00", 0, true, 0);
	assert_hours("00:00-12:00,12:00-00:00", 6 * DAY + 23 * HOUR, true, 0);
}

static void no_hours(void **state)
{
	static const struct {
		const char *text, *remedy;
	} cases[] = {
		{"", "write days and times"},
		{"mon-fri", "write days and times"},
		{"mon,wed 08:00-18:00", "write days and times"},
		{"8:00-18:00", "write days and times"},
		{"08:00", "write days and times"},
		{"08:00-18:00 mon", "write days and times"},
		{"mon-fri08:00-18:00", "write days and times"},
		{"mon- 08:00-18:00", "write days and times"},
		{"monday 08:00-18:00", "write days and times"},
		{"08:00-18:00,", "write days and times"},
		{"08:00-18:60", "write days and times"},
		{"08:00-24:01", "write days and times"},
		{"24:00-06:00", "write days and times"},
		{"08:00-18:00 Europe/Berlin", "write days and times"},
		{"08:00-08:00", "it ends where it begins"},
	};
	struct policy_hours h = {.count = 77};
	const char *remedy;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		if (policy_hours_parse(cases[i].text, &h, &remedy))
			fail_msg("\"%s\" is taken", cases[i].text);
		assert_ptr_equal(strstr(remedy, cases[i].remedy), remedy);
		assert_int_equal(h.count, 77);
	}
}

static void windows_are_bounded(void **state)
{
	char text[40 * 20] = "sun-sat 23:00-22:59";
	struct policy_hours h;
	const char *remedy;

	for (unsigned i = 1; i < POLICY_WINDOWS_MAX; i++)
		strcat(text, ",sun-sat 23:00-22:59");
	assert_true(policy_hours_parse(text, &h, &remedy));
	strcat(text, ",mon 10:00-11:00");
	assert_false(policy_hours_parse(text, &h, &remedy));
	assert_non_null(strstr(remedy, "too many"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dates),
		cmocka_unit_test(every_day_follows_the_one_before),
		cmocka_unit_test(no_dates),
		cmocka_unit_test(office_hours),
		cmocka_unit_test(every_day_over_midnight),
		cmocka_unit_test(nights_belong_to_their_evening),
		cmocka_unit_test(days_go_around_sunday),
		cmocka_unit_test(windows_join),
		cmocka_unit_test(always_is_always),
		cmocka_unit_test(no_hours),
		cmocka_unit_test(windows_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
