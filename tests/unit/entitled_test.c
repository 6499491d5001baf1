/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entitled_test: whose certificate is good, and until when.
 *
 * links: core/engine/entitled.c core/engine/revocations.c core/memory.c
 * links: core/parse/wire.c core/parse/reason.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/engine/entitled.h"

#define NOW 1000000

static struct identity_anchor anchor_list[2] = {
	{.key = {1}, .not_after = NOW + 5000},
	{.key = {2}, .not_after = NOW + 9000},
};
static struct identity_anchors anchors = {anchor_list, 2};
static struct revocation revoked_list[1] = {{.kind = WIRE_REVOKED_SERIAL}};
static struct revocations revoked = {.list = revoked_list};
static const struct entitled_rules rules = {&anchors, &revoked};

static void revoke(const char *serial)
{
	snprintf(revoked_list[0].value, sizeof(revoked_list[0].value), "%s", serial);
	revoked.count = 1;
}

static struct credential *made(const char *serial, uint8_t ca, time_t from, time_t to)
{
	struct identity_peer peer = {.name = "laptop", .not_before = from, .not_after = to};
	struct credential *c;

	peer.ca[0] = ca;
	snprintf(peer.serial, sizeof(peer.serial), "%s", serial);
	c = credential_new(&peer);
	assert_non_null(c);
	return c;
}

static void expect(const struct credential *own, const struct credential *newest, time_t now,
		   enum reason reason, time_t until)
{
	const struct entitled_proof proof = {own, newest};
	struct entitled_answer a = entitled(&proof, &rules, now);

	assert_int_equal(a.reason, reason);
	assert_int_equal(a.until, until);
}

static int begin(void **state)
{
	anchors.count = 2;
	revoked.count = 0;
	return 0;
}

static void a_certificate_is_good_until_it_ends(void **state)
{
	struct credential *c = made("a", 1, NOW - 10, NOW + 100);

	expect(c, NULL, NOW, REASON_OK, NOW + 100);
	expect(c, NULL, NOW + 99, REASON_OK, NOW + 100);
	expect(c, NULL, NOW + 100, REASON_CERT_EXPIRED, 0);
	expect(c, c, NOW + 100, REASON_CERT_EXPIRED, 0);
	/* The clock went back behind its beginning: it had begun. */
	expect(c, NULL, NOW - 1000, REASON_OK, NOW + 100);
	credential_release(c);
}

static void a_ca_of_the_system_vouches_for_a_relay(void **state)
{
	struct credential *c = made("a", 7, NOW - 10, NOW + 100);

	expect(c, NULL, NOW, REASON_CERT_UNTRUSTED, 0);
	c->peer.by_system = true;
	expect(c, NULL, NOW, REASON_OK, NOW + 100);
	expect(c, NULL, NOW + 100, REASON_CERT_EXPIRED, 0);
	revoke("a");
	expect(c, NULL, NOW, REASON_REVOKED, 0);
	credential_release(c);
}

static void nothing_outlives_the_ca(void **state)
{
	struct credential *c = made("a", 1, NOW, NOW + 8000);

	expect(c, NULL, NOW, REASON_OK, NOW + 5000);
	expect(c, NULL, NOW + 5000, REASON_CERT_EXPIRED, 0);
	/* Another certificate of the same key takes the CA's place. */
	anchor_list[0].not_after = NOW + 20000;
	expect(c, NULL, NOW + 5000, REASON_OK, NOW + 8000);
	anchor_list[0].not_after = NOW + 5000;
	anchors.count = 0;
	expect(c, NULL, NOW, REASON_CERT_UNTRUSTED, 0);
	credential_release(c);
}

static void who_needs_none_has_no_end(void **state)
{
	anchors.count = 0;
	expect(NULL, NULL, NOW, REASON_OK, 0);
}

static void the_newest_gives_its_end_and_its_ca(void **state)
{
	struct credential *own = made("a", 1, NOW, NOW + 100),
			  *newest = made("b", 2, NOW + 50, NOW + 7000);

	expect(own, newest, NOW, REASON_OK, NOW + 7000);
	expect(own, newest, NOW + 6999, REASON_OK, NOW + 7000);
	expect(own, newest, NOW + 7000, REASON_CERT_EXPIRED, 0);
	/* The old CA is taken out when all have certificates of the new one. */
	anchors.list++;
	anchors.count = 1;
	expect(own, newest, NOW, REASON_OK, NOW + 7000);
	anchors.list--;
	/* Or the other way round, and the first one counts on. */
	expect(own, newest, NOW, REASON_OK, NOW + 100);
	expect(own, newest, NOW + 100, REASON_CERT_EXPIRED, 0);
	/* One that lasts less takes nothing away. */
	anchors.count = 2;
	expect(newest, own, NOW, REASON_OK, NOW + 7000);
	credential_release(own);
	credential_release(newest);
}

/* What was begun by a stolen key ends, whatever its owner proves; and a stolen newer one helps none
 * that began before. */
static void a_revocation_is_of_the_one_that_it_began_with(void **state)
{
	struct credential *own = made("a", 1, NOW, NOW + 100),
			  *newest = made("b", 2, NOW + 50, NOW + 7000);

	revoke("a");
	expect(own, newest, NOW, REASON_REVOKED, 0);
	revoke("b");
	expect(own, newest, NOW, REASON_OK, NOW + 100);
	expect(own, newest, NOW + 100, REASON_CERT_EXPIRED, 0);
	credential_release(own);
	credential_release(newest);
}

static void newer_is_issued_later(void **state)
{
	struct credential *a = made("a", 1, NOW, NOW + 9000), *b = made("b", 1, NOW + 1, NOW + 10),
			  *c = made("c", 1, NOW, NOW + 9001);

	assert_true(credential_is_newer(a, NULL));
	assert_true(credential_is_newer(b, a) && !credential_is_newer(a, b));
	assert_true(credential_is_newer(c, a) && !credential_is_newer(a, c));
	assert_false(credential_is_newer(a, a));
	credential_release(a);
	credential_release(b);
	assert_ptr_equal(credential_hold(c), c);
	credential_release(c);
	assert_string_equal(c->peer.serial, "c");
	credential_release(c);
	assert_null(credential_hold(NULL));
	credential_release(NULL);
}

static void looks_are_seldom_and_in_time(void **state)
{
	assert_int_equal(entitled_look_ms(NOW + 86400, NOW), ENTITLED_LOOK_MS);
	assert_int_equal(entitled_look_ms(NOW + 11, NOW), ENTITLED_LOOK_MS);
	assert_int_equal(entitled_look_ms(NOW, NOW), 250);
	assert_int_equal(entitled_look_ms(NOW - 5, NOW), 250);
	for (time_t left = 1; left <= 10; left++)
		assert_in_range(entitled_look_ms(NOW + left, NOW), 1,
				left > 2 ? (uint64_t)(left - 1) * 1000 : 250);
	assert_int_equal(entitled_earlier(0, 7), 7);
	assert_int_equal(entitled_earlier(7, 0), 7);
	assert_int_equal(entitled_earlier(7, 5), 5);
	assert_int_equal(entitled_earlier(0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_certificate_is_good_until_it_ends, begin),
		cmocka_unit_test_setup(a_ca_of_the_system_vouches_for_a_relay, begin),
		cmocka_unit_test_setup(nothing_outlives_the_ca, begin),
		cmocka_unit_test_setup(who_needs_none_has_no_end, begin),
		cmocka_unit_test_setup(the_newest_gives_its_end_and_its_ca, begin),
		cmocka_unit_test_setup(a_revocation_is_of_the_one_that_it_began_with, begin),
		cmocka_unit_test_setup(newer_is_issued_later, begin),
		cmocka_unit_test_setup(looks_are_seldom_and_in_time, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
