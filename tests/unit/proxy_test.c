/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy: headers of both versions as the specification spells them, and what is refused.
 * links: core/parse/proxy.c core/addr.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/parse/proxy.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static enum proxy_status decode(const void *in, size_t len, struct proxy_header *out)
{
	struct proxy_header h, before;
	size_t used = 4711;
	enum proxy_status status;

	memset(&h, 0xa5, sizeof(h));
	before = h;
	status = proxy_decode(in, len, &h, &used);
	if (status == PROXY_OK) {
		assert_true(used <= len);
		*out = h;
	} else {
		assert_memory_equal(&h, &before, sizeof(h));
		assert_int_equal(used, 4711);
	}
	return status;
}

/* Every prefix is SHORT, the whole is OK, and what follows does not belong to it. */
static void accept_header(const void *in, size_t len, struct proxy_header *out)
{
	static uint8_t longer[1000];
	size_t used;

	for (size_t n = 0; n < len; n++)
		assert_int_equal(decode(in, n, out), PROXY_SHORT);
	memcpy(longer, in, len);
	memcpy(longer + len, "\x16\x03\x01", 3);
	assert_int_equal(proxy_decode(longer, len + 3, out, &used), PROXY_OK);
	assert_int_equal(used, len);
}

static void assert_addr(const struct addr *a, const char *text)
{
	char written[ADDR_TEXT_BYTES];

	addr_format(a, written);
	assert_string_equal(written, text);
}

/* ---- version 1 ---- */

static void test_v1(void **state)
{
	static const struct {
		const char *line, *source, *destination;
	} cases[] = {
		{"PROXY TCP4 192.0.2.1 198.51.100.7 40112 443\r\n", "192.0.2.1:40112",
		 "198.51.100.7:443"},
		{"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
		 "255.255.255.255:65535", "255.255.255.255:65535"},
		{"PROXY TCP6 2001:db8::1 2001:DB8::2 1 443\r\n", "[2001:db8::1]:1",
		 "[2001:db8::2]:443"},
	};
	struct proxy_header h;

	for (size_t i = 0; i < LENGTH(cases); i++) {
		accept_header(cases[i].line, strlen(cases[i].line), &h);
		assert_false(h.local);
		assert_addr(&h.source, cases[i].source);
		assert_addr(&h.destination, cases[i].destination);
	}
}

static void test_v1_unknown(void **state)
{
	static const char *const lines[] = {
		"PROXY UNKNOWN\r\n", "PROXY UNKNOWN \r\r\n",
		"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"};
	char line[109];
	struct proxy_header h;

	for (size_t i = 0; i < LENGTH(lines); i++) {
		accept_header(lines[i], strlen(lines[i]), &h);
		assert_true(h.local);
		assert_int_equal(h.source.len, 0);
		assert_int_equal(h.destination.len, 0);
	}
	memset(line, 'x', sizeof(line));
	memcpy(line, "PROXY UNKNOWN ", 14);
	memcpy(line + 105, "\r\n", 2);
	accept_header(line, 107, &h);
	memcpy(line + 105, "x\r\n", 3);
	assert_int_equal(decode(line, 106, &h), PROXY_SHORT);
	assert_int_equal(decode(line, 107, &h), PROXY_MALFORMED);
	assert_int_equal(decode(line, 108, &h), PROXY_MALFORMED);
}

static void test_v1_refused(void **state)
{
	static const char *const lines[] = {"PING",
					    "PROXY\t",
					    "PROXY  ",
					    "PROXY UNKNOWNX",
					    "PROXY UNKNOX",
					    "PROXY TCP5",
					    "PROXY TCP4\r",
					    "PROXY TCP4  ",
					    "PROXY TCP4 192.0.2.1\r",
					    "PROXY TCP4 ::1 ",
					    "PROXY TCP4 192.0.2 ",
					    "PROXY TCP4 192.0.2.256 ",
					    "PROXY TCP4 192.0.2.01 ",
					    "PROXY TCP4 192.0.2.11111111",
					    "PROXY TCP6 192.0.2.1 ",
					    "PROXY TCP6 2001:db8::g",
					    "PROXY TCP6 fe80::1%1",
					    "PROXY TCP4 192.0.2.1 192.0.2.2 -",
					    "PROXY TCP4 192.0.2.1 192.0.2.2 65536 ",
					    "PROXY TCP4 192.0.2.1 192.0.2.2 01 ",
					    "PROXY TCP4 192.0.2.1 192.0.2.2  ",
					    "PROXY TCP4 192.0.2.1 192.0.2.2 000001",
					    "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 ",
					    "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
					    "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r",
					    "PROXY TCP4 192.0.2.1 192.0.2.2 1 99999\r"};
	struct proxy_header h;

	for (size_t i = 0; i < LENGTH(lines); i++) {
		size_t len = strlen(lines[i]);

		assert_int_equal(decode(lines[i], len, &h), PROXY_MALFORMED);
		assert_int_equal(decode(lines[i], 1, &h), PROXY_SHORT);
	}
}

/* ---- version 2 ---- */

#define V4_BLOCK "\xc0\0\2\1\xc6\x33\x64\7\x9c\xb0\1\xbb"
#define V6_BLOCK                                                                                   \
	"\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\x9c\xb0\1"   \
	"\xbb"

static void test_v2(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *source, *destination; /* NULL when local */
	} cases[] = {
		{SIGNATURE "\x21\x11\0\x0c" V4_BLOCK, 28, "192.0.2.1:40112", "198.51.100.7:443"},
		{SIGNATURE "\x21\x12\0\x0c" V4_BLOCK, 28, "192.0.2.1:40112", "198.51.100.7:443"},
		{SIGNATURE "\x21\x11\0\x13" V4_BLOCK "\4\0\1x\5\0\0", 35, "192.0.2.1:40112",
		 "198.51.100.7:443"},
		{SIGNATURE "\x21\x21\0\x24" V6_BLOCK, 52, "[2001:db8::1]:40112",
		 "[2001:db8::2]:443"},
		{SIGNATURE "\x21\x22\0\x27" V6_BLOCK "\4\0\0", 55, "[2001:db8::1]:40112",
		 "[2001:db8::2]:443"},
		{SIGNATURE "\x20\0\0\0", 16, NULL, NULL},	       /* LOCAL */
		{SIGNATURE "\x20\x11\0\x0c" V4_BLOCK, 28, NULL, NULL}, /* its block is ignored */
		{SIGNATURE "\x20\xff\0\1x", 17, NULL, NULL},
		{SIGNATURE "\x21\0\0\0", 16, NULL, NULL}, /* UNSPEC */
		{SIGNATURE "\x21\0\0\3xyz", 19, NULL, NULL},
	};
	struct proxy_header h;

	for (size_t i = 0; i < LENGTH(cases); i++) {
		accept_header(cases[i].bytes, cases[i].len, &h);
		assert_int_equal(h.local, cases[i].source == NULL);
		if (cases[i].source) {
			assert_addr(&h.source, cases[i].source);
			assert_addr(&h.destination, cases[i].destination);
		} else {
			assert_int_equal(h.source.len, 0);
			assert_int_equal(h.destination.len, 0);
		}
	}
}

static void test_v2_unix_and_largest(void **state)
{
	uint8_t header[PROXY_HEADER_MAX] = SIGNATURE "\x21\x31\0\xd8";
	struct proxy_header h;

	accept_header(header, 16 + 216, &h);
	assert_true(h.local);
	header[15] = 0xd7;
	assert_int_equal(decode(header, 16 + 215, &h), PROXY_MALFORMED);
	/* the rest is one TLV of 520 - 216 - 3 bytes */
	memcpy(header + 14, "\2\x08", 2);
	memcpy(header + 16 + 216, "\4\1\x2d", 3);
	accept_header(header, sizeof(header), &h);
	header[15]++;
	assert_int_equal(decode(header, 16, &h), PROXY_MALFORMED); /* one more is too many */
}

static void test_v2_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = {
		{"x", 1},
		{"\x16\x03\x01", 1},
		{"\r\r", 2},
		{"\r\n\r\n\0\r\nQUIT\r", 12},
		{SIGNATURE "\x11", 13},
		{SIGNATURE "\x22", 13},
		{SIGNATURE "\x21\x01", 14},
		{SIGNATURE "\x21\x10", 14},
		{SIGNATURE "\x21\x13", 14},
		{SIGNATURE "\x21\x41", 14},
		{SIGNATURE "\x21\x11\0\x0b" V4_BLOCK, 27}, /* addresses cut off */
		{SIGNATURE "\x21\x21\0\x23" V6_BLOCK, 51},
		{SIGNATURE "\x21\x11\0\x0d" V4_BLOCK "\4", 29},	    /* TLV cut off */
		{SIGNATURE "\x21\x11\0\x0f" V4_BLOCK "\4\0\1", 31}, /* TLV too long */
		{SIGNATURE "\x21\x21\0\x28" V6_BLOCK "\4\0\2x", 56},
	};
	struct proxy_header h;

	for (size_t i = 0; i < LENGTH(cases); i++) {
		assert_int_equal(decode(cases[i].bytes, cases[i].len, &h), PROXY_MALFORMED);
		assert_int_equal(decode(cases[i].bytes, cases[i].len - 1, &h), PROXY_SHORT);
	}
}

/* ---- writing ---- */

static size_t encode(const char *source, const char *destination, uint8_t out[PROXY_V2_MAX])
{
	struct addr s = {.len = 0}, d = {.len = 0};

	assert_true(!source || addr_parse(source, &s));
	assert_true(!destination || addr_parse(destination, &d));
	return proxy_encode(source ? &s : NULL, &d, out);
}

static void test_encode(void **state)
{
	uint8_t out[PROXY_V2_MAX];
	struct proxy_header h;

	assert_int_equal(encode("192.0.2.1:40112", "198.51.100.7:443", out), 28);
	assert_memory_equal(out, SIGNATURE "\x21\x11\0\x0c" V4_BLOCK, 28);
	assert_int_equal(encode("[2001:db8::1]:40112", "[2001:db8::2]:443", out), 52);
	assert_memory_equal(out, SIGNATURE "\x21\x21\0\x24" V6_BLOCK, 52);
	assert_int_equal(encode("[::ffff:192.0.2.1]:40112", "198.51.100.7:443", out), 28);
	assert_memory_equal(out, SIGNATURE "\x21\x11\0\x0c" V4_BLOCK, 28);
	accept_header(out, 28, &h);
}

static void test_encode_local(void **state)
{
	static const char *const pairs[][2] = {{"192.0.2.1:1", "[2001:db8::2]:443"},
					       {"[2001:db8::2]:443", "192.0.2.1:1"},
					       {NULL, "192.0.2.1:1"},
					       {"192.0.2.1:1", NULL}};
	uint8_t out[PROXY_V2_MAX];

	for (size_t i = 0; i < LENGTH(pairs); i++) {
		assert_int_equal(encode(pairs[i][0], pairs[i][1], out), 16);
		assert_memory_equal(out, SIGNATURE "\x20\0\0\0", 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v1),
		cmocka_unit_test(test_v1_unknown),
		cmocka_unit_test(test_v1_refused),
		cmocka_unit_test(test_v2),
		cmocka_unit_test(test_v2_unix_and_largest),
		cmocka_unit_test(test_v2_refused),
		cmocka_unit_test(test_encode),
		cmocka_unit_test(test_encode_local),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
