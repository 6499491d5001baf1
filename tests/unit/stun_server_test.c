/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stun_server: what is answered, with how much, from where; and what is not.
 * links: stun/integrity.c stun/server.c stun/message.c core/addr.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "stun/integrity.h"
#include "stun/server.h"
#include "tests/support/rfc5769.h"

static const uint8_t id[STUN_ID_BYTES] = "twelve bytes";

static struct addr addr_of(const char *text)
{
	struct addr a;

	assert_true(addr_parse(text, &a));
	return a;
}

static void assert_addr(const struct addr *a, const char *text)
{
	char written[ADDR_TEXT_BYTES];

	addr_format(a, written);
	assert_string_equal(written, text);
}

struct exchange {
	uint8_t request[STUN_REQUEST_MAX + 64];
	struct stun_writer w;
	size_t len;
	const char *from;
	unsigned address, port;
	bool stream;
	struct stun_answer answer;
	struct stun_message m; /* what the answer says */
};

static void ask(struct exchange *x, enum stun_class class, uint16_t method)
{
	memset(x, 0, sizeof *x);
	x->from = "192.0.2.7:40000";
	stun_write_begin(&x->w, x->request, sizeof x->request, class, method, id);
}

static enum stun_outcome answer_raw(const struct stun_server *s, struct exchange *x)
{
	struct addr from = addr_of(x->from);
	enum stun_outcome o = stun_server_answer(s, x->request, x->len, &from, x->address, x->port,
						 x->stream, &x->answer);

	if (o == STUN_ANSWERED || o == STUN_ANSWERED_ERROR) {
		assert_int_equal(stun_decode(x->answer.bytes, x->answer.len, &x->m), STUN_OK);
		assert_int_equal(x->m.header.class, o == STUN_ANSWERED ? STUN_SUCCESS : STUN_ERROR);
		assert_memory_equal(x->m.header.id, x->request + 8, STUN_ID_BYTES);
		assert_int_equal(x->m.unknown.count, 0);
	}
	return o;
}

static enum stun_outcome answer(const struct stun_server *s, struct exchange *x)
{
	x->len = stun_write_end(&x->w);
	assert_true(x->len > 0);
	return answer_raw(s, x);
}

static struct stun_behaviour four_places(void)
{
	struct stun_behaviour b = {{{addr_of("45.0.0.1:3478"), addr_of("45.0.0.1:3479")},
				    {addr_of("45.0.0.2:3478"), addr_of("45.0.0.2:3479")}}};

	return b;
}

static void a_plain_request_gets_no_more_than_it_must(void **state)
{
	struct stun_server s = {0};
	struct exchange x;

	ask(&x, STUN_REQUEST, STUN_BINDING);
	assert_int_equal(answer(&s, &x), STUN_ANSWERED);
	assert_int_equal(x.len, 20);
	assert_int_equal(x.answer.len, 20 + 12);
	assert_int_equal(x.m.has, STUN_HAS_XOR_MAPPED_ADDRESS);
	assert_addr(&x.m.xor_mapped, "192.0.2.7:40000");
	assert_addr(&x.answer.to, "192.0.2.7:40000");

	ask(&x, STUN_REQUEST, STUN_BINDING);
	x.from = "[2001:db8::7]:40000";
	assert_int_equal(answer(&s, &x), STUN_ANSWERED);
	assert_int_equal(x.answer.len, 20 + 24);
	assert_addr(&x.m.xor_mapped, "[2001:db8::7]:40000");

	ask(&x, STUN_REQUEST, STUN_BINDING);
	x.from = "[::ffff:192.0.2.7]:40000";
	assert_int_equal(answer(&s, &x), STUN_ANSWERED);
	assert_int_equal(x.answer.len, 20 + 12);
	assert_int_equal(x.answer.to.sa.sa_family, AF_INET6); /* as the socket wants it */
}

static void a_fingerprint_for_a_fingerprint(void **state)
{
	struct stun_server s = {0};
	struct exchange x;

	ask(&x, STUN_REQUEST, STUN_BINDING);
	stun_write_fingerprint(&x.w);
	assert_int_equal(answer(&s, &x), STUN_ANSWERED);
	assert_int_equal(x.answer.len, 20 + 12 + 8);
	assert_true(x.m.has & STUN_HAS_FINGERPRINT);

	ask(&x, STUN_REQUEST, STUN_BINDING);
	stun_write_fingerprint(&x.w);
	x.request[STUN_HEADER_BYTES + 5] ^= 1;
	assert_int_equal(answer(&s, &x), STUN_IGNORED_DAMAGED);
}

static void what_is_not_answered(void **state)
{
	struct stun_server s = {0};
	struct exchange x;

	for (unsigned class = STUN_INDICATION; class < STUN_CLASSES; class ++) {
		ask(&x, class, STUN_BINDING);
		assert_int_equal(answer(&s, &x), STUN_IGNORED_CLASS);
	}
	ask(&x, STUN_REQUEST, 3); /* Allocate */
	assert_int_equal(answer(&s, &x), STUN_IGNORED_METHOD);

	ask(&x, STUN_REQUEST, STUN_BINDING);
	x.request[4] = 0; /* RFC 3489 had no cookie */
	assert_int_equal(answer(&s, &x), STUN_IGNORED_NOT_STUN);
	ask(&x, STUN_REQUEST, STUN_BINDING);
	for (x.len = 0; x.len < 20; x.len++)
		assert_int_equal(answer_raw(&s, &x), STUN_IGNORED_NOT_STUN);
	x.len = 24; /* more than the message */
	assert_int_equal(answer_raw(&s, &x), STUN_IGNORED_NOT_STUN);
	assert_int_equal(x.answer.len, 0);
}

static void the_largest_request(void **state)
{
	struct stun_server s = {0};
	struct exchange x;

	ask(&x, STUN_REQUEST, STUN_BINDING);
	stun_write_bytes(&x.w, 0x8099, NULL, STUN_REQUEST_MAX - 24);
	assert_int_equal(answer(&s, &x), STUN_ANSWERED);
	assert_int_equal(x.len, STUN_REQUEST_MAX);
	ask(&x, STUN_REQUEST, STUN_BINDING);
	stun_write_bytes(&x.w, 0x8099, NULL, STUN_REQUEST_MAX - 20);
	assert_int_equal(answer(&s, &x), STUN_IGNORED_NOT_STUN);
}

static void broken_attributes(void **state)
{
	struct stun_server s = {0};
	struct exchange x;

	ask(&x, STUN_REQUEST, STUN_BINDING);
	stun_write_bytes(&x.w, STUN_CHANGE_REQUEST, NULL, 2);
	assert_int_equal(answer(&s, &x), STUN_ANSWERED_ERROR);
	assert_int_equal(x.answer.len, 20 + 8);
	assert_int_equal(x.m.error_code, 400);
}

static void unknown_attributes(void **state)
{
	struct stun_server s = {0};
	struct exchange x;

	/* RFC 5769 section 2.1: PRIORITY is ICE's. */
	ask(&x, STUN_REQUEST, STUN_BINDING);
	memcpy(x.request, rfc5769_request, sizeof rfc5769_request);
	x.len = sizeof rfc5769_request;
	assert_int_equal(answer_raw(&s, &x), STUN_ANSWERED_ERROR);
	assert_int_equal(x.answer.len, 20 + 8 + 8 + 8);
	assert_int_equal(x.m.error_code, 420);
	assert_int_equal(x.m.refused.count, 1);
	assert_int_equal(x.m.refused.type[0], 0x0024);

	/* As many as there is room for are listed, and it still fits. */
	ask(&x, STUN_REQUEST, STUN_BINDING);
	for (uint16_t i = 0; i < 100; i++)
		stun_write_bytes(&x.w, (uint16_t)(0x7000 + i), NULL, 0);
	stun_write_fingerprint(&x.w);
	assert_int_equal(answer(&s, &x), STUN_ANSWERED_ERROR);
	assert_int_equal(x.m.refused.count, STUN_UNKNOWN_MAX);
	assert_true(x.answer.len < x.len);
}

static void credentials_are_passed_over(void **state)
{
	struct stun_server s = {0};
	struct exchange x;

	ask(&x, STUN_REQUEST, STUN_BINDING);
	memcpy(x.request, rfc5769_long_term, sizeof rfc5769_long_term);
	x.len = sizeof rfc5769_long_term;
	assert_int_equal(answer_raw(&s, &x), STUN_ANSWERED);
	assert_int_equal(x.answer.len, 20 + 12);
}

static void draining_sends_elsewhere(void **state)
{
	struct stun_server s = {.draining = true, .alternate = {addr_of("45.9.9.9:443")}};
	struct exchange x;

	ask(&x, STUN_REQUEST, STUN_BINDING);
	assert_int_equal(answer(&s, &x), STUN_ANSWERED_ERROR);
	assert_int_equal(x.answer.len, 20 + 8 + 12);
	assert_int_equal(x.m.error_code, 300);
	assert_addr(&x.m.alternate, "45.9.9.9:443");

	ask(&x, STUN_REQUEST, STUN_BINDING);
	x.from = "[2001:db8::7]:40000"; /* for IPv6 there is no other */
	assert_int_equal(answer(&s, &x), STUN_ANSWERED);
	s.alternate[1] = addr_of("[2001:db8::9]:443");
	assert_int_equal(answer_raw(&s, &x), STUN_ANSWERED_ERROR);
	assert_addr(&x.m.alternate, "[2001:db8::9]:443");

	s.draining = false;
	assert_int_equal(answer_raw(&s, &x), STUN_ANSWERED);
}

/* ---- RFC 5780 ---- */

static void switched_off_it_is_not_understood(void **state)
{
	struct stun_behaviour b = four_places();
	struct stun_server off = {0}, on = {.behaviour = &b};
	struct exchange x;

	ask(&x, STUN_REQUEST, STUN_BINDING);
	stun_write_change_request(&x.w, true, true);
	stun_write_response_port(&x.w, 9);
	stun_write_bytes(&x.w, STUN_PADDING, NULL, 8);
	assert_int_equal(answer(&off, &x), STUN_ANSWERED_ERROR);
	assert_int_equal(x.m.error_code, 420);
	assert_int_equal(x.m.refused.count, 3);
	assert_int_equal(x.answer.from_address, 0);
	assert_int_equal(x.answer.from_port, 0);
	assert_addr(&x.answer.to, "192.0.2.7:40000");

	x.stream = true; /* a stream has one end only */
	assert_int_equal(answer_raw(&on, &x), STUN_ANSWERED_ERROR);
	assert_int_equal(x.m.refused.count, 3);
	x.stream = false;
	x.from = "[2001:db8::7]:40000"; /* and there is no other IPv6 address */
	assert_int_equal(answer_raw(&on, &x), STUN_ANSWERED_ERROR);
	assert_int_equal(x.m.refused.count, 3);
}

static void every_change_from_every_place(void **state)
{
	struct stun_behaviour b = four_places();
	struct stun_server s = {.behaviour = &b};
	struct exchange x;

	for (unsigned i = 0; i < 16; i++) {
		bool change_address = i & 1, change_port = i & 2;

		ask(&x, STUN_REQUEST, STUN_BINDING);
		x.address = i >> 2 & 1;
		x.port = i >> 3 & 1;
		if (change_address || change_port)
			stun_write_change_request(&x.w, change_address, change_port);
		assert_int_equal(answer(&s, &x), STUN_ANSWERED);
		assert_int_equal(x.answer.from_address, x.address ^ change_address);
		assert_int_equal(x.answer.from_port, x.port ^ change_port);
		assert_true(addr_equal(&x.m.origin,
				       &b.places[x.answer.from_address][x.answer.from_port]));
		assert_true(addr_equal(&x.m.other, &b.places[!x.address][!x.port]));
		assert_addr(&x.m.mapped, "192.0.2.7:40000");
		assert_addr(&x.m.xor_mapped, "192.0.2.7:40000");
		assert_int_equal(x.answer.len, 20 + 4 * 12);
	}
}

static void answers_go_to_the_port_that_is_named(void **state)
{
	struct stun_behaviour b = four_places();
	struct stun_server s = {.behaviour = &b};
	struct exchange x;

	ask(&x, STUN_REQUEST, STUN_BINDING);
	stun_write_response_port(&x.w, 40001);
	assert_int_equal(answer(&s, &x), STUN_ANSWERED);
	assert_addr(&x.answer.to, "192.0.2.7:40001");
	assert_addr(&x.m.xor_mapped, "192.0.2.7:40000");

	x.from = "[::ffff:192.0.2.7]:40000";
	assert_int_equal(answer_raw(&s, &x), STUN_ANSWERED);
	assert_addr(&x.answer.to, "192.0.2.7:40001");

	ask(&x, STUN_REQUEST, STUN_BINDING);
	stun_write_response_port(&x.w, 0);
	assert_int_equal(answer(&s, &x), STUN_ANSWERED_ERROR);
	assert_int_equal(x.m.error_code, 400);
	assert_addr(&x.answer.to, "192.0.2.7:40000");

	ask(&x, STUN_REQUEST, STUN_BINDING);
	stun_write_response_port(&x.w, 40001);
	stun_write_bytes(&x.w, STUN_PADDING, NULL, 8);
	assert_int_equal(answer(&s, &x), STUN_ANSWERED_ERROR);
	assert_int_equal(x.m.error_code, 400);
}

static void padding_is_no_amplifier(void **state)
{
	struct stun_behaviour b = four_places();
	struct stun_server s = {.behaviour = &b};
	struct exchange x;

	for (size_t n = 0; n < 1400; n += 13) {
		ask(&x, STUN_REQUEST, STUN_BINDING);
		stun_write_bytes(&x.w, STUN_PADDING, NULL, n);
		stun_write_fingerprint(&x.w);
		assert_int_equal(answer(&s, &x), STUN_ANSWERED);
		assert_true(x.m.has & STUN_HAS_PADDING);
		assert_true(x.m.padding_bytes <= n);
		assert_true(n > 100 || x.m.padding_bytes == n);
		assert_true(x.answer.len <= x.len + 4 * 12);
	}
}

/* ---- streams ---- */

static void a_streams_next_message(void **state)
{
	struct exchange x;

	ask(&x, STUN_REQUEST, STUN_BINDING);
	stun_write_bytes(&x.w, STUN_SOFTWARE, NULL, 40);
	x.len = stun_write_end(&x.w);
	for (size_t n = 0; n < 20; n++)
		assert_int_equal(stun_message_length(x.request, n), 0);
	for (size_t n = 20; n < x.len + 10; n++)
		assert_int_equal(stun_message_length(x.request, n), 64);
	x.request[0] = 0x16; /* as TLS begins: not yet known to be no STUN */
	assert_int_equal(stun_message_length(x.request, 1), 0);
	x.request[0] = 'G';
	assert_int_equal(stun_message_length(x.request, 1), -1);
	x.request[0] = 0;
	x.request[7] = 0;
	assert_int_equal(stun_message_length(x.request, 20), -1);
	x.request[7] = 0x42;
	x.request[3] = 45;
	assert_int_equal(stun_message_length(x.request, 20), -1);
	x.request[2] = 5; /* 20 and 1480 */
	x.request[3] = 0xc8;
	assert_int_equal(stun_message_length(x.request, 20), STUN_REQUEST_MAX);
	x.request[3] = 0xcc;
	assert_int_equal(stun_message_length(x.request, 20), -1);
}

static void outcomes_have_names(void **state)
{
	for (unsigned o = 0; o < STUN_OUTCOMES; o++)
		assert_non_null(stun_outcome_name(o));
	assert_string_equal(stun_outcome_name(STUN_IGNORED_DAMAGED), "damaged");
}

/* ---- credentials ---- */

static const struct stun_bytes password = {(const uint8_t *)"right", 5};
static const struct stun_bytes another = {(const uint8_t *)"wrong", 5};

static bool answer_is_made_with(const struct exchange *x, struct stun_bytes key)
{
	return stun_integrity_sha256_ok(&x->m, x->answer.bytes, key);
}

static void who_has_the_password_is_answered_with_it(void **state)
{
	struct stun_server s = {.password = password};
	struct exchange x;

	ask(&x, STUN_REQUEST, STUN_BINDING);
	stun_write_bytes(&x.w, STUN_USERNAME, (const uint8_t *)"00fedcba9876543200000001", 24);
	stun_write_integrity_sha256(&x.w, password);
	stun_write_fingerprint(&x.w);
	assert_int_equal(answer(&s, &x), STUN_ANSWERED);
	assert_addr(&x.m.xor_mapped, "192.0.2.7:40000");
	assert_true(answer_is_made_with(&x, password));
	assert_false(answer_is_made_with(&x, another));
	assert_true(x.m.has & STUN_HAS_FINGERPRINT);
	assert_int_equal(x.answer.len, 20 + 12 + 36 + 8);
	x.from = "[2001:db8::7]:40000";
	assert_int_equal(answer_raw(&s, &x), STUN_ANSWERED);
	assert_int_equal(x.answer.len, 20 + 24 + 36 + 8);
	assert_true(x.answer.len <= x.len); /* no more than came */

	/* Errors are for those who have it, and made with it, too. */
	ask(&x, STUN_REQUEST, STUN_BINDING);
	stun_write_change_request(&x.w, true, true);
	stun_write_integrity_sha256(&x.w, password);
	assert_int_equal(answer(&s, &x), STUN_ANSWERED_ERROR);
	assert_int_equal(x.m.error_code, STUN_UNKNOWN_ATTRIBUTE);
	assert_true(answer_is_made_with(&x, password));
}

static void who_has_not_hears_nothing(void **state)
{
	struct stun_server s = {.password = password};
	struct exchange x;

	ask(&x, STUN_REQUEST, STUN_BINDING);
	assert_int_equal(answer(&s, &x), STUN_IGNORED_UNPROVEN);
	ask(&x, STUN_REQUEST, STUN_BINDING);
	stun_write_integrity_sha256(&x.w, another);
	assert_int_equal(answer(&s, &x), STUN_IGNORED_UNPROVEN);
	/* What would be refused with 420 and 400. */
	ask(&x, STUN_REQUEST, STUN_BINDING);
	stun_write_bytes(&x.w, 0x7fff, NULL, 4);
	assert_int_equal(answer(&s, &x), STUN_IGNORED_UNPROVEN);
	ask(&x, STUN_REQUEST, STUN_BINDING);
	stun_write_bytes(&x.w, STUN_MESSAGE_INTEGRITY_SHA256, NULL, 8);
	assert_int_equal(answer(&s, &x), STUN_IGNORED_UNPROVEN);
	/* Made with the password, but by SHA-1. */
	x.len = sizeof rfc5769_request;
	memcpy(x.request, rfc5769_request, x.len);
	s.password =
		(struct stun_bytes){(const uint8_t *)RFC5769_PASSWORD, sizeof RFC5769_PASSWORD - 1};
	assert_int_equal(answer_raw(&s, &x), STUN_IGNORED_UNPROVEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_request_gets_no_more_than_it_must),
		cmocka_unit_test(a_fingerprint_for_a_fingerprint),
		cmocka_unit_test(what_is_not_answered),
		cmocka_unit_test(the_largest_request),
		cmocka_unit_test(broken_attributes),
		cmocka_unit_test(unknown_attributes),
		cmocka_unit_test(credentials_are_passed_over),
		cmocka_unit_test(draining_sends_elsewhere),
		cmocka_unit_test(switched_off_it_is_not_understood),
		cmocka_unit_test(every_change_from_every_place),
		cmocka_unit_test(answers_go_to_the_port_that_is_named),
		cmocka_unit_test(padding_is_no_amplifier),
		cmocka_unit_test(who_has_the_password_is_answered_with_it),
		cmocka_unit_test(who_has_not_hears_nothing),
		cmocka_unit_test(a_streams_next_message),
		cmocka_unit_test(outcomes_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
