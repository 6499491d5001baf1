/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyring: keys by their ids, and signatures of handshakes.
 *
 * #syscalls-rare getrandom; BoringSSL's, now and then
 */
#include "core/engine/keyring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>

#include "core/engine/certificate.h"
#include "core/parse/keyblock.h"

static_assert(KEYBLOCK_ID_BYTES == SIGNING_KEY_BYTES, "a reference names a key");

#define DIGEST_BYTES_MIN 32u /* SHA-1 is no more signed with, though TLS 1.2 has it */

struct keyring_item {
	EVP_PKEY *key;
	uint8_t id[SIGNING_KEY_BYTES];
	uint64_t used; /* the ring's count at its last signature */
	bool retired, lasting;
};

struct keyring {
	struct keyring_item items[KEYRING_MAX];
	size_t count;
	uint64_t uses;
};

struct keyring *keyring_new(void)
{
	return calloc(1, sizeof(struct keyring));
}

void keyring_free(struct keyring *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < k->count; i++)
		EVP_PKEY_free(k->items[i].key);
	free(k);
}

/* ---- ids ---- */

bool keyring_id(EVP_PKEY *key, uint8_t out[SIGNING_KEY_BYTES])
{
	uint8_t *der = NULL;
	int len = i2d_PUBKEY(key, &der);

	ERR_clear_error();
	if (len <= 0)
		return false;
	SHA256(der, (size_t)len, out);
	OPENSSL_free(der);
	return true;
}

bool keyring_id_of_certificate(X509 *x, uint8_t out[SIGNING_KEY_BYTES])
{
	EVP_PKEY *key = X509_get_pubkey(x);
	bool ok = key && keyring_id(key, out);

	EVP_PKEY_free(key);
	ERR_clear_error();
	return ok;
}

/* ---- keys ---- */

static struct keyring_item *keyring_find(const struct keyring *k,
					 const uint8_t id[SIGNING_KEY_BYTES])
{
	for (size_t i = 0; i < k->count; i++)
		if (memcmp(k->items[i].id, id, SIGNING_KEY_BYTES) == 0)
			return (struct keyring_item *)&k->items[i];
	return NULL;
}

bool keyring_has(const struct keyring *k, const uint8_t id[SIGNING_KEY_BYTES])
{
	const struct keyring_item *at = keyring_find(k, id);

	return at && !at->retired;
}

void keyring_retire(struct keyring *k, const uint8_t id[SIGNING_KEY_BYTES])
{
	struct keyring_item *at = keyring_find(k, id);

	if (!at)
		return;
	at->retired = true;
	at->lasting = false;
}

void keyring_last(struct keyring *k, const uint8_t id[SIGNING_KEY_BYTES])
{
	struct keyring_item *at = keyring_find(k, id);

	if (at)
		at->lasting = true;
}

/* Whether a gives way to a further key rather than b. */
static bool goes_first(const struct keyring_item *a, const struct keyring_item *b)
{
	if (a->lasting != b->lasting)
		return b->lasting;
	if (a->retired != b->retired)
		return a->retired;
	return a->used < b->used;
}

/* Takes key over. */
static void keyring_add(struct keyring *k, EVP_PKEY *key, const uint8_t id[SIGNING_KEY_BYTES])
{
	struct keyring_item *at = keyring_find(k, id);

	if (at) {
		at->retired = false;
		EVP_PKEY_free(key);
		return;
	}
	if (k->count < KEYRING_MAX) {
		at = &k->items[k->count++];
	} else {
		at = &k->items[0];
		for (size_t i = 1; i < k->count; i++)
			if (goes_first(&k->items[i], at))
				at = &k->items[i];
		EVP_PKEY_free(at->key);
	}
	at->key = key;
	at->used = k->uses;
	at->retired = at->lasting = false;
	memcpy(at->id, id, SIGNING_KEY_BYTES);
}

bool keyring_put(struct keyring *k, EVP_PKEY *key, uint8_t id[SIGNING_KEY_BYTES])
{
	if (!keyring_id(key, id)) {
		EVP_PKEY_free(key);
		return false;
	}
	keyring_add(k, key, id);
	return true;
}

size_t keyring_take(struct keyring *k, char *text, size_t len)
{
	uint8_t id[SIGNING_KEY_BYTES];
	char pem[KEYBLOCK_PEM_MAX];
	struct keyblock block;
	size_t taken = 0;
	CBS rest;

	CBS_init(&rest, (const uint8_t *)text, len);
	while (keyblock_next(&rest, &block)) {
		uint8_t *body = (uint8_t *)text + (CBS_data(&block.body) - (uint8_t *)text);
		bool whole = keyblock_pem(&block, pem);

		if (whole && keyblock_refers(pem, id))
			continue; /* it was taken before */
		EVP_PKEY *key = whole ? certificate_key_of_pem(pem) : NULL;
		bool known = key && keyring_id(key, id);

		keyblock_blank(body, CBS_len(&block.body), known ? id : NULL);
		if (known)
			keyring_add(k, key, id);
		else
			EVP_PKEY_free(key);
		taken += known;
	}
	OPENSSL_cleanse(pem, sizeof(pem));
	ERR_clear_error();
	return taken;
}

/* ---- signatures ---- */

static bool algorithm_fits(uint16_t algorithm, EVP_PKEY *key)
{
	const EVP_MD *md = SSL_get_signature_algorithm_digest(algorithm);

	return SSL_get_signature_algorithm_key_type(algorithm) == EVP_PKEY_id(key) &&
	       (!md || EVP_MD_size(md) >= DIGEST_BYTES_MIN);
}

static bool keyring_make_signature(EVP_PKEY *key, uint16_t algorithm, CBS input,
				   uint8_t signature[SIGNING_SIGNATURE_MAX], size_t *len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *how;
	size_t size = SIGNING_SIGNATURE_MAX;
	bool ok =
		ctx && EVP_DigestSignInit(ctx, &how, SSL_get_signature_algorithm_digest(algorithm),
					  NULL, key) == 1;

	if (ok && SSL_is_signature_algorithm_rsa_pss(algorithm))
		ok = EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) == 1 &&
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(how, -1) == 1; /* the digest's length */
	ok = ok && EVP_DigestSign(ctx, signature, &size, CBS_data(&input), CBS_len(&input)) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	if (ok)
		*len = size;
	return ok;
}

enum keyring_status keyring_sign(struct keyring *k, const uint8_t id[SIGNING_KEY_BYTES],
				 uint16_t algorithm, CBS input,
				 uint8_t signature[SIGNING_SIGNATURE_MAX], size_t *len)
{
	struct keyring_item *at = keyring_find(k, id);

	if (!at)
		return KEYRING_NO_KEY;
	if (!signing_input_ok(input) || !algorithm_fits(algorithm, at->key))
		return KEYRING_REFUSED;
	at->used = ++k->uses;
	return keyring_make_signature(at->key, algorithm, input, signature, len) ? KEYRING_OK
										 : KEYRING_FAILED;
}
