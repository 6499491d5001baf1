/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope: exact bytes, any cut of the stream on both sides, and what is refused.
 * links: core/parse/envelope.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/parse/envelope.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

/* A handshake record of 3, a change_cipher_spec, application data of 2, then raw: another data
 * record and bytes that are no record at all. */
static const uint8_t inner[] = {22, 3, 1, 0, 3,	  'a', 'b', 'c', 20, 3, 3, 0,	1,    1,   23,
				3,  3, 0, 2, 'd', 'e', 23,  3,	 3,  0, 1, 'f', 0xff, 0xff};
#define SEALED_BYTES 21u /* of inner: up to the end of the first application data */

struct stream {
	size_t len;
	uint8_t data[100000];
};

static enum envelope_status seal(struct envelope *e, const uint8_t *in, size_t len,
				 struct stream *out)
{
	size_t n = 4711;
	struct envelope before = *e;
	enum envelope_status status = envelope_seal(e, in, len, out->data + out->len, &n);

	if (status == ENVELOPE_OK) {
		assert_true(n <= ENVELOPE_SEAL_ROOM(len));
		out->len += n;
	} else {
		assert_int_equal(n, 4711);
		assert_memory_equal(e, &before, sizeof(before));
	}
	assert_true(out->len < sizeof(out->data) / 2);
	return status;
}

static enum envelope_status open_piece(struct envelope *e, const uint8_t *in, size_t len,
				       struct stream *out)
{
	size_t n = 4711;
	enum envelope_status status = envelope_open(e, in, len, out->data + out->len, &n);

	if (status == ENVELOPE_OK) {
		assert_true(n <= len);
		out->len += n;
	} else {
		assert_int_equal(n, 4711);
	}
	return status;
}

static enum envelope_status open_pieces(const struct stream *wire, size_t piece, struct stream *out)
{
	struct envelope e = {0};

	out->len = 0;
	for (size_t at = 0; at < wire->len; at += piece) {
		size_t n = wire->len - at < piece ? wire->len - at : piece;
		enum envelope_status status = open_piece(&e, wire->data + at, n, out);

		if (status != ENVELOPE_OK)
			return status;
	}
	return ENVELOPE_OK;
}

/* ---- sealing ---- */

static void test_exact_bytes(void **state)
{
	static struct stream wire;
	struct envelope e = {0};

	wire.len = 0;
	assert_int_equal(seal(&e, inner, sizeof(inner), &wire), ENVELOPE_OK);
	assert_int_equal(wire.len, 5 + sizeof(inner));
	assert_memory_equal(wire.data, "\x17\x03\x03\x00\x15", 5);
	assert_memory_equal(wire.data + 5, inner, sizeof(inner));
	assert_true(e.raw);
	assert_int_equal(seal(&e, (const uint8_t *)"anything", 8, &wire), ENVELOPE_OK);
	assert_memory_equal(wire.data + 5 + sizeof(inner), "anything", 8);
}

static void test_nothing_in_nothing_out(void **state)
{
	static struct stream out;
	struct envelope e = {0};

	out.len = 0;
	assert_int_equal(seal(&e, NULL, 0, &out), ENVELOPE_OK);
	assert_int_equal(open_piece(&e, NULL, 0, &out), ENVELOPE_OK);
	assert_int_equal(out.len, 0);
}

/* Each piece becomes one outer record, and the raw part follows the same byte of the stream. */
static void test_all_cuts(void **state)
{
	static struct stream wire, back;

	for (size_t piece = 1; piece <= sizeof(inner); piece++) {
		struct envelope e = {0};
		size_t records = (SEALED_BYTES + piece - 1) / piece;

		wire.len = 0;
		for (size_t at = 0; at < sizeof(inner); at += piece) {
			size_t n = sizeof(inner) - at < piece ? sizeof(inner) - at : piece;

			assert_int_equal(seal(&e, inner + at, n, &wire), ENVELOPE_OK);
		}
		assert_int_equal(wire.len, sizeof(inner) + ENVELOPE_HEADER_BYTES * records);
		for (size_t cut = 1; cut <= wire.len; cut++) {
			assert_int_equal(open_pieces(&wire, cut, &back), ENVELOPE_OK);
			assert_int_equal(back.len, sizeof(inner));
			assert_memory_equal(back.data, inner, sizeof(inner));
		}
	}
}

static void test_large_chunks(void **state)
{
	static uint8_t in[40000];
	static struct stream wire, back;
	struct envelope e = {0};

	/* two handshake records of 16 KiB and the first half of a third */
	for (size_t at = 0; at < sizeof(in); at += 5 + 16384)
		memcpy(in + at, "\x16\x03\x03\x40\x00", 5);
	wire.len = 0;
	assert_int_equal(seal(&e, in, sizeof(in), &wire), ENVELOPE_OK);
	assert_int_equal(wire.len, sizeof(in) + 3 * ENVELOPE_HEADER_BYTES);
	assert_memory_equal(wire.data, "\x17\x03\x03\x40\x00", 5);
	assert_false(e.raw);
	assert_int_equal(open_pieces(&wire, 1000, &back), ENVELOPE_OK);
	assert_int_equal(back.len, sizeof(in));
	assert_memory_equal(back.data, in, sizeof(in));
}

static void test_opening_in_place(void **state)
{
	static struct stream wire;
	struct envelope seal_e = {0}, open_e = {0};
	size_t n;

	wire.len = 0;
	for (size_t at = 0; at < sizeof(inner); at++)
		assert_int_equal(seal(&seal_e, inner + at, 1, &wire), ENVELOPE_OK);
	assert_int_equal(envelope_open(&open_e, wire.data, wire.len, wire.data, &n), ENVELOPE_OK);
	assert_int_equal(n, sizeof(inner));
	assert_memory_equal(wire.data, inner, sizeof(inner));
}

/* ---- refusals ---- */

static void test_inner_must_be_tls(void **state)
{
	static const char headers[][6] = {
		"\x13\x03\x03\x00\x01", /* types around the four */
		"\x18\x03\x03\x00\x01", "\x00\x00\x00\x00\x00", "GET /",
		"\x16\x02\x03\x00\x01", /* version */
		"\x16\x03\x03\x00\x00", /* empty */
		"\x16\x03\x03\x48\x01", /* over 2^14 + 2048 */
	};
	static struct stream out, wire;

	for (size_t i = 0; i < LENGTH(headers); i++) {
		const uint8_t *in = (const uint8_t *)headers[i];
		struct envelope e = {0};

		out.len = 0;
		assert_int_equal(seal(&e, in, 4, &out), ENVELOPE_OK); /* not certain yet */
		assert_int_equal(seal(&e, in + 4, 1, &out), ENVELOPE_MALFORMED);
		memcpy(wire.data, "\x17\x03\x03\x00\x05", 5);
		memcpy(wire.data + 5, in, 5);
		wire.len = 10;
		assert_int_equal(open_pieces(&wire, 3, &out), ENVELOPE_MALFORMED);
	}
}

static void test_inner_limits_are_accepted(void **state)
{
	static const char headers[][6] = {"\x14\x03\x01\x00\x01", "\x15\x03\x03\x00\x02",
					  "\x16\x03\x00\x48\x00", "\x17\x03\x04\x48\x00"};
	static struct stream out;

	for (size_t i = 0; i < LENGTH(headers); i++) {
		struct envelope e = {0};

		out.len = 0;
		assert_int_equal(seal(&e, (const uint8_t *)headers[i], 5, &out), ENVELOPE_OK);
	}
}

static void test_outer_must_be_application_data(void **state)
{
	static const char headers[][6] = {"\x16\x03\x03\x00\x05", "\x15\x03\x03\x00\x05",
					  "\x17\x03\x01\x00\x05", "\x17\x03\x04\x00\x05",
					  "\x17\x03\x03\x00\x00", "\x17\x03\x03\x40\x01"};
	static struct stream wire, out;

	for (size_t i = 0; i < LENGTH(headers); i++) {
		memcpy(wire.data, headers[i], 5);
		memcpy(wire.data + 5, inner, 5);
		wire.len = 10;
		assert_int_equal(open_pieces(&wire, 1, &out), ENVELOPE_MALFORMED);
		assert_int_equal(open_pieces(&wire, 10, &out), ENVELOPE_MALFORMED);
	}
}

/* The outer record must end with the first inner application data, neither later ... */
static void test_outer_record_runs_on(void **state)
{
	static struct stream wire, out;

	memcpy(wire.data, "\x17\x03\x03\x00\x16", 5);
	memcpy(wire.data + 5, inner, SEALED_BYTES + 1);
	wire.len = 5 + SEALED_BYTES + 1;
	for (size_t cut = 1; cut <= wire.len; cut++)
		assert_int_equal(open_pieces(&wire, cut, &out), ENVELOPE_MALFORMED);
}

/* ... nor earlier without another one that carries the rest. */
static void test_outer_record_ends_early(void **state)
{
	static struct stream wire, out;

	memcpy(wire.data, "\x17\x03\x03\x00\x14", 5);
	memcpy(wire.data + 5, inner, sizeof(inner));
	wire.len = 5 + sizeof(inner);
	assert_int_equal(open_pieces(&wire, wire.len, &out), ENVELOPE_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact_bytes),
		cmocka_unit_test(test_nothing_in_nothing_out),
		cmocka_unit_test(test_all_cuts),
		cmocka_unit_test(test_large_chunks),
		cmocka_unit_test(test_opening_in_place),
		cmocka_unit_test(test_inner_must_be_tls),
		cmocka_unit_test(test_inner_limits_are_accepted),
		cmocka_unit_test(test_outer_must_be_application_data),
		cmocka_unit_test(test_outer_record_runs_on),
		cmocka_unit_test(test_outer_record_ends_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
