/* SPDX-License-Identifier: Apache-2.0 */
/* browser: Chromium's choices for a ClientHello; browser.h tells why. */
#include "core/engine/browser.h"

#include <string.h>
#include <openssl/bytestring.h>

#include "core/addr.h"
#include "core/engine/brotli.h"

#define BROWSER_ALPN "\x08http/1.1" /* of a WebSocket: without HTTP/2 */

/* BoringSSL puts what the processor is fast at first, in Chromium as here. */
#define BROWSER_CIPHERS "ALL:!aPSK:!ECDSA+SHA1:!3DES"

/* What signatures are accepted; those of servers that speak TLS 1.2 without SHA-2 are not. */
static const uint16_t browser_signatures[] = {
#ifdef SSL_SIGN_ML_DSA_44
	SSL_SIGN_ML_DSA_44,
	SSL_SIGN_ML_DSA_65,
	SSL_SIGN_ML_DSA_87,
#endif
	SSL_SIGN_ECDSA_SECP256R1_SHA256,
	SSL_SIGN_RSA_PSS_RSAE_SHA256,
	SSL_SIGN_RSA_PKCS1_SHA256,
	SSL_SIGN_ECDSA_SECP384R1_SHA384,
	SSL_SIGN_RSA_PSS_RSAE_SHA384,
	SSL_SIGN_RSA_PKCS1_SHA384,
	SSL_SIGN_RSA_PSS_RSAE_SHA512,
	SSL_SIGN_RSA_PKCS1_SHA512,
};

#ifdef TLSEXT_TYPE_trust_anchors
/* The CAs that Chromium 156 asks for, each an OID below its length
 * (draft-ietf-tls-trust-anchor-ids). Nothing is trusted for it: a relay's certificate is of the
 * operator's CA. */
static const uint8_t browser_anchors[] = {
	0x05, 0x82, 0xdf, 0x13, 0x02, 0x01, 0x05, 0x82, 0xdf, 0x13, 0x02, 0x06, 0x05, 0x82, 0xdf,
	0x13, 0x02, 0x0d, 0x05, 0x82, 0xdf, 0x13, 0x02, 0x0e, 0x05, 0x82, 0xdf, 0x13, 0x02, 0x0f,
	0x05, 0x82, 0xdf, 0x13, 0x02, 0x12, 0x05, 0x82, 0xdf, 0x13, 0x02, 0x13, 0x05, 0x82, 0xdf,
	0x13, 0x02, 0x14, 0x08, 0x83, 0x9a, 0x64, 0x8c, 0x9b, 0x2d, 0x01, 0x07, 0x08, 0x83, 0x9a,
	0x64, 0x8c, 0x9b, 0x2d, 0x01, 0x08, 0x08, 0x83, 0x9a, 0x64, 0x8c, 0x9b, 0x2d, 0x01, 0x09,
	0x08, 0x83, 0x9a, 0x64, 0x8c, 0x9b, 0x2d, 0x01, 0x0a, 0x08, 0x83, 0x9a, 0x64, 0x8c, 0x9b,
	0x2d, 0x01, 0x0b, 0x08, 0x83, 0x9a, 0x64, 0x8c, 0x9b, 0x2d, 0x01, 0x0c, 0x08, 0x83, 0x9a,
	0x64, 0x8c, 0x9b, 0x2d, 0x01, 0x0d, 0x08, 0x83, 0x9a, 0x64, 0x8c, 0x9b, 0x2d, 0x01, 0x12,
	0x08, 0x83, 0x9a, 0x64, 0x8c, 0x9b, 0x2d, 0x01, 0x13, 0x04, 0xd6, 0x79, 0x09, 0x01, 0x04,
	0xd6, 0x79, 0x09, 0x04, 0x04, 0xd6, 0x79, 0x09, 0x05, 0x04, 0xd6, 0x79, 0x09, 0x06, 0x04,
	0xd6, 0x79, 0x09, 0x07, 0x04, 0xd6, 0x79, 0x09, 0x08, 0x04, 0xd6, 0x79, 0x09, 0x0a, 0x04,
	0xd6, 0x79, 0x09, 0x0b, 0x04, 0xd6, 0x79, 0x09, 0x0c, 0x04, 0xd6, 0x79, 0x09, 0x0d, 0x04,
	0xd6, 0x79, 0x09, 0x0f,
};
#endif

/* No header tells whether a library has this: it came in the middle of 2026. */
extern void SSL_CTX_set_grease_sigalgs_enabled(SSL_CTX *ctx, int enabled) __attribute__((weak));

static bool browser_groups(SSL_CTX *ctx)
{
#ifdef SSL_GROUP_X25519_MLKEM768
	static const uint16_t groups[] = {SSL_GROUP_X25519_MLKEM768, SSL_GROUP_X25519,
					  SSL_GROUP_SECP256R1, SSL_GROUP_SECP384R1};

	return SSL_CTX_set1_group_ids(ctx, groups, sizeof(groups) / sizeof(groups[0]));
#else
	return SSL_CTX_set1_curves_list(ctx, "X25519:P-256:P-384");
#endif
}

bool browser_context(SSL_CTX *ctx)
{
	SSL_CTX_set_grease_enabled(ctx, 1);
	SSL_CTX_set_permute_extensions(ctx, 1);
	SSL_CTX_enable_ocsp_stapling(ctx);
	SSL_CTX_enable_signed_cert_timestamps(ctx);
	if (SSL_CTX_set_grease_sigalgs_enabled)
		SSL_CTX_set_grease_sigalgs_enabled(ctx, 1);
#ifdef TLSEXT_TYPE_trust_anchors
	if (!SSL_CTX_set1_requested_trust_anchors(ctx, browser_anchors, sizeof(browser_anchors)))
		return false;
#endif
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) &&
	       SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) &&
	       SSL_CTX_set_strict_cipher_list(ctx, BROWSER_CIPHERS) && browser_groups(ctx) &&
	       SSL_CTX_set_verify_algorithm_prefs(ctx, browser_signatures,
						  sizeof(browser_signatures) /
							  sizeof(browser_signatures[0])) &&
	       SSL_CTX_add_cert_compression_alg(ctx, TLSEXT_cert_compression_brotli, NULL,
						brotli_decompress) &&
	       /* This one returns 0 for success. */
	       SSL_CTX_set_alpn_protos(ctx, (const uint8_t *)BROWSER_ALPN,
				       (unsigned)strlen(BROWSER_ALPN)) == 0;
}

struct tls *browser_tls(SSL_CTX *ctx, const char *host)
{
	struct tls *t = tls_new(ctx, false);
	struct addr literal;

	if (!t)
		return NULL;
	SSL_set_enable_ech_grease(tls_ssl(t), 1);
	/* RFC 6066 section 3: literal addresses are not sent. */
	if (addr_from_literal(host, 1, &literal) || SSL_set_tlsext_host_name(tls_ssl(t), host))
		return t;
	tls_free(t);
	return NULL;
}
