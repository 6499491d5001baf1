/* SPDX-License-Identifier: Apache-2.0 */
/* site: nginx's answers. */
#include "relay/front/site.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bytestring.h>

#include "core/memory.h"
#include "core/parse/text.h"

/* ---- dates ---- */

static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
				 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* RFC 9110 section 5.6.7: always in English, in every locale. */
static void format_date(time_t now, char out[32])
{
	struct tm t;

	gmtime_r(&now, &t);
	snprintf(out, 32, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[t.tm_wday % 7],
		 t.tm_mday % 32, months[t.tm_mon % 12], (t.tm_year + 1900) % 10000, t.tm_hour % 24,
		 t.tm_min % 60, t.tm_sec % 61);
}

/* A date in that form; -1 for any other. */
static time_t parse_date(CBS value)
{
	char text[40], month[4];
	struct tm t = {0};
	size_t len = CBS_len(&value);

	if (len != 29 || !CBS_copy_bytes(&value, (uint8_t *)text, len))
		return -1;
	text[len] = '\0';
	if (strlen(text) != len || sscanf(text + 5, "%2d %3s %4d %2d:%2d:%2d GMT", &t.tm_mday,
					  month, &t.tm_year, &t.tm_hour, &t.tm_min, &t.tm_sec) != 6)
		return -1;
	t.tm_year -= 1900;
	for (t.tm_mon = 0; t.tm_mon < 12; t.tm_mon++)
		if (strcmp(months[t.tm_mon], month) == 0)
			return timegm(&t);
	return -1;
}

/* ---- the page ---- */

/* FNV-1a, with its bits mixed: neighbouring seeds make pages that have nothing in common. */
static uint64_t site_hash(uint64_t h, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)text[i]) * 0x100000001b3u;
	h = (h ^ h >> 31) * 0xbf58476d1ce4e5b9u;
	return h ^ h >> 29;
}

static unsigned draw(uint64_t *h, unsigned of)
{
	*h = site_hash(*h, "x", 1);
	return (unsigned)(*h >> 16) % of;
}

static void make_page(struct site *s, uint64_t seed)
{
	static const char *const titles[] = {"Welcome",
					     "Home",
					     "Hello",
					     "Coming soon",
					     "It works",
					     "Index",
					     "Under construction",
					     "Start",
					     "Web site",
					     "Default page"};
	static const char *const lines[] = {"There is nothing to see here yet.",
					    "This site is being set up.",
					    "Please come back later.",
					    "The content is not ready.",
					    "More will follow.",
					    "This page is left blank.",
					    "We are working on it.",
					    "Nothing here for the moment."};
	static const char *const fonts[] = {"sans-serif",	   "serif",
					    "Arial, sans-serif",   "Georgia, serif",
					    "Verdana, sans-serif", "system-ui"};
	uint64_t h = site_hash(seed, "page", 4);
	const char *title = titles[draw(&h, 10)], *font = fonts[draw(&h, 6)];
	unsigned width = 24 + draw(&h, 24), margin = 1 + draw(&h, 8), ink = draw(&h, 0x60),
		 paper = 0xe0 + draw(&h, 0x20), tone = draw(&h, 0x40);
	const char *line = lines[draw(&h, 8)];

	snprintf(s->own_page, sizeof(s->own_page),
		 "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n<title>%s</title>\n"
		 "<style>\nbody { width: %uem; margin: %uem auto; font-family: %s; "
		 "color: #%02x%02x%02x; background: #%02x%02x%02x; }\n</style>\n</head>\n<body>\n"
		 "<h1>%s</h1>\n<p>%s</p>\n</body>\n</html>\n",
		 title, width, margin, font, ink, ink, (ink + tone) & 0xff, paper, paper,
		 0xff - tone, title, line);
	s->page = s->own_page;
}

void site_init(struct site *s, const char *server, const char *page, bool health, uint64_t seed)
{
	*s = (struct site){.server = server, .page = page, .health = health};
	if (!page)
		make_page(s, seed);
	s->page_len = strlen(s->page);
	/* Some time in the two years before November 2025: what the page was last changed for does
	 * not matter, but it may not move with each start. */
	s->modified =
		1700000000 +
		(time_t)(site_hash(site_hash(seed, "time", 4), s->page, s->page_len) % 63000000);
	format_date(s->modified, s->modified_text);
	snprintf(s->etag, sizeof(s->etag), "\"%" PRIx64 "-%zx\"", (uint64_t)s->modified,
		 s->page_len);
}

/* ---- writing ---- */

struct answer {
	const char *status; /* "404 Not Found" */
	const char *type;   /* NULL: neither type nor length */
	size_t length;
	bool dated;	  /* Last-Modified and ETag */
	const char *more; /* further fields, each ending in CRLF */
};

static void append(struct site_response *out, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void append(struct site_response *out, const char *format, ...)
{
	size_t room = sizeof(out->head) - out->head_len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(out->head + out->head_len, room, format, args);
	va_end(args);
	if (n > 0)
		out->head_len += (size_t)n < room ? (size_t)n : room - 1;
}

/* HTTP/0.9 has no head. */
static void write_head(const struct site *s, const struct request *r, const struct answer *a,
		       time_t now, struct site_response *out)
{
	char date[32];

	if (r->version < 1000)
		return;
	format_date(now, date);
	append(out, "HTTP/1.1 %s\r\nServer: %s\r\nDate: %s\r\n", a->status, s->server, date);
	if (a->type)
		append(out, "Content-Type: %s\r\nContent-Length: %zu\r\n", a->type, a->length);
	if (a->dated)
		append(out, "Last-Modified: %s\r\n", s->modified_text);
	append(out, "Connection: %s\r\n", out->close ? "close" : "keep-alive");
	if (a->dated)
		append(out, "ETag: %s\r\n", s->etag);
	append(out, "%s\r\n", a->more ? a->more : "");
}

/* title: where the page's differs from the status; line: a second one. */
static void write_page(const struct site *s, const struct request *r, const char *status,
		       const char *title, const char *line, const char *more, time_t now,
		       struct site_response *out)
{
	static const char padding[] =
		"<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n";
	struct answer a = {.status = status, .type = "text/html", .more = more};
	char body[768];
	int n = snprintf(body, sizeof(body),
			 "<html>\r\n<head><title>%s</title></head>\r\n<body>\r\n"
			 "<center><h1>%s</h1></center>\r\n%s%s%s<hr><center>%s</center>\r\n"
			 "</body>\r\n</html>\r\n",
			 title ? title : status, status, line ? "<center>" : "", line ? line : "",
			 line ? "</center>\r\n" : "", s->server);

	/* Such browsers show pages of their own in place of short ones. */
	for (unsigned i = 0; i < 6 && r->browser && r->version >= 1000; i++)
		n += snprintf(body + n, sizeof(body) - (size_t)n, "%s", padding);
	a.length = (size_t)n;
	write_head(s, r, &a, now, out);
	if (r->method != METHOD_HEAD || r->version < 1000)
		append(out, "%s", body);
}

/* ---- conditions ---- */

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static CBS field_of(const struct request *r, const uint8_t *in, enum request_field field)
{
	CBS cbs;

	CBS_init(&cbs, in + r->fields[field].at, r->fields[field].len);
	return cbs;
}

/* Whether a list of entity tags has the page's; weak: W/ does not matter. */
static bool has_etag(const struct site *s, CBS list, bool weak)
{
	size_t len = strlen(s->etag);
	CBS rest, tag;

	if (CBS_mem_equal(&list, (const uint8_t *)"*", 1))
		return true;
	while (CBS_len(&list) > 0) {
		const uint8_t *at = CBS_data(&list);

		if (weak && CBS_len(&list) > 2 && at[0] == 'W' && at[1] == '/' &&
		    !CBS_skip(&list, 2))
			return false;
		rest = list;
		if (CBS_get_bytes(&rest, &tag, len) &&
		    CBS_mem_equal(&tag, (const uint8_t *)s->etag, len)) {
			while (CBS_len(&rest) > 0 && is_blank(CBS_data(&rest)[0]))
				if (!CBS_skip(&rest, 1))
					break;
			if (CBS_len(&rest) == 0 || CBS_data(&rest)[0] == ',')
				return true;
		}
		while (CBS_len(&list) > 0 && CBS_data(&list)[0] != ',')
			if (!CBS_skip(&list, 1))
				return false;
		while (CBS_len(&list) > 0 &&
		       (is_blank(CBS_data(&list)[0]) || CBS_data(&list)[0] == ','))
			if (!CBS_skip(&list, 1))
				return false;
	}
	return false;
}

static bool is_unchanged(const struct site *s, const struct request *r, const uint8_t *in)
{
	bool since = r->has_fields[FIELD_IF_MODIFIED_SINCE],
	     tags = r->has_fields[FIELD_IF_NONE_MATCH];

	if (since && parse_date(field_of(r, in, FIELD_IF_MODIFIED_SINCE)) != s->modified)
		return false;
	if (tags && !has_etag(s, field_of(r, in, FIELD_IF_NONE_MATCH), true))
		return false;
	return since || tags;
}

static bool is_unmet(const struct site *s, const struct request *r, const uint8_t *in)
{
	if (r->has_fields[FIELD_IF_UNMODIFIED_SINCE] &&
	    parse_date(field_of(r, in, FIELD_IF_UNMODIFIED_SINCE)) < s->modified)
		return true;
	return r->has_fields[FIELD_IF_MATCH] &&
	       !has_etag(s, field_of(r, in, FIELD_IF_MATCH), false);
}

/* ---- ranges ---- */

enum ranges { RANGES_ALL, RANGES_SOME, RANGES_NONE };

struct range {
	uint64_t from, to;
};

static void skip_blanks(CBS *cbs)
{
	while (CBS_len(cbs) > 0 && CBS_data(cbs)[0] == ' ')
		if (!CBS_skip(cbs, 1))
			return;
}

static bool take_number(CBS *cbs, uint64_t *out)
{
	bool any = false;

	for (*out = 0; CBS_len(cbs) > 0; any = true) {
		uint8_t c = CBS_data(cbs)[0];

		if (c < '0' || c > '9')
			break;
		if (*out > (INT64_MAX - (uint64_t)(c - '0')) / 10 || !CBS_skip(cbs, 1))
			return false;
		*out = *out * 10 + (c - '0');
	}
	return any;
}

/* One of the list: "5-", "5-9" or "-5"; empty (from == to): beyond the end. False: it is none. */
static bool take_range(CBS *list, uint64_t length, struct range *out)
{
	uint64_t from = 0, to;
	bool suffix;
	uint8_t c;

	skip_blanks(list);
	suffix = CBS_len(list) > 0 && CBS_data(list)[0] == '-';
	if (!suffix && !take_number(list, &from))
		return false;
	skip_blanks(list);
	if (!CBS_get_u8(list, &c) || c != '-')
		return false;
	if (!suffix)
		skip_blanks(list);
	if (!suffix && (CBS_len(list) == 0 || CBS_data(list)[0] == ',')) {
		to = length;
	} else {
		if (!take_number(list, &to))
			return false;
		skip_blanks(list);
		if (suffix) {
			from = to < length ? length - to : 0;
			to = length - 1;
		}
		to = to >= length ? length : to + 1;
	}
	*out = (struct range){from, to};
	return CBS_len(list) == 0 || CBS_data(list)[0] == ',';
}

/* Walks over the list and calls each() for those that are not empty. */
static enum ranges each_range(CBS list, uint64_t length,
			      void (*each)(void *context, struct range one), void *context)
{
	uint64_t size = 0;
	size_t count = 0;
	struct range one;
	uint8_t comma;

	do {
		if (!take_range(&list, length, &one))
			return RANGES_NONE;
		if (one.from < one.to) {
			size += one.to - one.from;
			if (size > (UINT64_C(1) << 62))
				return RANGES_NONE;
			count++;
			each(context, one);
		} else if (one.from == 0) {
			return RANGES_ALL;
		}
	} while (CBS_get_u8(&list, &comma));
	if (count == 0)
		return RANGES_NONE;
	return size > length ? RANGES_ALL : RANGES_SOME;
}

struct counting {
	size_t count;
	struct range first;
};

static void count_range(void *context, struct range one)
{
	struct counting *c = context;

	if (c->count++ == 0)
		c->first = one;
}

struct parting {
	const struct site *s;
	char *out;
	size_t len, room;
};

static void add_part(void *context, struct range one)
{
	struct parting *p = context;
	int n = snprintf(p->out ? p->out + p->len : NULL, p->out ? p->room - p->len : 0,
			 "\r\n--%020" PRIu64 "\r\nContent-Type: text/html\r\nContent-Range: bytes "
			 "%" PRIu64 "-%" PRIu64 "/%zu\r\n\r\n",
			 p->s->boundary, one.from, one.to - 1, p->s->page_len);
	size_t bytes = (size_t)(one.to - one.from);

	p->len += (size_t)n;
	if (p->out)
		memcpy(p->out + p->len, p->s->page + one.from, bytes);
	p->len += bytes;
}

/* Several ranges, in one body. False without memory. */
static bool write_parts(struct site *s, const struct request *r, CBS list, time_t now,
			struct site_response *out)
{
	struct parting p = {.s = s};
	char type[80], last[32];
	int end;

	s->boundary++;
	end = snprintf(last, sizeof(last), "\r\n--%020" PRIu64 "--\r\n", s->boundary);
	(void)each_range(list, s->page_len, add_part, &p);
	p.room = p.len + (size_t)end + 1;
	p.out = memory_get(p.room);
	if (!p.out)
		return false;
	p.len = 0;
	(void)each_range(list, s->page_len, add_part, &p);
	memcpy(p.out + p.len, last, (size_t)end);
	p.len += (size_t)end;
	snprintf(type, sizeof(type), "multipart/byteranges; boundary=%020" PRIu64, s->boundary);
	write_head(s, r,
		   &(struct answer){.status = "206 Partial Content",
				    .type = type,
				    .length = p.len,
				    .dated = true},
		   now, out);
	if (r->method == METHOD_HEAD) {
		memory_free(p.out);
		return true;
	}
	out->parts = p.out;
	out->body = p.out;
	out->body_len = p.len;
	return true;
}

/* Which of the page is asked for; list: as text. */
static enum ranges asked_ranges(const struct site *s, const struct request *r, const uint8_t *in,
				CBS *list, struct counting *c)
{
	CBS unit, same = field_of(r, in, FIELD_IF_RANGE);

	*list = field_of(r, in, FIELD_RANGE);
	if (r->version < 1000 || CBS_len(list) < 7 || !CBS_get_bytes(list, &unit, 6) ||
	    !text_is_word(unit, "bytes="))
		return RANGES_ALL;
	if (r->has_fields[FIELD_IF_RANGE]) {
		size_t len = CBS_len(&same);

		if (len >= 2 && CBS_data(&same)[len - 1] == '"') {
			if (!CBS_mem_equal(&same, (const uint8_t *)s->etag, strlen(s->etag)))
				return RANGES_ALL;
		} else if (parse_date(same) != s->modified) {
			return RANGES_ALL;
		}
	}
	return each_range(*list, s->page_len, count_range, c);
}

/* ---- answers ---- */

bool site_awaits_continue(const struct request *r, const uint8_t *in)
{
	return r->version > 1000 && text_is_word(field_of(r, in, FIELD_EXPECT), "100-continue");
}

static void answer_page(struct site *s, const struct request *r, const uint8_t *in, time_t now,
			struct site_response *out)
{
	struct answer a = {
		.status = "200 OK", .type = "text/html", .length = s->page_len, .dated = true};
	struct counting c = {.count = 0};
	char more[96];
	CBS list;

	if (site_awaits_continue(r, in))
		append(out, SITE_CONTINUE);
	if (is_unmet(s, r, in)) {
		/* It says that the connection stays, and ends it: so does nginx. */
		write_page(s, r, "412 Precondition Failed", NULL, NULL, NULL, now, out);
		out->close = true;
		return;
	}
	if (is_unchanged(s, r, in)) {
		a = (struct answer){.status = "304 Not Modified", .dated = true};
		write_head(s, r, &a, now, out);
		return;
	}
	c.first = (struct range){0, s->page_len};
	switch (asked_ranges(s, r, in, &list, &c)) {
	case RANGES_NONE:
		snprintf(more, sizeof(more), "Content-Range: bytes */%zu\r\n", s->page_len);
		write_page(s, r, "416 Requested Range Not Satisfiable", NULL, NULL, more, now, out);
		return;
	case RANGES_SOME:
		if (c.count > 1 && write_parts(s, r, list, now, out))
			return;
		a.status = "206 Partial Content";
		a.length = (size_t)(c.first.to - c.first.from);
		snprintf(more, sizeof(more), "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%zu\r\n",
			 c.first.from, c.first.to - 1, s->page_len);
		a.more = more;
		break;
	case RANGES_ALL:
		c.first = (struct range){0, s->page_len};
		a.more = "Accept-Ranges: bytes\r\n";
		break;
	}
	write_head(s, r, &a, now, out);
	if (r->method == METHOD_HEAD)
		return;
	out->body = s->page + c.first.from;
	out->body_len = a.length;
}

static void answer_health(const struct site *s, const struct request *r, bool draining, time_t now,
			  struct site_response *out)
{
	struct answer a = {.status = draining ? "503 Service Unavailable" : "200 OK",
			   .type = "text/plain",
			   .length = draining ? 9 : 3,
			   .more = "Cache-Control: no-store\r\n"};

	write_head(s, r, &a, now, out);
	if (r->method != METHOD_HEAD)
		append(out, "%s", draining ? "draining\n" : "ok\n");
}

/* Before anything else is looked at, and without being asked to wait for. */
static void answer_too_large(const struct site *s, const struct request *r, time_t now,
			     struct site_response *out)
{
	out->close = true;
	write_page(s, r, "413 Request Entity Too Large", NULL, NULL, NULL, now, out);
}

static bool is_get(const struct request *r)
{
	return r->method == METHOD_GET || r->method == METHOD_HEAD;
}

bool site_is_own(const struct site *s, const struct request *r)
{
	return s->health && is_get(r) && r->path == PATH_HEALTH;
}

void site_answer(struct site *s, const struct request *r, const uint8_t *in, bool draining,
		 bool last, time_t now, struct site_response *out)
{
	bool page = r->path == PATH_ROOT || r->path == PATH_INDEX;

	*out = (struct site_response){.close = !r->keep_alive || last};
	if (site_is_own(s, r))
		answer_health(s, r, draining, now, out);
	else if (r->content_length > SITE_BODY_MAX)
		answer_too_large(s, r, now, out);
	else if (!is_get(r) && (r->method != METHOD_POST || page))
		write_page(s, r, "405 Not Allowed", NULL, NULL, NULL, now, out);
	else if (!page)
		write_page(s, r, "404 Not Found", NULL, NULL, NULL, now, out);
	else
		answer_page(s, r, in, now, out);
}

void site_refuse(const struct site *s, const struct request *r, enum request_status why, time_t now,
		 struct site_response *out)
{
	static const char bad[] = "400 Bad Request";

	*out = (struct site_response){.close = true};
	switch (why) {
	case REQUEST_LINE_TOO_LARGE:
		write_page(s, r, "414 Request-URI Too Large", NULL, NULL, NULL, now, out);
		break;
	case REQUEST_FIELDS_TOO_LARGE:
		write_page(s, r, bad, "400 Request Header Or Cookie Too Large",
			   "Request Header Or Cookie Too Large", NULL, now, out);
		break;
	case REQUEST_BAD_VERSION:
		write_page(s, r, "505 HTTP Version Not Supported", NULL, NULL, NULL, now, out);
		break;
	case REQUEST_NOT_ALLOWED:
		write_page(s, r, "405 Not Allowed", NULL, NULL, NULL, now, out);
		break;
	case REQUEST_NOT_IMPLEMENTED:
		write_page(s, r, "501 Not Implemented", NULL, NULL, NULL, now, out);
		break;
	default:
		write_page(s, r, bad, NULL, NULL, NULL, now, out);
	}
}

void site_fail(const struct site *s, const struct request *r, enum site_gateway why, bool last,
	       time_t now, struct site_response *out)
{
	static const char *const status[] = {
		[SITE_BAD_GATEWAY] = "502 Bad Gateway",
		[SITE_UNAVAILABLE] = "503 Service Temporarily Unavailable",
		[SITE_GATEWAY_TIMEOUT] = "504 Gateway Time-out",
	};

	*out = (struct site_response){.close = !r->keep_alive || last};
	write_page(s, r, status[why], NULL, NULL, NULL, now, out);
}

void site_refuse_plain(const struct site *s, const struct request *r, time_t now,
		       struct site_response *out)
{
	*out = (struct site_response){.close = true};
	write_page(s, r, "400 Bad Request", "400 The plain HTTP request was sent to HTTPS port",
		   "The plain HTTP request was sent to HTTPS port", NULL, now, out);
}
