/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stun_message: the vectors of RFC 5769, what is refused, and what is passed over.
 * links: stun/message.c core/addr.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>
#include <openssl/digest.h>
#include <openssl/hmac.h>
#include <openssl/md5.h>

#include "stun/message.h"
#include "tests/support/rfc5769.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static const uint8_t id[STUN_ID_BYTES] = {0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
					  0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae};

static enum stun_status decode(const uint8_t *bytes, size_t len, struct stun_message *out)
{
	struct stun_message m, before;
	enum stun_status status;

	memset(&m, 0xa5, sizeof m);
	before = m;
	status = stun_decode(bytes, len, &m);
	if (status == STUN_OK)
		*out = m;
	else
		assert_memory_equal(&m, &before, sizeof m);
	return status;
}

static void assert_addr(const struct addr *a, const char *text)
{
	char written[ADDR_TEXT_BYTES];

	addr_format(a, written);
	assert_string_equal(written, text);
}

static void assert_text(struct stun_bytes b, const char *text)
{
	assert_int_equal(b.len, strlen(text));
	assert_memory_equal(b.data, text, b.len);
}

/* A header, and attributes as given. */
static size_t build(uint8_t *out, uint16_t type, const uint8_t *attributes, size_t len)
{
	const uint8_t head[] = {(uint8_t)(type >> 8),
				(uint8_t)type,
				(uint8_t)(len >> 8),
				(uint8_t)len,
				0x21,
				0x12,
				0xa4,
				0x42};

	memcpy(out, head, sizeof head);
	memcpy(out + sizeof head, id, sizeof id);
	memcpy(out + STUN_HEADER_BYTES, attributes, len);
	return STUN_HEADER_BYTES + len;
}

static enum stun_status decode_attributes(const uint8_t *attributes, size_t len,
					  struct stun_message *out)
{
	static uint8_t bytes[2000];

	return decode(bytes, build(bytes, 0x0001, attributes, len), out);
}

/* ---- RFC 5769 ---- */

static void the_request(void **state)
{
	struct stun_message m;

	assert_int_equal(decode(rfc5769_request, sizeof rfc5769_request, &m), STUN_OK);
	assert_int_equal(m.header.class, STUN_REQUEST);
	assert_int_equal(m.header.method, STUN_BINDING);
	assert_memory_equal(m.header.id, id, sizeof id);
	assert_int_equal(m.has, STUN_HAS_SOFTWARE | STUN_HAS_USERNAME | STUN_HAS_MESSAGE_INTEGRITY |
					STUN_HAS_FINGERPRINT);
	assert_text(m.software, "STUN test client");
	assert_text(m.username, "evtj:h6vY");
	assert_int_equal(m.integrity.len, STUN_SHA1_BYTES);
	assert_int_equal(m.unknown.count, 1); /* PRIORITY; ICE-CONTROLLED may be passed over */
	assert_int_equal(m.unknown.type[0], 0x0024);
}

static void the_answers(void **state)
{
	struct stun_message m;

	assert_int_equal(decode(rfc5769_answer4, sizeof rfc5769_answer4, &m), STUN_OK);
	assert_int_equal(m.header.class, STUN_SUCCESS);
	assert_addr(&m.xor_mapped, "192.0.2.1:32853");
	assert_text(m.software, "test vector");
	assert_int_equal(decode(rfc5769_answer6, sizeof rfc5769_answer6, &m), STUN_OK);
	assert_addr(&m.xor_mapped, "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
	assert_int_equal(m.unknown.count, 0);
}

static void the_long_term_request(void **state)
{
	struct stun_message m;

	assert_int_equal(decode(rfc5769_long_term, sizeof rfc5769_long_term, &m), STUN_OK);
	assert_int_equal(m.has,
			 STUN_HAS_USERNAME | STUN_HAS_CREDENTIALS | STUN_HAS_MESSAGE_INTEGRITY);
	assert_int_equal(m.username.len, 18);
}

/* Sections 14.5 and 14.6: the sum is over what stands before, with a length that ends behind it. */
static bool integrity_ok(const uint8_t *bytes, struct stun_bytes sent, const EVP_MD *hash,
			 const void *key, size_t key_len)
{
	uint8_t before[256], sum[EVP_MAX_MD_SIZE];
	size_t at = (size_t)(sent.data - bytes) - STUN_ATTRIBUTE_BYTES;
	size_t length = at + STUN_ATTRIBUTE_BYTES + sent.len - STUN_HEADER_BYTES;
	unsigned sum_len;

	assert_true(at <= sizeof before);
	memcpy(before, bytes, at);
	before[2] = (uint8_t)(length >> 8);
	before[3] = (uint8_t)length;
	assert_non_null(HMAC(hash, key, key_len, before, at, sum, &sum_len));
	return sent.len <= sum_len && memcmp(sum, sent.data, sent.len) == 0;
}

/* A verifier finds in the message what is summed, and the sum. */
static void the_integrity_of_all(void **state)
{
	static const struct {
		const uint8_t *bytes;
		size_t len;
	} vectors[] = {
		{rfc5769_request, sizeof rfc5769_request},
		{rfc5769_answer4, sizeof rfc5769_answer4},
		{rfc5769_answer6, sizeof rfc5769_answer6},
	};
	static const char long_term[] = "\u30de\u30c8\u30ea\u30c3\u30af\u30b9:example.org:"
					"TheMatrIX";
	const char *password = RFC5769_PASSWORD;
	uint8_t key[MD5_DIGEST_LENGTH];
	struct stun_message m;

	for (size_t i = 0; i < LENGTH(vectors); i++) {
		assert_int_equal(decode(vectors[i].bytes, vectors[i].len, &m), STUN_OK);
		assert_true(integrity_ok(vectors[i].bytes, m.integrity, EVP_sha1(), password,
					 strlen(password)));
		assert_false(integrity_ok(vectors[i].bytes, m.integrity, EVP_sha1(), password,
					  strlen(password) - 1));
	}
	assert_int_equal(decode(rfc5769_long_term, sizeof rfc5769_long_term, &m), STUN_OK);
	MD5((const uint8_t *)long_term, strlen(long_term), key);
	assert_true(integrity_ok(rfc5769_long_term, m.integrity, EVP_sha1(), key, sizeof key));
	assert_int_equal(decode(sha256_request, sizeof sha256_request, &m), STUN_OK);
	assert_true(m.has & STUN_HAS_FINGERPRINT);
	assert_true(integrity_ok(sha256_request, m.integrity_sha256, EVP_sha256(), password,
				 strlen(password)));
}

/* A flipped bit anywhere is seen: as no STUN, as broken, or by the fingerprint. */
static void damage_is_seen(void **state)
{
	uint8_t bytes[sizeof rfc5769_answer6];
	struct stun_message m;

	for (size_t i = 0; i < 8 * sizeof bytes; i++) {
		memcpy(bytes, rfc5769_answer6, sizeof bytes);
		bytes[i / 8] ^= (uint8_t)(1u << i % 8);
		if (decode(bytes, sizeof bytes, &m) == STUN_OK)
			assert_false(m.has & STUN_HAS_FINGERPRINT);
	}
	memcpy(bytes, rfc5769_answer6, sizeof bytes);
	bytes[8] ^= 1;
	assert_int_equal(decode(bytes, sizeof bytes, &m), STUN_DAMAGED);
}

/* The check value of the catalogues of CRCs. */
static void the_checksum(void **state)
{
	assert_int_equal(stun_crc32((const uint8_t *)"123456789", 9), 0xcbf43926);
}

/* ---- headers ---- */

static void every_class_and_method(void **state)
{
	uint8_t bytes[STUN_HEADER_BYTES];
	struct stun_writer w;
	struct stun_message m;

	for (unsigned class = 0; class < STUN_CLASSES; class ++) {
		for (uint16_t method = 0; method < 0x1000; method++) {
			stun_write_begin(&w, bytes, sizeof bytes, class, method, id);
			assert_int_equal(stun_write_end(&w), sizeof bytes);
			assert_int_equal(decode(bytes, sizeof bytes, &m), STUN_OK);
			assert_int_equal(m.header.class, class);
			assert_int_equal(m.header.method, method);
		}
	}
}

static void what_is_no_stun(void **state)
{
	uint8_t bytes[64] = {0};
	struct stun_message m;
	size_t len = build(bytes, 0x0001, (const uint8_t *)"\x80\x22\0\0", 4);

	assert_int_equal(decode(bytes, len, &m), STUN_OK);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(decode(bytes, n, &m), STUN_NOT_STUN);
	assert_int_equal(decode(bytes, len + 4, &m), STUN_NOT_STUN);
	bytes[0] = 0x40;
	assert_int_equal(decode(bytes, len, &m), STUN_NOT_STUN);
	bytes[0] = 0x00;
	bytes[4] ^= 1;
	assert_int_equal(decode(bytes, len, &m), STUN_NOT_STUN);
	bytes[4] ^= 1;
	bytes[3] = 3;
	assert_int_equal(decode(bytes, len - 1, &m), STUN_NOT_STUN);
}

/* ---- attributes ---- */

static void what_is_malformed(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = {
		{"\x80\x22\0\5abcd", 8}, /* longer than the message */
		{"\x80\x22\0\4", 4},
		{"\0\x20\0\4\0\1\0\0", 8},		    /* an address without address */
		{"\0\x20\0\10\0\3\0\0\1\2\3\4", 12},	    /* of no family */
		{"\0\1\0\14\0\1\0\0\1\2\3\4\5\6\7\10", 16}, /* longer than it may be */
		{"\0\x20\0\10\0\2\0\0\1\2\3\4", 12},	    /* IPv6, but short */
		{"\0\3\0\2\0\0\0\0", 8},		    /* CHANGE-REQUEST */
		{"\0\3\0\10\0\0\0\0\0\0\0\0", 12},
		{"\0\x27\0\1\0\0\0\0", 8}, /* RESPONSE-PORT */
		{"\0\x27\0\3\0\0\0\0", 8},
		{"\0\x27\0\5\0\0\0\0\0\0\0\0", 12},
		{"\0\11\0\2\0\0\0\0", 8}, /* ERROR-CODE */
		{"\0\11\0\4\0\0\2\0", 8},
		{"\0\11\0\4\0\0\7\0", 8},
		{"\0\11\0\4\0\0\4\144", 8}, /* 4 and 100 */
		{"\0\12\0\3\0\0\0\0", 8},   /* UNKNOWN-ATTRIBUTES: half a type */
		{"\0\10\0\4\0\0\0\0", 8},   /* MESSAGE-INTEGRITY */
		{"\0\x1c\0\x0c\1\2\3\4\5\6\7\10\11\12\13\14", 16},
		{"\x80\x28\0\3\0\0\0\0", 8}, /* FINGERPRINT */
	};
	struct stun_message m;

	for (size_t i = 0; i < LENGTH(cases); i++)
		assert_int_equal(
			decode_attributes((const uint8_t *)cases[i].bytes, cases[i].len, &m),
			STUN_MALFORMED);
}

static void response_port_in_both_lengths(void **state)
{
	struct stun_message m;

	assert_int_equal(decode_attributes((const uint8_t *)"\0\x27\0\2\x12\x34\0\0", 8, &m),
			 STUN_OK);
	assert_int_equal(m.response_port, 0x1234);
	assert_int_equal(decode_attributes((const uint8_t *)"\0\x27\0\4\x12\x34\0\0", 8, &m),
			 STUN_OK);
	assert_int_equal(m.response_port, 0x1234);
}

static void padding_bytes_mean_nothing(void **state)
{
	struct stun_message m;

	assert_int_equal(
		decode_attributes((const uint8_t *)"\x80\x22\0\1axyz\0\3\0\4\0\0\0\6", 16, &m),
		STUN_OK);
	assert_text(m.software, "a");
	assert_true(m.change_address && m.change_port);
}

static void the_first_of_two_counts(void **state)
{
	struct stun_message m;

	assert_int_equal(
		decode_attributes((const uint8_t *)"\x80\x22\0\4abcd\x80\x22\0\4efgh", 16, &m),
		STUN_OK);
	assert_text(m.software, "abcd");
	/* Even one that would be malformed: it is not looked at. */
	assert_int_equal(
		decode_attributes((const uint8_t *)"\0\3\0\4\0\0\0\2\0\3\0\1\0\0\0\0", 16, &m),
		STUN_OK);
	assert_true(m.change_port);
}

static void unknown_ones_are_listed_once_and_not_without_end(void **state)
{
	uint8_t many[4 * 3 * STUN_UNKNOWN_MAX] = {0};
	struct stun_message m;

	for (size_t i = 0; i < LENGTH(many) / 4; i++) {
		many[4 * i] = 0x7f;
		many[4 * i + 1] = (uint8_t)(i / 2);
	}
	assert_int_equal(decode_attributes(many, sizeof many, &m), STUN_OK);
	assert_int_equal(m.unknown.count, STUN_UNKNOWN_MAX);
	for (unsigned i = 0; i < m.unknown.count; i++)
		assert_int_equal(m.unknown.type[i], 0x7f00 + i);
	assert_int_equal(decode_attributes((const uint8_t *)"\x80\x99\0\0\xff\xff\0\4abcd", 12, &m),
			 STUN_OK);
	assert_int_equal(m.unknown.count, 0);
}

/* Section 14.5: but for SHA256 and FINGERPRINT, nothing behind MESSAGE-INTEGRITY counts. */
static void behind_the_integrity(void **state)
{
	uint8_t attributes[24 + 8 + 36 + 8 + 4] = {0, 8, 0, 20};
	struct stun_message m;

	memcpy(attributes + 24, "\0\3\0\4\0\0\0\6", 8);
	memcpy(attributes + 32, "\0\x1c\0\x20", 4);
	memcpy(attributes + 68, "\x80\x22\0\4late\x7f\xff\0\0", 12);
	assert_int_equal(decode_attributes(attributes, sizeof attributes, &m), STUN_OK);
	assert_int_equal(m.has, STUN_HAS_MESSAGE_INTEGRITY | STUN_HAS_MESSAGE_INTEGRITY_SHA256);
	assert_int_equal(m.unknown.count, 0);
	/* Behind SHA256 not even the other one. */
	memmove(attributes + 24, attributes, 24);
	memcpy(attributes, "\0\x1c\0\x14", 4);
	assert_int_equal(decode_attributes(attributes, 48, &m), STUN_OK);
	assert_int_equal(m.has, STUN_HAS_MESSAGE_INTEGRITY_SHA256);
	assert_int_equal(m.integrity_sha256.len, 20);
}

static void behind_the_fingerprint(void **state)
{
	uint8_t bytes[64], bits;
	struct stun_writer w;
	struct stun_message m;
	size_t len;
	uint32_t crc;

	/* The sum is over a header that counts what follows, too. */
	stun_write_begin(&w, bytes, sizeof bytes, STUN_REQUEST, STUN_BINDING, id);
	stun_write_bytes(&w, STUN_FINGERPRINT, NULL, 4);
	stun_write_change_request(&w, true, true);
	stun_write_bytes(&w, 0x7fff, NULL, 0);
	len = stun_write_end(&w);
	crc = stun_crc32(bytes, STUN_HEADER_BYTES) ^ 0x5354554eu;
	for (unsigned i = 0; i < 4; i++)
		bytes[STUN_HEADER_BYTES + 4 + i] = (uint8_t)(crc >> (24 - 8 * i));
	assert_int_equal(decode(bytes, len, &m), STUN_OK);
	assert_int_equal(m.has, STUN_HAS_FINGERPRINT);
	assert_int_equal(m.unknown.count, 0);
	bits = bytes[STUN_HEADER_BYTES + 7];
	bytes[STUN_HEADER_BYTES + 7] = (uint8_t)(bits ^ 1);
	assert_int_equal(decode(bytes, len, &m), STUN_DAMAGED);
}

/* ---- writing ---- */

static void what_is_written_reads_the_same(void **state)
{
	static const char *const texts[] = {"192.0.2.1:32853", "[2001:db8::9]:1"};
	uint8_t bytes[256];
	struct stun_types types = {.type = {3, 0x26, 0x27}, .count = 3};
	struct stun_writer w;
	struct stun_message m;
	struct addr a;

	for (size_t i = 0; i < LENGTH(texts); i++) {
		assert_true(addr_parse(texts[i], &a));
		stun_write_begin(&w, bytes, sizeof bytes, STUN_ERROR, STUN_BINDING, id);
		stun_write_address(&w, STUN_XOR_MAPPED_ADDRESS, &a);
		stun_write_address(&w, STUN_MAPPED_ADDRESS, &a);
		stun_write_address(&w, STUN_ALTERNATE_SERVER, &a);
		stun_write_address(&w, STUN_RESPONSE_ORIGIN, &a);
		stun_write_address(&w, STUN_OTHER_ADDRESS, &a);
		stun_write_error(&w, STUN_UNKNOWN_ATTRIBUTE);
		stun_write_unknown(&w, &types);
		stun_write_change_request(&w, true, false);
		stun_write_response_port(&w, 4711);
		stun_write_bytes(&w, STUN_PADDING, NULL, 9);
		stun_write_bytes(&w, STUN_SOFTWARE, (const uint8_t *)"test", 4);
		stun_write_fingerprint(&w);
		assert_int_equal(decode(bytes, stun_write_end(&w), &m), STUN_OK);
		assert_int_equal(m.header.class, STUN_ERROR);
		assert_addr(&m.xor_mapped, texts[i]);
		assert_addr(&m.mapped, texts[i]);
		assert_addr(&m.alternate, texts[i]);
		assert_addr(&m.origin, texts[i]);
		assert_addr(&m.other, texts[i]);
		assert_int_equal(m.error_code, 420);
		assert_int_equal(m.reason.len, 0);
		assert_int_equal(m.refused.count, 3);
		assert_memory_equal(m.refused.type, types.type, 6);
		assert_true(m.change_address && !m.change_port);
		assert_int_equal(m.response_port, 4711);
		assert_int_equal(m.padding_bytes, 9);
		assert_text(m.software, "test");
		assert_true(m.has & STUN_HAS_FINGERPRINT);
	}
}

/* The answer of section 2.2, but for its integrity, comes out of our writer. */
static void the_vector_is_written(void **state)
{
	uint8_t bytes[128], expected[sizeof rfc5769_answer4];
	struct stun_writer w;
	struct addr a;

	assert_true(addr_parse("[::ffff:192.0.2.1]:32853", &a));
	stun_write_begin(&w, bytes, sizeof bytes, STUN_SUCCESS, STUN_BINDING, id);
	stun_write_bytes(&w, STUN_SOFTWARE, (const uint8_t *)"test vector", 11);
	stun_write_address(&w, STUN_XOR_MAPPED_ADDRESS, &a);
	stun_write_bytes(&w, STUN_MESSAGE_INTEGRITY, rfc5769_answer4 + 52, STUN_SHA1_BYTES);
	memcpy(expected, rfc5769_answer4, sizeof expected);
	expected[35] = 0; /* the padding of SOFTWARE; theirs is a space */
	stun_write_end(&w);
	assert_int_equal(w.len, 72);
	assert_memory_equal(bytes + 4, expected + 4, 68);
}

static void no_room(void **state)
{
	uint8_t bytes[64];
	struct stun_writer w;
	struct addr a;

	assert_true(addr_parse("[2001:db8::9]:1", &a));
	for (size_t room = 0; room < 52; room++) {
		stun_write_begin(&w, bytes, room, STUN_SUCCESS, STUN_BINDING, id);
		stun_write_address(&w, STUN_XOR_MAPPED_ADDRESS, &a);
		stun_write_fingerprint(&w);
		assert_int_equal(stun_write_end(&w), 0);
	}
	stun_write_begin(&w, bytes, 52, STUN_SUCCESS, STUN_BINDING, id);
	stun_write_address(&w, STUN_XOR_MAPPED_ADDRESS, &a);
	stun_write_fingerprint(&w);
	assert_int_equal(stun_write_end(&w), 52);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_request),
		cmocka_unit_test(the_answers),
		cmocka_unit_test(the_long_term_request),
		cmocka_unit_test(the_integrity_of_all),
		cmocka_unit_test(damage_is_seen),
		cmocka_unit_test(the_checksum),
		cmocka_unit_test(every_class_and_method),
		cmocka_unit_test(what_is_no_stun),
		cmocka_unit_test(what_is_malformed),
		cmocka_unit_test(response_port_in_both_lengths),
		cmocka_unit_test(padding_bytes_mean_nothing),
		cmocka_unit_test(the_first_of_two_counts),
		cmocka_unit_test(unknown_ones_are_listed_once_and_not_without_end),
		cmocka_unit_test(behind_the_integrity),
		cmocka_unit_test(behind_the_fingerprint),
		cmocka_unit_test(what_is_written_reads_the_same),
		cmocka_unit_test(the_vector_is_written),
		cmocka_unit_test(no_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
