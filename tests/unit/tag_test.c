/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tag_test: tags over real TLS sessions, held against HMACs made here.
 *
 * links: core/engine/tag.c core/engine/tls.c core/engine/identity.c core/engine/identity_verify.c
 * links: core/engine/identity_relay.c core/engine/certificate.c core/engine/keyring.c
 * links: core/parse/wire.c core/parse/reason.c core/parse/keyblock.c core/parse/signing.c
 * links: core/engine/csr.c ctl/pki/make.c tests/support/certs.c core/memory.c
 * links: core/engine/browser.c core/engine/brotli.c core/addr.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "tests/support/certs.h"

#define DAY 86400L

struct ends {
	struct certs_ca ca;
	struct identity *relay, *agent;
	SSL_CTX *front, *dial;
	struct tls *client, *server;
};

static struct ends ends_up(uint16_t most)
{
	struct ends e = {.ca = certs_make_ca("Example")};

	e.relay = certs_identity(&e.ca, &e.ca, IDENTITY_RELAY, "relay.example", -DAY, DAY);
	e.agent = certs_identity(&e.ca, &e.ca, IDENTITY_AGENT, "home", -DAY, DAY);
	e.front = identity_front_context(e.relay);
	e.dial = identity_dial_context(e.agent);
	assert_true(SSL_CTX_set_min_proto_version(e.dial, TLS1_2_VERSION));
	assert_true(SSL_CTX_set_max_proto_version(e.dial, most));
	e.client = tls_new(e.dial, false);
	e.server = tls_new(e.front, true);
	assert_true(certs_handshake(e.client, e.server, 1000));
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

static struct conf_tag_keys four_keys(void)
{
	struct conf_tag_keys keys = {.count = 4};

	for (size_t i = 0; i < 4; i++)
		memset(keys.keys[i], 0x31 + (int)i, CONF_TAG_KEY_BYTES);
	return keys;
}

static void a_tag_is_what_the_protocol_says(void **state)
{
	struct ends e = ends_up(TLS1_3_VERSION);
	struct conf_tag_keys keys = four_keys();
	uint8_t tag[TAG_BYTES], expected[TAG_BYTES], message[14 + 32] = "postern/2 tag";
	unsigned len;

	assert_true(tag_make(e.client, keys.keys[2], tag));
	assert_true(tls_export(e.server, "EXPORTER-postern-tag", message + 14));
	assert_non_null(
		HMAC(EVP_sha256(), keys.keys[2], 32, message, sizeof(message), expected, &len));
	assert_memory_equal(tag, expected, TAG_BYTES);
	ends_down(&e);
}

static void each_key_is_known_by_its_place(void **state)
{
	struct ends e = ends_up(TLS1_3_VERSION), other = ends_up(TLS1_3_VERSION);
	struct conf_tag_keys keys = four_keys();
	uint8_t said[TAG_BYTES + 5] = {0};

	for (size_t i = 0; i < 4; i++) {
		assert_true(tag_make(e.client, keys.keys[i], said));
		assert_int_equal(tag_find(e.server, &keys, said, sizeof(said)), i + 1);
		assert_int_equal(tag_find(e.server, &keys, said, TAG_BYTES), i + 1);
		assert_int_equal(tag_find(e.server, &keys, said, TAG_BYTES - 1), 0);
		assert_int_equal(tag_find(other.server, &keys, said, sizeof(said)), 0);
		for (size_t at = 0; at < TAG_BYTES; at++) {
			said[at] ^= 1;
			assert_int_equal(tag_find(e.server, &keys, said, sizeof(said)), 0);
			said[at] ^= 1;
		}
		keys.count = i; /* a key that was taken out */
		assert_int_equal(tag_find(e.server, &keys, said, sizeof(said)), 0);
		keys.count = 4;
	}
	ends_down(&e);
	ends_down(&other);
}

static void there_is_none_over_tls_1_2(void **state)
{
	struct ends e = ends_up(TLS1_2_VERSION);
	struct conf_tag_keys keys = four_keys();
	uint8_t tag[TAG_BYTES] = {0};

	assert_false(tag_make(e.client, keys.keys[0], tag));
	assert_int_equal(tag_find(e.server, &keys, tag, sizeof(tag)), 0);
	ends_down(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tag_is_what_the_protocol_says),
		cmocka_unit_test(each_key_is_known_by_its_place),
		cmocka_unit_test(there_is_none_over_tls_1_2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
