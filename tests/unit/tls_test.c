/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_test: both ends of a TLS connection as engines, and everything that can end one.
 *
 * links: core/engine/tag.c core/engine/tls.c core/engine/identity.c core/engine/identity_verify.c
 * links: core/engine/identity_relay.c core/engine/certificate.c
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

#include "tests/support/certs.h"
#include "tests/support/tls_words.h"

#define HOST "relay.example.org"
#define DAY  86400L

static struct certs_ca ca;
static struct identity *relay, *agent;
static SSL_CTX *front, *dial;

static int make(void **state)
{
	ca = certs_make_ca("Example Ltd");
	relay = certs_identity(&ca, &ca, IDENTITY_RELAY, HOST, -DAY, DAY);
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

struct ends {
	struct tls *client, *server;
};

static struct ends connect_ends(size_t chunk)
{
	struct ends e = {tls_new(dial, false), tls_new(front, true)};

	assert_non_null(e.client);
	assert_non_null(e.server);
	assert_true(certs_handshake(e.client, e.server, chunk));
	return e;
}

static void free_ends(struct ends *e)
{
	tls_free(e->client);
	tls_free(e->server);
}

/* The queues move what they hold to their beginning when more comes: bytes stay in order. */
static void test_what_waits_stays_in_order(void **state)
{
	struct ends e = connect_ends(4096);
	uint8_t sent[3000], got[3000];
	unsigned said = 0, heard = 0;

	for (unsigned turn = 0; turn < 40; turn++) {
		const uint8_t *bytes;
		size_t len, n = 0;

		for (size_t i = 0; i < sizeof(sent); i++)
			sent[i] = (uint8_t)(said++ * 7 / 3);
		assert_int_equal(tls_write(e.client, sent, sizeof(sent)), TLS_OK);
		/* Never all of it, so that the queue is never empty. */
		bytes = tls_output(e.client, &len);
		len = len * 3 / 4;
		assert_true(tls_feed(e.server, bytes, len));
		tls_output_drop(e.client, len);
		while (tls_read(e.server, got, sizeof(got), &n) == TLS_OK)
			for (size_t i = 0; i < n; i++)
				assert_int_equal(got[i], (uint8_t)(heard++ * 7 / 3));
	}
	assert_true(heard > 30 * sizeof(sent));
	free_ends(&e);
}

static void test_one_byte_pieces(void **state)
{
	struct ends e = connect_ends(1);

	write_text(e.client, "hello");
	certs_carry(e.client, e.server, 1);
	expect_text(e.server, "hello");
	write_text(e.server, "and back");
	certs_carry(e.server, e.client, 1);
	expect_text(e.client, "and back");
	expect_status(e.client, TLS_AGAIN);
	free_ends(&e);
}

static void test_exporters_agree(void **state)
{
	struct ends e = connect_ends(4096), other = connect_ends(4096);
	uint8_t a[TLS_EXPORT_BYTES], b[TLS_EXPORT_BYTES], c[TLS_EXPORT_BYTES];

	assert_true(tls_export(e.client, TLS_EXPORT_HELLO, a));
	assert_true(tls_export(e.server, TLS_EXPORT_HELLO, b));
	assert_memory_equal(a, b, sizeof(a));
	assert_true(tls_export(e.server, TLS_EXPORT_LEG, c));
	assert_memory_not_equal(a, c, sizeof(a));
	assert_true(tls_export(other.server, TLS_EXPORT_HELLO, c));
	assert_memory_not_equal(a, c, sizeof(a));
	free_ends(&e);
	free_ends(&other);
}

/* BoringSSL prefers X25519MLKEM768 since August 2026, when its API version was 43. */
static void test_the_key_exchange_has_a_name(void **state)
{
	struct ends e = {tls_new(dial, false), tls_new(front, true)};

	assert_int_equal(tls_group(e.client), 0);
	assert_string_equal(tls_group_name(0), "none");
	assert_true(certs_handshake(e.client, e.server, 4096));
	assert_int_equal(tls_group(e.client), tls_group(e.server));
	assert_string_equal(tls_group_name(tls_group(e.client)),
			    BORINGSSL_API_VERSION >= 43 ? "X25519MLKEM768" : "X25519");
	assert_string_equal(tls_group_name(0xfefe), "unknown");
	free_ends(&e);
}

static void test_no_export_before_the_handshake_or_on_tls12(void **state)
{
	SSL_CTX *old = SSL_CTX_new(TLS_method());
	struct ends e = {tls_new(old, false), tls_new(front, true)};
	uint8_t out[TLS_EXPORT_BYTES];

	assert_false(tls_export(e.client, TLS_EXPORT_HELLO, out));
	SSL_CTX_set_verify(old, SSL_VERIFY_NONE, NULL);
	assert_true(SSL_set_max_proto_version(tls_ssl(e.client), TLS1_2_VERSION));
	assert_true(certs_handshake(e.client, e.server, 4096));
	assert_int_equal(SSL_version(tls_ssl(e.server)), TLS1_2_VERSION);
	assert_false(tls_export(e.server, TLS_EXPORT_HELLO, out));
	free_ends(&e);
	SSL_CTX_free(old);
}

/* GO is the last record; what follows on the wire belongs to the session, to the byte. */
static void test_cut_through_leaves_raw_bytes_unread(void **state)
{
	static const uint8_t raw[] = {0x17, 0x03, 0x03, 0x00, 0x40, 'r', 'a', 'w', 0xff, 0x00};

	for (size_t given = 0; given <= sizeof(raw); given++) {
		struct ends e = connect_ends(4096);
		const uint8_t *rest;
		size_t len;

		write_text(e.server, "GO");
		certs_carry(e.server, e.client, given + 1);
		assert_true(tls_feed(e.client, raw, given));
		expect_text(e.client, "GO");
		rest = tls_unread(e.client, &len);
		assert_int_equal(len, given);
		assert_memory_equal(rest ? rest : raw, raw, given);
		free_ends(&e);
	}
}

static void test_half_close_each_way(void **state)
{
	struct ends e = connect_ends(4096);

	write_text(e.client, "last words");
	tls_close_write(e.client);
	tls_close_write(e.client);
	certs_carry(e.client, e.server, 4096);
	expect_text(e.server, "last words");
	expect_status(e.server, TLS_CLOSED);
	write_text(e.server, "still talking");
	certs_carry(e.server, e.client, 4096);
	expect_text(e.client, "still talking");
	expect_status(e.client, TLS_AGAIN);
	tls_close_write(e.server);
	certs_carry(e.server, e.client, 4096);
	expect_status(e.client, TLS_CLOSED);
	expect_status(e.client, TLS_CLOSED);
	assert_int_equal(tls_write(e.client, (const uint8_t *)"x", 1), TLS_FAILED);
	free_ends(&e);
}

static void test_truncation_is_told_from_close(void **state)
{
	struct ends e = connect_ends(4096);
	const uint8_t *bytes;
	size_t len;

	write_text(e.client, "hello");
	bytes = tls_output(e.client, &len);
	assert_true(tls_feed(e.server, bytes, len - 1));
	tls_feed_eof(e.server);
	expect_status(e.server, TLS_CUT);
	free_ends(&e);

	e = (struct ends){tls_new(dial, false), tls_new(front, true)};
	tls_feed_eof(e.server);
	assert_int_equal(tls_handshake(e.server), TLS_CUT);
	free_ends(&e);

	e = connect_ends(4096);
	tls_close_write(e.client);
	certs_carry(e.client, e.server, 4096);
	tls_feed_eof(e.server);
	expect_status(e.server, TLS_CLOSED);
	free_ends(&e);
}

static void test_garbage_fails_with_words(void **state)
{
	static const char http[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	struct tls *server = tls_new(front, true);
	struct ends e = connect_ends(4096);

	assert_true(tls_feed(server, (const uint8_t *)http, sizeof(http) - 1));
	assert_int_equal(tls_handshake(server), TLS_FAILED);
	assert_string_equal(tls_error(server), "the peer's bytes are not TLS");
	assert_int_equal(tls_handshake(server), TLS_FAILED);
	tls_free(server);

	/* A record that was tampered with. */
	assert_true(tls_feed(e.client,
			     (const uint8_t *)"\x17\x03\x03\x00\x14"
					      "twenty bytes of junk",
			     25));
	expect_status(e.client, TLS_FAILED);
	assert_string_not_equal(tls_error(e.client), "no error");
	assert_string_equal(tls_error(e.server), "no error");
	free_ends(&e);
}

static void test_no_common_version_says_so(void **state)
{
	SSL_CTX *old = SSL_CTX_new(TLS_method());
	struct ends e;

	assert_true(SSL_CTX_set_min_proto_version(old, TLS1_VERSION));
	assert_true(SSL_CTX_set_max_proto_version(old, TLS1_1_VERSION));
	e = (struct ends){tls_new(old, false), tls_new(front, true)};
	assert_false(certs_handshake(e.client, e.server, 4096));
	assert_string_equal(tls_error(e.server), "the two sides have no TLS version in common");
	free_ends(&e);
	SSL_CTX_free(old);
}

/* Many records, taken in small reads, while the feed and the output grow and shrink. */
static void test_large_transfer(void **state)
{
	enum { TOTAL = 300000 };
	struct ends e = connect_ends(4096);
	uint8_t *sent = malloc(TOTAL), *got = malloc(TOTAL);
	size_t at = 0, n, len;

	for (size_t i = 0; i < TOTAL; i++)
		sent[i] = (uint8_t)(i * 2654435761u >> 24);
	assert_int_equal(tls_write(e.client, sent, TOTAL), TLS_OK);
	assert_non_null(tls_output(e.client, &len));
	assert_in_range(len, TOTAL, TOTAL + 19 * 40);
	while (at < TOTAL) {
		const uint8_t *bytes = tls_output(e.client, &len);

		len = len < 7001 ? len : 7001;
		assert_true(tls_feed(e.server, bytes, len));
		tls_output_drop(e.client, len);
		while (tls_read(e.server, got + at, TOTAL - at < 999 ? TOTAL - at : 999, &n) ==
		       TLS_OK)
			at += n;
	}
	assert_memory_equal(sent, got, TOTAL);
	assert_null(tls_output(e.client, &len));
	assert_null(tls_unread(e.server, &len));
	free(sent);
	free(got);
	free_ends(&e);
}

static void test_the_feed_is_bounded(void **state)
{
	struct tls *t = tls_new(front, true);
	uint8_t *much = calloc(1, TLS_FEED_MAX);
	size_t len;

	assert_true(tls_feed(t, much, TLS_FEED_MAX));
	assert_false(tls_feed(t, much, 1));
	assert_non_null(tls_unread(t, &len));
	assert_int_equal(len, TLS_FEED_MAX);
	free(much);
	tls_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_waits_stays_in_order),
		cmocka_unit_test(test_one_byte_pieces),
		cmocka_unit_test(test_exporters_agree),
		cmocka_unit_test(test_the_key_exchange_has_a_name),
		cmocka_unit_test(test_no_export_before_the_handshake_or_on_tls12),
		cmocka_unit_test(test_cut_through_leaves_raw_bytes_unread),
		cmocka_unit_test(test_half_close_each_way),
		cmocka_unit_test(test_truncation_is_told_from_close),
		cmocka_unit_test(test_garbage_fails_with_words),
		cmocka_unit_test(test_no_common_version_says_so),
		cmocka_unit_test(test_large_transfer),
		cmocka_unit_test(test_the_feed_is_bounded),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
