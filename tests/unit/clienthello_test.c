/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clienthello: hellos of real clients (the fuzzer's seeds), any cut of them, and what is refused.
 * Runs at the top of the source tree.
 * links: core/parse/clienthello.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/parse/clienthello.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))
#define LIMIT	  16384u

struct bytes {
	size_t len;
	uint8_t data[40000];
};

/* ---- building ---- */

static void add(struct bytes *b, const void *data, size_t len)
{
	assert_true(b->len + len <= sizeof(b->data));
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

static void add_byte(struct bytes *b, size_t value)
{
	add(b, &(uint8_t){(uint8_t)value}, 1);
}

static void add_u16(struct bytes *b, size_t value)
{
	add_byte(b, value >> 8);
	add_byte(b, value);
}

static void add_record(struct bytes *b, const uint8_t *body, size_t len)
{
	add(b, "\x16\x03\x01", 3);
	add_u16(b, len);
	add(b, body, len);
}

static void add_extension(struct bytes *b, unsigned type, const void *body, size_t len)
{
	add_u16(b, type);
	add_u16(b, len);
	add(b, body, len);
}

static void add_name(struct bytes *b, const char *name, size_t len)
{
	add_u16(b, 0);
	add_u16(b, len + 5);
	add_u16(b, len + 3);
	add_byte(b, 0);
	add_u16(b, len);
	add(b, name, len);
}

/* A handshake message with this body behind the usual beginning. */
static void make_message(struct bytes *out, const void *rest, size_t len)
{
	static const uint8_t fixed[] = {3, 3, [33] = 0};

	out->len = 0;
	add_byte(out, 1);
	add_byte(out, 0);
	add_u16(out, sizeof(fixed) + len);
	add(out, fixed, sizeof(fixed));
	add(out, rest, len);
}

#define NO_SESSION_ONE_CIPHER "\0\0\2\x13\1\1\0"

static void make_hello(struct bytes *out, const struct bytes *extensions)
{
	struct bytes rest = {0}, message;

	add(&rest, NO_SESSION_ONE_CIPHER, 7);
	add_u16(&rest, extensions->len);
	add(&rest, extensions->data, extensions->len);
	make_message(&message, rest.data, rest.len);
	out->len = 0;
	add_record(out, message.data, message.len);
}

/* The same message in records of at most size bytes. */
static void split_records(struct bytes *out, const struct bytes *in, size_t size)
{
	out->len = 0;
	for (size_t at = 5; at < in->len; at += size)
		add_record(out, in->data + at, in->len - at < size ? in->len - at : size);
}

static void load(struct bytes *out, const char *name)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "fuzz/seeds/clienthello/%s", name);
	f = fopen(path, "rb");
	if (!f)
		fail_msg("%s: run from the top of the source tree", path);
	out->len = fread(out->data, 1, sizeof(out->data), f);
	fclose(f);
}

/* ---- parsing ---- */

static enum clienthello_status parse_limit(const uint8_t *in, size_t len, size_t limit,
					   struct clienthello *out)
{
	static uint8_t scratch[LIMIT];
	struct clienthello h, before;
	enum clienthello_status status;

	memset(&h, 0xa5, sizeof(h));
	before = h;
	status = clienthello_parse(in, len, limit, scratch, &h);
	if (status == CLIENTHELLO_OK)
		*out = h;
	else
		assert_memory_equal(&h, &before, sizeof(h));
	return status;
}

static enum clienthello_status parse(const struct bytes *in, struct clienthello *out)
{
	return parse_limit(in->data, in->len, LIMIT, out);
}

static enum clienthello_status parse_extensions(const struct bytes *extensions)
{
	struct clienthello h;
	struct bytes hello;

	make_hello(&hello, extensions);
	return parse(&hello, &h);
}

static enum clienthello_status parse_name(const char *name, size_t len, struct clienthello *out)
{
	struct bytes extensions = {0}, hello;

	add_name(&extensions, name, len);
	make_hello(&hello, &extensions);
	return parse(&hello, out);
}

/* ---- real clients ---- */

static void test_captures(void **state)
{
	static const struct {
		const char *file;
		struct clienthello want;
	} captures[] = {
		{"chromium-post-quantum",
		 {"www.example.org", .has_tls13 = true, .has_ech = true, .alpn_http11 = true,
		  .alpn_h2 = true}},
		{"boringssl-agent",
		 {"relay.example.org", .has_tls13 = true, .has_ech = true, .alpn_http11 = true}},
		{"openssl-tls13",
		 {"www.example.org", .has_tls13 = true, .alpn_http11 = true, .alpn_h2 = true}},
		{"openssl-tls12", {.server_name = "www.example.org"}},
		{"openssl-no-name", {"", .has_tls13 = true, .alpn_acme_tls = true}},
		{"openssl-literal", {"", .has_tls13 = true}},
		{"curl",
		 {"_a-b.example.org", .has_tls13 = true, .alpn_http11 = true, .alpn_h2 = true}},
	};
	struct bytes in;
	struct clienthello h;

	for (size_t i = 0; i < LENGTH(captures); i++) {
		const struct clienthello *want = &captures[i].want;

		load(&in, captures[i].file);
		assert_int_equal(parse(&in, &h), CLIENTHELLO_OK);
		assert_string_equal(h.server_name, want->server_name);
		assert_int_equal(h.has_tls13, want->has_tls13);
		assert_int_equal(h.has_ech, want->has_ech);
		assert_int_equal(h.alpn_http11, want->alpn_http11);
		assert_int_equal(h.alpn_h2, want->alpn_h2);
		assert_int_equal(h.alpn_acme_tls, want->alpn_acme_tls);
		assert_int_equal(h.record_bytes, in.len);
		for (size_t n = 0; n < in.len; n++)
			assert_int_equal(parse_limit(in.data, n, LIMIT, &h), CLIENTHELLO_SHORT);
	}
	load(&in, "chromium-post-quantum");
	assert_true(in.len > 1500);
}

static void test_any_records(void **state)
{
	static const size_t sizes[] = {1, 2, 3, 4, 5, 99, 1000, 1981, 1982};
	struct bytes whole, in;
	struct clienthello h;

	load(&whole, "chromium-post-quantum");
	for (size_t i = 0; i < LENGTH(sizes); i++) {
		size_t bytes;

		split_records(&in, &whole, sizes[i]);
		bytes = in.len;
		add(&in, "\x17\x03\x03\x00\x10 early data", 16);
		assert_int_equal(parse(&in, &h), CLIENTHELLO_OK);
		assert_string_equal(h.server_name, "www.example.org");
		assert_true(h.has_ech && h.alpn_h2);
		assert_int_equal(h.record_bytes, bytes);
		for (size_t n = 0; n < bytes; n += 1 + sizes[i] / 50)
			assert_int_equal(parse_limit(in.data, n, LIMIT, &h), CLIENTHELLO_SHORT);
	}
}

/* ---- what is no hello, as early as it is certain ---- */

static void test_first_bytes(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum clienthello_status want;
	} cases[] = {
		{"", 0, CLIENTHELLO_SHORT},
		{"\x16", 1, CLIENTHELLO_SHORT},
		{"\x15", 1, CLIENTHELLO_GARBAGE},
		{"\x17", 1, CLIENTHELLO_GARBAGE},
		{"GET ", 4, CLIENTHELLO_GARBAGE},
		{"\x80\x2e\x01\x03\x01", 5, CLIENTHELLO_GARBAGE}, /* SSL 2.0 */
		{"\x16\x02", 2, CLIENTHELLO_GARBAGE},
		{"\x16\x03", 2, CLIENTHELLO_SHORT},
		{"\x16\x03\x00", 3, CLIENTHELLO_SHORT}, /* SSL 3.0: TLS refuses it */
		{"\x16\x03\x05", 3, CLIENTHELLO_GARBAGE},
		{"\x16\x03\x04", 3, CLIENTHELLO_SHORT},
		{"\x16\x03\x01\x00", 4, CLIENTHELLO_SHORT},
		{"\x16\x03\x01\x00\x00", 5, CLIENTHELLO_AMBIGUOUS},
		{"\x16\x03\x01\x40\x00", 5, CLIENTHELLO_TOO_LARGE},
		{"\x16\x03\x01\x40\x01", 5, CLIENTHELLO_GARBAGE},
		{"\x16\x03\x01\x3f\xfb", 5, CLIENTHELLO_SHORT},
		{"\x16\x03\x01\x3f\xfc", 5, CLIENTHELLO_TOO_LARGE},
		{"\x16\x03\x01\x00\x40\x02", 6, CLIENTHELLO_GARBAGE}, /* a ServerHello */
		{"\x16\x03\x01\x00\x40\x01\x00\x00", 8, CLIENTHELLO_SHORT},
		{"\x16\x03\x01\x00\x40\x01\x00\x00\x3c", 9, CLIENTHELLO_SHORT},
		{"\x16\x03\x01\x00\x40\x01\x00\x00\x3b", 9, CLIENTHELLO_AMBIGUOUS}, /* one over */
		{"\x16\x03\x01\x00\x40\x01\x00\x3f\xf2", 9, CLIENTHELLO_SHORT},
		{"\x16\x03\x01\x00\x40\x01\x00\x3f\xf3", 9, CLIENTHELLO_TOO_LARGE},
		{"\x16\x03\x01\x00\x40\x01\xff\xff\xff", 9, CLIENTHELLO_TOO_LARGE},
		/* after a first record of one byte */
		{"\x16\x03\x01\x00\x01\x01\x16", 7, CLIENTHELLO_SHORT},
		{"\x16\x03\x01\x00\x01\x01\x15", 7, CLIENTHELLO_AMBIGUOUS},
		{"\x16\x03\x01\x00\x01\x01\x16\x02", 8, CLIENTHELLO_AMBIGUOUS},
		{"\x16\x03\x01\x00\x01\x01\x16\x03\x09", 9, CLIENTHELLO_AMBIGUOUS},
		{"\x16\x03\x01\x00\x01\x01\x16\x03\x01\x00\x00", 11, CLIENTHELLO_AMBIGUOUS},
		{"\x16\x03\x01\x00\x01\x01\x16\x03\x01\x40\x01", 11, CLIENTHELLO_AMBIGUOUS},
		/* a later record that is longer than what is left */
		{"\x16\x03\x01\x00\x04\x01\x00\x00\x40\x16\x03\x03\x00\x41", 14,
		 CLIENTHELLO_AMBIGUOUS},
	};
	struct clienthello h;

	for (size_t i = 0; i < LENGTH(cases); i++)
		assert_int_equal(
			parse_limit((const uint8_t *)cases[i].bytes, cases[i].len, LIMIT, &h),
			cases[i].want);
}

/* Byte by byte: what was looked at is not looked at again until all is there, so it may be rubbish
 * meanwhile. */
static void test_looks_once(void **state)
{
	static const size_t sizes[] = {3, 100, 5000, 16384};
	static uint8_t padding[12000], scratch[65536];
	static struct bytes message, whole, coming;
	static struct bytes extensions;
	struct clienthello found;

	add_name(&extensions, "www.example.org", 15);
	add_extension(&extensions, 21, padding, sizeof(padding));
	make_hello(&message, &extensions);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct clienthello_reader r = {.at = 0};

		whole.len = 0;
		split_records(&whole, &message, sizes[i]);
		for (size_t n = 1; n < whole.len; n++) {
			coming.data[n - 1] = whole.data[n - 1];
			assert_int_equal(
				clienthello_read(&r, coming.data, n, 65536, scratch, &found),
				CLIENTHELLO_SHORT);
			assert_in_range(r.at, n < 5 ? 0 : n - 4, n); /* a record's header at most */
			memset(coming.data, 0xff, r.at);
		}
		assert_int_equal(
			clienthello_read(&r, whole.data, whole.len, 65536, scratch, &found),
			CLIENTHELLO_OK);
		assert_string_equal(found.server_name, "www.example.org");
		assert_int_equal(found.record_bytes, whole.len);
	}
}

static void test_limit_counts_record_headers(void **state)
{
	struct bytes whole, in;
	struct clienthello h;

	load(&whole, "chromium-post-quantum");
	assert_int_equal(parse_limit(whole.data, whole.len, whole.len, &h), CLIENTHELLO_OK);
	assert_int_equal(parse_limit(whole.data, 9, whole.len - 1, &h), CLIENTHELLO_TOO_LARGE);
	split_records(&in, &whole, 100);
	assert_int_equal(parse_limit(in.data, in.len, in.len, &h), CLIENTHELLO_OK);
	assert_int_equal(parse_limit(in.data, in.len, in.len - 1, &h), CLIENTHELLO_TOO_LARGE);
}

/* ---- the message ---- */

static void test_body_shapes(void **state)
{
	static const struct {
		const char *rest;
		size_t len;
		enum clienthello_status want;
	} cases[] = {
		{NO_SESSION_ONE_CIPHER, 7, CLIENTHELLO_OK}, /* without extensions */
		{NO_SESSION_ONE_CIPHER "\0\0", 9, CLIENTHELLO_OK},
		{NO_SESSION_ONE_CIPHER "\0", 8, CLIENTHELLO_AMBIGUOUS},
		{NO_SESSION_ONE_CIPHER "\0\0\0", 10, CLIENTHELLO_AMBIGUOUS},
		{NO_SESSION_ONE_CIPHER "\0\3\0\5\0", 12, CLIENTHELLO_AMBIGUOUS},
		{NO_SESSION_ONE_CIPHER "\0\4\0\5\0\1", 13, CLIENTHELLO_AMBIGUOUS},
		{"\0\0\0\1\0", 5, CLIENTHELLO_AMBIGUOUS},	  /* no cipher */
		{"\0\0\3\x13\1\0\1\0", 8, CLIENTHELLO_AMBIGUOUS}, /* half a cipher */
		{"\0\0\2\x13\1\0", 6, CLIENTHELLO_AMBIGUOUS},	  /* no compression */
		{"\x21"
		 "0123456789abcdef0123456789abcdefg"
		 "\0\2\x13\1\1\0",
		 40, CLIENTHELLO_AMBIGUOUS}, /* a session id of 33 */
		{"\x20"
		 "0123456789abcdef0123456789abcdef"
		 "\0\2\x13\1\1\0",
		 39, CLIENTHELLO_OK},
		{"", 0, CLIENTHELLO_AMBIGUOUS},
	};
	struct bytes message, in;
	struct clienthello h;

	for (size_t i = 0; i < LENGTH(cases); i++) {
		make_message(&message, cases[i].rest, cases[i].len);
		in.len = 0;
		add_record(&in, message.data, message.len);
		assert_int_equal(parse(&in, &h), cases[i].want);
	}
	make_message(&message, NO_SESSION_ONE_CIPHER, 7);
	message.data[4] = 2; /* legacy_version 2.3 */
	in.len = 0;
	add_record(&in, message.data, message.len);
	assert_int_equal(parse(&in, &h), CLIENTHELLO_AMBIGUOUS);
}

static void test_names(void **state)
{
	static const struct {
		const char *sent, *want;
	} good[] = {
		{"www.example.org", "www.example.org"},
		{"WWW.EXAMPLE.ORG", "www.example.org"},
		{"example.org.", "example.org"},
		{"localhost", "localhost"},
		{"_dmarc.x-y.org", "_dmarc.x-y.org"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"1.2.3", "1.2.3"},
		{"192.0.2.1.example", "192.0.2.1.example"},
		{"192.0.2.1", ""},
		{"2001:db8::1", ""},
		{"::ffff:192.0.2.1", ""},
	};
	static const char *const bad[] = {"",	  ".",	   "..",	   ".org",
					  "a..b", "a.b..", "a b",	   "a\tb",
					  "a/b",  "a:b",   "[::1]",	   "b\303\274cher.example",
					  "*",	  "a\x7f", "192.0.2.1:443"};
	char name[CLIENTHELLO_NAME_MAX + 2];
	struct clienthello h;

	for (size_t i = 0; i < LENGTH(good); i++) {
		assert_int_equal(parse_name(good[i].sent, strlen(good[i].sent), &h),
				 CLIENTHELLO_OK);
		assert_string_equal(h.server_name, good[i].want);
	}
	for (size_t i = 0; i < LENGTH(bad); i++)
		assert_int_equal(parse_name(bad[i], strlen(bad[i]), &h), CLIENTHELLO_AMBIGUOUS);
	assert_int_equal(parse_name("a\0b", 3, &h), CLIENTHELLO_AMBIGUOUS);

	memset(name, 'a', sizeof(name));
	for (size_t i = 63; i < sizeof(name); i += 64)
		name[i] = '.';
	assert_int_equal(parse_name(name, CLIENTHELLO_NAME_MAX, &h), CLIENTHELLO_OK);
	assert_int_equal(strlen(h.server_name), CLIENTHELLO_NAME_MAX);
	assert_int_equal(parse_name(name, CLIENTHELLO_NAME_MAX + 1, &h), CLIENTHELLO_AMBIGUOUS);
	assert_int_equal(parse_name(name, 63, &h), CLIENTHELLO_OK);
	name[63] = 'a'; /* a label of 64 */
	assert_int_equal(parse_name(name, 64, &h), CLIENTHELLO_AMBIGUOUS);
}

static void test_faulty_extensions(void **state)
{
	static const struct {
		unsigned type;
		const char *body;
		size_t len;
	} cases[] = {
		{0, "", 0},			 /* server_name */
		{0, "\0\0", 2},			 /* no name */
		{0, "\0\x08\0\0\1a\0\0\1b", 10}, /* two names */
		{0, "\0\4\1\0\1a", 6},		 /* another name type */
		{0, "\0\5\0\0\1a", 6},		 /* lengths disagree */
		{0, "\0\4\0\0\1a!", 7},
		{16, "", 0}, /* ALPN */
		{16, "\0\0", 2},
		{16, "\0\1\0", 3},
		{16, "\0\3\3h2", 5},
		{16, "\0\3\2h2!", 6},
		{43, "", 0}, /* supported_versions */
		{43, "\0", 1},
		{43, "\3\3\4\3", 4},
		{43, "\2\3\4!", 4},
		{0xfe0d, "", 0}, /* encrypted_client_hello */
	};
	struct bytes extensions;

	for (size_t i = 0; i < LENGTH(cases); i++) {
		extensions.len = 0;
		add_extension(&extensions, cases[i].type, cases[i].body, cases[i].len);
		assert_int_equal(parse_extensions(&extensions), CLIENTHELLO_AMBIGUOUS);
	}
}

static void test_duplicates_and_count(void **state)
{
	struct bytes extensions = {0};

	for (unsigned i = 0; i < 64; i++)
		add_extension(&extensions, 0x1a1a + i, "", 0);
	assert_int_equal(parse_extensions(&extensions), CLIENTHELLO_OK);
	add_extension(&extensions, 5, "", 0);
	assert_int_equal(parse_extensions(&extensions), CLIENTHELLO_AMBIGUOUS);

	extensions.len = 0;
	add_name(&extensions, "a.example", 9);
	add_name(&extensions, "b.example", 9);
	assert_int_equal(parse_extensions(&extensions), CLIENTHELLO_AMBIGUOUS);
	extensions.len = 0;
	add_extension(&extensions, 0x4a4a, "", 0); /* not one that we read */
	add_name(&extensions, "a.example", 9);
	assert_int_equal(parse_extensions(&extensions), CLIENTHELLO_OK);
	add_extension(&extensions, 0x4a4a, "\0", 1);
	assert_int_equal(parse_extensions(&extensions), CLIENTHELLO_AMBIGUOUS);
}

static void test_flags(void **state)
{
	struct bytes extensions = {0}, hello;
	struct clienthello h;

	add_extension(&extensions, 43, "\4\x7a\x7a\3\3", 5); /* GREASE and 1.2 */
	add_extension(&extensions, 0xfe0d, "\1", 1);	     /* the inner form */
	add_extension(&extensions, 16, "\0\x10\5http/\4http\2h3\1x", 18);
	make_hello(&hello, &extensions);
	assert_int_equal(parse(&hello, &h), CLIENTHELLO_OK);
	assert_false(h.has_tls13 || h.has_ech || h.alpn_http11 || h.alpn_h2 || h.alpn_acme_tls);
	assert_string_equal(h.server_name, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_captures),
		cmocka_unit_test(test_any_records),
		cmocka_unit_test(test_first_bytes),
		cmocka_unit_test(test_looks_once),
		cmocka_unit_test(test_limit_counts_record_headers),
		cmocka_unit_test(test_body_shapes),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_faulty_extensions),
		cmocka_unit_test(test_duplicates_and_count),
		cmocka_unit_test(test_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
