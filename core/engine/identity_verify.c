/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity_verify: judges agents and consoles, as peers of an inner session and by their HELLO.
 *
 * One rule for both: the chain ends in our CA, now is within its time, and exactly one postern URI
 * names a role.
 */
#include "core/engine/identity_internal.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "core/memory.h"
#include "core/parse/wire.h"

#define URI_PREFIX "postern:"

/* ---- reading certificates ---- */

/* "agent/NAME" or "console/NAME"; out is touched only in role and name. */
static bool parse_role(CBS uri, struct identity_peer *out)
{
	static const struct {
		const char *prefix;
		enum identity_role role;
	} roles[] = {{"agent/", IDENTITY_AGENT}, {"console/", IDENTITY_CONSOLE}};
	char name[sizeof(out->name)];

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		size_t len = strlen(roles[i].prefix);
		CBS rest = uri, head;

		if (!CBS_get_bytes(&rest, &head, len) ||
		    !CBS_mem_equal(&head, (const uint8_t *)roles[i].prefix, len))
			continue;
		if (CBS_len(&rest) >= sizeof(name) || CBS_contains_zero_byte(&rest))
			return false;
		memcpy(name, CBS_data(&rest), CBS_len(&rest));
		name[CBS_len(&rest)] = '\0';
		if (!wire_is_agent_name(name))
			return false;
		out->role = roles[i].role;
		memcpy(out->name, name, sizeof(name));
		return true;
	}
	return false;
}

/* The bytes after "postern:" of the only such URI; false when there is none or a second one. */
static bool find_uri(const GENERAL_NAMES *names, CBS *out)
{
	size_t found = 0;

	for (size_t i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
		const ASN1_STRING *text;
		CBS uri, head;

		if (n->type != GEN_URI)
			continue;
		text = n->d.uniformResourceIdentifier;
		CBS_init(&uri, ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
		if (!CBS_get_bytes(&uri, &head, strlen(URI_PREFIX)) ||
		    !CBS_mem_equal(&head, (const uint8_t *)URI_PREFIX, strlen(URI_PREFIX)))
			continue;
		*out = uri;
		found++;
	}
	return found == 1;
}

bool identity_of_certificate(X509 *x, struct identity_peer *out)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	struct identity_peer peer = {
		.not_before = certificate_time(X509_get0_notBefore(x)),
		.not_after = certificate_time(X509_get0_notAfter(x)),
	};
	CBS uri;
	bool ok;

	ok = names && find_uri(names, &uri) && parse_role(uri, &peer) &&
	     certificate_serial(x, peer.serial) && identity_key_of(x, peer.key);
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	if (ok)
		*out = peer;
	return ok;
}

/* What a chain that holds rests on, and until when it does: the anchor's own end is not of it, for
 * another certificate of the same key may take its place. It rests on the first anchor above the
 * leaf, although the library goes on as far as it can: while a CA is replaced, the old one has
 * signed the new one, and what is of the new one outlives the old. False without memory. */
static bool measure_chain(X509_STORE_CTX *ctx, struct identity_verdict *v)
{
	const STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);
	size_t count = sk_X509_num(chain);
	X509 *anchor = NULL;
	bool ok;

	for (size_t i = 0; i < count && (i == 0 || i + 1 < count) && !anchor; i++) {
		X509 *x = sk_X509_value(chain, i);
		time_t end = certificate_time(X509_get0_notAfter(x));

		if (i == 0 || end < v->ends)
			v->ends = end;
		if (X509_STORE_CTX_get1_issuer(&anchor, ctx, x) != 1)
			anchor = NULL;
	}
	ok = count > 0 &&
	     identity_key_of(anchor ? anchor : sk_X509_value(chain, count - 1), v->anchor);
	X509_free(anchor);
	return ok;
}

static int ignore_times(int ok, X509_STORE_CTX *ctx)
{
	int error = X509_STORE_CTX_get_error(ctx);

	return ok || error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID;
}

struct identity_verdict identity_verify_chain(X509_STORE *store, X509 *leaf,
					      STACK_OF(X509) * others, int purpose, time_t now)
{
	struct identity_verdict verdict = {.error = X509_V_ERR_OUT_OF_MEM, .is_leaf = true};
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509 *at;

	if (!ctx || !X509_STORE_CTX_init(ctx, store, leaf, others) ||
	    !X509_STORE_CTX_set_purpose(ctx, purpose))
		goto out;
	if (now == IDENTITY_ANY_TIME)
		X509_STORE_CTX_set_verify_cb(ctx, ignore_times);
	else
		X509_STORE_CTX_set_time(ctx, 0, now);
	if (X509_verify_cert(ctx) == 1) {
		if (measure_chain(ctx, &verdict))
			verdict.error = X509_V_OK;
		goto out;
	}
	verdict.error = X509_STORE_CTX_get_error(ctx);
	if (verdict.error == X509_V_OK)
		verdict.error = X509_V_ERR_UNSPECIFIED;
	verdict.is_leaf = X509_STORE_CTX_get_error_depth(ctx) == 0;
	at = X509_STORE_CTX_get_current_cert(ctx);
	if (at) {
		verdict.not_before = certificate_time(X509_get0_notBefore(at));
		verdict.not_after = certificate_time(X509_get0_notAfter(at));
	}
out:
	X509_STORE_CTX_free(ctx);
	ERR_clear_error();
	return verdict;
}

/* ---- agents and consoles ---- */

static enum reason judge_peer(X509_STORE *store, X509 *leaf, STACK_OF(X509) * others, time_t now,
			      struct identity_peer *out)
{
	struct identity_verdict v =
		identity_verify_chain(store, leaf, others, X509_PURPOSE_SSL_CLIENT, now);

	switch (v.error) {
	case X509_V_OK:
		if (!identity_of_certificate(leaf, out))
			return REASON_CERT_ROLE;
		out->not_after = v.ends;
		memcpy(out->ca, v.anchor, sizeof(out->ca));
		return REASON_OK;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID: /* a clock is wrong: nearer to this than to the rest */
		return REASON_CERT_EXPIRED;
	case X509_V_ERR_INVALID_PURPOSE:
		return REASON_CERT_ROLE;
	default:
		return REASON_CERT_UNTRUSTED;
	}
}

/* What a session keeps: the time that it was told, and its verdict once it has come so far. */
struct inner_verdict {
	time_t now;
	enum reason reason;	   /* REASON_CERT_UNTRUSTED until then */
	struct identity_peer peer; /* REASON_OK */
};

/* As the application's own datum, which tls_free() frees: BoringSSL of 2022 allocates before it
 * calls what an index of SSL_get_ex_new_index() is freed by, and without memory leaks it all. */
bool identity_inner_at(SSL *ssl, time_t now)
{
	struct inner_verdict *v = SSL_get_app_data(ssl);

	if (!v) {
		v = memory_get(sizeof(*v));
		if (!v || !SSL_set_app_data(ssl, v)) {
			memory_free(v);
			return false;
		}
	}
	*v = (struct inner_verdict){.now = now, .reason = REASON_CERT_UNTRUSTED};
	return true;
}

static bool speaks_postern(const SSL *ssl)
{
	const uint8_t *alpn;
	unsigned len;
	CBS selected;

	SSL_get0_alpn_selected(ssl, &alpn, &len);
	CBS_init(&selected, alpn, len);
	return CBS_mem_equal(&selected, (const uint8_t *)IDENTITY_INNER_ALPN + 1,
			     strlen(IDENTITY_INNER_ALPN) - 1);
}

enum ssl_verify_result_t identity_verify_inner(SSL *ssl, uint8_t *alert)
{
	STACK_OF(X509) *chain = SSL_get_peer_full_cert_chain(ssl);
	struct inner_verdict *v = SSL_get_app_data(ssl);
	enum reason reason = REASON_CERT_UNTRUSTED;

	/* A client that sends no ALPN at all never reaches the server's choice of it. */
	if (!speaks_postern(ssl))
		reason = REASON_PROTOCOL;
	else if (v && chain && sk_X509_num(chain) > 0)
		reason = judge_peer(SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)),
				    sk_X509_value(chain, 0), chain, v->now, &v->peer);
	if (v)
		v->reason = reason;
	switch (reason) {
	case REASON_OK:
		return ssl_verify_ok;
	case REASON_PROTOCOL:
		*alert = SSL_AD_NO_APPLICATION_PROTOCOL;
		break;
	case REASON_CERT_EXPIRED:
		*alert = SSL_AD_CERTIFICATE_EXPIRED;
		break;
	case REASON_CERT_ROLE:
		*alert = SSL_AD_BAD_CERTIFICATE;
		break;
	default:
		*alert = SSL_AD_UNKNOWN_CA;
	}
	return ssl_verify_invalid;
}

enum reason identity_peer_of(const struct identity *id, SSL *ssl, struct identity_peer *out)
{
	const struct inner_verdict *v = SSL_get_app_data(ssl);

	if (!v)
		return REASON_CERT_UNTRUSTED;
	if (v->reason == REASON_OK)
		*out = v->peer;
	return v->reason;
}

/* ---- HELLO and PROVE ---- */

void identity_statement(enum identity_statement what, const uint8_t exported[32],
			uint8_t out[IDENTITY_STATEMENT_BYTES])
{
	static const char labels[][16] = {"postern/2 hello", "postern/2 prove"};

	_Static_assert(sizeof(labels[0]) + 32 == IDENTITY_STATEMENT_BYTES, "label and export");
	memcpy(out, labels[what], sizeof(labels[0]));
	memcpy(out + sizeof(labels[0]), exported, 32);
}

bool identity_signature_begin(EVP_MD_CTX *ctx, EVP_PKEY *key, bool sign)
{
	const EVP_MD *md = EVP_PKEY_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256();
	EVP_PKEY_CTX *pctx = NULL;

	if (sign ? !EVP_DigestSignInit(ctx, &pctx, md, NULL, key)
		 : !EVP_DigestVerifyInit(ctx, &pctx, md, NULL, key))
		return false;
	/* Salt as long as the digest, RFC 8446 section 4.2.3. */
	return EVP_PKEY_id(key) != EVP_PKEY_RSA ||
	       (EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) &&
		EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, -1));
}

static bool signature_ok(X509 *leaf, enum identity_statement what, const uint8_t *signature,
			 size_t len, const uint8_t exported[32])
{
	uint8_t message[IDENTITY_STATEMENT_BYTES];
	EVP_PKEY *key = X509_get_pubkey(leaf);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok;

	identity_statement(what, exported, message);
	ok = key && ctx && identity_signature_begin(ctx, key, false) &&
	     EVP_DigestVerify(ctx, signature, len, message, sizeof(message)) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return ok;
}

enum reason identity_verify(const struct identity *id, enum identity_statement what,
			    const uint8_t *der, size_t der_len, const uint8_t *signature,
			    size_t signature_len, const uint8_t exported[32], time_t now,
			    struct identity_peer *out)
{
	const uint8_t *end = der;
	X509 *leaf = d2i_X509(NULL, &end, (long)der_len);
	struct identity_peer peer;
	enum reason reason = REASON_CERT_UNTRUSTED;

	if (!leaf || end != der + der_len)
		goto out;
	reason = judge_peer(id->ca, leaf, NULL, now, &peer);
	if (reason == REASON_OK && !signature_ok(leaf, what, signature, signature_len, exported))
		reason = REASON_PROOF;
	if (reason == REASON_OK)
		*out = peer;
out:
	X509_free(leaf);
	ERR_clear_error();
	return reason;
}
