/* SPDX-License-Identifier: Apache-2.0 */
/* front_certificate: from PEM to what a handshake presents. */
#include "core/engine/front_certificate.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "core/engine/identity_internal.h"
#include "core/engine/keyring.h"
#include "core/memory.h"

struct front_certificate {
	X509 *leaf;
	STACK_OF(X509) * chain; /* after the leaf; may be empty */
	uint8_t key_id[SIGNING_KEY_BYTES];
};

void front_certificate_free(struct front_certificate *f)
{
	if (!f)
		return;
	X509_free(f->leaf);
	sk_X509_pop_free(f->chain, X509_free);
	memory_free(f);
}

/* NULL: it will do. */
static const char *complaint(const struct front_certificate *f)
{
	struct identity_peer peer;
	EVP_PKEY *key = X509_get_pubkey(f->leaf);
	bool usable = key && identity_key_usable(key);

	EVP_PKEY_free(key);
	if (sk_X509_num(f->chain) >= FRONT_CHAIN_MAX)
		return "has more than 10 certificates; a chain has the server's own and those "
		       "between it and its CA";
	if (!usable)
		return "is for a key of a kind that is not used here; use EC, or RSA with at least "
		       "2048 bits";
	if (X509_check_ca(f->leaf) != 0)
		return "begins with the certificate of a CA; the server's own comes first";
	if (identity_of_certificate(f->leaf, &peer))
		return "is that of an agent or console; strangers would read its name";
	return NULL;
}

struct front_certificate *front_certificate_new(const char *pem, char *why, size_t why_size)
{
	struct front_certificate *f = memory_zeroed(sizeof(*f));
	const char *wrong = "out of memory";

	if (f) {
		f->chain = certificates_of_pem(pem);
		f->leaf = f->chain ? sk_X509_shift(f->chain) : NULL;
		wrong = f->leaf ? complaint(f) : "is no PEM certificate, or has a damaged one";
	}
	if (f && !wrong && !keyring_id_of_certificate(f->leaf, f->key_id))
		wrong = "out of memory";
	ERR_clear_error();
	if (!wrong)
		return f;
	snprintf(why, why_size, "%s", wrong);
	front_certificate_free(f);
	return NULL;
}

void front_certificate_key_id(const struct front_certificate *f, uint8_t out[SIGNING_KEY_BYTES])
{
	memcpy(out, f->key_id, SIGNING_KEY_BYTES);
}

struct expiry_validity front_certificate_validity(const struct front_certificate *f)
{
	struct expiry_validity v = {
		.not_before = certificate_time(X509_get0_notBefore(f->leaf)),
		.not_after = certificate_time(X509_get0_notAfter(f->leaf)),
	};

	for (size_t i = 0; i < sk_X509_num(f->chain); i++) {
		time_t end = certificate_time(X509_get0_notAfter(sk_X509_value(f->chain, i)));

		if (end < v.not_after)
			v.not_after = end;
	}
	return v;
}

SSL_CTX *front_certificate_context(const struct front_certificate *f)
{
	return identity_front_of(f->leaf, f->chain, NULL);
}
