/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pki_make: makes certificates, as RFC 5280 and the CA/Browser Forum's profile want them.
 *
 * A relay's certificate is a plain server certificate. An agent's names its role and name in a URI
 * (core/engine/identity.h) and serves both sides of the inner TLS session.
 */
#include "ctl/pki/make.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/obj.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "core/engine/csr.h"

#define SERIAL_BYTES 16
#define KEY_ID_BYTES 20 /* RFC 7093 section 2, method 1 */

/* ---- fields ---- */

static bool set_serial(X509 *x)
{
	uint8_t bytes[SERIAL_BYTES];
	BIGNUM *number;
	bool ok;

	RAND_bytes(bytes, sizeof(bytes));
	/* Positive, and of the same length always (RFC 5280 section 4.1.2.2). */
	bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40);
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x));
	BN_free(number);
	return ok;
}

static bool certificate_set_times(X509 *x, time_t not_before, time_t not_after)
{
	return ASN1_TIME_set(X509_getm_notBefore(x), not_before) &&
	       ASN1_TIME_set(X509_getm_notAfter(x), not_after);
}

static bool add_name(X509_NAME *name, int nid, const char *text)
{
	return X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, (const uint8_t *)text, -1, -1,
					  0) == 1;
}

/* ---- extensions ---- */

static bool add_extension(X509 *x, int nid, void *value, bool critical)
{
	return value && X509_add1_ext_i2d(x, nid, value, critical, X509V3_ADD_DEFAULT) == 1;
}

static bool add_basic_constraints(X509 *x, bool ca)
{
	BASIC_CONSTRAINTS *bc = BASIC_CONSTRAINTS_new();
	bool ok = bc != NULL;

	if (ok && ca) {
		bc->ca = 1;
		bc->pathlen = ASN1_INTEGER_new();
		ok = bc->pathlen && ASN1_INTEGER_set(bc->pathlen, 0);
	}
	ok = ok && add_extension(x, NID_basic_constraints, bc, true);
	BASIC_CONSTRAINTS_free(bc);
	return ok;
}

static bool add_key_usage(X509 *x, bool ca)
{
	enum { DIGITAL_SIGNATURE = 0, KEY_CERT_SIGN = 5, CRL_SIGN = 6 };
	ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
	bool ok;

	if (ca)
		ok = bits && ASN1_BIT_STRING_set_bit(bits, KEY_CERT_SIGN, 1) &&
		     ASN1_BIT_STRING_set_bit(bits, CRL_SIGN, 1);
	else
		ok = bits && ASN1_BIT_STRING_set_bit(bits, DIGITAL_SIGNATURE, 1);
	ok = ok && add_extension(x, NID_key_usage, bits, true);
	ASN1_BIT_STRING_free(bits);
	return ok;
}

static bool add_extended_key_usage(X509 *x, enum identity_role role)
{
	EXTENDED_KEY_USAGE *uses = EXTENDED_KEY_USAGE_new();
	bool ok = uses && sk_ASN1_OBJECT_push(uses, OBJ_nid2obj(NID_server_auth)) &&
		  (role == IDENTITY_RELAY ||
		   sk_ASN1_OBJECT_push(uses, OBJ_nid2obj(NID_client_auth))) &&
		  add_extension(x, NID_ext_key_usage, uses, false);

	EXTENDED_KEY_USAGE_free(uses);
	return ok;
}

static bool add_key_ids(X509 *x, X509 *issuer)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	ASN1_OCTET_STRING *own = ASN1_OCTET_STRING_new();
	AUTHORITY_KEYID *authority = AUTHORITY_KEYID_new();
	const ASN1_OCTET_STRING *issuers;
	unsigned len;
	bool ok;

	ok = own && authority && X509_pubkey_digest(x, EVP_sha256(), digest, &len) &&
	     ASN1_OCTET_STRING_set(own, digest, KEY_ID_BYTES) &&
	     add_extension(x, NID_subject_key_identifier, own, false);
	if (ok && issuer != x) {
		issuers = X509_get0_subject_key_id(issuer);
		/* A CA made elsewhere may have no identifier to point to. */
		if (issuers) {
			authority->keyid = ASN1_OCTET_STRING_dup(issuers);
			ok = authority->keyid &&
			     add_extension(x, NID_authority_key_identifier, authority, false);
		}
	}
	AUTHORITY_KEYID_free(authority);
	ASN1_OCTET_STRING_free(own);
	return ok;
}

static bool add_alternative_names(X509 *x, const struct pki_request *request)
{
	GENERAL_NAMES *names;
	char uri[128];
	bool ok;

	if (request->role == IDENTITY_RELAY) {
		names = csr_alternative_names(request->hosts, request->host_count);
		ok = names != NULL;
	} else {
		snprintf(uri, sizeof(uri), "postern:%s/%s",
			 request->role == IDENTITY_AGENT ? "agent" : "console", request->name);
		names = GENERAL_NAMES_new();
		ok = names && csr_push_name(names, GEN_URI, uri, strlen(uri));
	}
	/* Critical where it stands in for an empty subject (RFC 5280 section 4.2.1.6). */
	ok = ok && add_extension(x, NID_subject_alt_name, names,
				 X509_NAME_entry_count(X509_get_subject_name(x)) == 0);
	GENERAL_NAMES_free(names);
	return ok;
}

/* ---- certificates ---- */

/* Everything that does not depend on the role. */
static X509 *certificate_begin(EVP_PKEY *key, time_t not_before, time_t not_after)
{
	X509 *x = X509_new();

	if (x && X509_set_version(x, 2) && set_serial(x) &&
	    certificate_set_times(x, not_before, not_after) && X509_set_pubkey(x, key))
		return x;
	X509_free(x);
	return NULL;
}

static X509 *certificate_finish(X509 *x, bool ok, EVP_PKEY *ca_key)
{
	const EVP_MD *md = EVP_PKEY_id(ca_key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256();

	ok = ok && X509_sign(x, ca_key, md) > 0;
	ERR_clear_error();
	if (ok)
		return x;
	X509_free(x);
	return NULL;
}

X509 *pki_make_ca(EVP_PKEY *key, const char *organisation, time_t not_before, time_t not_after)
{
	return pki_make_next_ca(key, organisation, not_before, not_after, NULL, key);
}

X509 *pki_make_next_ca(EVP_PKEY *key, const char *organisation, time_t not_before, time_t not_after,
		       X509 *by, EVP_PKEY *by_key)
{
	X509 *x = certificate_begin(key, not_before, not_after);
	char common_name[PKI_NAME_MAX + 1];
	X509_NAME *name;
	bool ok;

	if (!x)
		return NULL;
	snprintf(common_name, sizeof(common_name), "%s CA", organisation);
	name = X509_get_subject_name(x);
	ok = add_name(name, NID_organizationName, organisation) &&
	     add_name(name, NID_commonName, common_name) &&
	     X509_set_issuer_name(x, by ? X509_get_subject_name(by) : name) &&
	     add_basic_constraints(x, true) && add_key_usage(x, true) &&
	     add_key_ids(x, by ? by : x);
	return certificate_finish(x, ok, by_key);
}

X509 *pki_make_certificate(const struct pki_request *request, EVP_PKEY *key, X509 *ca,
			   EVP_PKEY *ca_key)
{
	X509 *x = certificate_begin(key, request->not_before, request->not_after);
	const char *name = request->role == IDENTITY_RELAY ? request->hosts[0] : request->name;
	bool ok;

	if (!x)
		return NULL;
	ok = X509_set_issuer_name(x, X509_get_subject_name(ca));
	/* A host longer than a common name may be stands in the alternative names alone. */
	if (ok && strlen(name) <= PKI_NAME_MAX)
		ok = add_name(X509_get_subject_name(x), NID_commonName, name);
	ok = ok && add_basic_constraints(x, false) && add_key_usage(x, false) &&
	     add_extended_key_usage(x, request->role) && add_alternative_names(x, request) &&
	     add_key_ids(x, ca);
	return certificate_finish(x, ok, ca_key);
}

/* Copies what old has of this kind; it need not have it. */
static bool copy_extension(X509 *x, const X509 *old, int nid)
{
	int at = X509_get_ext_by_NID(old, nid, -1);

	return at < 0 || X509_add_ext(x, X509_get_ext(old, at), -1) == 1;
}

X509 *pki_make_again(X509 *old, EVP_PKEY *new_key, time_t not_before, time_t not_after, X509 *ca,
		     EVP_PKEY *ca_key)
{
	EVP_PKEY *old_key = new_key ? NULL : X509_get_pubkey(old);
	EVP_PKEY *key = new_key ? new_key : old_key;
	X509 *x = key ? certificate_begin(key, not_before, not_after) : NULL;
	bool ok = x && X509_set_issuer_name(x, X509_get_subject_name(ca)) &&
		  X509_set_subject_name(x, X509_get_subject_name(old)) &&
		  add_basic_constraints(x, false) && add_key_usage(x, false) &&
		  copy_extension(x, old, NID_ext_key_usage) &&
		  copy_extension(x, old, NID_subject_alt_name) && add_key_ids(x, ca);

	EVP_PKEY_free(old_key);
	return x ? certificate_finish(x, ok, ca_key) : NULL;
}

/* ---- PEM ---- */

char *pki_certificate_pem(X509 *x)
{
	BIO *bio = BIO_new(BIO_s_mem());

	return csr_take_text(bio, bio && PEM_write_bio_X509(bio, x));
}

void pki_free_secret(char *text)
{
	if (text)
		OPENSSL_cleanse(text, strlen(text));
	free(text);
}
