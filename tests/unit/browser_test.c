/* SPDX-License-Identifier: Apache-2.0 */
/*
 * browser_test: what an agent's ClientHello says, how TLS 1.2 ends, and certificates that come
 * compressed. tests/net/test_ja4.py holds the hello against Chromium's own.
 *
 * links: core/engine/browser.c core/engine/brotli.c core/engine/tag.c core/engine/tls.c core/addr.c
 * links: core/engine/identity.c core/engine/identity_verify.c core/engine/identity_relay.c
 * links: core/engine/certificate.c core/engine/keyring.c core/parse/wire.c core/parse/reason.c
 * links: core/parse/keyblock.c core/parse/signing.c core/engine/csr.c ctl/pki/make.c tests/support/certs.c core/memory.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include <brotli/encode.h>
#include <openssl/pool.h>

#include "core/engine/brotli.h"
#include "core/engine/browser.h"
#include "tests/support/certs.h"

#define HOST "relay.example.org"
#define DAY  86400L

struct ends {
	struct certs_ca ca;
	struct identity *relay, *agent;
	SSL_CTX *front, *dial;
	struct tls *client, *server;
};

static struct ends ends_of(const char *host)
{
	struct ends e = {.ca = certs_make_ca("Example")};

	e.relay = certs_identity(&e.ca, &e.ca, IDENTITY_RELAY, host, -DAY, DAY);
	e.agent = certs_identity(&e.ca, &e.ca, IDENTITY_AGENT, "home", -DAY, DAY);
	e.front = identity_front_context(e.relay);
	e.dial = identity_dial_context(e.agent);
	e.client = browser_tls(e.dial, host);
	e.server = tls_new(e.front, true);
	assert_non_null(e.client);
	assert_non_null(e.server);
	return e;
}

static void ends_down(struct ends *e)
{
	tls_free(e->client);
	tls_free(e->server);
	SSL_CTX_free(e->front);
	SSL_CTX_free(e->dial);
	identity_free(e->relay);
	identity_free(e->agent);
	certs_free_ca(&e->ca);
}

/* ---- the hello ---- */

static bool is_grease(uint16_t n)
{
	return (n & 0x0f0f) == 0x0a0a && n >> 8 == (n & 0xff);
}

/* The numbers of a list, without GREASE. */
static size_t numbers(CBS list, uint16_t out[64])
{
	size_t count = 0;
	uint16_t one;

	while (CBS_len(&list) > 0) {
		assert_true(CBS_get_u16(&list, &one) && count < 64);
		if (!is_grease(one))
			out[count++] = one;
	}
	return count;
}

struct hello {
	uint16_t ciphers[64], kinds[64];
	size_t cipher_count, kind_count, grease;
	CBS bodies[64];
};

/* The first flight stays with the client. */
static struct hello first_flight(struct tls *client)
{
	struct hello h = {0};
	CBS in, record, message, list, extensions;
	uint16_t kind;
	size_t len;

	assert_int_equal(tls_handshake(client), TLS_AGAIN);
	const uint8_t *out = tls_output(client, &len);
	CBS_init(&in, out, len);
	assert_true(CBS_skip(&in, 3) && CBS_get_u16_length_prefixed(&in, &record));
	assert_int_equal(CBS_len(&in), 0);
	assert_true(CBS_skip(&record, 1) && CBS_get_u24_length_prefixed(&record, &message));
	assert_true(CBS_skip(&message, 2 + 32) && CBS_get_u8_length_prefixed(&message, &list));
	assert_int_equal(CBS_len(&list), 32);
	assert_true(CBS_get_u16_length_prefixed(&message, &list));
	h.cipher_count = numbers(list, h.ciphers);
	assert_true(CBS_get_u8_length_prefixed(&message, &list));
	assert_true(CBS_get_u16_length_prefixed(&message, &extensions));
	while (CBS_len(&extensions) > 0) {
		assert_true(h.kind_count < 64 && CBS_get_u16(&extensions, &kind));
		assert_true(CBS_get_u16_length_prefixed(&extensions, &h.bodies[h.kind_count]));
		if (is_grease(kind))
			h.grease++;
		else if (kind != TLSEXT_TYPE_padding) /* comes and goes with the length */
			h.kinds[h.kind_count++] = kind;
	}
	return h;
}

/* NULL: it has none of this kind. */
static const CBS *body_of(const struct hello *h, uint16_t kind)
{
	for (size_t i = 0; i < h->kind_count; i++)
		if (h->kinds[i] == kind)
			return &h->bodies[i];
	return NULL;
}

static void test_the_hello_is_a_browsers(void **state)
{
	/* Those of TLS 1.2 and 1.3, in the order of their numbers. */
	static const uint16_t ciphers[] = {0x2f,   0x35,   0x9c,   0x9d,   0x1301,
					   0x1302, 0x1303, 0xc013, 0xc014, 0xc02b,
					   0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9};
	static const uint16_t kinds[] = {0,  5,	 10, 11,     13,
					 16, 18, 23, 27,     35,
					 43, 45, 51, 0xff01, TLSEXT_TYPE_encrypted_client_hello};
	static const uint8_t signatures[] = {4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1};
	struct ends e = ends_of(HOST);
	struct hello h = first_flight(e.client);
	const CBS *body;

	assert_int_equal(h.cipher_count, sizeof(ciphers) / sizeof(ciphers[0]));
	for (size_t i = 0; i < h.cipher_count; i++) {
		bool found = false;

		for (size_t k = 0; k < h.cipher_count && !found; k++)
			found = h.ciphers[k] == ciphers[i];
		assert_true(found);
	}
	assert_int_equal(h.grease, 2);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		assert_non_null(body_of(&h, kinds[i]));
	body = body_of(&h, 16);
	assert_memory_equal(CBS_data(body), "\0\x09\x08http/1.1", 11);
	body = body_of(&h, 27);
	assert_memory_equal(CBS_data(body), "\2\0\2", 3);
	/* Behind what only newer libraries have; no SHA-1. */
	body = body_of(&h, 13);
	assert_true(CBS_len(body) >= 2 + sizeof(signatures));
	assert_memory_equal(CBS_data(body) + CBS_len(body) - sizeof(signatures), signatures,
			    sizeof(signatures));
	ends_down(&e);
}

/* RFC 6066 section 3: an address is no server name. */
static void test_an_address_is_not_sent_as_a_name(void **state)
{
	static const char *const literals[] = {"192.0.2.7", "2001:db8::7"};

	for (size_t i = 0; i < 2; i++) {
		struct ends e = ends_of(literals[i]);
		struct hello h = first_flight(e.client);

		assert_null(body_of(&h, 0));
		ends_down(&e);
	}
}

static void test_extensions_are_permuted(void **state)
{
	struct ends e = ends_of(HOST);
	struct hello first = first_flight(e.client);
	bool differs = false;

	for (size_t i = 0; i < 8 && !differs; i++) {
		struct tls *again = browser_tls(e.dial, HOST);
		struct hello h = first_flight(again);

		differs = memcmp(h.kinds, first.kinds, sizeof(h.kinds)) != 0;
		tls_free(again);
	}
	assert_true(differs);
	ends_down(&e);
}

static void test_a_name_that_is_none(void **state)
{
	struct ends e = ends_of(HOST);
	char name[300];

	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_null(browser_tls(e.dial, name));
	ends_down(&e);
}

/* ---- TLS 1.2 ---- */

/* The handshake is done, as with any browser; only then is it over. */
static void test_tls_12_is_offered_and_refused(void **state)
{
	struct ends e = ends_of(HOST);
	uint8_t exported[TLS_EXPORT_BYTES];
	struct identity_peer peer;
	char why[512] = "";

	assert_true(SSL_set_max_proto_version(tls_ssl(e.server), TLS1_2_VERSION));
	assert_true(certs_handshake(e.client, e.server, 4096));
	assert_int_equal(SSL_version(tls_ssl(e.client)), TLS1_2_VERSION);
	assert_false(identity_check_relay(e.agent, tls_ssl(e.client), HOST, false, time(NULL),
					  &peer, why, sizeof(why)));
	assert_memory_equal(why, HOST " speaks no TLS 1.3", strlen(HOST " speaks no TLS 1.3"));
	assert_false(tls_export(e.client, TLS_EXPORT_HELLO, exported));
	ends_down(&e);
}

/* ---- compressed certificates ---- */

static unsigned compressed;

static int compress_certificate(SSL *ssl, CBB *out, const uint8_t *in, size_t len)
{
	size_t size = BrotliEncoderMaxCompressedSize(len);
	uint8_t *room;

	assert_true(CBB_reserve(out, &room, size));
	assert_true(BrotliEncoderCompress(11, BROTLI_MAX_WINDOW_BITS, BROTLI_MODE_GENERIC, len, in,
					  &size, room));
	compressed++;
	return CBB_did_write(out, size);
}

static void test_a_server_compresses_its_certificates(void **state)
{
	struct ends e = ends_of(HOST);
	struct identity_peer peer;
	char why[512] = "";

	assert_true(SSL_CTX_add_cert_compression_alg(e.front, TLSEXT_cert_compression_brotli,
						     compress_certificate, NULL));
	tls_free(e.server);
	e.server = tls_new(e.front, true);
	compressed = 0;
	assert_true(certs_handshake(e.client, e.server, 4096));
	assert_int_equal(compressed, 1);
	assert_true(identity_check_relay(e.agent, tls_ssl(e.client), HOST, false, time(NULL), &peer,
					 why, sizeof(why)));
	ends_down(&e);
}

/* Sends any bytes as compressed certificates. */
static int compress_badly(SSL *ssl, CBB *out, const uint8_t *in, size_t len)
{
	return CBB_add_bytes(out, in, len);
}

static void test_nonsense_ends_the_handshake(void **state)
{
	struct ends e = ends_of(HOST);

	assert_true(SSL_CTX_add_cert_compression_alg(e.front, TLSEXT_cert_compression_brotli,
						     compress_badly, NULL));
	tls_free(e.server);
	e.server = tls_new(e.front, true);
	assert_false(certs_handshake(e.client, e.server, 4096));
	ends_down(&e);
}

static size_t compress(const uint8_t *in, size_t len, int window, uint8_t *out, size_t room)
{
	assert_true(BrotliEncoderCompress(9, window, BROTLI_MODE_GENERIC, len, in, &room, out));
	return room;
}

static void test_brotli_keeps_the_size_to_the_byte(void **state)
{
	static uint8_t plain[BROTLI_PLAIN_MAX], packed[2 * BROTLI_PLAIN_MAX],
		out[BROTLI_PLAIN_MAX + 1];
	size_t len;

	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i * i / 251);
	for (int window = BROTLI_MIN_WINDOW_BITS; window <= BROTLI_MAX_WINDOW_BITS; window++) {
		len = compress(plain, sizeof(plain), window, packed, sizeof(packed));
		assert_true(brotli_decode(packed, len, out, sizeof(plain)));
		assert_memory_equal(out, plain, sizeof(plain));
	}
	assert_false(brotli_decode(packed, len, out, sizeof(plain) - 1));
	assert_false(brotli_decode(packed, len, out, sizeof(plain) + 1));
	assert_false(brotli_decode(packed, len - 1, out, sizeof(plain)));
	packed[len] = 0;
	assert_false(brotli_decode(packed, len + 1, out, sizeof(plain)));
	assert_false(brotli_decode(packed, 0, out, 1));
	assert_false(brotli_decode(packed, 0, out, 0));
}

static void test_a_size_beyond_the_limit_is_refused(void **state)
{
	static uint8_t plain[BROTLI_PLAIN_MAX + 1], packed[4096];
	CRYPTO_BUFFER *got = NULL;
	size_t len = compress(plain, sizeof(plain), 22, packed, sizeof(packed));

	assert_int_equal(brotli_decompress(NULL, &got, sizeof(plain), packed, len), 0);
	assert_null(got);
	len = compress(plain, BROTLI_PLAIN_MAX, 22, packed, sizeof(packed));
	assert_int_equal(brotli_decompress(NULL, &got, BROTLI_PLAIN_MAX, packed, len), 1);
	assert_int_equal(CRYPTO_BUFFER_len(got), BROTLI_PLAIN_MAX);
	CRYPTO_BUFFER_free(got);
	got = NULL;
	assert_int_equal(brotli_decompress(NULL, &got, 0, packed, len), 0);
	assert_null(got);
}

/* A window of 16 MiB and a block that says it fills it: it gets no memory for that. */
static void test_the_decoders_memory_is_bounded(void **state)
{
	static uint8_t plain[8u << 20], out[8u << 20];
	uint8_t packed[4096];
	size_t len = compress(plain, sizeof(plain), BROTLI_MAX_WINDOW_BITS, packed, sizeof(packed));

	assert_false(brotli_decode(packed, len, out, sizeof(out)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_hello_is_a_browsers),
		cmocka_unit_test(test_an_address_is_not_sent_as_a_name),
		cmocka_unit_test(test_extensions_are_permuted),
		cmocka_unit_test(test_a_name_that_is_none),
		cmocka_unit_test(test_tls_12_is_offered_and_refused),
		cmocka_unit_test(test_a_server_compresses_its_certificates),
		cmocka_unit_test(test_nonsense_ends_the_handshake),
		cmocka_unit_test(test_brotli_keeps_the_size_to_the_byte),
		cmocka_unit_test(test_a_size_beyond_the_limit_is_refused),
		cmocka_unit_test(test_the_decoders_memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
