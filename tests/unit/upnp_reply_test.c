/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply: replies of gateways over HTTP, whole, in parts, in chunks, wrong.
 * links: upnp/reply.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "upnp/reply.h"

/* In memory of exactly that size. */
static enum reply_status read_text(const char *text, size_t len, bool ended, struct upnp_reply *r,
				   char body[64])
{
	uint8_t *copy = malloc(len ? len : 1);
	enum reply_status status;

	memcpy(copy, text, len);
	status = reply_read(copy, len, ended, r);
	if (status == REPLY_OK) {
		assert_true(r->body + r->len <= len && r->len < 64);
		memcpy(body, copy + r->body, r->len);
		body[r->len] = '\0';
	}
	free(copy);
	return status;
}

/* Every prefix is SHORT until all is there. */
static void expect(const char *text, unsigned code, const char *body)
{
	struct upnp_reply r;
	char got[64];
	size_t len = strlen(text);

	for (size_t n = 0; n < len; n++)
		assert_int_equal(read_text(text, n, false, &r, got), REPLY_SHORT);
	assert_int_equal(read_text(text, len, false, &r, got), REPLY_OK);
	assert_int_equal(r.code, code);
	assert_string_equal(got, body);
}

static void test_whole_replies(void **state)
{
	expect("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello");
	expect("HTTP/1.0 500 Error\nCONTENT-LENGTH:2\n\nno", 500, "no");
	expect("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 200,
	       "x");
	expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: "
	       "chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n",
	       200, "hello!");
}

static void test_a_body_until_the_end(void **state)
{
	const char *text = "HTTP/1.1 200 OK\r\nServer: x\r\n\r\nall of it";
	struct upnp_reply r;
	char body[64];

	assert_int_equal(read_text(text, strlen(text), false, &r, body), REPLY_SHORT);
	assert_int_equal(read_text(text, strlen(text), true, &r, body), REPLY_OK);
	assert_string_equal(body, "all of it");
}

static void refused(const char *text, bool ended, enum reply_status expected)
{
	struct upnp_reply r, before;
	char body[64];

	memset(&r, 0xa5, sizeof(r));
	before = r;
	assert_int_equal(read_text(text, strlen(text), ended, &r, body), expected);
	assert_memory_equal(&r, &before, sizeof(r));
}

static void test_what_is_refused(void **state)
{
	refused("hello\r\n", false, REPLY_MALFORMED);
	refused("HTTP/2 200\r\n", false, REPLY_MALFORMED);
	refused("HTTP/1.1 2x0 OK\r\n", false, REPLY_MALFORMED);
	refused("HTTP/1.1 999 OK\r\n", false, REPLY_MALFORMED);
	refused("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", true, REPLY_MALFORMED);
	refused("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", false,
		REPLY_MALFORMED);
	refused("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", false, REPLY_MALFORMED);
	refused("HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n", false, REPLY_TOO_LARGE);
	refused("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", false,
		REPLY_MALFORMED);
	refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", false, REPLY_MALFORMED);
	refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false,
		REPLY_MALFORMED);
	refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11000\r\nx", false,
		REPLY_TOO_LARGE);
	refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\nx", false,
		REPLY_TOO_LARGE);
	refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n", false,
		REPLY_MALFORMED);
	refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", true,
		REPLY_MALFORMED);
	refused("", true, REPLY_MALFORMED);
}

static void test_a_head_without_end(void **state)
{
	static uint8_t text[REPLY_HEAD_MAX + 64];
	struct upnp_reply r;
	size_t used;

	memset(text, 'a', sizeof(text));
	used = (size_t)snprintf((char *)text, sizeof(text), "HTTP/1.1 200 OK\r\nX: ");
	text[used] = 'a';
	assert_int_equal(reply_read(text, REPLY_HEAD_MAX - 1, false, &r), REPLY_SHORT);
	assert_int_equal(reply_read(text, REPLY_HEAD_MAX, false, &r), REPLY_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_replies),
		cmocka_unit_test(test_a_body_until_the_end),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_a_head_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
