/* SPDX-License-Identifier: Apache-2.0 */
/*
 * browser: the agent's outer ClientHello is the one that Chromium sends for a WebSocket.
 *
 * A network knows a TLS client by its hello: versions, ciphers, extensions, groups, signatures and
 * sizes, as JA4 counts them. What Chromium does that BoringSSL does not do by itself stands in
 * browser.c. Where the library lacks something (Debian's of 2022 has no ML-KEM, no ML-DSA and no
 * trust anchors) the hello lacks it; tests/net/test_ja4.py names each difference.
 */
#ifndef POSTERN_ENGINE_BROWSER_H
#define POSTERN_ENGINE_BROWSER_H

#include <stdbool.h>
#include <openssl/ssl.h>

#include "core/engine/tls.h"

/* Sets all that is the same for each connection. TLS 1.2 is offered, as Chromium offers it, and no
 * relay takes it: identity_check_relay() refuses such a connection before we have said anything. */
bool browser_context(SSL_CTX *ctx) MUST_CHECK;

/* A connection of such a context to host, a name or an address. NULL: memory is out, or host cannot
 * be one. */
struct tls *browser_tls(SSL_CTX *ctx, const char *host) MUST_CHECK;

#endif
