/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http: request and reply heads, and the shapes that smuggle requests.
 * links: core/parse/http.c core/parse/text.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/parse/http.h"

#define LENGTH(a)  (sizeof(a) / sizeof((a)[0]))
#define HOST	   "Host: a\r\n"
#define GET(lines) "GET / HTTP/1.1\r\n" HOST lines "\r\n"

static enum http_status parse_bytes(const void *in, size_t len, struct http_request *out,
				    size_t *used)
{
	static struct http_request before;
	enum http_status status;

	memset(out, 0xa5, sizeof(*out));
	before = *out;
	*used = 4711;
	status = http_request_parse(in, len, out, used);
	if (status != HTTP_OK) {
		assert_memory_equal(out, &before, sizeof(before));
		assert_int_equal(*used, 4711);
	}
	return status;
}

static enum http_status parse(const char *in, struct http_request *out)
{
	size_t used;

	return parse_bytes(in, strlen(in), out, &used);
}

/* Every prefix is SHORT, the whole is OK. */
static void accept_request(const char *in, struct http_request *out)
{
	size_t len = strlen(in), used;

	for (size_t n = 0; n < len; n++)
		assert_int_equal(parse_bytes(in, n, out, &used), HTTP_SHORT);
	assert_int_equal(parse_bytes(in, len, out, &used), HTTP_OK);
	assert_int_equal(used, len);
}

/* ---- requests that are fine ---- */

static void test_plain_get(void **state)
{
	struct http_request r;

	accept_request("GET /index.html?x=1 HTTP/1.1\r\nHost: www.example.org:443\r\n"
		       "User-Agent: caf\xc3\xa9 \t(x)\r\nAccept:\r\n\r\n",
		       &r);
	assert_string_equal(r.method, "GET");
	assert_string_equal(r.path, "/index.html");
	assert_int_equal(r.minor, 1);
	assert_true(r.has_host && r.keep_alive);
	assert_false(r.expect_continue || r.upgrade || r.chunked);
	assert_int_equal(r.content_length, 0);
	assert_string_equal(r.if_none_match, "");
}

static void test_what_follows_is_left(void **state)
{
	static const char in[] = "\r\nPOST / HTTP/1.1\r\nhOST:a\r\nContent-Length: 4\r\n\r\nbody";
	struct http_request r;
	size_t used;

	assert_int_equal(parse_bytes(in, sizeof(in) - 1, &r, &used), HTTP_OK);
	assert_int_equal(used, sizeof(in) - 1 - 4);
	assert_string_equal(r.method, "POST");
	assert_int_equal(r.content_length, 4);
}

static void test_versions(void **state)
{
	struct http_request r;

	accept_request("GET / HTTP/1.0\r\n\r\n", &r);
	assert_int_equal(r.minor, 0);
	assert_false(r.has_host || r.keep_alive);
	accept_request("GET / HTTP/1.7\r\n" HOST "\r\n", &r);
	assert_int_equal(r.minor, 1);
	assert_int_equal(parse("GET / HTTP/2.0\r\n", &r), HTTP_VERSION_UNSUPPORTED);
	assert_int_equal(parse("GET / HTTP/0.9", &r), HTTP_VERSION_UNSUPPORTED);
	assert_int_equal(parse("GET / HTTP/11", &r), HTTP_MALFORMED);
	assert_int_equal(parse("GET / HTTP/1.10", &r), HTTP_MALFORMED);
	assert_int_equal(parse("GET / http/1.1", &r), HTTP_MALFORMED);
}

static void test_targets(void **state)
{
	static const struct {
		const char *line, *path;
	} cases[] = {
		{"GET /a%20b%00/../c;d HTTP/1.1", "/a%20b%00/../c;d"},
		{"GET //x HTTP/1.1", "//x"},
		{"GET http://a HTTP/1.1", "/"},
		{"GET http://a?q HTTP/1.1", "/"},
		{"GET HTTPS://a:443/b?c HTTP/1.1", "/b"},
		{"GET http://[2001:db8::1]:80/ HTTP/1.1", "/"},
		{"OPTIONS * HTTP/1.1", "*"},
		{"OPTIONS /x HTTP/1.1", "/x"},
		{"CONNECT a:443 HTTP/1.1", ""},
	};
	static const char *const bad[] = {"GET  / HTTP/1.1\r\n",
					  "GET * HTTP/1.1\r\n",
					  "GET a HTTP/1.1\r\n",
					  "GET a/b HTTP/1.1\r\n",
					  "GET ?q HTTP/1.1\r\n",
					  "GET /a#b HTTP/1.1\r\n",
					  "GET /\x7f HTTP/1.1\r\n",
					  "GET /\xc3\xa9 HTTP/1.1\r\n",
					  "GET /\t HTTP/1.1\r\n",
					  "GET ftp://a/ HTTP/1.1\r\n",
					  "GET http:/a HTTP/1.1\r\n",
					  "GET http:a HTTP/1.1\r\n",
					  "GET http:///a HTTP/1.1\r\n",
					  "GET http:// HTTP/1.1\r\n",
					  "GET http://u@a/ HTTP/1.1\r\n",
					  "CONNECT /x HTTP/1.1\r\n",
					  "GET /\r\n",
					  "GET /  ",
					  "GET / HTTP/1.1 \r\n",
					  "GET / HTTP/1.1\n"};
	struct http_request r;
	char in[128];

	for (size_t i = 0; i < LENGTH(cases); i++) {
		snprintf(in, sizeof(in), "%s\r\n" HOST "\r\n", cases[i].line);
		accept_request(in, &r);
		assert_string_equal(r.path, cases[i].path);
	}
	for (size_t i = 0; i < LENGTH(bad); i++)
		assert_int_equal(parse(bad[i], &r), HTTP_MALFORMED);
	assert_int_equal(parse_bytes("GET /\0", 6, &r, &(size_t){0}), HTTP_MALFORMED);
}

/* A clear-text probe is told from other bytes by its first ones. */
static void test_first_bytes(void **state)
{
	static const char *const bad[] = {"\x16\x03\x01",  "\x01",
					  " GET",	   "\n",
					  "\r\r",	   "\r\n\r\n",
					  "G\r",	   "G(",
					  "SSH-2.0-x\r\n", "ABCDEFGHIJKLMNOPQ"};
	struct http_request r;

	for (size_t i = 0; i < LENGTH(bad); i++)
		assert_int_equal(parse(bad[i], &r), HTTP_MALFORMED);
	assert_int_equal(parse("\r", &r), HTTP_SHORT);
	assert_int_equal(parse("ABCDEFGHIJKLMNOP", &r), HTTP_SHORT);
}

/* ---- fields ---- */

static void test_connection(void **state)
{
	static const struct {
		const char *in;
		bool keep_alive;
	} cases[] = {
		{GET("Connection: close\r\n"), false},
		{GET("Connection: Upgrade , CLOSE\r\n"), false},
		{GET("Connection: keep-alive\r\nconnection: close\r\n"), false},
		{GET("Connection: ,, closed\r\n"), true},
		{GET("Connection:\r\n"), true},
		{"GET / HTTP/1.0\r\nConnection: x,Keep-Alive\r\n\r\n", true},
		{"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
	};
	struct http_request r;

	for (size_t i = 0; i < LENGTH(cases); i++) {
		accept_request(cases[i].in, &r);
		assert_int_equal(r.keep_alive, cases[i].keep_alive);
	}
}

static void test_expect_and_upgrade(void **state)
{
	struct http_request r;

	accept_request(GET("Expect: 100-Continue\r\nUpgrade: websocket\r\n"), &r);
	assert_true(r.expect_continue && r.upgrade);
	accept_request(GET("Expect: 200-ok\r\n"), &r);
	assert_false(r.expect_continue || r.upgrade);
	accept_request("GET / HTTP/1.0\r\nExpect: 100-continue\r\nUpgrade: x\r\n\r\n", &r);
	assert_false(r.expect_continue || r.upgrade);
}

static void test_etags(void **state)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{GET("If-None-Match: \"abc\"\r\n"), "\"abc\""},
		{GET("if-none-match:\tW/\"abc\" \r\n"), "\"abc\""},
		{GET("If-None-Match: \"\"\r\n"), "\"\""},
		{GET("If-None-Match: *\r\n"), ""},
		{GET("If-None-Match: \"\r\n"), ""},
		{GET("If-None-Match: W/\r\n"), ""},
		{GET("If-None-Match: \"a b\"\r\n"), ""},
		{GET("If-None-Match: \"a\", \"b\"\r\n"), ""},
		{GET("If-None-Match: \"a\"\r\nIf-None-Match: \"b\"\r\n"), ""},
		{GET("If-None-Match: "
		     "\"2345678901234567890123456789012345678901234567890123456789012\"\r\n"),
		 "\"2345678901234567890123456789012345678901234567890123456789012\""},
		{GET("If-None-Match: "
		     "\"23456789012345678901234567890123456789012345678901234567890123\"\r\n"),
		 ""},
	};
	struct http_request r;

	for (size_t i = 0; i < LENGTH(cases); i++) {
		assert_int_equal(parse(cases[i].in, &r), HTTP_OK);
		assert_string_equal(r.if_none_match, cases[i].want);
	}
}

static void test_lengths(void **state)
{
	struct http_request r;

	accept_request(GET("Content-Length: 18446744073709551609\r\n"), &r);
	assert_true(r.content_length == 18446744073709551609u);
	accept_request(GET("Content-Length: 007\r\nContent-Length: 7\r\n"), &r);
	assert_int_equal(r.content_length, 7);
	accept_request(GET("Transfer-Encoding: Chunked\r\n"), &r);
	assert_true(r.chunked);
}

static void test_smuggling(void **state)
{
	static const char *const bad[] = {
		GET("Content-Length: 5\r\nContent-Length: 6\r\n"),
		GET("Content-Length: 5, 5\r\n"),
		GET("Content-Length: +5\r\n"),
		GET("Content-Length: -1\r\n"),
		GET("Content-Length: 0x5\r\n"),
		GET("Content-Length: 5 5\r\n"),
		GET("Content-Length:\r\n"),
		GET("Content-Length: 18446744073709551616\r\n"),
		GET("Content-Length: 184467440737095516150\r\n"),
		GET("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
		GET("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
		GET("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
		GET("Transfer-Encoding: gzip, chunked\r\n"),
		GET("Transfer-Encoding: chunked, identity\r\n"),
		GET("Transfer-Encoding: xchunked\r\n"),
		GET("Transfer-Encoding: \x0b"
		    "chunked\r\n"),
		"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
		GET("Transfer-Encoding : chunked\r\n"),
		GET("Transfer-Encoding\r\n"),
		GET(": x\r\n"),
		GET(" folded\r\n"),
		GET("X: a\r\n folded\r\n"),
		GET("X: a\r\n\tfolded\r\n"),
		GET("X: a\rb\r\n"),
		GET("X: a\n"),
		GET("X: a\nY: b\r\n"),
		GET("X\t: a\r\n"),
		GET("X(: a\r\n"),
		GET("\xc3\xa9: a\r\n"),
		GET("X: \x01\r\n"),
		GET("X: \x7f\r\n"),
		GET(HOST),
		"GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost:\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
		"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n\n",
	};
	struct http_request r;

	for (size_t i = 0; i < LENGTH(bad); i++)
		assert_int_equal(parse(bad[i], &r), HTTP_MALFORMED);
}

/* ---- sizes ---- */

static void test_longest_target(void **state)
{
	char in[HTTP_HEAD_MAX] = "GET /";
	size_t end = 4 + HTTP_TARGET_MAX, used;
	struct http_request r;

	memset(in + 5, 'a', sizeof(in) - 5);
	assert_int_equal(parse_bytes(in, end, &r, &used), HTTP_SHORT);
	assert_int_equal(parse_bytes(in, end + 1, &r, &used), HTTP_TARGET_TOO_LONG);
	strcpy(in + end, " HTTP/1.0\r\n\r\n");
	assert_int_equal(parse_bytes(in, strlen(in), &r, &used), HTTP_OK);
	assert_int_equal(strlen(r.path), HTTP_TARGET_MAX);
}

static void test_largest_head(void **state)
{
	static char in[HTTP_HEAD_MAX + 100] = "GET / HTTP/1.0\r\nX: ";
	struct http_request r;
	size_t used;

	memset(in + 19, 'a', sizeof(in) - 19);
	assert_int_equal(parse_bytes(in, HTTP_HEAD_MAX - 1, &r, &used), HTTP_SHORT);
	assert_int_equal(parse_bytes(in, HTTP_HEAD_MAX, &r, &used), HTTP_HEAD_TOO_LARGE);
	assert_int_equal(parse_bytes(in, sizeof(in), &r, &used), HTTP_HEAD_TOO_LARGE);
	memcpy(in + HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
	assert_int_equal(parse_bytes(in, sizeof(in), &r, &used), HTTP_OK);
	assert_int_equal(used, HTTP_HEAD_MAX);
	memcpy(in + HTTP_HEAD_MAX - 4, "a\r\n\r\n", 5);
	assert_int_equal(parse_bytes(in, sizeof(in), &r, &used), HTTP_HEAD_TOO_LARGE);
}

/* ---- replies ---- */

static void test_replies(void **state)
{
	static const struct {
		const char *in;
		unsigned code;
	} good[] = {
		{"HTTP/1.1 200 Connection established\r\n\r\n", 200},
		{"HTTP/1.0 200\r\n\r\n", 200},
		{"HTTP/1.1 407 \r\nProxy-Authenticate: Basic realm=\"x\"\r\nA:\r\n\r\n", 407},
	};
	static const struct {
		const char *in;
		enum http_status want;
	} bad[] = {
		{"\x16", HTTP_MALFORMED},
		{"HTTP/2.0", HTTP_VERSION_UNSUPPORTED},
		{"HTTP/1.1  200", HTTP_MALFORMED},
		{"HTTP/1.1 2x0", HTTP_MALFORMED},
		{"HTTP/1.1 099 x\r\n", HTTP_MALFORMED},
		{"HTTP/1.1 600", HTTP_MALFORMED},
		{"HTTP/1.1 2000\r\n", HTTP_MALFORMED},
		{"HTTP/1.1 200 OK\n", HTTP_MALFORMED},
		{"HTTP/1.1 200 OK\r\nA b\r\n", HTTP_MALFORMED},
	};
	unsigned code = 4711;
	size_t used = 4711;

	for (size_t i = 0; i < LENGTH(bad); i++)
		assert_int_equal(http_reply_parse((const uint8_t *)bad[i].in, strlen(bad[i].in),
						  &code, &used),
				 bad[i].want);
	assert_int_equal(code, 4711);
	assert_int_equal(used, 4711);
	for (size_t i = 0; i < LENGTH(good); i++) {
		const uint8_t *in = (const uint8_t *)good[i].in;
		size_t len = strlen(good[i].in);

		for (size_t n = 0; n < len; n++)
			assert_int_equal(http_reply_parse(in, n, &code, &used), HTTP_SHORT);
		assert_int_equal(http_reply_parse(in, len, &code, &used), HTTP_OK);
		assert_int_equal(code, good[i].code);
		assert_int_equal(used, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_get),
		cmocka_unit_test(test_what_follows_is_left),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_first_bytes),
		cmocka_unit_test(test_connection),
		cmocka_unit_test(test_expect_and_upgrade),
		cmocka_unit_test(test_etags),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_smuggling),
		cmocka_unit_test(test_longest_target),
		cmocka_unit_test(test_largest_head),
		cmocka_unit_test(test_replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
