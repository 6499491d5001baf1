/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signing_test: what a signer is asked and answers, and which texts it signs, to the byte.
 *
 * links: core/parse/signing.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/parse/signing.h"

static bool ok(const uint8_t *text, size_t len)
{
	CBS input;

	CBS_init(&input, text, len);
	return signing_input_ok(input);
}

/* RFC 8446 section 4.4.3. */
static void tls13(void **state)
{
	static const char context[] = "TLS 1.3, server CertificateVerify";
	uint8_t text[SIGNING_INPUT_MAX];
	size_t head = 64 + sizeof(context);

	memset(text, ' ', 64);
	memcpy(text + 64, context, sizeof(context));
	memset(text + head, 0xab, sizeof(text) - head);
	for (size_t hash = 0; head + hash <= sizeof(text); hash++)
		assert_int_equal(ok(text, head + hash), hash == 32 || hash == 48);
	for (size_t i = 0; i < head; i++) {
		text[i] ^= 1;
		assert_false(ok(text, head + 32));
		text[i] ^= 1;
	}
	/* Fewer spaces, with more of the rest. */
	assert_false(ok(text + 1, head + 32));
}

/* RFC 8422 section 5.4. */
static void tls12(void **state)
{
	static const struct {
		uint16_t group;
		uint8_t bytes;
	} groups[] = {{23, 65}, {24, 97}, {25, 133}, {29, 32}};
	uint8_t text[SIGNING_INPUT_MAX] = {0};

	for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
		size_t len = 64 + 4 + groups[g].bytes;

		text[64] = 3;
		text[65] = 0;
		text[66] = (uint8_t)groups[g].group;
		text[67] = groups[g].bytes;
		for (size_t n = 0; n <= sizeof(text); n++)
			assert_int_equal(ok(text, n), n == len);
		text[67]++;
		assert_false(ok(text, len + 1));
		text[67]--;
		text[64] = 2; /* an explicit curve */
		assert_false(ok(text, len));
		text[64] = 3;
		text[66] = 26;
		assert_false(ok(text, len));
	}
}

static void requests(void **state)
{
	uint8_t packet[SIGNING_INPUT_MAX + 64], text[SIGNING_INPUT_MAX] = {1, 2, 3};
	struct signing_request in = {.duty = SIGNING_SIGN, .number = UINT64_MAX - 1}, out;
	size_t len;

	memset(in.key, 9, sizeof(in.key));
	in.algorithm = 0x0403;
	CBS_init(&in.input, text, sizeof(text));
	assert_true(signing_request_encode(&in, packet, sizeof(packet), &len));
	assert_true(signing_request_decode(packet, len, &out));
	assert_int_equal(out.duty, SIGNING_SIGN);
	assert_true(out.number == in.number);
	assert_int_equal(out.algorithm, 0x0403);
	assert_memory_equal(out.key, in.key, sizeof(in.key));
	assert_true(CBS_mem_equal(&out.input, text, sizeof(text)));
	/* Cut short anywhere, or with a byte behind it. */
	for (size_t n = 0; n < len; n++)
		assert_false(signing_request_decode(packet, n, &out));
	assert_false(signing_request_decode(packet, len + 1, &out));
	assert_false(signing_request_encode(&in, packet, len - 1, &len));
	CBS_init(&in.input, packet, sizeof(text) + 1);
	assert_false(signing_request_encode(&in, packet, sizeof(packet), &len));
	for (unsigned duty = 0; duty < 256; duty++) {
		memset(packet, 0, 64);
		packet[0] = (uint8_t)duty;
		assert_int_equal(signing_request_decode(packet, 9, &out),
				 duty == SIGNING_CHANNEL || duty == SIGNING_SEAL);
		assert_int_equal(signing_request_decode(packet, 10, &out), duty == SIGNING_READ);
		assert_int_equal(signing_request_decode(packet, 42, &out),
				 duty == SIGNING_HAS || duty == SIGNING_KEEP);
		assert_int_equal(signing_request_decode(packet, 44, &out), duty == SIGNING_MAKE);
		packet[9] = SIGNING_USES;
		assert_false(signing_request_decode(packet, 42, &out));
		assert_false(signing_request_decode(packet, 44, &out));
	}
}

/* Of each u8 length and so many bytes of 'h'. */
static CBS packed(uint8_t *out, size_t count, uint8_t length)
{
	CBS all;

	for (size_t i = 0; i < count; i++) {
		out[i * (length + 1u)] = length;
		memset(out + i * (length + 1u) + 1, 'h', length);
	}
	CBS_init(&all, out, count * (length + 1u));
	return all;
}

static void requests_for_keys(void **state)
{
	static uint8_t packet[SIGNING_REQUEST_MAX], hosts[SIGNING_HOSTS_BYTES + 256];
	struct signing_request in = {.duty = SIGNING_MAKE,
				     .number = 7,
				     .use = SIGNING_FRONT,
				     .key = {1, 2, 3}},
			       out;
	size_t len, count = 0;
	CBS one;

	in.input = packed(hosts, 16, 255); /* 4096 bytes */
	assert_true(signing_request_encode(&in, packet, sizeof(packet), &len));
	assert_true(signing_request_decode(packet, len, &out));
	assert_int_equal(out.use, SIGNING_FRONT);
	assert_memory_equal(out.key, in.key, sizeof(in.key));
	while (signing_next_host(&out.input, &one)) {
		assert_int_equal(CBS_len(&one), 255);
		count++;
	}
	assert_int_equal(count, 16);
	for (size_t n = 0; n < len; n++)
		assert_false(signing_request_decode(packet, n, &out));
	in.input = packed(hosts, 17, 255);
	assert_false(signing_request_encode(&in, packet, sizeof(packet), &len));
	static uint8_t larger[SIGNING_REQUEST_MAX + 512];
	assert_false(signing_request_encode(&in, larger, sizeof(larger), &len));
	larger[0] = SIGNING_MAKE;
	larger[42] = 17;
	larger[43] = 0;
	memcpy(larger + 44, hosts, 17 * 256);
	assert_false(signing_request_decode(larger, 44 + 17 * 256, &out));
	larger[42] = 16;
	assert_true(signing_request_decode(larger, 44 + 16 * 256, &out));
	/* None of no length, with a zero byte, or cut short. */
	static const uint8_t empty[] = {0}, zero[] = {2, 'a', 0}, cut[] = {2, 'a'};
	const struct {
		const uint8_t *bytes;
		size_t len;
	} wrong[] = {{empty, sizeof(empty)}, {zero, sizeof(zero)}, {cut, sizeof(cut)}};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		CBS_init(&in.input, wrong[i].bytes, wrong[i].len);
		assert_false(signing_request_encode(&in, packet, sizeof(packet), &len));
		packet[0] = SIGNING_MAKE;
		memset(packet + 1, 0, 42);
		packet[42] = 0;
		packet[43] = (uint8_t)wrong[i].len;
		memcpy(packet + 44, wrong[i].bytes, wrong[i].len);
		assert_false(signing_request_decode(packet, 44 + wrong[i].len, &out));
	}
	/* A directory, as a file's path. */
	in = (struct signing_request){.duty = SIGNING_STATE, .number = 8};
	CBS_init(&in.input, (const uint8_t *)"/var/lib", 8);
	assert_true(signing_request_encode(&in, packet, sizeof(packet), &len));
	assert_true(signing_request_decode(packet, len, &out));
	assert_true(CBS_mem_equal(&out.input, (const uint8_t *)"/var/lib", 8));
	CBS_init(&in.input, NULL, 0);
	assert_false(signing_request_encode(&in, packet, sizeof(packet), &len));
}

static void requests_for_files(void **state)
{
	uint8_t packet[SIGNING_REQUEST_MAX];
	char path[SIGNING_PATH_MAX + 2];
	struct signing_request in = {.duty = SIGNING_READ, .number = 7}, out;
	size_t len;

	for (unsigned file = 0; file < 256; file++) {
		in.file = (enum signing_file)file;
		assert_true(signing_request_encode(&in, packet, sizeof(packet), &len));
		assert_int_equal(signing_request_decode(packet, len, &out), file < SIGNING_FILES);
		assert_true(file >= SIGNING_FILES || out.file == in.file);
	}
	memset(path, 'p', sizeof(path));
	in = (struct signing_request){.duty = SIGNING_PLACE, .file = SIGNING_KEY};
	for (size_t n = 0; n <= sizeof(path); n++) {
		CBS_init(&in.input, (const uint8_t *)path, n);
		bool fits = n > 0 && n <= SIGNING_PATH_MAX;
		assert_int_equal(signing_request_encode(&in, packet, sizeof(packet), &len), fits);
		if (!fits)
			continue;
		assert_true(signing_request_decode(packet, len, &out));
		assert_int_equal(CBS_len(&out.input), n);
		assert_int_equal(out.file, SIGNING_KEY);
		packet[len - 1] = '\0'; /* within a path */
		assert_false(signing_request_decode(packet, len, &out));
	}
}

static void replies(void **state)
{
	const struct signing_reply in = {.number = 77, .status = -13, .length = 5};
	uint8_t packet[SIGNING_REPLY_HEAD + 5] = {0};
	struct signing_reply out = {.length = 4711};

	signing_reply_head(&in, packet);
	assert_true(signing_reply_decode(packet, sizeof(packet), &out));
	assert_int_equal(out.number, 77);
	assert_int_equal(out.status, -13);
	assert_int_equal(CBS_len(&out.data), 5);
	assert_true(signing_reply_decode(packet, sizeof(packet) - 5, &out)); /* more follows */
	out.length = 4711;
	for (size_t n = 0; n < SIGNING_REPLY_HEAD; n++)
		assert_false(signing_reply_decode(packet, n, &out));
	packet[15] = 4; /* more than there is in all */
	assert_false(signing_reply_decode(packet, sizeof(packet), &out));
	packet[15] = 5;
	packet[8] = 1; /* no errno is so large */
	assert_false(signing_reply_decode(packet, sizeof(packet), &out));
	assert_int_equal(out.length, 4711);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tls13),
		cmocka_unit_test(tls12),
		cmocka_unit_test(requests),
		cmocka_unit_test(requests_for_keys),
		cmocka_unit_test(requests_for_files),
		cmocka_unit_test(replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
