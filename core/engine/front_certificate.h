/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front_certificate: the certificate of a public CA that a relay's front door presents in place of
 * its identity's, with the chain to that CA. Its key is the signer's. Immutable once made, so that
 * threads may share it.
 */
#ifndef POSTERN_ENGINE_FRONT_CERTIFICATE_H
#define POSTERN_ENGINE_FRONT_CERTIFICATE_H

#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "core/engine/expiry.h"
#include "core/must_check.h"
#include "core/parse/signing.h"

#define FRONT_CHAIN_MAX 10u /* certificates, which every handshake sends */

struct front_certificate;

/* From PEM: the server's own certificate first, then those between it and its CA. NULL: why gets a
 * clause that goes behind the file's name. One that has ended is taken: the clients judge it. */
struct front_certificate *front_certificate_new(const char *pem, char *why,
						size_t why_size) MUST_CHECK;
void front_certificate_free(struct front_certificate *f);

/* The id of the key that it is for (core/engine/keyring.h). */
void front_certificate_key_id(const struct front_certificate *f, uint8_t out[SIGNING_KEY_BYTES]);
/* Its beginning, and the first end in the chain. */
struct expiry_validity front_certificate_validity(const struct front_certificate *f);
/* As identity_front_context(), with this certificate and the whole chain. NULL without memory. */
SSL_CTX *front_certificate_context(const struct front_certificate *f) MUST_CHECK;

#endif
