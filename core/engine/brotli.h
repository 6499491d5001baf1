/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brotli: a server's certificates, where it sends them compressed (RFC 8879).
 *
 * What comes in is of a server that has proved nothing yet. The output's size is told before and
 * kept to the byte, and the decoder's memory is counted: no message makes it take more than
 * BROTLI_MEMORY_MAX, whatever window or tables it asks for.
 */
#ifndef POSTERN_ENGINE_BROTLI_H
#define POSTERN_ENGINE_BROTLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/ssl.h>

#include "core/must_check.h"

#define BROTLI_PLAIN_MAX  (100u << 10) /* also BoringSSL's limit of a message of certificates */
#define BROTLI_MEMORY_MAX (1u << 20)   /* of the decoder, while it runs */

/* True when in is one whole stream of exactly len bytes, which are in out then. */
bool brotli_decode(const uint8_t *in, size_t in_len, uint8_t *out, size_t len) MUST_CHECK;

/* For SSL_CTX_add_cert_compression_alg(). */
int brotli_decompress(SSL *ssl, CRYPTO_BUFFER **out, size_t len, const uint8_t *in, size_t in_len);

#endif
