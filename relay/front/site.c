/* SPDX-License-Identifier: Apache-2.0 */
/* site: the answers of an ordinary small web server. */
#include "relay/front/site.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* FNV-1a: the entity tag only has to change when the page does. */
static uint64_t page_hash(const char *text, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)text[i]) * 0x100000001b3u;
	return h;
}

void site_init(struct site *s, const char *page)
{
	s->page = page;
	s->page_len = strlen(s->page);
	snprintf(s->etag, sizeof s->etag, "\"%016" PRIx64 "\"", page_hash(s->page, s->page_len));
}

/* RFC 9110 section 5.6.7: always in English, in every locale. */
static void format_date(time_t now, char out[32])
{
	static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct tm t;

	gmtime_r(&now, &t);
	snprintf(out, 32, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[t.tm_wday % 7],
		 t.tm_mday % 32, months[t.tm_mon % 12], (t.tm_year + 1900) % 10000, t.tm_hour % 24,
		 t.tm_min % 60, t.tm_sec % 61);
}

struct answer {
	const char *status; /* "404 Not Found" */
	const char *fields; /* extra header fields, each ending in CRLF */
	const char *type;
	const char *body;
	size_t body_len;
	bool no_length; /* 304 has no body and no length */
};

static void write_head(struct site_response *out, const struct answer *a, time_t now)
{
	char date[32], length[64] = "";

	format_date(now, date);
	if (!a->no_length)
		snprintf(length, sizeof length, "Content-Type: %s\r\nContent-Length: %zu\r\n",
			 a->type, a->body_len);
	int n = snprintf(out->head, sizeof out->head,
			 "HTTP/1.1 %s\r\nDate: %s\r\n%s%sConnection: %s\r\n\r\n", a->status, date,
			 length, a->fields, out->close ? "close" : "keep-alive");
	out->head_len = (size_t)n;
}

static void put_small_body(struct site_response *out, const struct answer *a)
{
	memcpy(out->head + out->head_len, a->body, a->body_len);
	out->head_len += a->body_len;
}

/* An error's page: its status line once more, for people. */
static void write_error(struct site_response *out, const char *status, const char *fields,
			bool with_body, time_t now)
{
	char body[256];
	int n = snprintf(body, sizeof body,
			 "<!DOCTYPE html>\n<html lang=\"en\"><head><title>%s</title></head>"
			 "<body><h1>%s</h1></body></html>\n",
			 status, status);
	struct answer a = {.status = status,
			   .fields = fields,
			   .type = "text/html; charset=utf-8",
			   .body = body,
			   .body_len = (size_t)n};

	write_head(out, &a, now);
	if (with_body)
		put_small_body(out, &a);
}

static void answer_page(const struct site *s, const struct http_request *request, bool head,
			time_t now, struct site_response *out)
{
	char fields[80];
	struct answer a = {.status = "200 OK",
			   .fields = fields,
			   .type = "text/html; charset=utf-8",
			   .body = s->page,
			   .body_len = s->page_len};

	snprintf(fields, sizeof fields, "ETag: %s\r\n", s->etag);
	if (strcmp(request->if_none_match, s->etag) == 0 ||
	    strcmp(request->if_none_match, "*") == 0) {
		a.status = "304 Not Modified";
		a.no_length = true;
		head = true;
	}
	write_head(out, &a, now);
	if (!head) {
		out->body = s->page;
		out->body_len = s->page_len;
	}
}

static void answer_health(bool draining, bool head, time_t now, struct site_response *out)
{
	struct answer a = {.status = draining ? "503 Service Unavailable" : "200 OK",
			   .fields = "Cache-Control: no-store\r\n",
			   .type = "text/plain; charset=utf-8",
			   .body = draining ? "draining\n" : "ok\n",
			   .body_len = draining ? 9 : 3};

	write_head(out, &a, now);
	if (!head)
		put_small_body(out, &a);
}

/* A body longer than this is not worth reading to keep a connection. */
#define BODY_SKIP_MAX 65536u

void site_answer(const struct site *s, const struct http_request *request, bool draining,
		 time_t now, struct site_response *out)
{
	static const char allow[] = "Allow: GET, HEAD, OPTIONS\r\n";
	bool head = strcmp(request->method, "HEAD") == 0;
	bool get = head || strcmp(request->method, "GET") == 0;

	*out = (struct site_response){.close = !request->keep_alive || request->chunked ||
					       request->content_length > BODY_SKIP_MAX};
	if (strcmp(request->method, "OPTIONS") == 0) {
		struct answer a = {.status = "204 No Content", .fields = allow, .no_length = true};
		write_head(out, &a, now);
	} else if (!get) {
		write_error(out, "405 Method Not Allowed", allow, true, now);
	} else if (strcmp(request->path, "/") == 0 || strcmp(request->path, "/index.html") == 0) {
		answer_page(s, request, head, now, out);
	} else if (strcmp(request->path, "/healthz") == 0) {
		answer_health(draining, head, now, out);
	} else {
		write_error(out, "404 Not Found", "", !head, now);
	}
}

void site_refuse(enum http_status why, time_t now, struct site_response *out)
{
	const char *status = "400 Bad Request";

	if (why == HTTP_TARGET_TOO_LONG)
		status = "414 URI Too Long";
	else if (why == HTTP_HEAD_TOO_LARGE)
		status = "431 Request Header Fields Too Large";
	else if (why == HTTP_VERSION_UNSUPPORTED)
		status = "505 HTTP Version Not Supported";
	*out = (struct site_response){.close = true};
	write_error(out, status, "", true, now);
}

void site_refuse_plain(time_t now, struct site_response *out)
{
	*out = (struct site_response){.close = true};
	write_error(out, "400 Bad Request", "", true, now);
}
