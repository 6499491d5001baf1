/* SPDX-License-Identifier: Apache-2.0 */
/* identity_internal: what the identity_*.c files share; no other file includes this. */
#ifndef POSTERN_ENGINE_IDENTITY_INTERNAL_H
#define POSTERN_ENGINE_IDENTITY_INTERNAL_H

#include <openssl/x509.h>

#include "core/engine/certificate.h"
#include "core/engine/identity.h"

struct identity {
	X509_STORE *ca; /* every certificate of identity.ca is an anchor */
	struct identity_anchors anchors;
	char ca_name[CERTIFICATE_TEXT_BYTES];
	X509 *leaf;
	STACK_OF(X509) * chain; /* after the leaf; may be empty */
	EVP_PKEY *key;		/* NULL: elsewhere */
	uint8_t key_id[SIGNING_KEY_BYTES];
	uint8_t *der; /* the leaf */
	size_t der_len;
};

/* A kind of key that is used here, whichever half it is. */
bool identity_key_usable(EVP_PKEY *key) MUST_CHECK;
/* A front door's context (identity_front_context()) with this certificate. key NULL: elsewhere. */
SSL_CTX *identity_front_of(X509 *leaf, STACK_OF(X509) * chain, EVP_PKEY *key) MUST_CHECK;

struct identity_verdict {
	int error;    /* X509_V_OK or another X509_V_ERR */
	bool is_leaf; /* the fault is with the leaf, not with a certificate above it */
	time_t not_before, not_after; /* of the one at fault; 0 when there is no such one */
	/* X509_V_OK: the anchor, and the first end of all below it. */
	uint8_t anchor[IDENTITY_KEY_BYTES];
	time_t ends;
};
/* The chain from leaf to an anchor of store. purpose: X509_PURPOSE_SSL_CLIENT or _SERVER. now may
 * be IDENTITY_ANY_TIME: then the times are the caller's to judge. */
#define IDENTITY_ANY_TIME ((time_t)-1)
struct identity_verdict identity_verify_chain(X509_STORE *store, X509 *leaf,
					      STACK_OF(X509) * others, int purpose,
					      time_t now) MUST_CHECK;
/* By what a certificate's key is known. False without memory. */
bool identity_key_of(X509 *x, uint8_t out[IDENTITY_KEY_BYTES]) MUST_CHECK;
/* Verifies the peer of an inner session during its handshake; identity_peer_of() tells the result.
 */
enum ssl_verify_result_t identity_verify_inner(SSL *ssl, uint8_t *alert);

/* "postern/2 hello" or "postern/2 prove", its zero byte, and what was exported. */
#define IDENTITY_STATEMENT_BYTES 48u
void identity_statement(enum identity_statement what, const uint8_t exported[32],
			uint8_t out[IDENTITY_STATEMENT_BYTES]);
/* ECDSA-SHA256, Ed25519, or RSA-PSS-SHA256, by the kind of key. */
bool identity_signature_begin(EVP_MD_CTX *ctx, EVP_PKEY *key, bool sign) MUST_CHECK;

/* The ALPN name of inner sessions, with its length byte. */
#define IDENTITY_INNER_ALPN "\x09postern/2"

#endif
