/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stun_credentials: what a link's secret comes to, by a vector of Python's hmac (HKDF, RFC 5869);
 * which texts name a link.
 * links: core/engine/stun_credentials.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "core/engine/stun_credentials.h"

static void a_secret_comes_to_this(void **state)
{
	uint8_t secret[STUN_CREDENTIALS_SECRET];
	struct stun_credentials c, other;

	for (unsigned i = 0; i < sizeof secret; i++)
		secret[i] = (uint8_t)i;
	assert_true(stun_credentials_make(0x00fedcba98765432, secret, &c));
	assert_string_equal(c.username, "00fedcba9876543200000000");
	assert_string_equal(c.password, "182336cbb3db53a89a7961c5021b2ab1"
					"14a26b43dc30b454c4adc712f12953ec");
	secret[31] ^= 1;
	assert_true(stun_credentials_make(1, secret, &other));
	assert_string_not_equal(c.password, other.password);
	stun_credentials_set_round(&c, 0x0a0b0c0d);
	assert_string_equal(c.username, "00fedcba987654320a0b0c0d");
	stun_credentials_set_round(&c, 1);
	assert_string_equal(c.username, "00fedcba9876543200000001");
}

static void assert_named(const char *text, uint64_t link, uint32_t round)
{
	uint64_t read_link = 0;
	uint32_t read_round = 0;

	assert_int_equal(
		stun_credentials_read((const uint8_t *)text, strlen(text), &read_link, &read_round),
		link != 0);
	assert_true(read_link == link && read_round == round);
}

static void only_numbers_as_they_are_written_name_a_link(void **state)
{
	assert_named("00fedcba9876543200000001", 0x00fedcba98765432, 1);
	assert_named("ffffffffffffffffffffffff", UINT64_MAX, UINT32_MAX);
	assert_named("000000000000000000000001", 0, 0); /* of no link */
	assert_named("00fedcba9876543200000000", 0, 0); /* of no round */
	assert_named("", 0, 0);
	assert_named("00fedcba98765432", 0, 0);
	assert_named("00fedcba987654320000001", 0, 0);
	assert_named("00fedcba98765432000000001", 0, 0);
	assert_named("00FEDCBA9876543200000001", 0, 0);
	assert_named("00fedcba987654320000000A", 0, 0);
	assert_named("00fedcba9876543g00000001", 0, 0);
	assert_named("+0fedcba9876543200000001", 0, 0);
	assert_named("00fedcba98765432 0000001", 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_secret_comes_to_this),
		cmocka_unit_test(only_numbers_as_they_are_written_name_a_link),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
