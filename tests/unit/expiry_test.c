/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expiry: which warning is due when, and each of them once.
 * links: core/engine/expiry.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/engine/expiry.h"

#define DAY 86400
#define END 1795802400 /* 2026-11-27T18:00:00Z */

static struct expiry_validity lasting(time_t days)
{
	return (struct expiry_validity){END - days * DAY, END};
}

static void stages_of_a_year(void **state)
{
	const struct expiry_validity v = lasting(365);
	const struct {
		time_t left;
		enum expiry_stage stage;
	} cases[] = {
		{365 * DAY, EXPIRY_FAR},  {30 * DAY + 1, EXPIRY_FAR},
		{30 * DAY, EXPIRY_MONTH}, {7 * DAY + 1, EXPIRY_MONTH},
		{7 * DAY, EXPIRY_WEEK},	  {3 * DAY + 1, EXPIRY_WEEK},
		{3 * DAY, EXPIRY_DAYS},	  {DAY + 1, EXPIRY_DAYS},
		{DAY, EXPIRY_DAY},	  {1, EXPIRY_DAY},
		{0, EXPIRY_OVER},	  {-400 * DAY, EXPIRY_OVER},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(expiry_stage(&v, END - cases[i].left), cases[i].stage);
}

/* A contractor's five days need no warning on the first of them. */
static void short_lives_begin_without_a_warning(void **state)
{
	/* Certificates are valid from an hour before they are made. */
	const struct expiry_validity week = {END - 7 * DAY - 3600, END}, five = lasting(5),
				     hours = {END - 3600, END}, month = lasting(30);

	assert_int_equal(expiry_stage(&month, END - 30 * DAY), EXPIRY_FAR);
	assert_int_equal(expiry_stage(&month, END - 7 * DAY), EXPIRY_WEEK);
	assert_int_equal(expiry_stage(&week, END - 7 * DAY), EXPIRY_FAR);
	assert_int_equal(expiry_stage(&week, END - 3 * DAY), EXPIRY_DAYS);
	assert_int_equal(expiry_stage(&five, END - 5 * DAY), EXPIRY_FAR);
	assert_int_equal(expiry_stage(&five, END - 3 * DAY), EXPIRY_DAYS);
	assert_int_equal(expiry_stage(&hours, END - 1), EXPIRY_FAR);
	assert_int_equal(expiry_stage(&hours, END), EXPIRY_OVER);
}

static void each_warning_once(void **state)
{
	const struct expiry_validity v = lasting(365);
	struct expiry e = EXPIRY_UNTOLD;
	enum expiry_stage told[8];
	size_t count = 0;

	for (time_t now = END - 40 * DAY; now < END + 40 * DAY; now += 3600) {
		if (!expiry_look(&e, &v, now))
			continue;
		assert_true(count < 8);
		told[count++] = e.told;
	}
	assert_int_equal(count, 5);
	assert_int_equal(told[0], EXPIRY_MONTH);
	assert_int_equal(told[1], EXPIRY_WEEK);
	assert_int_equal(told[2], EXPIRY_DAYS);
	assert_int_equal(told[3], EXPIRY_DAY);
	assert_int_equal(told[4], EXPIRY_OVER);
}

static void another_certificate_begins_anew(void **state)
{
	const struct expiry_validity old = lasting(365), soon = {END - 365 * DAY, END + DAY},
				     good = {END, END + 365 * DAY};
	struct expiry e = EXPIRY_UNTOLD;

	assert_false(expiry_look(&e, &good, END));
	assert_true(expiry_look(&e, &old, END - 5 * DAY));
	assert_false(expiry_look(&e, &old, END - 5 * DAY + 1));
	/* Replaced by one that ends as soon. */
	assert_true(expiry_look(&e, &soon, END - 5 * DAY));
	assert_int_equal(e.told, EXPIRY_WEEK);
	/* And by one that does not: the warning is over, which is told once. */
	assert_true(expiry_look(&e, &good, END));
	assert_int_equal(e.told, EXPIRY_FAR);
	assert_false(expiry_look(&e, &good, END + 1));
}

static void texts(void **state)
{
	const struct expiry_validity v = lasting(365);
	char text[EXPIRY_TEXT_BYTES];

	expiry_text(&v, END - 6 * DAY - 5, text);
	assert_string_equal(text, "the certificate expires in 6 days, on 2026-11-27T18:00:00Z");
	expiry_text(&v, END - DAY - 3600, text);
	assert_string_equal(text, "the certificate expires in 25 hours, on 2026-11-27T18:00:00Z");
	expiry_text(&v, END, text);
	assert_string_equal(text, "the certificate has expired, on 2026-11-27T18:00:00Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stages_of_a_year),
		cmocka_unit_test(short_lives_begin_without_a_warning),
		cmocka_unit_test(each_warning_once),
		cmocka_unit_test(another_certificate_begins_anew),
		cmocka_unit_test(texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
