/* SPDX-License-Identifier: Apache-2.0 */
/*
 * site: requests as nginx reads them, in any pieces, and its answers.
 * links: relay/front/site.c core/parse/request.c core/parse/chunked.c core/parse/text.c
 * links: core/memory.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/parse/chunked.h"
#include "relay/front/site.h"

/* 1994-11-06 08:49:37 UTC: the example of RFC 9110 section 5.6.7. */
#define RFC_TIME 784111777
#define PAGE	 "<p>hello there</p>"
#define H	 "Host: a\r\n"

static struct site site;

/* Read at once and byte by byte; both must be the same. */
static enum request_status read_all(const char *text, size_t len, struct request *r)
{
	struct request slow;
	enum request_status status, slowly = REQUEST_MORE;

	request_begin(r);
	request_begin(&slow);
	status = request_read(r, (const uint8_t *)text, len);
	for (size_t i = 0; i <= len && slowly == REQUEST_MORE; i++)
		slowly = request_read(&slow, (const uint8_t *)text, i);
	assert_int_equal(slowly, status);
	if (status != REQUEST_MORE) {
		assert_int_equal(slow.at, r->at);
		assert_int_equal(slow.version, r->version);
		assert_int_equal(slow.path, r->path);
	}
	return status;
}

static enum request_status status_of(const char *text)
{
	struct request r;

	return read_all(text, strlen(text), &r);
}

static char *answer(const char *text)
{
	static char out[8192];
	struct site_response response;
	struct request r;
	enum request_status status = read_all(text, strlen(text), &r);

	if (status == REQUEST_DONE)
		site_answer(&site, &r, (const uint8_t *)text, false, false, RFC_TIME, &response);
	else
		site_refuse(&site, &r, status, RFC_TIME, &response);
	snprintf(out, sizeof(out), "%.*s%.*s", (int)response.head_len, response.head,
		 (int)response.body_len, response.body ? response.body : "");
	free(response.parts);
	return out;
}

static int make(void **state)
{
	site_init(&site, "nginx", PAGE, false, 7);
	return 0;
}

static void the_page_is_nginxs_to_the_byte(void **state)
{
	char expected[512];

	snprintf(expected, sizeof(expected),
		 "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
		 "Content-Type: text/html\r\nContent-Length: 18\r\nLast-Modified: %s\r\n"
		 "Connection: keep-alive\r\nETag: %s\r\nAccept-Ranges: bytes\r\n\r\n" PAGE,
		 site.modified_text, site.etag);
	assert_string_equal(answer("GET / HTTP/1.1\r\n" H "\r\n"), expected);
	assert_string_equal(answer("GET /./x/..//index.html?q HTTP/1.1\r\n" H "\r\n"), expected);
	assert_string_equal(answer("GET http://a/%69ndex.html HTTP/1.1\n" H "\n"), expected);
	*strstr(expected, PAGE) = '\0';
	assert_string_equal(answer("HEAD / HTTP/1.1\r\n" H "\r\n"), expected);
	assert_string_equal(answer("GET /\r\n"), PAGE);
	assert_non_null(strstr(answer("GET / HTTP/1.0\r\n\r\n"), "\r\nConnection: close\r\n"));
	assert_non_null(strstr(answer("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
			       "\r\nConnection: keep-alive\r\n"));
}

static void errors_are_nginxs_to_the_byte(void **state)
{
	assert_string_equal(answer("GET /x HTTP/1.1\r\n" H "\r\n"),
			    "HTTP/1.1 404 Not Found\r\nServer: nginx\r\n"
			    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/html\r\n"
			    "Content-Length: 146\r\nConnection: keep-alive\r\n\r\n"
			    "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n"
			    "<center><h1>404 Not Found</h1></center>\r\n"
			    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n");
	assert_non_null(strstr(answer("GET /x HTTP/1.1\r\n" H "User-Agent: Chrome/1\r\n\r\n"),
			       "friendly error page -->\r\n"));
	assert_non_null(strstr(answer("DELETE / HTTP/1.1\r\n" H "\r\n"), "405 Not Allowed"));
	assert_non_null(strstr(answer("DELETE /x HTTP/1.1\r\n" H "\r\n"), "405 Not Allowed"));
	assert_non_null(strstr(answer("POST / HTTP/1.1\r\n" H "\r\n"), "405 Not Allowed"));
	assert_non_null(strstr(answer("POST /x HTTP/1.1\r\n" H "\r\n"), "404 Not Found"));
}

static void bodies_that_are_too_large_are_not_waited_for(void **state)
{
	static const char *const lines[] = {"POST /x", "GET /", "HEAD /x", "PUT /"};
	char text[160];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(text, sizeof(text),
			 "%s HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: %u\r\n\r\n",
			 lines[i], SITE_BODY_MAX + 1);
		assert_memory_equal(answer(text), "HTTP/1.1 413 Request Entity Too Large\r\n", 39);
		assert_non_null(strstr(answer(text), "\r\nConnection: close\r\n"));
		snprintf(text, sizeof(text), "%s HTTP/1.1\r\n" H "Content-Length: %u\r\n\r\n",
			 lines[i], SITE_BODY_MAX);
		assert_null(strstr(answer(text), "413"));
	}
	/* What is refused for its head is refused for that. */
	snprintf(text, sizeof(text), "TRACE / HTTP/1.1\r\n" H "Content-Length: %u\r\n\r\n",
		 SITE_BODY_MAX + 1);
	assert_non_null(strstr(answer(text), "405 Not Allowed"));
}

/* The head and body of a failure of the web site behind a proxy. */
static const char *failure(const char *text, enum site_gateway why, bool last)
{
	static char out[2048];
	struct site_response response;
	struct request r;

	assert_int_equal(read_all(text, strlen(text), &r), REQUEST_DONE);
	site_fail(&site, &r, why, last, RFC_TIME, &response);
	assert_null(response.body);
	snprintf(out, sizeof(out), "%.*s%s", (int)response.head_len, response.head,
		 response.close ? "(closes)" : "");
	return out;
}

static void failures_of_the_site_are_nginxs_to_the_byte(void **state)
{
	assert_string_equal(failure("GET / HTTP/1.1\r\n" H "\r\n", SITE_BAD_GATEWAY, false),
			    "HTTP/1.1 502 Bad Gateway\r\nServer: nginx\r\n"
			    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/html\r\n"
			    "Content-Length: 150\r\nConnection: keep-alive\r\n\r\n"
			    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
			    "<center><h1>502 Bad Gateway</h1></center>\r\n"
			    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n");
	assert_non_null(strstr(failure("POST /x HTTP/1.1\r\n" H "\r\n", SITE_GATEWAY_TIMEOUT, true),
			       "504 Gateway Time-out</h1>"));
	assert_non_null(strstr(failure("GET / HTTP/1.1\r\n" H "\r\n", SITE_UNAVAILABLE, true),
			       "\r\nConnection: close\r\n"));
	assert_non_null(strstr(failure("GET / HTTP/1.0\r\n\r\n", SITE_UNAVAILABLE, false),
			       "</html>\r\n(closes)"));
	assert_memory_equal(failure("GET /\r\n", SITE_BAD_GATEWAY, false), "<html>", 6);
	assert_null(
		strstr(failure("HEAD / HTTP/1.1\r\n" H "\r\n", SITE_BAD_GATEWAY, false), "<html>"));
}

/* Where a web site has all the rest, /healthz is the relay's, if it is asked for. */
static void health_stays_the_relays(void **state)
{
	static const struct {
		const char *text;
		bool own;
	} rows[] = {
		{"GET /healthz HTTP/1.1\r\n" H "\r\n", true},
		{"HEAD /healthz HTTP/1.1\r\n" H "\r\n", true},
		{"POST /healthz HTTP/1.1\r\n" H "\r\n", false},
		{"GET / HTTP/1.1\r\n" H "\r\n", false},
		{"GET /healthz/x HTTP/1.1\r\n" H "\r\n", false},
	};
	struct site with;
	struct request r;

	site_init(&with, "nginx", NULL, true, 7);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(read_all(rows[i].text, strlen(rows[i].text), &r), REQUEST_DONE);
		assert_int_equal(site_is_own(&with, &r), rows[i].own);
		assert_false(site_is_own(&site, &r));
	}
}

static void what_is_no_request(void **state)
{
	static const struct {
		const char *text;
		enum request_status status;
	} rows[] = {
		{"get / HTTP/1.1\r\n", REQUEST_BAD},
		{"\x02", REQUEST_BAD},
		{"SSH-2.0", REQUEST_BAD},
		{"GET / HTTP/2.0\r\n", REQUEST_BAD_VERSION},
		{"PRI * HTTP/2.0\r\n", REQUEST_BAD},
		{"GET /a b HTTP/1.1\r\n", REQUEST_BAD},
		{"GET /../x HTTP/1.1\r\n", REQUEST_BAD},
		{"GET /%00 HTTP/1.1\r\n", REQUEST_BAD},
		{"GET /%4 HTTP/1.1\r\n", REQUEST_BAD},
		{"POST /\r\n", REQUEST_BAD},
		{"CONNECT a:443 HTTP/1.1\r\n", REQUEST_BAD},
		{"CONNECT / HTTP/1.1\r\n" H "\r\n", REQUEST_NOT_ALLOWED},
		{"TRACE / HTTP/1.1\r\n" H "\r\n", REQUEST_NOT_ALLOWED},
		{"GET / HTTP/1.1\r\n\r\n", REQUEST_BAD},
		{"GET / HTTP/1.1\r\n" H H "\r\n", REQUEST_BAD},
		{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", REQUEST_BAD},
		{"GET / HTTP/1.1\r\nHost: a..b\r\n\r\n", REQUEST_BAD},
		{"GET / HTTP/1.1\r\n" H "no colon\r\n", REQUEST_BAD},
		{"GET / HTTP/1.1\r\n" H "nocolon\r\n\r\n", REQUEST_DONE},
		{"GET / HTTP/1.1\r\n" H "under_score: x\r\n\r\n", REQUEST_DONE},
		{"POST / HTTP/1.1\r\n" H "Content-Length: x\r\n\r\n", REQUEST_BAD},
		{"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n",
		 REQUEST_NOT_IMPLEMENTED},
		{"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", REQUEST_BAD},
		{"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
		 REQUEST_BAD},
		{"\r\n\r\n", REQUEST_MORE},
		{"G", REQUEST_MORE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (status_of(rows[i].text) != rows[i].status)
			fail_msg("%s", rows[i].text);
}

static void lines_have_nginxs_lengths(void **state)
{
	static char text[65536];
	struct request r;

	for (size_t line = 8190; line <= 8194; line++) {
		memset(text, 'a', sizeof(text));
		memcpy(text, "GET /", 5);
		memcpy(text + line - 11, " HTTP/1.1\r\n", 11);
		assert_int_equal(read_all(text, line, &r),
				 line <= 8192 ? REQUEST_MORE : REQUEST_LINE_TOO_LARGE);
	}
	memcpy(text, "GET / HTTP/1.1\r\nX:", 18);
	memset(text + 18, 'a', 9000);
	assert_int_equal(read_all(text, 9000, &r), REQUEST_FIELDS_TOO_LARGE);
	for (size_t at = 16; at + 4 < sizeof(text); at += 4)
		memcpy(text + at, "X:\r\n", 4);
	assert_int_equal(read_all(text, sizeof(text), &r), REQUEST_FIELDS_TOO_LARGE);
	assert_true(r.at <= REQUEST_HEAD_MAX);
}

static void conditions(void **state)
{
	char text[512];

	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" H "If-None-Match: \"x\", W/%s\r\n\r\n",
		 site.etag);
	assert_memory_equal(answer(text), "HTTP/1.1 304 Not Modified\r\n", 27);
	assert_null(strstr(answer(text), "Content-"));
	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" H "If-Modified-Since: %s\r\n\r\n",
		 site.modified_text);
	assert_memory_equal(answer(text), "HTTP/1.1 304 ", 13);
	assert_memory_equal(answer("GET / HTTP/1.1\r\n" H "If-Modified-Since: Mon, 01 Jan 2035 "
				   "00:00:00 GMT\r\n\r\n"),
			    "HTTP/1.1 200 ", 13);
	assert_memory_equal(answer("GET / HTTP/1.1\r\n" H "If-Match: \"x\"\r\n\r\n"),
			    "HTTP/1.1 412 ", 13);
	assert_memory_equal(answer("GET / HTTP/1.1\r\n" H "If-Unmodified-Since: Sun, 06 Nov 1994 "
				   "08:49:37 GMT\r\n\r\n"),
			    "HTTP/1.1 412 ", 13);
}

static void ranges(void **state)
{
	static const struct {
		const char *range, *says, *body;
	} rows[] = {
		{"bytes=0-3", "bytes 0-3/18", "<p>h"},
		{"bytes=-4", "bytes 14-17/18", "</p>"},
		{"bytes=14-", "bytes 14-17/18", "</p>"},
		{"bytes=3-7,90-", "bytes 3-7/18", "hello"},
		{"bytes=18-", "bytes */18", NULL},
		{"bytes=x", "bytes */18", NULL},
		{"bites=0-3", NULL, PAGE},
		{"bytes=0-17,0-3", NULL, PAGE},
	};
	char text[256], *got;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" H "Range: %s\r\n\r\n",
			 rows[i].range);
		got = answer(text);
		if (rows[i].says) {
			snprintf(text, sizeof(text), "\r\nContent-Range: %s\r\n", rows[i].says);
			if (!strstr(got, text))
				fail_msg("%s: %s", rows[i].range, got);
		}
		if (rows[i].body)
			assert_string_equal(strstr(got, "\r\n\r\n") + 4, rows[i].body);
	}
	got = answer("GET / HTTP/1.1\r\n" H "Range: bytes=0-1,3-4\r\n\r\n");
	assert_non_null(strstr(got, "Content-Type: multipart/byteranges; boundary=0000"));
	assert_non_null(strstr(got, "\r\nContent-Range: bytes 3-4/18\r\n\r\nhe\r\n--"));
}

/* RFC 9110 section 13.1.5: a part only of the version that is meant. */
static void parts_of_another_version(void **state)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "GET / HTTP/1.1\r\n" H "Range: bytes=0-3\r\nIf-Range: %s\r\n\r\n", site.etag);
	assert_memory_equal(answer(text), "HTTP/1.1 206 ", 13);
	assert_memory_equal(answer("GET / HTTP/1.1\r\n" H "Range: bytes=0-3\r\nIf-Range: \"x\"\r\n"
				   "\r\n"),
			    "HTTP/1.1 200 ", 13);
}

static void each_installation_has_its_page(void **state)
{
	struct site one, other, again;

	site_init(&one, "nginx", NULL, false, 1);
	site_init(&other, "nginx", NULL, false, 2);
	site_init(&again, "nginx", NULL, false, 1);
	assert_string_not_equal(one.page, other.page);
	assert_string_not_equal(one.etag, other.etag);
	assert_string_equal(one.page, again.page);
	assert_string_equal(one.modified_text, again.modified_text);
	assert_null(strstr(one.page, "ostern"));
}

static void health_only_where_asked_for(void **state)
{
	assert_non_null(strstr(answer("GET /healthz HTTP/1.1\r\n" H "\r\n"), "404 Not Found"));
	site_init(&site, "nginx", PAGE, true, 7);
	assert_string_equal(strstr(answer("GET /healthz HTTP/1.1\r\n" H "\r\n"), "\r\n\r\n"),
			    "\r\n\r\nok\n");
	site_init(&site, "nginx", PAGE, false, 7);
}

static void chunks(void **state)
{
	static const struct {
		const char *text;
		enum chunked_status status;
		size_t used;
	} rows[] = {
		{"5\r\nhello\r\n0\r\n\r\nGET", CHUNKED_DONE, 15},
		{"5;x=y\nhello\n0\nA: b\r\n\nGET", CHUNKED_DONE, 21},
		{"5\r\nhello", CHUNKED_MORE, 8},
		{"x", CHUNKED_BAD, 1},
		{"5\r\nhellox", CHUNKED_BAD, 9},
		{"ffffffffffffffffff\r\n", CHUNKED_BAD, 20},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct chunked whole = {0}, slow = {0};
		size_t used, total = 0;
		enum chunked_status status = CHUNKED_MORE;

		assert_int_equal(chunked_skip(&whole, (const uint8_t *)rows[i].text,
					      strlen(rows[i].text), &used),
				 rows[i].status);
		assert_int_equal(used, rows[i].used);
		for (; status == CHUNKED_MORE && rows[i].text[total]; total += used)
			status = chunked_skip(&slow, (const uint8_t *)rows[i].text + total, 1,
					      &used);
		assert_int_equal(status, rows[i].status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_page_is_nginxs_to_the_byte),
		cmocka_unit_test(errors_are_nginxs_to_the_byte),
		cmocka_unit_test(bodies_that_are_too_large_are_not_waited_for),
		cmocka_unit_test(failures_of_the_site_are_nginxs_to_the_byte),
		cmocka_unit_test(health_stays_the_relays),
		cmocka_unit_test(what_is_no_request),
		cmocka_unit_test(lines_have_nginxs_lengths),
		cmocka_unit_test(conditions),
		cmocka_unit_test(ranges),
		cmocka_unit_test(parts_of_another_version),
		cmocka_unit_test(each_installation_has_its_page),
		cmocka_unit_test(health_only_where_asked_for),
		cmocka_unit_test(chunks),
	};
	return cmocka_run_group_tests(tests, make, NULL);
}
