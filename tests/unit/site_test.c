/* SPDX-License-Identifier: Apache-2.0 */
/*
 * site: the answers of the plain web server.
 * links: relay/front/site.c core/parse/http.c core/parse/text.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "relay/front/site.h"

/* 1994-11-06 08:49:37 UTC: the example of RFC 9110 section 5.6.7. */
#define RFC_TIME 784111777

static struct site_response ask(const char *page, const char *text, bool draining)
{
	static struct site s;
	struct http_request request;
	struct site_response out;
	size_t used;

	site_init(&s, page);
	assert_int_equal(http_request_parse((const uint8_t *)text, strlen(text), &request, &used),
			 HTTP_OK);
	site_answer(&s, &request, draining, RFC_TIME, &out);
	out.head[out.head_len] = '\0';
	return out;
}

static void the_page_is_served_with_date_and_length(void **state)
{
	struct site_response r = ask("<p>hi</p>", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", false);

	assert_memory_equal(r.head, "HTTP/1.1 200 OK\r\n", 17);
	assert_non_null(strstr(r.head, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
	assert_non_null(strstr(r.head, "Content-Length: 9\r\n"));
	assert_int_equal(r.body_len, 9);
	assert_false(r.close);
}

static void head_has_the_length_and_no_body(void **state)
{
	struct site_response r = ask("<p>hi</p>", "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", false);

	assert_non_null(strstr(r.head, "Content-Length: 9\r\n"));
	assert_int_equal(r.body_len, 0);
	assert_string_equal(r.head + r.head_len - 4, "\r\n\r\n");
}

static void a_known_tag_gives_304(void **state)
{
	struct site_response r = ask("<p>hi</p>", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", false);
	char tag[24], request[128];
	const char *at = strstr(r.head, "ETag: ");

	assert_non_null(at);
	memcpy(tag, at + 6, 18);
	tag[18] = '\0';
	snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: x\r\nIf-None-Match: %s\r\n\r\n",
		 tag);
	r = ask("<p>hi</p>", request, false);
	assert_memory_equal(r.head, "HTTP/1.1 304 ", 13);
	assert_int_equal(r.body_len, 0);
	assert_null(strstr(r.head, "Content-Length"));
}

static void health_follows_draining(void **state)
{
	struct site_response r =
		ask("<p>hi</p>", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", false);

	assert_memory_equal(r.head, "HTTP/1.1 200 OK\r\n", 17);
	assert_string_equal(r.head + r.head_len - 3, "ok\n");
	r = ask("<p>hi</p>", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", true);
	assert_memory_equal(r.head, "HTTP/1.1 503 ", 13);
}

static void errors_are_proper(void **state)
{
	struct site_response r =
		ask("<p>hi</p>", "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", false);

	assert_memory_equal(r.head, "HTTP/1.1 404 Not Found\r\n", 24);
	assert_false(r.close);
	r = ask("<p>hi</p>", "DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", false);
	assert_memory_equal(r.head, "HTTP/1.1 405 ", 13);
	assert_non_null(strstr(r.head, "Allow: GET, HEAD, OPTIONS\r\n"));
	r = ask("<p>hi</p>", "GET / HTTP/1.0\r\n\r\n", false);
	assert_true(r.close);
	assert_non_null(strstr(r.head, "Connection: close\r\n"));
	site_refuse(HTTP_HEAD_TOO_LARGE, RFC_TIME, &r);
	assert_memory_equal(r.head, "HTTP/1.1 431 ", 13);
	site_refuse(HTTP_TARGET_TOO_LONG, RFC_TIME, &r);
	assert_memory_equal(r.head, "HTTP/1.1 414 ", 13);
	site_refuse(HTTP_VERSION_UNSUPPORTED, RFC_TIME, &r);
	assert_memory_equal(r.head, "HTTP/1.1 505 ", 13);
	assert_true(r.close);
}

static void a_body_of_unknown_or_great_size_ends_the_connection(void **state)
{
	struct site_response r =
		ask("<p>hi</p>", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
		    false);

	assert_true(r.close);
	r = ask("<p>hi</p>", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n",
		false);
	assert_true(r.close);
	r = ask("<p>hi</p>", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", false);
	assert_false(r.close);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_page_is_served_with_date_and_length),
		cmocka_unit_test(head_has_the_length_and_no_body),
		cmocka_unit_test(a_known_tag_gives_304),
		cmocka_unit_test(health_follows_draining),
		cmocka_unit_test(errors_are_proper),
		cmocka_unit_test(a_body_of_unknown_or_great_size_ends_the_connection),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
