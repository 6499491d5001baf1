/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bridge: bytes between the TLS of two sides: whole, in order, with their ends, and no cut that
 * looks like one.
 *
 * links: relay/session/bridge.c core/engine/tag.c core/engine/tls.c core/engine/identity.c
 * links: core/engine/identity_verify.c core/engine/identity_relay.c core/engine/certificate.c
 * links: core/parse/wire.c core/parse/reason.c core/engine/csr.c ctl/pki/make.c tests/support/certs.c
 * links: core/engine/keyring.c core/parse/signing.c core/parse/keyblock.c core/memory.c
 * links: core/engine/browser.c core/engine/brotli.c core/addr.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/memory.h"
#include "relay/session/bridge.h"
#include "tests/support/certs.h"
#include "tests/support/tls_words.h"

#define DAY 86400L

static struct certs_ca ca;
static struct identity *relay, *agent;
static SSL_CTX *front, *dial;

static int make(void **state)
{
	ca = certs_make_ca("Example Ltd");
	relay = certs_identity(&ca, &ca, IDENTITY_RELAY, "relay.example.org", -DAY, DAY);
	agent = certs_identity(&ca, &ca, IDENTITY_AGENT, "home", -DAY, DAY);
	front = identity_front_context(relay);
	dial = identity_dial_context(agent);
	return front && dial ? 0 : -1;
}

static int unmake(void **state)
{
	SSL_CTX_free(front);
	SSL_CTX_free(dial);
	identity_free(relay);
	identity_free(agent);
	certs_free_ca(&ca);
	return 0;
}

/* far[side]: the other end of what the bridge has of that side. */
struct scene {
	struct bridge *bridge;
	struct tls *far[2];
	uint64_t passed[2];
	uint8_t plain[4096];
};

static struct scene scene_begin(void)
{
	struct scene s = {.bridge = memory_zeroed(sizeof(*s.bridge))};

	assert_non_null(s.bridge);
	for (unsigned side = 0; side < 2; side++) {
		s.bridge->tls[side] = tls_new(front, true);
		s.far[side] = tls_new(dial, false);
		assert_true(certs_handshake(s.far[side], s.bridge->tls[side], 4096));
	}
	return s;
}

static void scene_end(struct scene *s)
{
	tls_free(s->far[0]);
	tls_free(s->far[1]);
	bridge_free(s->bridge);
}

/* What the far end of side has put out comes to the bridge, in such pieces. */
static enum bridge_status carry(struct scene *s, unsigned side, size_t piece)
{
	enum bridge_status status = BRIDGE_ON;
	const uint8_t *out;
	size_t len;

	while ((out = tls_output(s->far[side], &len)) && status == BRIDGE_ON) {
		size_t n = len < piece ? len : piece;

		status = bridge_take(s->bridge, side, out, n, s->plain, sizeof(s->plain),
				     &s->passed[side]);
		tls_output_drop(s->far[side], n);
	}
	return status;
}

/* What the bridge has for side arrives there. Returns how many bytes it was on the wire. */
static size_t deliver(struct scene *s, unsigned side)
{
	size_t len;
	const uint8_t *out = bridge_output(s->bridge, side, &len);

	if (len > 0)
		assert_true(tls_feed(s->far[side], out, len));
	bridge_output_drop(s->bridge, side, len);
	return len;
}

static void bytes_pass_both_ways(void **state)
{
	struct scene s = scene_begin();

	for (size_t piece = 1; piece < 100; piece += 7) {
		write_text(s.far[0], "GET / HTTP/1.1");
		assert_int_equal(carry(&s, 0, piece), BRIDGE_ON);
		deliver(&s, 1);
		expect_text(s.far[1], "GET / HTTP/1.1");
		write_text(s.far[1], "200");
		assert_int_equal(carry(&s, 1, piece), BRIDGE_ON);
		deliver(&s, 0);
		expect_text(s.far[0], "200");
	}
	assert_int_equal(s.passed[0], 15 * 14);
	assert_int_equal(s.passed[1], 15 * 3);
	scene_end(&s);
}

/* What was decrypted before, and what TLS has kept without having been asked for it. */
static void what_came_before_comes_first(void **state)
{
	struct scene s = scene_begin();
	const uint8_t *out;
	size_t len;

	write_text(s.far[0], "two");
	out = tls_output(s.far[0], &len);
	assert_true(tls_feed(s.bridge->tls[0], out, len));
	tls_output_drop(s.far[0], len);
	assert_int_equal(bridge_give(s.bridge, 0, (const uint8_t *)"one", 3), BRIDGE_ON);
	assert_int_equal(bridge_take(s.bridge, 0, NULL, 0, s.plain, sizeof(s.plain), &s.passed[0]),
			 BRIDGE_ON);
	deliver(&s, 1);
	expect_text(s.far[1], "one");
	expect_text(s.far[1], "two");
	assert_int_equal(s.passed[0], 3); /* the caller counts what it gave */
	scene_end(&s);
}

/* Much, through a small room to work in; and no more is kept than the beginning of a record. */
static void much_passes(void **state)
{
	static uint8_t sent[200000], got[200000];
	struct scene s = scene_begin();
	size_t at = 0, n;

	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 7 + i / 253);
	assert_int_equal(tls_write(s.far[1], sent, sizeof(sent)), TLS_OK);
	while (at < sizeof(got)) {
		size_t len, unread, wire;
		const uint8_t *out = tls_output(s.far[1], &len);

		n = len < 16384 ? len : 16384;
		assert_int_equal(
			bridge_take(s.bridge, 1, out, n, s.plain, sizeof(s.plain), &s.passed[1]),
			BRIDGE_ON);
		tls_output_drop(s.far[1], n);
		(void)!tls_unread(s.bridge->tls[1], &unread);
		assert_true(unread < 16384 + 512);
		wire = deliver(&s, 0);
		assert_true(wire < 2 * (16384 + 1024));
		while (tls_read(s.far[0], got + at, sizeof(got) - at, &n) == TLS_OK)
			at += n;
	}
	assert_memory_equal(got, sent, sizeof(got));
	scene_end(&s);
}

static void an_end_is_passed_on(void **state)
{
	struct scene s = scene_begin();

	write_text(s.far[0], "last");
	tls_close_write(s.far[0]);
	assert_int_equal(carry(&s, 0, SIZE_MAX), BRIDGE_ENDED);
	assert_true(s.bridge->ended[0]);
	assert_false(s.bridge->ended[1]);
	deliver(&s, 1);
	expect_text(s.far[1], "last");
	expect_status(s.far[1], TLS_CLOSED);
	/* The other direction goes on, and ends by itself; an end of the wire behind that is none
	 * of its own. */
	write_text(s.far[1], "answer");
	assert_int_equal(carry(&s, 1, SIZE_MAX), BRIDGE_ON);
	deliver(&s, 0);
	expect_text(s.far[0], "answer");
	assert_int_equal(bridge_take_end(s.bridge, 0, s.plain, sizeof(s.plain), &s.passed[0]),
			 BRIDGE_ENDED);
	tls_close_write(s.far[1]);
	assert_int_equal(carry(&s, 1, SIZE_MAX), BRIDGE_ENDED);
	deliver(&s, 0);
	expect_status(s.far[0], TLS_CLOSED);
	scene_end(&s);
}

static void a_cut_is_no_end(void **state)
{
	struct scene s = scene_begin();

	for (unsigned side = 0; side < 2; side++) {
		write_text(s.far[side], "half");
		assert_int_equal(carry(&s, side, SIZE_MAX), BRIDGE_ON);
		assert_int_equal(
			bridge_take_end(s.bridge, side, s.plain, sizeof(s.plain), &s.passed[side]),
			BRIDGE_CUT);
		assert_false(s.bridge->ended[side]);
		deliver(&s, !side);
		expect_text(s.far[!side], "half");
		expect_status(s.far[!side], TLS_AGAIN);
	}
	scene_end(&s);
}

/* Bytes that are no record: an alert for who sent them, nothing for the other. */
static void garbage_is_answered(void **state)
{
	static const uint8_t garbage[] = {23, 3, 3, 0, 17, 1, 2, 3, 4, 5, 6,
					  7,  8, 9, 0, 1,  2, 3, 4, 5, 6, 7};
	struct scene s = scene_begin();
	size_t len;

	assert_int_equal(bridge_take(s.bridge, 0, garbage, sizeof(garbage), s.plain,
				     sizeof(s.plain), &s.passed[0]),
			 BRIDGE_BROKEN);
	(void)!bridge_output(s.bridge, 1, &len);
	assert_int_equal(len, 0);
	(void)!bridge_output(s.bridge, 0, &len);
	assert_true(len > 0);
	deliver(&s, 0);
	expect_status(s.far[0], TLS_FAILED);
	scene_end(&s);
}

/* An agent renews the key that it writes with, and asks for the relay's. */
static void keys_are_renewed(void **state)
{
	struct scene s = scene_begin();

	assert_true(tls_update_keys(s.far[1]));
	write_text(s.far[1], "under a new key");
	assert_int_equal(carry(&s, 1, SIZE_MAX), BRIDGE_ON);
	deliver(&s, 0);
	expect_text(s.far[0], "under a new key");
	write_text(s.far[0], "and back");
	assert_int_equal(carry(&s, 0, SIZE_MAX), BRIDGE_ON);
	deliver(&s, 1);
	expect_text(s.far[1], "and back");
	scene_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_pass_both_ways),
		cmocka_unit_test(what_came_before_comes_first),
		cmocka_unit_test(much_passes),
		cmocka_unit_test(an_end_is_passed_on),
		cmocka_unit_test(a_cut_is_no_end),
		cmocka_unit_test(garbage_is_answered),
		cmocka_unit_test(keys_are_renewed),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
