/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stun_transaction: the times of RFC 8489 section 6.2.1, and whose answer counts.
 * links: stun/transaction.c stun/message.c core/addr.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "stun/transaction.h"

static const uint8_t id[STUN_ID_BYTES] = "twelve bytes", other_id[STUN_ID_BYTES] = "other twelve";

static struct addr addr_of(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return a;
}

static void start(struct stun_transaction *t, const struct stun_pace *pace, uint64_t now_ms)
{
	struct addr server = addr_of("45.0.0.1:3478");

	stun_transaction_start(t, id, &server, pace, now_ms);
}

static void the_times_of_the_rfc(void **state)
{
	static const uint64_t sends[] = {0, 500, 1500, 3500, 7500, 15500, 31500};
	struct stun_transaction t;

	start(&t, &stun_pace_datagram, 1000);
	for (size_t i = 0; i < sizeof sends / sizeof sends[0]; i++) {
		assert_int_equal(stun_transaction_next(&t), 1000 + sends[i]);
		if (i > 0)
			assert_int_equal(stun_transaction_step(&t, 1000 + sends[i] - 1),
					 STUN_STEP_WAIT);
		assert_int_equal(stun_transaction_step(&t, 1000 + sends[i]), STUN_STEP_SEND);
		assert_int_equal(stun_transaction_step(&t, 1000 + sends[i]), STUN_STEP_WAIT);
	}
	assert_int_equal(stun_transaction_next(&t), 1000 + 39500);
	assert_int_equal(stun_transaction_step(&t, 1000 + 39500), STUN_STEP_FAIL);
	assert_int_equal(stun_transaction_step(&t, 1000 + 99999), STUN_STEP_WAIT);
	assert_int_equal(stun_transaction_next(&t), STUN_NEVER);
}

static void a_stream_sends_once(void **state)
{
	struct stun_transaction t;

	start(&t, &stun_pace_stream, 5);
	assert_int_equal(stun_transaction_step(&t, 5), STUN_STEP_SEND);
	assert_int_equal(stun_transaction_next(&t), 5 + 39500);
	assert_int_equal(stun_transaction_step(&t, 5 + 39500), STUN_STEP_FAIL);
}

static void late_steps_keep_their_distance(void **state)
{
	struct stun_transaction t;

	start(&t, &stun_pace_datagram, 0);
	assert_int_equal(stun_transaction_step(&t, 0), STUN_STEP_SEND);
	assert_int_equal(stun_transaction_step(&t, 20000), STUN_STEP_SEND);
	assert_int_equal(stun_transaction_step(&t, 20000), STUN_STEP_WAIT);
	assert_int_equal(stun_transaction_next(&t), 21000);
}

/* ---- answers ---- */

static struct stun_message build(enum stun_class class, uint16_t method, const uint8_t *of,
				 uint16_t attribute)
{
	static uint8_t bytes[128];
	struct addr external = addr_of("192.0.2.1:32853");
	struct stun_message m;
	struct stun_writer w;

	stun_write_begin(&w, bytes, sizeof bytes, class, method, of);
	if (attribute == STUN_ERROR_CODE)
		stun_write_error(&w, STUN_BAD_REQUEST);
	else if (attribute == STUN_XOR_MAPPED_ADDRESS || attribute == STUN_MAPPED_ADDRESS)
		stun_write_address(&w, attribute, &external);
	else if (attribute)
		stun_write_bytes(&w, attribute, NULL, 8);
	if (attribute == STUN_CHANGED_ADDRESS)
		stun_write_address(&w, STUN_MAPPED_ADDRESS, &external);
	else if (attribute == 0x7fff)
		stun_write_address(&w, STUN_XOR_MAPPED_ADDRESS, &external);
	assert_int_equal(stun_decode(bytes, stun_write_end(&w), &m), STUN_OK);
	return m;
}

static enum stun_match answer(struct stun_transaction *t, enum stun_class class, uint16_t attribute)
{
	struct addr from = addr_of("45.0.0.1:3478");
	struct stun_message m = build(class, STUN_BINDING, id, attribute);

	return stun_transaction_answer(t, &m, &from);
}

static void its_own_answer(void **state)
{
	struct stun_transaction t;
	struct addr server = addr_of("45.0.0.1:3478"), mapped = addr_of("[::ffff:45.0.0.1]:3478"),
		    elsewhere[] = {addr_of("45.0.0.1:3479"), addr_of("45.0.0.2:3478"),
				   addr_of("[2001:db8::1]:3478")};
	struct stun_message m = build(STUN_SUCCESS, STUN_BINDING, id, STUN_XOR_MAPPED_ADDRESS);

	start(&t, &stun_pace_datagram, 0);
	assert_int_equal(stun_transaction_answer(&t, &m, &server), STUN_MATCH_NONE); /* not asked */
	assert_int_equal(stun_transaction_step(&t, 0), STUN_STEP_SEND);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(stun_transaction_answer(&t, &m, &elsewhere[i]), STUN_MATCH_NONE);
	m = build(STUN_SUCCESS, STUN_BINDING, other_id, STUN_XOR_MAPPED_ADDRESS);
	assert_int_equal(stun_transaction_answer(&t, &m, &server), STUN_MATCH_NONE);
	m = build(STUN_SUCCESS, 3, id, STUN_XOR_MAPPED_ADDRESS);
	assert_int_equal(stun_transaction_answer(&t, &m, &server), STUN_MATCH_NONE);
	m = build(STUN_REQUEST, STUN_BINDING, id, 0);
	assert_int_equal(stun_transaction_answer(&t, &m, &server), STUN_MATCH_NONE);
	assert_true(stun_transaction_pending(&t));
	m = build(STUN_SUCCESS, STUN_BINDING, id, STUN_XOR_MAPPED_ADDRESS);
	assert_int_equal(stun_transaction_answer(&t, &m, &mapped), STUN_MATCH_SUCCESS);
	assert_false(stun_transaction_pending(&t));
	assert_int_equal(stun_transaction_answer(&t, &m, &server), STUN_MATCH_NONE); /* twice */
	assert_int_equal(stun_transaction_step(&t, 500), STUN_STEP_WAIT);
}

static void kinds_of_answers(void **state)
{
	static const struct {
		enum stun_class class;
		uint16_t attribute;
		enum stun_match match;
	} cases[] = {
		{STUN_SUCCESS, STUN_XOR_MAPPED_ADDRESS, STUN_MATCH_SUCCESS},
		{STUN_SUCCESS, STUN_MAPPED_ADDRESS, STUN_MATCH_SUCCESS},
		{STUN_SUCCESS, STUN_CHANGED_ADDRESS, STUN_MATCH_SUCCESS}, /* an old server */
		{STUN_SUCCESS, 0x7fff, STUN_MATCH_USELESS},
		{STUN_SUCCESS, 0, STUN_MATCH_USELESS},
		{STUN_ERROR, STUN_ERROR_CODE, STUN_MATCH_ERROR},
		{STUN_ERROR, 0, STUN_MATCH_USELESS},
	};
	struct stun_transaction t;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		start(&t, &stun_pace_datagram, 0);
		assert_int_equal(stun_transaction_step(&t, 0), STUN_STEP_SEND);
		assert_int_equal(answer(&t, cases[i].class, cases[i].attribute), cases[i].match);
		assert_false(stun_transaction_pending(&t));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_times_of_the_rfc),
		cmocka_unit_test(a_stream_sends_once),
		cmocka_unit_test(late_steps_keep_their_distance),
		cmocka_unit_test(its_own_answer),
		cmocka_unit_test(kinds_of_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
