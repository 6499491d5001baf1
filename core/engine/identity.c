/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity: our own side: CA, certificate and key from PEM, the TLS contexts made of them, and what
 * we sign with them. identity_verify.c and identity_relay.c judge the others.
 */
#include "core/engine/browser.h"
#include "core/engine/identity_internal.h"
#include "core/engine/keyring.h"
#include "core/engine/tls.h"
#include "core/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#define RSA_BITS_MIN	   2048
#define PEER_CERT_LIST_MAX (32u << 10)
#define FRONT_ALPN	   "\x08http/1.1"
#define FRONT_TLS12_CIPHERS                                                                        \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                               \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                               \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

/* ---- reading PEM ---- */

static bool identity_refuse(char *why, size_t why_size, const char *sentence)
{
	snprintf(why, why_size, "%s", sentence);
	return false;
}

bool identity_key_of(X509 *x, uint8_t out[IDENTITY_KEY_BYTES])
{
	uint8_t *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);

	if (len > 0)
		SHA256(der, (size_t)len, out);
	OPENSSL_free(der);
	return len > 0;
}

/* There is room. */
static bool add_anchor(struct identity_anchors *all, X509 *x)
{
	struct identity_anchor one = {.not_after = certificate_time(X509_get0_notAfter(x))};

	if (!identity_key_of(x, one.key))
		return false;
	for (size_t i = 0; i < all->count; i++) {
		struct identity_anchor *known = &all->list[i];

		if (memcmp(known->key, one.key, sizeof(one.key)) != 0)
			continue;
		if (known->not_after < one.not_after)
			known->not_after = one.not_after;
		return true;
	}
	all->list[all->count++] = one;
	return true;
}

static bool load_ca(struct identity *id, const char *pem, char *why, size_t why_size)
{
	STACK_OF(X509) *list = certificates_of_pem(pem);
	bool ok = false;

	if (!list)
		return identity_refuse(why, why_size, "identity.ca: is not a PEM certificate");
	id->ca = X509_STORE_new();
	id->anchors.list = memory_array(sk_X509_num(list), sizeof(*id->anchors.list));
	if (!id->ca || !id->anchors.list)
		goto out;
	/* Anchors need not be self-signed: an organisation may hand out an intermediate. */
	X509_STORE_set_flags(id->ca, X509_V_FLAG_PARTIAL_CHAIN);
	for (size_t i = 0; i < sk_X509_num(list); i++) {
		X509 *x = sk_X509_value(list, i);

		if (X509_check_ca(x) == 0) {
			identity_refuse(why, why_size,
					"identity.ca: is not the certificate of a CA");
			goto out;
		}
		if (!X509_STORE_add_cert(id->ca, x) || !add_anchor(&id->anchors, x))
			goto out;
	}
	certificate_name_text(X509_get_subject_name(sk_X509_value(list, 0)), false, id->ca_name);
	ok = true;
out:
	sk_X509_pop_free(list, X509_free);
	return ok;
}

static bool load_leaf(struct identity *id, const char *pem, char *why, size_t why_size)
{
	int len;

	id->chain = certificates_of_pem(pem);
	if (!id->chain)
		return identity_refuse(why, why_size,
				       "identity.certificate: is not a PEM certificate");
	id->leaf = sk_X509_shift(id->chain);
	len = i2d_X509(id->leaf, &id->der);
	if (len <= 0)
		return false;
	id->der_len = (size_t)len;
	return true;
}

bool identity_key_usable(EVP_PKEY *key)
{
	switch (EVP_PKEY_id(key)) {
	case EVP_PKEY_EC:
	case EVP_PKEY_ED25519:
		return true;
	case EVP_PKEY_RSA:
		return EVP_PKEY_bits(key) >= RSA_BITS_MIN;
	default:
		return false;
	}
}

static bool key_kind_ok(EVP_PKEY *key, char *why, size_t why_size)
{
	if (identity_key_usable(key))
		return true;
	return identity_refuse(why, why_size,
			       EVP_PKEY_id(key) == EVP_PKEY_RSA
				       ? "identity.key: an RSA key needs at least 2048 bits"
				       : "identity.key: is of a kind that is not used here; use "
					 "EC, Ed25519 or RSA");
}

/* pem NULL: the certificate tells what the key is that is elsewhere. */
static bool identity_load_key(struct identity *id, const char *pem, char *why, size_t why_size)
{
	EVP_PKEY *public_key = X509_get_pubkey(id->leaf);
	bool ok = public_key && keyring_id(public_key, id->key_id) &&
		  (pem || key_kind_ok(public_key, why, why_size));

	EVP_PKEY_free(public_key);
	if (!public_key)
		return identity_refuse(why, why_size,
				       "identity.certificate: is for a key of an unknown kind");
	if (!ok || !pem)
		return ok;
	id->key = certificate_key_of_pem(pem);
	if (!id->key)
		return identity_refuse(why, why_size,
				       "identity.key: is not a PEM private key without a password");
	if (!key_kind_ok(id->key, why, why_size))
		return false;
	if (X509_check_private_key(id->leaf, id->key) != 1)
		return identity_refuse(why, why_size,
				       "identity.key: does not match identity.certificate");
	return true;
}

/* A relay may have a certificate of a public CA; an agent's must be of ours, or every relay
 * refuses it. Its time is the others' to judge. */
static bool check_own_chain(const struct identity *id, time_t now, char *why, size_t why_size)
{
	struct identity_peer self;
	int error;

	if (!identity_of_certificate(id->leaf, &self))
		return true;
	error = identity_verify_chain(id->ca, id->leaf, id->chain, X509_PURPOSE_SSL_CLIENT, now)
			.error;
	if (error == X509_V_OK || error == X509_V_ERR_CERT_HAS_EXPIRED ||
	    error == X509_V_ERR_CERT_NOT_YET_VALID)
		return true;
	return identity_refuse(why, why_size,
			       "identity.certificate: is not signed by identity.ca: put the "
			       "certificate of its CA there first");
}

struct identity *identity_new(const char *ca_pem, const char *certificate_pem, const char *key_pem,
			      time_t now, char *why, size_t why_size)
{
	struct identity *id = memory_zeroed(sizeof(*id));

	ERR_clear_error();
	identity_refuse(why, why_size, "out of memory");
	if (!id)
		return NULL;
	if (!load_ca(id, ca_pem, why, why_size) || !load_leaf(id, certificate_pem, why, why_size) ||
	    !identity_load_key(id, key_pem, why, why_size) ||
	    !check_own_chain(id, now, why, why_size)) {
		identity_free(id);
		ERR_clear_error();
		return NULL;
	}
	identity_refuse(why, why_size, "");
	return id;
}

void identity_free(struct identity *id)
{
	if (!id)
		return;
	X509_STORE_free(id->ca);
	memory_free(id->anchors.list);
	X509_free(id->leaf);
	sk_X509_pop_free(id->chain, X509_free);
	EVP_PKEY_free(id->key);
	OPENSSL_free(id->der);
	memory_free(id);
}

void identity_key_id(const struct identity *id, uint8_t out[SIGNING_KEY_BYTES])
{
	memcpy(out, id->key_id, SIGNING_KEY_BYTES);
}

bool identity_self(const struct identity *id, struct identity_peer *out)
{
	return identity_of_certificate(id->leaf, out);
}

time_t identity_not_after(const struct identity *id)
{
	return certificate_time(X509_get0_notAfter(id->leaf));
}

struct expiry_validity identity_validity(const struct identity *id)
{
	return (struct expiry_validity){
		.not_before = certificate_time(X509_get0_notBefore(id->leaf)),
		.not_after = identity_not_after(id),
	};
}

const struct identity_anchors *identity_anchors(const struct identity *id)
{
	return &id->anchors;
}

void identity_certificate_der(const struct identity *id, const uint8_t **der, size_t *len)
{
	*der = id->der;
	*len = id->der_len;
}

/* ---- contexts ---- */

/* Picks wanted (with its length byte) when the client offers it. */
static int pick_alpn(const uint8_t *wanted, const uint8_t **out, uint8_t *out_len,
		     const uint8_t *offered, unsigned offered_len)
{
	CBS list, one;

	CBS_init(&list, offered, offered_len);
	while (CBS_get_u8_length_prefixed(&list, &one)) {
		if (!CBS_mem_equal(&one, wanted + 1, wanted[0]))
			continue;
		*out = CBS_data(&one);
		*out_len = wanted[0];
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_NOACK;
}

static int identity_pick_front(SSL *ssl, const uint8_t **out, uint8_t *out_len,
			       const uint8_t *offered, unsigned offered_len, void *arg)
{
	/* As nginx does it without HTTP/2: a client that cannot speak less is told so. */
	static const char *const spoken[] = {FRONT_ALPN, "\x08http/1.0", "\x08http/0.9"};

	for (size_t i = 0; i < sizeof(spoken) / sizeof(spoken[0]); i++)
		if (pick_alpn((const uint8_t *)spoken[i], out, out_len, offered, offered_len) ==
		    SSL_TLSEXT_ERR_OK)
			return SSL_TLSEXT_ERR_OK;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int identity_pick_inner(SSL *ssl, const uint8_t **out, uint8_t *out_len,
			       const uint8_t *offered, unsigned offered_len, void *arg)
{
	int picked =
		pick_alpn((const uint8_t *)IDENTITY_INNER_ALPN, out, out_len, offered, offered_len);

	return picked == SSL_TLSEXT_ERR_OK ? picked : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool identity_present(SSL_CTX *ctx, X509 *leaf, STACK_OF(X509) * chain, EVP_PKEY *key)
{
	if (!SSL_CTX_use_certificate(ctx, leaf) || !SSL_CTX_set1_chain(ctx, chain))
		return false;
	if (key)
		return SSL_CTX_use_PrivateKey(ctx, key);
	SSL_CTX_set_private_key_method(ctx, &tls_signing_method);
	return true;
}

static bool offer_alpn(SSL_CTX *ctx, const char *alpn)
{
	/* This one returns 0 for success. */
	return SSL_CTX_set_alpn_protos(ctx, (const uint8_t *)alpn, (unsigned)strlen(alpn)) == 0;
}

static SSL_CTX *identity_finish_context(SSL_CTX *ctx, bool ok)
{
	ERR_clear_error();
	if (ok)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

SSL_CTX *identity_front_of(X509 *leaf, STACK_OF(X509) * chain, EVP_PKEY *key)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());

	if (!ctx)
		return NULL;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	/* Tickets carry the session to the client; a cache here would be the clients' to fill. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_alpn_select_cb(ctx, identity_pick_front, NULL);
	return identity_finish_context(
		ctx, SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) &&
			     SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) &&
			     SSL_CTX_set_strict_cipher_list(ctx, FRONT_TLS12_CIPHERS) &&
			     identity_present(ctx, leaf, chain, key));
}

SSL_CTX *identity_front_context(const struct identity *id)
{
	return identity_front_of(id->leaf, id->chain, id->key);
}

/* identity_check_relay() decides, when it knows the host and can say why not. Until then we have
 * sent nothing but the handshake, and it shows nothing of us. */
static enum ssl_verify_result_t identity_verify_later(SSL *ssl, uint8_t *alert)
{
	return ssl_verify_ok;
}

SSL_CTX *identity_dial_context(const struct identity *id)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());

	if (!ctx)
		return NULL;
	SSL_CTX_set_custom_verify(ctx, SSL_VERIFY_PEER, identity_verify_later);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	return identity_finish_context(ctx, browser_context(ctx));
}

SSL_CTX *identity_inner_context(const struct identity *id, bool server)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());

	if (!ctx)
		return NULL;
	SSL_CTX_set_custom_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
				  identity_verify_inner);
	/* The context shares the anchors, so that sessions may outlive the identity. */
	X509_STORE_up_ref(id->ca);
	SSL_CTX_set_cert_store(ctx, id->ca);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_max_cert_list(ctx, PEER_CERT_LIST_MAX);
	if (server)
		SSL_CTX_set_alpn_select_cb(ctx, identity_pick_inner, NULL);
	return identity_finish_context(
		ctx, SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) &&
			     identity_present(ctx, id->leaf, id->chain, id->key) &&
			     (server || offer_alpn(ctx, IDENTITY_INNER_ALPN)));
}

/* ---- proofs ---- */

bool identity_sign(const struct identity *id, enum identity_statement what,
		   const uint8_t exported[32], uint8_t *signature, size_t room, size_t *len)
{
	uint8_t message[IDENTITY_STATEMENT_BYTES];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t size = room;
	bool ok;

	identity_statement(what, exported, message);
	ok = ctx && identity_signature_begin(ctx, id->key, true) &&
	     EVP_DigestSign(ctx, signature, &size, message, sizeof(message));
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	if (ok)
		*len = size;
	return ok;
}

void identity_leg_proof(const uint8_t secret[32], const uint8_t exported[32], uint8_t out[32])
{
	unsigned len;

	/* Fails only without memory: then random bytes, a proof that no peer can match. */
	if (!HMAC(EVP_sha256(), secret, 32, exported, 32, out, &len))
		RAND_bytes(out, 32);
	ERR_clear_error();
}
