/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls: one TLS connection as an engine: bytes in, bytes out, no sockets.
 *
 * The caller feeds what arrived on the wire, asks for plaintext, and sends what tls_output() shows.
 * BoringSSL takes from the feed exactly the records it needs, so after the last one that matters
 * (GO) tls_unread() tells which bytes belong to what follows.
 */
#ifndef POSTERN_ENGINE_TLS_H
#define POSTERN_ENGINE_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/ssl.h>

#include "core/must_check.h"
#include "core/parse/signing.h"

struct tls; /* about 200 bytes beside the SSL object; output grows as needed */

/* NULL when memory is out. The context is referenced, not owned. */
struct tls *tls_new(SSL_CTX *context, bool server) MUST_CHECK;
void tls_free(struct tls *t);
SSL *tls_ssl(struct tls *t);

/*
 * Gives bytes from the wire. What the engine did not use at once it keeps a copy of; false when
 * memory is out or more than TLS_FEED_MAX bytes would be waiting.
 */
#define TLS_FEED_MAX (1u << 20)
bool tls_feed(struct tls *t, const uint8_t *in, size_t len) MUST_CHECK;
/* The wire ended. */
void tls_feed_eof(struct tls *t);

enum tls_status {
	TLS_OK,	    /* done, or n bytes */
	TLS_AGAIN,  /* wants more from the wire, or a signature: tls_wants_signature() */
	TLS_CLOSED, /* the peer sent close_notify */
	TLS_CUT,    /* the wire ended without it */
	TLS_FAILED, /* see tls_error() */
};

enum tls_status tls_handshake(struct tls *t) MUST_CHECK;
/* On TLS_OK, *n plaintext bytes (> 0) are in out. */
enum tls_status tls_read(struct tls *t, uint8_t *out, size_t room, size_t *n) MUST_CHECK;
/* Takes all of in; the records are added to the output. */
enum tls_status tls_write(struct tls *t, const uint8_t *in, size_t len) MUST_CHECK;
/* TLS 1.3: the next tls_write() begins with a KeyUpdate that asks the peer for its own, and what it
 * writes is under the new key. */
bool tls_update_keys(struct tls *t) MUST_CHECK;
/* Adds close_notify to the output. */
void tls_close_write(struct tls *t);

/*
 * A signature that is made elsewhere: of contexts with tls_signing_method, whose handshake stops
 * until it has one. Wanted until it is first asked for: what tls_ask_signature() tells, also when
 * it is called again, points into the engine until tls_give_signature(), after which
 * tls_handshake() goes on. signature NULL: there will be none, and the handshake fails.
 */
struct tls_signing {
	uint16_t algorithm;
	const uint8_t *input;
	size_t len;
};
bool tls_wants_signature(const struct tls *t);
bool tls_ask_signature(struct tls *t, struct tls_signing *out) MUST_CHECK;
void tls_give_signature(struct tls *t, const uint8_t *signature, size_t len);
/* Wanted, or asked for and not given. */
bool tls_awaits_signature(const struct tls *t);
/* The id of the key that our certificate is for (core/engine/keyring.h). */
bool tls_key_id(const struct tls *t, uint8_t out[SIGNING_KEY_BYTES]) MUST_CHECK;
/* For SSL_CTX_set_private_key_method(), of servers whose connections are made by tls_new(). */
extern const SSL_PRIVATE_KEY_METHOD tls_signing_method;

/* What must go to the wire next; drop what was sent. The pointer is good until the next call. */
const uint8_t *tls_output(const struct tls *t, size_t *len);
void tls_output_drop(struct tls *t, size_t n);

/* Bytes fed but not used by any record read so far. */
const uint8_t *tls_unread(const struct tls *t, size_t *len);

/* Why the last TLS_FAILED, in words. */
const char *tls_error(const struct tls *t);

/* The key exchange of a completed handshake, as IANA numbers TLS groups (0x11ec: X25519MLKEM768);
 * 0 before that, and after a resumption without one. */
uint16_t tls_group(const struct tls *t);
/* "X25519"; "none" for 0, "unknown" for what this BoringSSL does not name. */
const char *tls_group_name(uint16_t group);

/* 32 bytes of keying material for label (RFC 8446 section 7.5), empty context. TLS 1.3 only: false
 * on older versions. */
#define TLS_EXPORT_BYTES 32u
#define TLS_EXPORT_HELLO "EXPORTER-postern-hello"
#define TLS_EXPORT_LEG	 "EXPORTER-postern-leg"
#define TLS_EXPORT_TAG	 "EXPORTER-postern-tag"
#define TLS_EXPORT_PROVE "EXPORTER-postern-prove" /* of an inner session */
bool tls_export(struct tls *t, const char *label, uint8_t out[TLS_EXPORT_BYTES]) MUST_CHECK;

#endif
