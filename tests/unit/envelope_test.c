/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope: exact bytes, any cut of the stream on both sides, sizes, and what is refused.
 * links: core/engine/envelope.c
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/chacha.h>

#include "core/engine/envelope.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

/* A handshake record of 3, a change_cipher_spec, application data of 2, then raw: another data
 * record and bytes that are no record at all. */
static const uint8_t inner[] = {22, 3, 1, 0, 3,	  'a', 'b', 'c', 20, 3, 3, 0,	1,    1,   23,
				3,  3, 0, 2, 'd', 'e', 23,  3,	 3,  0, 1, 'f', 0xff, 0xff};
#define SEALED_BYTES 21u /* of inner: up to the end of the first application data */
#define RAW_BYTES    (sizeof(inner) - SEALED_BYTES)
#define ADDED	     (ENVELOPE_HEADER_BYTES + ENVELOPE_LENGTH_BYTES)

static const uint8_t secret[ENVELOPE_SECRET_BYTES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

struct stream {
	size_t len;
	uint8_t data[200000];
};

static struct envelope start(enum envelope_side side)
{
	struct envelope e;

	assert_true(envelope_init(&e, secret, side));
	return e;
}

static enum envelope_status seal(struct envelope *e, const uint8_t *in, size_t len, size_t padding,
				 struct stream *out)
{
	size_t n = 4711, room = ENVELOPE_SEAL_ROOM(len) + padding;
	struct envelope before = *e;
	enum envelope_status status;

	assert_true(out->len + room <= sizeof(out->data));
	status = envelope_seal(e, in, len, out->data + out->len, room, &n);
	if (status == ENVELOPE_OK) {
		assert_true(n <= room);
		out->len += n;
	} else {
		assert_int_equal(n, 4711);
		assert_memory_equal(e, &before, sizeof(before));
	}
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

/* As the asking side's bytes. */
static enum envelope_status open_pieces(const struct stream *wire, size_t piece, struct stream *out)
{
	struct envelope e = start(ENVELOPE_ASKING);

	out->len = 0;
	for (size_t at = 0; at < wire->len; at += piece) {
		size_t n = wire->len - at < piece ? wire->len - at : piece;
		enum envelope_status status = open_piece(&e, wire->data + at, n, out);

		if (status != ENVELOPE_OK)
			return status;
	}
	return ENVELOPE_OK;
}

/* Adds an outer record of our own making: body is what it says before it is enciphered. */
static void put_record(struct stream *wire, const char *header, const void *body, size_t len)
{
	static const uint8_t nonce[12];
	const struct envelope e = start(ENVELOPE_ASKING);

	memcpy(wire->data, header, ENVELOPE_HEADER_BYTES);
	CRYPTO_chacha_20(wire->data + ENVELOPE_HEADER_BYTES, body, len, e.key, nonce, 0);
	wire->len = ENVELOPE_HEADER_BYTES + len;
}

static size_t body_of(const struct stream *wire, size_t at)
{
	return (size_t)(wire->data[at + 3] << 8 | wire->data[at + 4]);
}

/* ---- keys ---- */

/* By another implementation: docs/protocol.md in Python, as in tests/net/rogue.py. */
static void test_known_bytes(void **state)
{
	static const uint8_t asking[] = {0x17, 0x03, 0x03, 0x00, 0x17, 0x34, 0x64, 0xf1, 0x3b, 0x66,
					 0x0d, 0xf4, 0x22, 0xeb, 0x2e, 0x4b, 0x05, 0xd2, 0x74, 0x89,
					 0x11, 0x5f, 0x8e, 0xaa, 0xb7, 0xb1, 0x93, 0x3a};
	static const uint8_t publishing[] = {
		0x17, 0x03, 0x03, 0x00, 0x17, 0x29, 0xc7, 0x60, 0xcd, 0x47, 0xef, 0xaa, 0xbb, 0x39,
		0xee, 0x07, 0x53, 0x2f, 0x46, 0x19, 0x52, 0x59, 0x8f, 0x1e, 0xbd, 0x10, 0x2a, 0x86};
	static struct stream wire;
	struct envelope e = start(ENVELOPE_ASKING);

	wire.len = 0;
	assert_int_equal(seal(&e, inner, SEALED_BYTES, 0, &wire), ENVELOPE_OK);
	assert_int_equal(wire.len, sizeof(asking));
	assert_memory_equal(wire.data, asking, sizeof(asking));
	e = start(ENVELOPE_PUBLISHING);
	wire.len = 0;
	assert_int_equal(seal(&e, inner, SEALED_BYTES, 0, &wire), ENVELOPE_OK);
	assert_memory_equal(wire.data, publishing, sizeof(publishing));
}

/* What one direction said is nothing in the other, and nothing under another secret. */
static void test_another_key_opens_nothing(void **state)
{
	static const uint8_t other[ENVELOPE_SECRET_BYTES] = {1};
	static struct stream wire, out;
	struct envelope e = start(ENVELOPE_ASKING);

	wire.len = out.len = 0;
	assert_int_equal(seal(&e, inner, sizeof(inner), 4000, &wire), ENVELOPE_OK);
	e = start(ENVELOPE_PUBLISHING);
	assert_int_equal(open_piece(&e, wire.data, wire.len, &out), ENVELOPE_MALFORMED);
	assert_true(envelope_init(&e, other, ENVELOPE_ASKING));
	assert_int_equal(open_piece(&e, wire.data, wire.len, &out), ENVELOPE_MALFORMED);
}

/* ---- sealing ---- */

static void test_raw_behind_the_first_data(void **state)
{
	static struct stream wire;
	struct envelope e = start(ENVELOPE_ASKING);

	wire.len = 0;
	assert_int_equal(seal(&e, inner, sizeof(inner), 0, &wire), ENVELOPE_OK);
	assert_int_equal(wire.len, ADDED + sizeof(inner));
	assert_memory_equal(wire.data, "\x17\x03\x03\x00\x17", 5);
	assert_memory_equal(wire.data + ADDED + SEALED_BYTES, inner + SEALED_BYTES, RAW_BYTES);
	assert_true(e.raw);
	assert_int_equal(seal(&e, (const uint8_t *)"anything", 8, 4000, &wire), ENVELOPE_OK);
	assert_memory_equal(wire.data + ADDED + sizeof(inner), "anything", 8);
}

static void test_nothing_in_nothing_out(void **state)
{
	static struct stream out;
	struct envelope e = start(ENVELOPE_ASKING);

	out.len = 0;
	assert_int_equal(seal(&e, NULL, 0, 4000, &out), ENVELOPE_OK);
	assert_int_equal(open_piece(&e, NULL, 0, &out), ENVELOPE_OK);
	assert_int_equal(out.len, 0);
}

/* Each piece becomes one outer record, and the raw part follows the same byte of the stream. */
static void check_cuts(size_t padding, size_t step)
{
	static struct stream wire, back;

	for (size_t piece = 1; piece <= sizeof(inner); piece++) {
		struct envelope e = start(ENVELOPE_ASKING);

		wire.len = 0;
		for (size_t at = 0; at < sizeof(inner); at += piece) {
			size_t n = sizeof(inner) - at < piece ? sizeof(inner) - at : piece;

			assert_int_equal(seal(&e, inner + at, n, padding, &wire), ENVELOPE_OK);
		}
		if (padding == 0)
			assert_int_equal(wire.len,
					 sizeof(inner) +
						 ADDED * ((SEALED_BYTES + piece - 1) / piece));
		for (size_t cut = 1; cut <= wire.len; cut += step) {
			assert_int_equal(open_pieces(&wire, cut, &back), ENVELOPE_OK);
			assert_int_equal(back.len, sizeof(inner));
			assert_memory_equal(back.data, inner, sizeof(inner));
		}
	}
}

static void test_all_cuts(void **state)
{
	check_cuts(0, 1);
	check_cuts(100, 1);
	check_cuts(ENVELOPE_PADDING, 97);
}

static void test_large_chunks(void **state)
{
	static uint8_t in[40000];
	static struct stream wire, back;
	struct envelope e = start(ENVELOPE_ASKING);

	/* two handshake records of 16 KiB and the first half of a third */
	for (size_t at = 0; at < sizeof(in); at += 5 + 16384)
		memcpy(in + at, "\x16\x03\x03\x40\x00", 5);
	wire.len = 0;
	assert_int_equal(seal(&e, in, sizeof(in), 0, &wire), ENVELOPE_OK);
	assert_int_equal(wire.len, sizeof(in) + 3 * ADDED);
	assert_memory_equal(wire.data, "\x17\x03\x03\x40\x00", 5);
	assert_false(e.raw);
	for (size_t cut = 1; cut < 1000; cut += 333) {
		assert_int_equal(open_pieces(&wire, cut, &back), ENVELOPE_OK);
		assert_int_equal(back.len, sizeof(in));
		assert_memory_equal(back.data, in, sizeof(in));
	}
}

static void test_opening_in_place(void **state)
{
	static struct stream wire;
	struct envelope seal_e = start(ENVELOPE_ASKING), open_e = start(ENVELOPE_ASKING);
	size_t n;

	wire.len = 0;
	for (size_t at = 0; at < sizeof(inner); at++)
		assert_int_equal(seal(&seal_e, inner + at, 1, 500, &wire), ENVELOPE_OK);
	assert_int_equal(envelope_open(&open_e, wire.data, wire.len, wire.data, &n), ENVELOPE_OK);
	assert_int_equal(n, sizeof(inner));
	assert_memory_equal(wire.data, inner, sizeof(inner));
}

/* ---- sizes ---- */

static size_t first_size(unsigned number, enum envelope_side side, size_t len, size_t padding)
{
	static uint8_t in[16400] = {22, 3, 1, 0x40};
	static struct stream wire;
	uint8_t own[ENVELOPE_SECRET_BYTES] = {(uint8_t)number, (uint8_t)(number >> 8)};
	struct envelope e;

	wire.len = 0;
	assert_true(envelope_init(&e, own, side));
	assert_int_equal(seal(&e, in, len, padding, &wire), ENVELOPE_OK);
	return body_of(&wire, 0);
}

/* Whatever is carried, sizes spread over those of requests, or pages; and they can always hold it.
 */
static void test_sizes_are_a_web_sites(void **state)
{
	static const struct {
		enum envelope_side side;
		size_t len, least, most;
	} rows[] = {
		{ENVELOPE_ASKING, 1, 380, 2600},	 {ENVELOPE_ASKING, 300, 380, 2600},
		{ENVELOPE_ASKING, 1700, 1702, 2600},	 {ENVELOPE_PUBLISHING, 1, 700, 8100},
		{ENVELOPE_PUBLISHING, 1500, 1502, 8100}, {ENVELOPE_PUBLISHING, 8000, 8002, 10050},
		{ENVELOPE_ASKING, 16000, 16002, 16384},
	};

	for (size_t i = 0; i < LENGTH(rows); i++) {
		size_t low = SIZE_MAX, high = 0, below = 0;

		for (unsigned n = 0; n < 500; n++) {
			size_t size = first_size(n, rows[i].side, rows[i].len, ENVELOPE_PADDING);

			low = size < low ? size : low;
			high = size > high ? size : high;
			below += size < (rows[i].least + rows[i].most) / 2;
		}
		assert_in_range(low, rows[i].least,
				rows[i].least + (rows[i].most - rows[i].least) / 5);
		assert_in_range(high, rows[i].most - (rows[i].most - rows[i].least) / 5,
				rows[i].most);
		assert_in_range(below, 1, 499);
	}
}

/* A peer that sends byte by byte does not have each of them padded. */
static void test_padding_is_bounded(void **state)
{
	static const uint8_t long_record[1000] = {22, 3, 1, 0x3, 0};
	static struct stream wire;
	struct envelope e = start(ENVELOPE_PUBLISHING);

	wire.len = 0;
	for (size_t at = 0; at < 500; at++)
		assert_int_equal(seal(&e, long_record + at, 1, ENVELOPE_PADDING, &wire),
				 ENVELOPE_OK);
	assert_in_range(wire.len, 500 * (ADDED + 1),
			500 * (ADDED + 1) + ENVELOPE_PADDED * ENVELOPE_PADDING);
	assert_int_equal(first_size(0, ENVELOPE_PUBLISHING, 100, 0), 102);
	assert_in_range(first_size(0, ENVELOPE_PUBLISHING, 100, 50), 103, 152);
}

/* A handshake without an end: neither side goes on with it for ever. */
static void test_a_sealed_part_has_an_end(void **state)
{
	static uint8_t record[5 + 16000] = {21, 3, 3, 16000 >> 8, 16000 & 0xff};
	static struct stream wire, out;
	struct envelope sealing = start(ENVELOPE_ASKING), opening = start(ENVELOPE_ASKING);
	enum envelope_status status = ENVELOPE_OK;
	size_t n;

	for (n = 0; n < 100; n++) {
		wire.len = out.len = 0;
		if (seal(&sealing, record, sizeof(record), 0, &wire) != ENVELOPE_OK)
			break;
		assert_int_equal(open_piece(&opening, wire.data, wire.len, &out), ENVELOPE_OK);
	}
	assert_int_equal(n, ENVELOPE_SEALED_MAX / (sizeof(record) + ENVELOPE_LENGTH_BYTES));
	/* Another maker's goes on all the same. */
	memcpy(wire.data, "\x17\x03\x03\x40\x00", 5);
	status = open_piece(&opening, wire.data, 5, &out);
	assert_int_equal(status, ENVELOPE_MALFORMED);
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
		struct envelope e = start(ENVELOPE_ASKING);
		uint8_t body[7] = {0, 5};

		out.len = 0;
		assert_int_equal(seal(&e, in, 4, 0, &out), ENVELOPE_OK); /* not certain yet */
		assert_int_equal(seal(&e, in + 4, 1, 0, &out), ENVELOPE_MALFORMED);
		memcpy(body + 2, in, 5);
		put_record(&wire, "\x17\x03\x03\x00\x07", body, sizeof(body));
		assert_int_equal(open_pieces(&wire, 3, &out), ENVELOPE_MALFORMED);
	}
}

static void test_inner_limits_are_accepted(void **state)
{
	static const char headers[][6] = {"\x14\x03\x01\x00\x01", "\x15\x03\x03\x00\x02",
					  "\x16\x03\x00\x48\x00", "\x17\x03\x04\x48\x00"};
	static struct stream out;

	for (size_t i = 0; i < LENGTH(headers); i++) {
		struct envelope e = start(ENVELOPE_ASKING);

		out.len = 0;
		assert_int_equal(seal(&e, (const uint8_t *)headers[i], 5, 0, &out), ENVELOPE_OK);
	}
}

static void test_outer_must_be_application_data(void **state)
{
	static const char headers[][6] = {"\x16\x03\x03\x00\x07", "\x15\x03\x03\x00\x07",
					  "\x17\x03\x01\x00\x07", "\x17\x03\x04\x00\x07",
					  "\x17\x03\x03\x00\x00", "\x17\x03\x03\x00\x02",
					  "\x17\x03\x03\x40\x01"};
	static const uint8_t body[7] = {0, 5, 22, 3, 1, 0, 3};
	static struct stream wire, out;

	put_record(&wire, "\x17\x03\x03\x00\x07", body, sizeof(body));
	assert_int_equal(open_pieces(&wire, 1, &out), ENVELOPE_OK);
	for (size_t i = 0; i < LENGTH(headers); i++) {
		put_record(&wire, headers[i], body, sizeof(body));
		assert_int_equal(open_pieces(&wire, 1, &out), ENVELOPE_MALFORMED);
		assert_int_equal(open_pieces(&wire, 12, &out), ENVELOPE_MALFORMED);
	}
}

/* Lengths and padding inside a body that cannot be. */
static void test_bodies_that_are_refused(void **state)
{
	static const uint8_t bodies[][9] = {
		{0, 0, 22, 3, 1, 0, 3, 'a', 'b'}, /* nothing */
		{0, 8, 22, 3, 1, 0, 3, 'a', 'b'}, /* more than there is */
		{1, 7, 22, 3, 1, 0, 3, 'a', 'b'}, /* far more */
		{0, 6, 22, 3, 1, 0, 3, 'a', 'b'}, /* padding that is not zero */
	};
	static const uint8_t good[] = {0, 6, 22, 3, 1, 0, 3, 'a', 0};
	static struct stream wire, out;

	put_record(&wire, "\x17\x03\x03\x00\x09", good, sizeof(good));
	assert_int_equal(open_pieces(&wire, 14, &out), ENVELOPE_OK);
	assert_int_equal(out.len, 6);
	for (size_t i = 0; i < LENGTH(bodies); i++) {
		put_record(&wire, "\x17\x03\x03\x00\x09", bodies[i], sizeof(bodies[i]));
		for (size_t cut = 1; cut <= wire.len; cut++)
			assert_int_equal(open_pieces(&wire, cut, &out), ENVELOPE_MALFORMED);
	}
}

/* A record's inner bytes must end with the first inner application data, neither later ... */
static void test_inner_bytes_run_on(void **state)
{
	static struct stream wire, out;
	uint8_t body[2 + SEALED_BYTES + 1] = {0, SEALED_BYTES + 1};

	memcpy(body + 2, inner, SEALED_BYTES + 1);
	put_record(&wire, "\x17\x03\x03\x00\x18", body, sizeof(body));
	for (size_t cut = 1; cut <= wire.len; cut++)
		assert_int_equal(open_pieces(&wire, cut, &out), ENVELOPE_MALFORMED);
}

/* ... nor earlier without another one that carries the rest. */
static void test_inner_bytes_end_early(void **state)
{
	static struct stream wire, out;
	uint8_t body[2 + SEALED_BYTES - 1] = {0, SEALED_BYTES - 1};

	memcpy(body + 2, inner, SEALED_BYTES - 1);
	put_record(&wire, "\x17\x03\x03\x00\x16", body, sizeof(body));
	assert_int_equal(open_pieces(&wire, wire.len, &out), ENVELOPE_OK);
	memcpy(wire.data + wire.len, "no record", 9);
	wire.len += 9;
	assert_int_equal(open_pieces(&wire, wire.len, &out), ENVELOPE_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_bytes),
		cmocka_unit_test(test_another_key_opens_nothing),
		cmocka_unit_test(test_raw_behind_the_first_data),
		cmocka_unit_test(test_nothing_in_nothing_out),
		cmocka_unit_test(test_all_cuts),
		cmocka_unit_test(test_large_chunks),
		cmocka_unit_test(test_opening_in_place),
		cmocka_unit_test(test_sizes_are_a_web_sites),
		cmocka_unit_test(test_padding_is_bounded),
		cmocka_unit_test(test_a_sealed_part_has_an_end),
		cmocka_unit_test(test_inner_must_be_tls),
		cmocka_unit_test(test_inner_limits_are_accepted),
		cmocka_unit_test(test_outer_must_be_application_data),
		cmocka_unit_test(test_bodies_that_are_refused),
		cmocka_unit_test(test_inner_bytes_run_on),
		cmocka_unit_test(test_inner_bytes_end_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
