/* SPDX-License-Identifier: Apache-2.0 */
/* top_draw: one screen of 'relay top', as lines of text that fit. */
#include "ctl/see/top_draw.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "core/log.h"
#include "ctl/terminal/units.h"

#define LINE_BYTES	 512
#define AGENT_ROWS_LEAST 3

/* ---- lines ---- */

/* As many bytes of text as take so many columns. */
static size_t clip(const char *text, size_t columns)
{
	size_t i = 0;

	for (; text[i]; i++) {
		bool begins = ((unsigned char)text[i] & 0xc0) != 0x80;

		if (begins && columns-- == 0)
			break;
	}
	return i;
}

static bool has_room(const struct top_screen *s, size_t rows)
{
	return s->rows == 0 || s->used + rows <= s->rows;
}

__attribute__((format(printf, 3, 4))) static void line(struct top_screen *s, const char *style,
						       const char *format, ...)
{
	char text[LINE_BYTES];
	size_t len;
	va_list args;

	if (!has_room(s, 1))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	len = s->columns ? clip(text, s->columns) : strlen(text);
	/* No line break behind the last row: it would scroll. */
	if (s->used > 0)
		fputs(s->rows ? "\r\n" : "\n", s->to);
	fprintf(s->to, "%s%.*s%s%s", s->colour ? style : "", (int)len, text,
		s->colour && style[0] ? "\033[0m" : "", s->rows ? "\033[K" : "");
	s->used++;
}

/* ---- the parts ---- */

static json_int_t count_of(const json_t *status, const char *key)
{
	return json_integer_value(json_object_get(status, key));
}

static void draw_head(struct top_screen *s, const char *label, const json_t *status,
		      const struct rates *r)
{
	const char *name = json_string_value(json_object_get(status, "relay"));
	const json_t *unproven = json_object_get(json_object_get(status, "places"), "unproven");
	bool draining = json_is_true(json_object_get(status, "draining"));
	char shown[64], clock[16], rate[UNITS_BYTES], total[UNITS_BYTES];
	time_t now = time(NULL);
	struct tm tm;

	log_escape(name ? name : "?", shown, sizeof(shown));
	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &tm));
	line(s, "\033[1m", "relay %s at %s   %s   %s", shown, label, clock,
	     draining ? "DRAINING" : "serving");
	line(s, "", "%s now, %s so far   sessions %lld of %lld so far",
	     r->rate ? units_rate(r->rate, rate) : "idle", units_size(r->bytes_total, total),
	     (long long)count_of(status, "sessions"),
	     (long long)count_of(status, "sessions_total"));
	line(s, "",
	     "links %lld   legs %lld   connections %lld   unproven %lld of %lld   configuration "
	     "%lld",
	     (long long)count_of(status, "links"), (long long)count_of(status, "legs"),
	     (long long)count_of(status, "connections"), (long long)count_of(unproven, "used"),
	     (long long)count_of(unproven, "most"), (long long)count_of(status, "revision"));
}

/* Sessions need the rows more than agents do. */
static size_t agent_rows(const struct top_screen *s, const struct rates *r)
{
	size_t most = s->rows / 3;

	if (most < AGENT_ROWS_LEAST)
		most = AGENT_ROWS_LEAST;
	return s->rows == 0 || r->agent_count < most ? r->agent_count : most;
}

/* The width of the longest name, within reason. */
static int name_width(const struct rates *r)
{
	size_t width = 8;

	for (size_t i = 0; i < r->agent_count; i++)
		if (strlen(r->agents[i].name) > width)
			width = strlen(r->agents[i].name);
	return width > 24 ? 24 : (int)width;
}

static void draw_agents(struct top_screen *s, const struct rates *r)
{
	size_t rows = agent_rows(s, r);
	char bytes[UNITS_BYTES], rate[UNITS_BYTES];
	int width = name_width(r);

	line(s, "", "%s", "");
	line(s, "\033[7m", "%-*s %9s %11s %10s", width, "AGENT", "SESSIONS", "RATE", "BYTES");
	for (size_t i = 0; i < rows; i++)
		line(s, "", "%-*.*s %9zu %11s %10s", width, width, r->agents[i].name,
		     r->agents[i].sessions, units_rate(r->agents[i].rate, rate),
		     units_size(r->agents[i].bytes, bytes));
	if (rows < r->agent_count)
		line(s, "\033[2m", "and %zu more", r->agent_count - rows);
}

/* Returns how many there was room for. */
static size_t draw_sessions(struct top_screen *s, const struct rates *r)
{
	char up[UNITS_BYTES], down[UNITS_BYTES], bytes[UNITS_BYTES], span[UNITS_BYTES];
	int width = name_width(r);
	size_t i;

	line(s, "", "%s", "");
	line(s, "\033[7m", "%-*s %-*s %-16s %11s %11s %10s %7s  %-16s %s", width, "FROM", width,
	     "TO", "SERVICE", "UP/S", "DOWN/S", "BYTES", "FOR", "SESSION", "SOURCE");
	for (i = 0; i < r->session_count && has_room(s, 2); i++) {
		const struct rates_session *x = &r->sessions[i];

		line(s, "", "%-*.*s %-*.*s %-16.16s %11s %11s %10s %7s  %-16s %s", width, width,
		     x->from, width, width, x->to, x->service, units_rate(x->up_rate, up),
		     units_rate(x->down_rate, down), units_size(x->up + x->down, bytes),
		     units_span(x->ms, span), x->id, x->source);
	}
	return i;
}

void top_draw(struct top_screen *s, const char *label, const json_t *status, const struct rates *r,
	      enum rates_order order)
{
	static const char *const marks[] = {
		[RATES_BY_BYTES] = "[b]ytes  r rate  a agent",
		[RATES_BY_RATE] = "b bytes  [r]ate  a agent",
		[RATES_BY_AGENT] = "b bytes  r rate  [a]gent",
	};

	size_t shown;

	s->used = 0;
	draw_head(s, label, status, r);
	draw_agents(s, r);
	shown = draw_sessions(s, r);
	if (s->rows == 0) {
		fputc('\n', s->to);
		return;
	}
	while (s->used + 1 < s->rows)
		line(s, "", "%s", "");
	if (shown < r->session_count)
		line(s, "\033[2m", "q quit   sort: %s   %zu of %zu sessions", marks[order], shown,
		     r->session_count);
	else
		line(s, "\033[2m", "q quit   sort: %s", marks[order]);
	fputs("\033[J", s->to);
}
