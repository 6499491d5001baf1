/* SPDX-License-Identifier: Apache-2.0 */
/*
 * csr: new keys, and certification requests for them (PKCS#10, RFC 2986): what leaves the
 * process that has a key, so that a certificate can come back. Pure.
 *
 * Of a request from elsewhere, only its public key is taken, once its own signature has been
 * verified; what a certificate says is for the CA's holder to decide.
 */
#ifndef POSTERN_ENGINE_CSR_H
#define POSTERN_ENGINE_CSR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/bytestring.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "core/must_check.h"

#define CSR_HOSTS_MAX 64u
#define CSR_HOST_MAX  253u
#define CSR_PEM_MAX   32768u /* with as many names as there may be */

/* DNS names and literals of addresses, without wildcards. */
struct csr_hosts {
	size_t count;
	char list[CSR_HOSTS_MAX][CSR_HOST_MAX + 1];
};

/* Whether it is a host as above, and there is room; it is added then, in lower case, unless it is
 * there. */
bool csr_add_host(struct csr_hosts *hosts, const char *text, size_t len) MUST_CHECK;
/* Those of a certificate; false when there are more, or one is no such name. */
bool csr_hosts_of(X509 *x, struct csr_hosts *out) MUST_CHECK;
/* The first of some that all lacks; NULL: it lacks none. */
const char *csr_host_missing(const struct csr_hosts *all, const struct csr_hosts *some);
/* Adds a name of a type of GENERAL_NAME (GEN_DNS, GEN_URI, GEN_IPADD) with these bytes. False
 * without memory. */
bool csr_push_name(GENERAL_NAMES *names, int type, const void *bytes, size_t len) MUST_CHECK;
/* The extension subjectAltName of these. NULL without memory. */
GENERAL_NAMES *csr_alternative_names(const char *const *hosts, size_t count) MUST_CHECK;

/* A new EC P-256 key. NULL without memory. */
EVP_PKEY *csr_new_key(void) MUST_CHECK;
/* The text that was written to bio, which it frees; owned. NULL unless ok, or without memory. */
char *csr_take_text(BIO *bio, bool ok) MUST_CHECK;
/* As PKCS#8 in PEM: owned, secret. NULL without memory. */
char *csr_key_pem(EVP_PKEY *key) MUST_CHECK;

/* A request for these hosts (none: for no name), signed by the key, as DER; owned by the caller,
 * OPENSSL_free(). False without memory. */
bool csr_make(EVP_PKEY *key, const struct csr_hosts *hosts, uint8_t **der, size_t *len) MUST_CHECK;
/* As PEM, owned. NULL: it is no request, or memory is out. */
char *csr_pem(const uint8_t *der, size_t len) MUST_CHECK;
/* The public key of a request in PEM, owned. NULL: it is none, or its signature is not its key's.
 */
EVP_PKEY *csr_key(const char *pem) MUST_CHECK;

#endif
