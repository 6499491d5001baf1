/* SPDX-License-Identifier: Apache-2.0 */
/* certs: a CA and certificates for tests, made on the spot. Any failure ends the test program. */
#ifndef POSTERN_TESTS_CERTS_H
#define POSTERN_TESTS_CERTS_H

#include "core/engine/identity.h"
#include "core/engine/tag.h"
#include "core/engine/tls.h"

struct certs_ca {
	EVP_PKEY *key;
	X509 *x;
	char *pem;
};

/* Valid from a day ago for a year. */
struct certs_ca certs_make_ca(const char *organisation);
void certs_free_ca(struct certs_ca *ca);

/* A key pair and its certificate as PEM: from..to are seconds relative to now. name is a relay's
 * one host, or the name of an agent or console. */
struct certs_pair {
	char *certificate, *key;
};
struct certs_pair certs_make_pair(const struct certs_ca *ca, enum identity_role role,
				  const char *name, long from, long to);
void certs_free_pair(struct certs_pair *pair);

/* The identity of such a pair; own issues it and trusted is its CA text (often the same). */
struct identity *certs_identity(const struct certs_ca *own, const struct certs_ca *trusted,
				enum identity_role role, const char *name, long from, long to);

/* Carries bytes between two engines, at most chunk at a time, and shakes hands until both are done
 * or one has failed. True when both are TLS_OK. */
bool certs_handshake(struct tls *client, struct tls *server, size_t chunk);
/* Moves all of from's output to to. */
void certs_carry(struct tls *from, struct tls *to, size_t chunk);

/* The tests' network has one tag key: 32 times 0x7a. */
#define CERTS_TAG_KEY_BYTE 0x7a
#define CERTS_TAG_KEYS	   "7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a"
/* The tag that a client of that network says first. */
void certs_tag(struct tls *t, uint8_t out[TAG_BYTES]);

/* The lines "identity:" of a configuration. */
void certs_yaml(const char *ca, const char *certificate, const char *key, char *out, size_t room);

#endif
