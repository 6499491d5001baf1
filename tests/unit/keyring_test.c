/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyring_test: keys out of texts, and what a signer signs and what not.
 *
 * links: core/engine/keyring.c core/engine/certificate.c core/parse/signing.c core/parse/keyblock.c
 * links: core/engine/identity.c core/engine/identity_relay.c core/engine/identity_verify.c
 * links: core/engine/tag.c core/engine/tls.c core/addr.c core/log*.c core/parse/wire.c core/parse/reason.c
 * links: core/engine/csr.c ctl/pki/make.c tests/support/certs.c core/memory.c
 * links: core/engine/browser.c core/engine/brotli.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>

#include "core/engine/certificate.h"
#include "core/engine/csr.h"
#include "core/engine/keyring.h"
#include "core/engine/tls.h"
#include "core/parse/keyblock.h"
#include "tests/support/certs.h"

static struct certs_ca ca;
static struct certs_pair relay, other;

static int make_all(void **state)
{
	ca = certs_make_ca("Example");
	relay = certs_make_pair(&ca, IDENTITY_RELAY, "relay.example.org", -60, 3600);
	other = certs_make_pair(&ca, IDENTITY_RELAY, "other.example.org", -60, 3600);
	return 0;
}

static int free_all(void **state)
{
	certs_free_pair(&relay);
	certs_free_pair(&other);
	certs_free_ca(&ca);
	return 0;
}

static void id_of(const char *certificate, uint8_t id[SIGNING_KEY_BYTES])
{
	X509 *x = certificate_of_pem(certificate);

	assert_true(x && keyring_id_of_certificate(x, id));
	X509_free(x);
}

/* What a server signs: 64 bytes of one kind, a context with its zero byte, and a hash. */
static CBS verify_text(uint8_t out[SIGNING_INPUT_MAX], uint8_t pad, const char *context,
		       size_t hash)
{
	size_t n = 64;
	CBS all;

	memset(out, pad, n);
	memcpy(out + n, context, strlen(context) + 1);
	n += strlen(context) + 1;
	memset(out + n, 7, hash);
	CBS_init(&all, out, n + hash);
	return all;
}

#define SERVER "TLS 1.3, server CertificateVerify"

static void a_key_leaves_its_text(void **state)
{
	static const char *const before = "identity:\n  key: |\n";
	struct keyring *k = keyring_new();
	char text[8192], again[8192];
	uint8_t id[SIGNING_KEY_BYTES], found[SIGNING_KEY_BYTES];
	size_t n = (size_t)snprintf(text, sizeof(text), "%s", before);

	assert_non_null(k);
	for (const char *c = relay.key; *c;) {
		size_t line = strcspn(c, "\n") + 1;

		n += (size_t)snprintf(text + n, sizeof(text) - n, "    %.*s", (int)line, c);
		c += line;
	}
	snprintf(text + n, sizeof(text) - n, "name: \"%s\"\n", "x");
	memcpy(again, text, sizeof(again));
	id_of(relay.certificate, id);
	assert_false(keyring_has(k, id));
	assert_int_equal(keyring_take(k, text, strlen(text)), 1);
	assert_true(keyring_has(k, id));
	/* The same length, lines and indentation; a reference, and nothing of the key. */
	assert_int_equal(strlen(text), strlen(again));
	for (size_t i = 0; text[i]; i++)
		assert_int_equal(text[i] == '\n' || text[i] == ' ',
				 again[i] == '\n' || again[i] == ' ');
	assert_true(keyblock_refers(text, found));
	assert_memory_equal(found, id, sizeof(id));
	assert_null(strstr(text, "MI"));
	assert_non_null(strstr(text, "name: \"x\""));
	/* Again: nothing is taken, and the reference stays. */
	memcpy(again, text, sizeof(again));
	assert_int_equal(keyring_take(k, text, strlen(text)), 0);
	assert_string_equal(text, again);
	keyring_free(k);
}

/* In JSON a line's end is two characters, and no part of the key. */
static void a_key_in_quotes(void **state)
{
	struct keyring *k = keyring_new();
	char text[8192];
	uint8_t id[SIGNING_KEY_BYTES];
	size_t n = 0;

	n += (size_t)snprintf(text, sizeof(text), "{\"key\": \"");
	for (const char *c = relay.key; *c; c++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, *c == '\n' ? "\\n" : "%c", *c);
	snprintf(text + n, sizeof(text) - n, "\", \"name\": \"x\"}");
	assert_int_equal(keyring_take(k, text, strlen(text)), 1);
	id_of(relay.certificate, id);
	assert_true(keyring_has(k, id));
	assert_non_null(strstr(text, "-----BEGIN PRIVATE KEY-----\\n"));
	assert_non_null(strstr(text, "\\n-----END PRIVATE KEY-----\\n\", \"name\""));
	keyring_free(k);
}

static void what_is_no_key_goes_too(void **state)
{
	static const char *const texts[] = {
		"-----BEGIN PRIVATE KEY-----\nMIGHsecret\n-----END PRIVATE KEY-----\n",
		"-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,MIGHsecret\n-----END",
		"-----BEGIN RSA PRIVATE KEY-----\nMIGHsecret",
		"-----BEGIN X-----BEGIN PRIVATE KEY-----MIGHsecret-----",
	};
	struct keyring *k = keyring_new();
	uint8_t id[SIGNING_KEY_BYTES];
	char text[512];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		snprintf(text, sizeof(text), "%s", texts[i]);
		assert_int_equal(keyring_take(k, text, strlen(text)), 0);
		assert_null(strstr(text, "secret"));
		assert_false(keyblock_refers(text, id));
	}
	snprintf(text, sizeof(text),
		 "-----BEGIN CERTIFICATE-----\nMIGH\n-----END CERTIFICATE-----");
	assert_int_equal(keyring_take(k, text, strlen(text)), 0);
	assert_non_null(strstr(text, "MIGH"));
	assert_false(keyblock_refers(relay.key, id));
	keyring_free(k);
}

static void handshakes_are_signed_and_nothing_else(void **state)
{
	uint8_t id[SIGNING_KEY_BYTES], unknown[SIGNING_KEY_BYTES] = {1}, text[SIGNING_INPUT_MAX];
	uint8_t signature[SIGNING_SIGNATURE_MAX];
	struct keyring *k = keyring_new();
	char pem[4096];
	X509 *x = certificate_of_pem(relay.certificate);
	EVP_PKEY *public_key = X509_get_pubkey(x);
	EVP_MD_CTX *check = EVP_MD_CTX_new();
	size_t len = 0;
	CBS good = verify_text(text, ' ', SERVER, 32), bad;

	snprintf(pem, sizeof(pem), "%s", relay.key);
	assert_int_equal(keyring_take(k, pem, strlen(pem)), 1);
	id_of(relay.certificate, id);
	assert_int_equal(
		keyring_sign(k, unknown, SSL_SIGN_ECDSA_SECP256R1_SHA256, good, signature, &len),
		KEYRING_NO_KEY);
	assert_int_equal(
		keyring_sign(k, id, SSL_SIGN_ECDSA_SECP256R1_SHA256, good, signature, &len),
		KEYRING_OK);
	assert_int_equal(EVP_DigestVerifyInit(check, NULL, EVP_sha256(), NULL, public_key), 1);
	assert_int_equal(EVP_DigestVerify(check, signature, len, CBS_data(&good), CBS_len(&good)),
			 1);
	/* Of another kind of key, and with a hash that no longer holds. */
	assert_int_equal(keyring_sign(k, id, SSL_SIGN_RSA_PSS_RSAE_SHA256, good, signature, &len),
			 KEYRING_REFUSED);
	assert_int_equal(keyring_sign(k, id, SSL_SIGN_ECDSA_SHA1, good, signature, &len),
			 KEYRING_REFUSED);
	bad = verify_text(text, ' ', "TLS 1.3, client CertificateVerify", 32);
	assert_int_equal(keyring_sign(k, id, SSL_SIGN_ECDSA_SECP256R1_SHA256, bad, signature, &len),
			 KEYRING_REFUSED);
	CBS_init(&bad, (const uint8_t *)"postern/2 hello\0 and 32 bytes that the peer chose", 48);
	assert_int_equal(keyring_sign(k, id, SSL_SIGN_ECDSA_SECP256R1_SHA256, bad, signature, &len),
			 KEYRING_REFUSED);
	EVP_MD_CTX_free(check);
	EVP_PKEY_free(public_key);
	X509_free(x);
	keyring_free(k);
}

/* One that was made here; retired, it signs for what has begun, until it comes again. */
static void a_key_is_put_and_retired(void **state)
{
	uint8_t id[SIGNING_KEY_BYTES], wanted[SIGNING_KEY_BYTES], text[SIGNING_INPUT_MAX];
	uint8_t signature[SIGNING_SIGNATURE_MAX];
	struct keyring *k = keyring_new();
	CBS good = verify_text(text, ' ', SERVER, 32);
	char pem[4096];
	size_t len;

	id_of(relay.certificate, wanted);
	assert_true(keyring_put(k, certificate_key_of_pem(relay.key), id));
	assert_memory_equal(id, wanted, sizeof(id));
	assert_true(keyring_has(k, id));
	keyring_retire(k, id);
	assert_false(keyring_has(k, id));
	assert_int_equal(
		keyring_sign(k, id, SSL_SIGN_ECDSA_SECP256R1_SHA256, good, signature, &len),
		KEYRING_OK);
	snprintf(pem, sizeof(pem), "%s", relay.key);
	assert_int_equal(keyring_take(k, pem, strlen(pem)), 1);
	assert_true(keyring_has(k, id));
	id_of(other.certificate, wanted);
	keyring_retire(k, wanted); /* it is not there */
	assert_true(keyring_has(k, id));
	keyring_free(k);
}

/* A further key takes the place of the one that signed longest ago. */
static void the_ring_has_an_end(void **state)
{
	uint8_t id[SIGNING_KEY_BYTES], text[SIGNING_INPUT_MAX], signature[SIGNING_SIGNATURE_MAX];
	struct keyring *k = keyring_new();
	char pem[4096];
	size_t len;

	id_of(relay.certificate, id);
	snprintf(pem, sizeof(pem), "%s", relay.key);
	assert_int_equal(keyring_take(k, pem, strlen(pem)), 1);
	for (unsigned i = 0; i < 2 * KEYRING_MAX; i++) {
		struct certs_pair more =
			certs_make_pair(&ca, IDENTITY_RELAY, "more.example.org", -60, 3600);

		assert_int_equal(keyring_sign(k, id, SSL_SIGN_ECDSA_SECP256R1_SHA256,
					      verify_text(text, ' ', SERVER, 48), signature, &len),
				 KEYRING_OK);
		assert_int_equal(keyring_take(k, more.key, strlen(more.key)), 1);
		certs_free_pair(&more);
	}
	assert_true(keyring_has(k, id));
	keyring_free(k);
}

/* However many are made before the next handshake: what is in force stays, used or not. */
static void keys_that_were_retired_go_first(void **state)
{
	uint8_t file[SIGNING_KEY_BYTES], made[SIGNING_KEY_BYTES], one[SIGNING_KEY_BYTES];
	struct keyring *k = keyring_new();
	char pem[4096];

	assert_true(keyring_put(k, certificate_key_of_pem(other.key), made));
	keyring_last(k, made);
	id_of(relay.certificate, file);
	snprintf(pem, sizeof(pem), "%s", relay.key);
	assert_int_equal(keyring_take(k, pem, strlen(pem)), 1);
	for (unsigned i = 0; i < 2 * KEYRING_MAX; i++) {
		assert_true(keyring_put(k, csr_new_key(), one));
		keyring_retire(k, one);
	}
	assert_true(keyring_has(k, file));
	assert_true(keyring_has(k, made));
	for (unsigned i = 0; i < 2 * KEYRING_MAX; i++)
		assert_true(keyring_put(k, csr_new_key(), one));
	assert_true(keyring_has(k, made));
	keyring_retire(k, made);
	for (unsigned i = 0; i < 2 * KEYRING_MAX; i++)
		assert_true(keyring_put(k, csr_new_key(), one));
	assert_false(keyring_has(k, made));
	keyring_free(k);
}

/* ---- a handshake whose signature is made elsewhere ---- */

struct two {
	struct identity *server_id, *client_id;
	SSL_CTX *server_ctx, *client_ctx;
	struct tls *server, *client;
};

static struct two two_begin(bool tls12)
{
	char why[512];
	struct two t = {.server_id = identity_new(ca.pem, relay.certificate, NULL, time(NULL), why,
						  sizeof(why)),
			.client_id = identity_new(ca.pem, other.certificate, other.key, time(NULL),
						  why, sizeof(why))};

	assert_non_null(t.server_id);
	t.server_ctx = identity_front_context(t.server_id);
	t.client_ctx = identity_dial_context(t.client_id);
	if (tls12)
		assert_true(SSL_CTX_set_min_proto_version(t.client_ctx, TLS1_2_VERSION) &&
			    SSL_CTX_set_max_proto_version(t.client_ctx, TLS1_2_VERSION));
	t.server = tls_new(t.server_ctx, true);
	t.client = tls_new(t.client_ctx, false);
	assert_int_equal(tls_handshake(t.client), TLS_AGAIN);
	certs_carry(t.client, t.server, 100000);
	assert_int_equal(tls_handshake(t.server), TLS_AGAIN);
	return t;
}

static void two_end(struct two *t)
{
	tls_free(t->server);
	tls_free(t->client);
	SSL_CTX_free(t->server_ctx);
	SSL_CTX_free(t->client_ctx);
	identity_free(t->server_id);
	identity_free(t->client_id);
}

static void a_handshake_waits_for_its_signature(void **state)
{
	uint8_t id[SIGNING_KEY_BYTES], own[SIGNING_KEY_BYTES], signature[SIGNING_SIGNATURE_MAX];
	char pem[4096];

	id_of(relay.certificate, own);
	for (unsigned version = 0; version < 2; version++) {
		struct keyring *k = keyring_new();
		struct two t = two_begin(version == 1);
		struct tls_signing wanted, same;
		size_t len = 0;
		CBS input;

		snprintf(pem, sizeof(pem), "%s", relay.key);
		assert_int_equal(keyring_take(k, pem, strlen(pem)), 1);
		assert_true(tls_wants_signature(t.server) && tls_awaits_signature(t.server));
		assert_true(tls_ask_signature(t.server, &wanted));
		assert_false(tls_wants_signature(t.server)); /* it is asked for */
		assert_true(tls_ask_signature(t.server, &same) && same.input == wanted.input);
		/* It goes on waiting, whatever comes meanwhile. */
		assert_int_equal(tls_handshake(t.server), TLS_AGAIN);
		assert_true(tls_key_id(t.server, id));
		assert_memory_equal(id, own, sizeof(id));
		CBS_init(&input, wanted.input, wanted.len);
		assert_true(signing_input_ok(input));
		assert_int_equal(keyring_sign(k, id, wanted.algorithm, input, signature, &len),
				 KEYRING_OK);
		tls_give_signature(t.server, signature, len);
		assert_true(tls_awaits_signature(t.server));
		(void)!tls_handshake(t.server);
		assert_false(tls_awaits_signature(t.server));
		assert_true(certs_handshake(t.client, t.server, 100000));
		keyring_free(k);
		two_end(&t);
	}
}

static void a_signature_that_does_not_come(void **state)
{
	struct tls_signing wanted;
	struct two t = two_begin(false);

	assert_true(tls_ask_signature(t.server, &wanted));
	tls_give_signature(t.server, NULL, 0);
	assert_false(tls_ask_signature(t.server, &wanted));
	assert_int_equal(tls_handshake(t.server), TLS_FAILED);
	two_end(&t);
	t = two_begin(false);
	assert_true(tls_ask_signature(t.server, &wanted));
	/* More than any key makes. */
	tls_give_signature(t.server, (const uint8_t *)relay.certificate, SIGNING_SIGNATURE_MAX + 1);
	assert_int_equal(tls_handshake(t.server), TLS_FAILED);
	two_end(&t);
	/* A connection that goes while it waits. */
	t = two_begin(false);
	two_end(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_leaves_its_text),
		cmocka_unit_test(a_key_in_quotes),
		cmocka_unit_test(what_is_no_key_goes_too),
		cmocka_unit_test(handshakes_are_signed_and_nothing_else),
		cmocka_unit_test(a_key_is_put_and_retired),
		cmocka_unit_test(the_ring_has_an_end),
		cmocka_unit_test(keys_that_were_retired_go_first),
		cmocka_unit_test(a_handshake_waits_for_its_signature),
		cmocka_unit_test(a_signature_that_does_not_come),
	};

	return cmocka_run_group_tests(tests, make_all, free_all);
}
