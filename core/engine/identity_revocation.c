/* SPDX-License-Identifier: Apache-2.0 */
/* identity_revocation: signatures over revocations, by consoles and CAs. */
#include "core/engine/identity_revocation.h"

#include <string.h>

#include <openssl/base64.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "core/engine/identity_internal.h"

static const struct {
	const char *name, *sentence;
} outcomes[] = {
#define X(name, sentence) {#name, sentence},
	REVOCATION_OUTCOMES(X)
#undef X
};

const char *revocation_outcome_name(enum revocation_outcome o)
{
	return o < REVOCATION_OUTCOME_COUNT ? outcomes[o].name : "UNKNOWN";
}

const char *revocation_outcome_sentence(enum revocation_outcome o)
{
	return o < REVOCATION_OUTCOME_COUNT ? outcomes[o].sentence : "";
}

const char *revocation_value_words(enum wire_revocation_kind kind)
{
	switch (kind) {
	case WIRE_REVOKED_SERIAL:
		return "serial number in hex, in small letters";
	case WIRE_REVOKED_KEY:
		return "SHA-256 of a key in hex, in small letters";
	default:
		return "agent's name";
	}
}

/* ---- signing ---- */

static size_t sign_text(EVP_PKEY *key, const uint8_t *text, size_t len,
			uint8_t signature[WIRE_SIGNATURE_MAX])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t size = WIRE_SIGNATURE_MAX;

	if (!ctx || !identity_signature_begin(ctx, key, true) ||
	    !EVP_DigestSign(ctx, signature, &size, text, len))
		size = 0;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return size;
}

size_t revocation_sign(X509 *certificate, EVP_PKEY *key, const struct signed_revocation *r,
		       uint8_t out[REVOCATION_MAX])
{
	uint8_t text[REVOCATION_TEXT_MAX], signature[WIRE_SIGNATURE_MAX], *der = NULL;
	struct signed_revocation whole = *r;
	int der_len = i2d_X509(certificate, &der);
	size_t len = 0;

	if (der_len > 0) {
		whole.certificate = (struct wire_bytes){der, (size_t)der_len};
		len = revocation_text(&whole, text, sizeof(text));
	}
	if (len > 0) {
		whole.signature =
			(struct wire_bytes){signature, sign_text(key, text, len, signature)};
		len = revocation_encode(&whole, out, REVOCATION_MAX);
	}
	OPENSSL_free(der);
	return len;
}

size_t identity_sign_revocation(const struct identity *id, const struct signed_revocation *r,
				uint8_t out[REVOCATION_MAX])
{
	return id->key ? revocation_sign(id->leaf, id->key, r, out) : 0;
}

/* ---- who has signed ---- */

static const struct identity_anchor *anchor_of(const struct identity *id,
					       const uint8_t key[IDENTITY_KEY_BYTES])
{
	for (size_t i = 0; i < id->anchors.count; i++)
		if (memcmp(id->anchors.list[i].key, key, IDENTITY_KEY_BYTES) == 0)
			return &id->anchors.list[i];
	return NULL;
}

/* The key is what is trusted, and its end is identity.ca's to say; no other field of x counts. */
static bool signed_by_ca(const struct identity *id, X509 *x, struct revocation_signer *out)
{
	struct revocation_signer ca = {.is_ca = true};
	const struct identity_anchor *anchor;

	if (!identity_key_of(x, ca.peer.key))
		return false;
	anchor = anchor_of(id, ca.peer.key);
	if (!anchor)
		return false;
	memcpy(ca.peer.ca, ca.peer.key, sizeof(ca.peer.ca));
	ca.peer.not_after = anchor->not_after;
	*out = ca;
	return true;
}

bool identity_revocation_of_ca(const struct identity *id, const struct signed_revocation *r)
{
	const uint8_t *at = r->certificate.data;
	X509 *x = d2i_X509(NULL, &at, (long)r->certificate.len);
	struct revocation_signer ca;
	bool is = x && signed_by_ca(id, x, &ca);

	X509_free(x);
	ERR_clear_error();
	return is;
}

void identity_revocation_claims(const struct signed_revocation *r, struct revocation_signer *out)
{
	const uint8_t *at = r->certificate.data;
	X509 *x = d2i_X509(NULL, &at, (long)r->certificate.len);
	struct revocation_signer signer = {.is_ca = false};

	if (x && !identity_of_certificate(x, &signer.peer))
		signer.is_ca = identity_key_of(x, signer.peer.key);
	X509_free(x);
	ERR_clear_error();
	*out = signer;
}

static enum revocation_outcome signed_by_console(const struct identity *id, X509 *x,
						 struct revocation_signer *out)
{
	struct revocation_signer console = {.is_ca = false};
	struct identity_verdict v =
		identity_verify_chain(id->ca, x, NULL, X509_PURPOSE_SSL_CLIENT, IDENTITY_ANY_TIME);

	if (v.error == X509_V_ERR_INVALID_PURPOSE)
		return REVOCATION_ROLE;
	if (v.error != X509_V_OK)
		return REVOCATION_UNTRUSTED;
	if (!identity_of_certificate(x, &console.peer) || console.peer.role != IDENTITY_CONSOLE)
		return REVOCATION_ROLE;
	console.peer.not_after = v.ends;
	memcpy(console.peer.ca, v.anchor, sizeof(console.peer.ca));
	*out = console;
	return REVOCATION_TAKEN;
}

static bool signature_matches(X509 *x, const struct signed_revocation *r)
{
	uint8_t text[REVOCATION_TEXT_MAX];
	size_t len = revocation_text(r, text, sizeof(text));
	EVP_PKEY *key = X509_get_pubkey(x);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = len > 0 && key && ctx && identity_signature_begin(ctx, key, false) &&
		  EVP_DigestVerify(ctx, r->signature.data, r->signature.len, text, len) == 1;

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return ok;
}

enum revocation_outcome identity_verify_revocation(const struct identity *id,
						   const struct signed_revocation *r,
						   struct revocation_signer *out)
{
	const uint8_t *at = r->certificate.data, *end = at + r->certificate.len;
	X509 *x = d2i_X509(NULL, &at, (long)r->certificate.len);
	enum revocation_outcome outcome = REVOCATION_UNTRUSTED;
	struct revocation_signer signer;
	time_t issued = (time_t)r->issued;

	if (x && at == end)
		outcome = signed_by_ca(id, x, &signer) ? REVOCATION_TAKEN
						       : signed_by_console(id, x, &signer);
	if (outcome == REVOCATION_TAKEN &&
	    (issued < signer.peer.not_before || issued > signer.peer.not_after))
		outcome = REVOCATION_LIFETIME;
	if (outcome == REVOCATION_TAKEN && !signature_matches(x, r))
		outcome = REVOCATION_PROOF;
	if (outcome == REVOCATION_TAKEN)
		*out = signer;
	X509_free(x);
	ERR_clear_error();
	return outcome;
}

/* ---- texts ---- */

void revocation_to_text(const uint8_t *bytes, size_t len, char out[REVOCATION_BASE64_BYTES])
{
	EVP_EncodeBlock((uint8_t *)out, bytes, len);
}

size_t revocation_of_text(const char *text, uint8_t out[REVOCATION_MAX])
{
	uint8_t bytes[REVOCATION_BASE64_BYTES];
	size_t len = strlen(text), got;

	if (len >= REVOCATION_BASE64_BYTES ||
	    !EVP_DecodeBase64(bytes, &got, sizeof(bytes), (const uint8_t *)text, len) ||
	    got > REVOCATION_MAX)
		return 0;
	memcpy(out, bytes, got);
	return got;
}
