/* SPDX-License-Identifier: Apache-2.0 */
/* units: sizes, rates, spans and moments, as people write and read them. */
#include "ctl/terminal/units.h"

#include <inttypes.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DAY_S	     86400
#define SPAN_MAX_S   (100ull * 365 * DAY_S)
#define PREFIX_LEAST 3 /* letters of a weekday */

bool units_parse_span(const char *text, uint64_t *seconds)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = {{'s', 1},	   {'m', 60},	     {'h', 3600},
		     {'d', DAY_S}, {'w', 7 * DAY_S}, {'y', 365 * DAY_S}};
	char *end;
	unsigned long long n;

	if (!isdigit((unsigned char)*text))
		return false;
	n = strtoull(text, &end, 10);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (*end != units[i].unit || end[1] != '\0')
			continue;
		if (n == 0 || n > SPAN_MAX_S / units[i].seconds)
			return false;
		*seconds = n * units[i].seconds;
		return true;
	}
	return false;
}

/* ---- days ---- */

/* The end of the day so many days from now. */
static bool end_of_day(time_t now, int days, time_t *out)
{
	struct tm tm;

	if (!localtime_r(&now, &tm))
		return false;
	tm.tm_mday += days;
	tm.tm_hour = 23;
	tm.tm_min = 59;
	tm.tm_sec = 59;
	tm.tm_isdst = -1;
	*out = mktime(&tm);
	return *out != -1;
}

/* Days from now until text's day: 0 to 6, or -1 when it names none. */
static int days_until(const char *text, time_t now)
{
	static const char *const names[] = {"sunday",	"monday", "tuesday", "wednesday",
					    "thursday", "friday", "saturday"};
	size_t len = strlen(text);
	struct tm tm;

	if (strcasecmp(text, "today") == 0)
		return 0;
	if (strcasecmp(text, "tomorrow") == 0)
		return 1;
	for (int i = 0; i < 7; i++)
		if (len >= PREFIX_LEAST && strncasecmp(text, names[i], len) == 0)
			return localtime_r(&now, &tm) ? (i - tm.tm_wday + 7) % 7 : -1;
	return -1;
}

/* ---- moments ---- */

/* Exactly count digits; *text moves behind them. */
static bool take_digits(const char **text, size_t count, int *out)
{
	int n = 0;

	for (size_t i = 0; i < count; i++) {
		if (!isdigit((unsigned char)(*text)[i]))
			return false;
		n = n * 10 + ((*text)[i] - '0');
	}
	*text += count;
	*out = n;
	return true;
}

static bool take_char(const char **text, const char *any)
{
	if (**text == '\0' || !strchr(any, **text))
		return false;
	(*text)++;
	return true;
}

static bool month_has_day(const struct tm *tm)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year = tm->tm_year + 1900;
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (tm->tm_mon < 0 || tm->tm_mon > 11 || tm->tm_mday < 1)
		return false;
	return tm->tm_mday <= days[tm->tm_mon] + (tm->tm_mon == 1 && leap);
}

static bool take_date(const char **text, struct tm *tm)
{
	if (!take_digits(text, 4, &tm->tm_year) || !take_char(text, "-") ||
	    !take_digits(text, 2, &tm->tm_mon) || !take_char(text, "-") ||
	    !take_digits(text, 2, &tm->tm_mday))
		return false;
	tm->tm_year -= 1900;
	tm->tm_mon--;
	return month_has_day(tm);
}

static bool take_clock(const char **text, struct tm *tm)
{
	if (!take_digits(text, 2, &tm->tm_hour) || !take_char(text, ":") ||
	    !take_digits(text, 2, &tm->tm_min))
		return false;
	if (take_char(text, ":") && !take_digits(text, 2, &tm->tm_sec))
		return false;
	return tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec <= 60;
}

/* "Z", "+01:00" in seconds; false for anything else. */
static bool take_zone(const char **text, int *seconds)
{
	int hours, minutes;
	bool west = **text == '-';

	if (take_char(text, "Zz")) {
		*seconds = 0;
		return true;
	}
	if (!take_char(text, "+-") || !take_digits(text, 2, &hours) || !take_char(text, ":") ||
	    !take_digits(text, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*seconds = (hours * 60 + minutes) * (west ? -60 : 60);
	return true;
}

/* A date, perhaps with a time, perhaps with a zone (RFC 3339 section 5.6). */
static bool read_moment(const char *text, time_t *out)
{
	struct tm tm = {.tm_hour = 23, .tm_min = 59, .tm_sec = 59, .tm_isdst = -1};
	int zone;

	if (!take_date(&text, &tm))
		return false;
	if (*text == '\0') {
		*out = mktime(&tm);
		return *out != -1;
	}
	tm.tm_sec = 0;
	if (!take_char(&text, "Tt ") || !take_clock(&text, &tm))
		return false;
	if (*text == '\0') {
		*out = mktime(&tm);
		return *out != -1;
	}
	if (!take_zone(&text, &zone) || *text != '\0')
		return false;
	*out = timegm(&tm) - zone;
	return true;
}

bool units_parse_moment(const char *text, time_t now, time_t *out, char *why, size_t why_size)
{
	int days = days_until(text, now);
	char shown[UNITS_MOMENT_BYTES];
	uint64_t span;
	time_t t;

	if (days >= 0 && end_of_day(now, days, &t)) {
		*out = t;
		return true;
	}
	if (units_parse_span(text, &span)) {
		*out = now + (time_t)span;
		return true;
	}
	if (!read_moment(text, &t)) {
		snprintf(why, why_size,
			 "'%.40s' is no time; write a day (friday, tomorrow, 2026-11-27), how long "
			 "(12h, 3d) or a moment (2026-11-27 18:00)",
			 text);
		return false;
	}
	if (t <= now) {
		snprintf(why, why_size, "%s is over", units_moment(t, shown));
		return false;
	}
	*out = t;
	return true;
}

/* ---- for people, and from servers ---- */

const char *units_moment(time_t t, char out[UNITS_MOMENT_BYTES])
{
	struct tm tm;

	if (!localtime_r(&t, &tm) ||
	    !strftime(out, UNITS_MOMENT_BYTES, "%a %Y-%m-%d %H:%M:%S %Z", &tm))
		snprintf(out, UNITS_MOMENT_BYTES, "an unreadable time");
	return out;
}

bool units_parse_http_date(const char *text, time_t *out)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm = {0};
	const char *at = strchr(text, ',');
	const char *month;

	if (!at || at - text != 3)
		return false;
	at++;
	if (!take_char(&at, " ") || !take_digits(&at, 2, &tm.tm_mday) || !take_char(&at, " ") ||
	    strlen(at) < 3)
		return false;
	month = memmem(months, sizeof(months) - 1, at, 3);
	if (!month || (month - months) % 3 != 0)
		return false;
	tm.tm_mon = (int)(month - months) / 3;
	at += 3;
	if (!take_char(&at, " ") || !take_digits(&at, 4, &tm.tm_year) || !take_char(&at, " "))
		return false;
	tm.tm_year -= 1900;
	if (!month_has_day(&tm) || !take_clock(&at, &tm) || strncmp(at, " GMT", 4) != 0)
		return false;
	*out = timegm(&tm);
	return true;
}

/* ---- sizes and rates ---- */

const char *units_size(uint64_t bytes, char out[UNITS_BYTES])
{
	static const char *const names[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	double value = (double)bytes;
	unsigned unit = 0;

	/* 999.5 would be printed as 1000 */
	while (value >= 999.5 && unit < 6) {
		value /= 1000;
		unit++;
	}
	if (unit == 0)
		snprintf(out, UNITS_BYTES, "%" PRIu64 " B", bytes);
	else
		snprintf(out, UNITS_BYTES, "%.*f %s",
			 value < 9.995	 ? 2
			 : value < 99.95 ? 1
					 : 0,
			 value, names[unit]);
	return out;
}

const char *units_rate(uint64_t bytes_per_s, char out[UNITS_BYTES])
{
	char size[UNITS_BYTES];

	if (bytes_per_s == 0)
		snprintf(out, UNITS_BYTES, "-");
	else
		snprintf(out, UNITS_BYTES, "%.12s/s", units_size(bytes_per_s, size));
	return out;
}

const char *units_span(uint64_t ms, char out[UNITS_BYTES])
{
	uint64_t s = ms / 1000;

	if (s < 1)
		snprintf(out, UNITS_BYTES, "0.%us", (unsigned)(ms / 100));
	else if (s < 60)
		snprintf(out, UNITS_BYTES, "%us", (unsigned)s);
	else if (s < 3600)
		snprintf(out, UNITS_BYTES, "%um%02us", (unsigned)(s / 60), (unsigned)(s % 60));
	else if (s < 86400)
		snprintf(out, UNITS_BYTES, "%uh%02um", (unsigned)(s / 3600),
			 (unsigned)(s / 60 % 60));
	else
		snprintf(out, UNITS_BYTES, "%" PRIu64 "d%02uh", s / 86400 % 1000000,
			 (unsigned)(s / 3600 % 24));
	return out;
}
