/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stun_integrity: MESSAGE-INTEGRITY-SHA256 against a vector that other code made: every byte of it
 * counts, and no part of it is enough.
 * links: stun/integrity.c stun/message.c core/addr.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "stun/integrity.h"
#include "tests/support/rfc5769.h"

static const struct stun_bytes password = {(const uint8_t *)RFC5769_PASSWORD,
					   sizeof RFC5769_PASSWORD - 1};

/* Where the vector's attribute begins: FINGERPRINT is behind it. */
#define FINGERPRINT_BYTES 8u
#define BEFORE                                                                                     \
	(sizeof sha256_request - FINGERPRINT_BYTES - STUN_ATTRIBUTE_BYTES - STUN_SHA256_BYTES)

static bool verifies(const uint8_t *bytes, size_t len, struct stun_bytes key)
{
	struct stun_message m;

	return stun_decode(bytes, len, &m) == STUN_OK && stun_integrity_sha256_ok(&m, bytes, key);
}

/* Without FINGERPRINT, so that nothing else notices a change. */
static size_t vector_bare(uint8_t *out)
{
	size_t len = sizeof sha256_request - FINGERPRINT_BYTES;

	memcpy(out, sha256_request, len);
	out[3] = (uint8_t)(len - STUN_HEADER_BYTES);
	return len;
}

static void the_vector_verifies(void **state)
{
	uint8_t bare[sizeof sha256_request];
	size_t len = vector_bare(bare);

	assert_true(verifies(sha256_request, sizeof sha256_request, password));
	/* The length in the header that counts is that up to the attribute's end, whatever follows.
	 */
	assert_true(verifies(bare, len, password));
}

static void another_password_does_not(void **state)
{
	const struct stun_bytes shorter = {password.data, password.len - 1}, none = {NULL, 0};

	assert_false(verifies(sha256_request, sizeof sha256_request, shorter));
	assert_false(verifies(sha256_request, sizeof sha256_request, none));
	/* An HMAC with an empty key is no proof of anything. */
	assert_false(verifies(rfc5769_request, sizeof rfc5769_request, password));
}

static void every_byte_counts(void **state)
{
	uint8_t bytes[sizeof sha256_request];
	size_t len = vector_bare(bytes);

	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 1;
		assert_false(verifies(bytes, len, password));
		bytes[i] ^= 1;
	}
	assert_true(verifies(bytes, len, password));
}

/* A beginning of the right one, as section 14.6 lets other usages have it; not even where the rest
 * of it stands behind the message. */
static void a_part_is_not_enough(void **state)
{
	for (size_t part = STUN_SHA256_MIN; part < STUN_SHA256_BYTES; part += 4) {
		uint8_t bytes[sizeof sha256_request];
		struct stun_message m;
		size_t len = BEFORE + STUN_ATTRIBUTE_BYTES + part;

		memcpy(bytes, sha256_request, sizeof bytes);
		bytes[3] = (uint8_t)(len - STUN_HEADER_BYTES);
		bytes[BEFORE + 3] = (uint8_t)part;
		assert_int_equal(stun_decode(bytes, len, &m), STUN_OK);
		assert_false(stun_integrity_sha256_ok(&m, bytes, password));
	}
}

static void what_is_written_is_the_vector(void **state)
{
	uint8_t bytes[sizeof sha256_request];
	struct stun_writer w = {.bytes = bytes, .room = sizeof bytes, .len = BEFORE};

	memcpy(bytes, sha256_request, BEFORE);
	stun_write_integrity_sha256(&w, password);
	stun_write_fingerprint(&w);
	assert_int_equal(stun_write_end(&w), sizeof sha256_request);
	assert_memory_equal(bytes, sha256_request, sizeof bytes);
}

static void what_does_not_fit_fails(void **state)
{
	uint8_t bytes[STUN_HEADER_BYTES + STUN_ATTRIBUTE_BYTES + STUN_SHA256_BYTES - 1];
	static const uint8_t id[STUN_ID_BYTES] = "twelve bytes";
	struct stun_writer w;

	stun_write_begin(&w, bytes, sizeof bytes, STUN_REQUEST, STUN_BINDING, id);
	stun_write_integrity_sha256(&w, password);
	assert_int_equal(stun_write_end(&w), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_vector_verifies),
		cmocka_unit_test(another_password_does_not),
		cmocka_unit_test(every_byte_counts),
		cmocka_unit_test(a_part_is_not_enough),
		cmocka_unit_test(what_is_written_is_the_vector),
		cmocka_unit_test(what_does_not_fit_fails),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
