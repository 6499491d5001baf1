/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity: a program's or a person's name and role, by a certificate of the operator's own CA.
 *
 * A certificate's role and name stand in a URI subjectAltName, "postern:agent/NAME" or
 * "postern:console/NAME". A relay's certificate carries only DNS names and addresses, as any web
 * server's does, so that no outsider learns what it is.
 */
#ifndef POSTERN_ENGINE_IDENTITY_H
#define POSTERN_ENGINE_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <openssl/ssl.h>

#include "core/engine/expiry.h"
#include "core/must_check.h"
#include "core/parse/reason.h"
#include "core/parse/signing.h"

enum identity_role { IDENTITY_RELAY, IDENTITY_AGENT, IDENTITY_CONSOLE };

#define IDENTITY_KEY_BYTES 32 /* SHA-256 of a SubjectPublicKeyInfo: what a key is known by */

/* What is kept of a certificate when it is gone. */
struct identity_peer {
	enum identity_role role;
	char name[64]; /* wire_is_agent_name() */
	time_t not_before;
	time_t not_after; /* the first end of it and of all between it and its CA */
	char serial[48];  /* hex */
	uint8_t key[IDENTITY_KEY_BYTES];
	uint8_t ca[IDENTITY_KEY_BYTES]; /* of identity.ca, that vouches for it; 0: not asked */
	bool by_system; /* a relay's, and a CA of the system vouches for it in place of these */
};

/* The certificates of identity.ca: each may end a chain. */
struct identity_anchor {
	uint8_t key[IDENTITY_KEY_BYTES];
	time_t not_after; /* of several with this key the last */
};

struct identity_anchors {
	struct identity_anchor *list;
	size_t count;
};

/* The role and name of any certificate's one postern URI; false, and out untouched, when there is
 * none or more than one. Says nothing of who signed it. */
bool identity_of_certificate(X509 *x, struct identity_peer *out) MUST_CHECK;

/* Our own side: CA certificates, our chain and key, from PEM texts. Immutable once made, so that
 * threads may share it. */
struct identity;

/* key_pem NULL: the key is elsewhere, and handshakes of the front door wait for what it signs
 * (tls_signing_method). On failure returns NULL and why gets a sentence that names the offending
 * part ("identity.key: does not match identity.certificate"). A certificate that has ended by now,
 * here and below the time of the call, is taken: others judge it. */
struct identity *identity_new(const char *ca_pem, const char *certificate_pem, const char *key_pem,
			      time_t now, char *why, size_t why_size) MUST_CHECK;
void identity_free(struct identity *id);
/* The id of the key that our certificate is for (core/engine/keyring.h). */
void identity_key_id(const struct identity *id, uint8_t out[SIGNING_KEY_BYTES]);
/* Our certificate's own role and name; false for a certificate without a postern URI (a relay). */
bool identity_self(const struct identity *id, struct identity_peer *out) MUST_CHECK;
time_t identity_not_after(const struct identity *id);
struct expiry_validity identity_validity(const struct identity *id);
/* Good while id lives. */
const struct identity_anchors *identity_anchors(const struct identity *id);

/* TLS context of a relay's front door: TLS 1.2 and 1.3 server, ALPN http/1.1, no client
 * certificate, session tickets on. */
SSL_CTX *identity_front_context(const struct identity *id) MUST_CHECK;
/* Client context for dialling relays, by browser_tls(): looks like Chromium, presents no
 * certificate; the peer, and that it speaks TLS 1.3, is checked by identity_check_relay(). */
SSL_CTX *identity_dial_context(const struct identity *id) MUST_CHECK;
/* TLS 1.3 contexts of the inner session: mutual certificates of the same CA, ALPN postern/2, no
 * tickets. Tell each session the time by identity_inner_at(), and check the peer's name afterwards
 * with identity_peer_of(). */
SSL_CTX *identity_inner_context(const struct identity *id, bool server) MUST_CHECK;
/* Before its handshake: the peer's certificate must be valid at now. A session that was not told
 * takes no certificate. What is kept goes with tls_free(). False without memory. */
bool identity_inner_at(SSL *ssl, time_t now) MUST_CHECK;

/* After a client handshake with a relay: chain to our CA (or, with system_trust, to the system's)
 * and the name or address host. out gets what is kept of it; it has no name. On refusal, why is a
 * sentence; when the chain ends in another CA it begins "TLS is being intercepted by ISSUER".
 * The system's CAs are read on first use: a program that
 * will lose sight of the disk calls identity_load_system() before. */
bool identity_check_relay(const struct identity *id, SSL *ssl, const char *host, bool system_trust,
			  time_t now, struct identity_peer *out, char *why,
			  size_t why_size) MUST_CHECK;

/* Whether it would, of a relay that presented these certificates, the server's own first and at
 * least that: for who is about to give a relay a certificate. why is a clause. */
bool identity_foresees_relay(const struct identity *id, STACK_OF(X509) * chain, const char *host,
			     bool system_trust, time_t now, char *why, size_t why_size) MUST_CHECK;

/* Reads the system's CAs, again if they are known: those of the files and directories that
 * SSL_CERT_FILE and SSL_CERT_DIR name, as OpenSSL reads these, else of the distribution's file.
 * False when none are known, of this time or an earlier one. */
bool identity_load_system(void) MUST_CHECK;

/* The verified peer of an inner session: REASON_OK (out is filled), CERT_EXPIRED (also: not valid
 * yet), CERT_UNTRUSTED, CERT_ROLE, or PROTOCOL when the peer does not speak postern/2. Tells the
 * same after a handshake that failed because of it, so ask on TLS_FAILED too; OK then means that
 * the peer, or something else, ended it. A peer that presented nothing is CERT_UNTRUSTED. */
enum reason identity_peer_of(const struct identity *id, SSL *ssl,
			     struct identity_peer *out) MUST_CHECK;

/* HELLO and PROVE: our certificate in DER and a signature over "postern/2 hello" or "postern/2
 * prove", a zero byte and the 32 exported bytes. */
enum identity_statement { IDENTITY_HELLO, IDENTITY_PROVE };

bool identity_sign(const struct identity *id, enum identity_statement what,
		   const uint8_t exported[32], uint8_t *signature, size_t room,
		   size_t *len) MUST_CHECK;
void identity_certificate_der(const struct identity *id, const uint8_t **der, size_t *len);
/* The other side's check of it: chain, validity now, role agent or console, signature. */
enum reason identity_verify(const struct identity *id, enum identity_statement what,
			    const uint8_t *der, size_t der_len, const uint8_t *signature,
			    size_t signature_len, const uint8_t exported[32], time_t now,
			    struct identity_peer *out) MUST_CHECK;

/* HMAC-SHA256(secret, exported): a leg's proof. Compare with CRYPTO_memcmp. */
void identity_leg_proof(const uint8_t secret[32], const uint8_t exported[32], uint8_t out[32]);

#endif
