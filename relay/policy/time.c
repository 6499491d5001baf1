/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_time: dates and weekly hours.
 *
 * The calendar is our own arithmetic: the C library's would want to read its time zones, which a
 * process that has shut itself in cannot.
 */
#include "relay/policy/time.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DAY_S	    86400
#define DAY_MINUTES (24u * 60u)
#define WEEK	    (7u * DAY_MINUTES) /* in minutes */
#define WEEK_S	    (7 * DAY_S)
#define EPOCH_DAY   3 /* 1970-01-01 was a Thursday; weeks begin on Monday */

/* ---- until ---------------------------------------------------------------------------------- */

/* Reads exactly digits decimal digits; false leaves *at anywhere. */
static bool read_digits(const char **at, unsigned digits, unsigned *out)
{
	unsigned n = 0;

	for (; digits > 0; digits--, (*at)++) {
		if (**at < '0' || **at > '9')
			return false;
		n = n * 10 + (unsigned)(**at - '0');
	}
	*out = n;
	return true;
}

static bool skip(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

static bool is_leap(unsigned year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static unsigned days_in(unsigned year, unsigned month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && is_leap(year) ? 1u : 0u);
}

/* Days since 1970-01-01 of a date from then on. */
static int64_t day_number(unsigned year, unsigned month, unsigned day)
{
	unsigned before = year - 1;
	unsigned leaps =
		before / 4 - before / 100 + before / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400);
	int64_t days = (int64_t)(year - 1970) * 365 + leaps;

	for (unsigned m = 1; m < month; m++)
		days += days_in(year, m);
	return days + day - 1;
}

/* "2026-11-27" as the number of its day. */
static bool read_date(const char **at, int64_t *out)
{
	unsigned year, month, day;

	if (!read_digits(at, 4, &year) || !skip(at, '-') || !read_digits(at, 2, &month) ||
	    !skip(at, '-') || !read_digits(at, 2, &day))
		return false;
	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_in(year, month))
		return false;
	*out = day_number(year, month, day);
	return true;
}

/* "18:00" in minutes. */
static bool read_clock(const char **at, unsigned *out)
{
	unsigned hour, minute;

	if (!read_digits(at, 2, &hour) || !skip(at, ':') || !read_digits(at, 2, &minute) ||
	    minute > 59)
		return false;
	*out = hour * 60 + minute;
	return true;
}

/* RFC 3339 section 5.6, in UTC; a leap second, which time_t cannot tell, is refused. */
bool policy_until_parse(const char *text, int64_t *end)
{
	unsigned minutes, seconds;
	int64_t day;

	if (!read_date(&text, &day))
		return false;
	if (!*text) {
		*end = (day + 1) * DAY_S;
		return true;
	}
	if (!skip(&text, 'T') || !read_clock(&text, &minutes) || minutes >= DAY_MINUTES ||
	    !skip(&text, ':') || !read_digits(&text, 2, &seconds) || seconds > 59 ||
	    !skip(&text, 'Z') || *text)
		return false;
	*end = day * DAY_S + minutes * 60 + seconds;
	return true;
}

/* ---- hours ---------------------------------------------------------------------------------- */

struct window {
	unsigned first_day, last_day; /* 0: Monday; the last may be less, over Sunday */
	unsigned begin, end;	      /* minutes of the day */
};

static const char *const remedy_form =
	"write days and times of UTC, such as mon-fri 08:00-18:00, and more after commas";
static const char *const remedy_empty =
	"it ends where it begins; write 00:00-24:00 for a whole day";
static const char *const remedy_many = "there are too many windows; write more than one rule";

static const char *skip_spaces(const char *at)
{
	while (*at == ' ')
		at++;
	return at;
}

static bool read_day(const char **at, unsigned *out)
{
	static const char days[7][4] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

	for (unsigned d = 0; d < 7; d++) {
		if (strncasecmp(*at, days[d], 3) == 0) {
			*at += 3;
			*out = d;
			return true;
		}
	}
	return false;
}

/* "mon-fri ", "sun ", or nothing, which is every day. */
static bool read_days(const char **at, struct window *w)
{
	w->first_day = 0;
	w->last_day = 6;
	if (**at >= '0' && **at <= '9')
		return true;
	if (!read_day(at, &w->first_day))
		return false;
	w->last_day = w->first_day;
	if (skip(at, '-') && !read_day(at, &w->last_day))
		return false;
	if (**at != ' ')
		return false;
	*at = skip_spaces(*at);
	return true;
}

/* "mon-fri 08:00-18:00"; a window may end at 24:00. */
static bool read_window(const char **at, struct window *w)
{
	*at = skip_spaces(*at);
	if (!read_days(at, w) || !read_clock(at, &w->begin) || !skip(at, '-') ||
	    !read_clock(at, &w->end) || w->begin >= DAY_MINUTES || w->end > DAY_MINUTES)
		return false;
	*at = skip_spaces(*at);
	return true;
}

static void add_span(struct policy_hours *h, unsigned begin, unsigned end)
{
	if (begin < end)
		h->spans[h->count++] = (struct policy_span){(uint16_t)begin, (uint16_t)end};
}

static void add_window(struct policy_hours *h, const struct window *w)
{
	unsigned days = (w->last_day + 7 - w->first_day) % 7 + 1;
	unsigned minutes = w->end > w->begin ? w->end - w->begin : w->end + DAY_MINUTES - w->begin;

	for (unsigned d = 0; d < days; d++) {
		unsigned begin = (w->first_day + d) % 7 * DAY_MINUTES + w->begin;
		unsigned end = begin + minutes;

		add_span(h, begin, end < WEEK ? end : WEEK);
		add_span(h, 0, end > WEEK ? end - WEEK : 0);
	}
}

static int compare_spans(const void *a, const void *b)
{
	const struct policy_span *x = a, *y = b;

	return (x->begin > y->begin) - (x->begin < y->begin);
}

static void join_spans(struct policy_hours *h)
{
	size_t kept = 0;

	qsort(h->spans, h->count, sizeof h->spans[0], compare_spans);
	for (size_t i = 1; i < h->count; i++) {
		struct policy_span *last = &h->spans[kept];

		if (h->spans[i].begin > last->end)
			h->spans[++kept] = h->spans[i];
		else if (h->spans[i].end > last->end)
			last->end = h->spans[i].end;
	}
	h->count = kept + 1;
}

bool policy_hours_parse(const char *text, struct policy_hours *out, const char **remedy)
{
	struct policy_hours h = {0};
	struct window w;

	for (unsigned windows = 0;; windows++) {
		if (windows == POLICY_WINDOWS_MAX) {
			*remedy = remedy_many;
			return false;
		}
		if (!read_window(&text, &w) || (*text && *text != ',')) {
			*remedy = remedy_form;
			return false;
		}
		if (w.begin == w.end) {
			*remedy = remedy_empty;
			return false;
		}
		add_window(&h, &w);
		if (!*text++)
			break;
	}
	join_spans(&h);
	*out = h;
	return true;
}

/* The first span that ends after minute, or count. */
static size_t span_after(const struct policy_span *spans, size_t count, unsigned minute)
{
	size_t low = 0;

	while (low < count) {
		size_t middle = (low + count) / 2;

		if (spans[middle].end > minute)
			count = middle;
		else
			low = middle + 1;
	}
	return low;
}

bool policy_hours_hold(const struct policy_span *spans, size_t count, int64_t now, int64_t *change)
{
	int64_t second = (now % WEEK_S + WEEK_S + EPOCH_DAY * DAY_S) % WEEK_S, week = now - second;
	unsigned minute = (unsigned)(second / 60), next;
	size_t i = span_after(spans, count, minute);
	bool within = i < count && spans[i].begin <= minute;

	if (!within)
		next = i < count ? spans[i].begin : WEEK + spans[0].begin;
	else if (spans[i].end < WEEK || spans[0].begin > 0)
		next = spans[i].end;
	else if (count > 1)
		next = WEEK + spans[0].end; /* on through midnight from Sunday to Monday */
	else
		next = 0; /* the whole week */
	*change = next ? week + (int64_t)next * 60 : POLICY_NEVER;
	return within;
}
