/* SPDX-License-Identifier: Apache-2.0 */
/* pki_make: makes certificates. No files, no clock. */
#ifndef POSTERN_CTL_PKI_MAKE_H
#define POSTERN_CTL_PKI_MAKE_H

#include <stddef.h>
#include <time.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "core/engine/identity.h"

/* X.520's bound for organisation and common names. */
#define PKI_NAME_MAX 64u
/* What a CA's name may take, so that "NAME CA" is within it. */
#define PKI_CA_NAME_MAX (PKI_NAME_MAX - 3)

struct pki_request {
	enum identity_role role;
	const char *name; /* agent, console: wire_is_agent_name() */
	const char *const
		*hosts; /* relay: DNS names in lower case and address literals; 1 or more */
	size_t host_count;
	time_t not_before, not_after;
};

/* A self-signed CA that signs end entities only. NULL on failure, as below. */
X509 *pki_make_ca(EVP_PKEY *key, const char *organisation, time_t not_before,
		  time_t not_after) MUST_CHECK;
/* The same of a further CA, which an earlier one has signed: what trusts that one takes it from a
 * console. */
X509 *pki_make_next_ca(EVP_PKEY *key, const char *organisation, time_t not_before, time_t not_after,
		       X509 *by, EVP_PKEY *by_key) MUST_CHECK;
/* A certificate for the public half of key, signed by ca. */
X509 *pki_make_certificate(const struct pki_request *request, EVP_PKEY *key, X509 *ca,
			   EVP_PKEY *ca_key) MUST_CHECK;

/* The same certificate anew: names and uses of old, and its key unless there is another, signed by
 * ca, with these times. */
X509 *pki_make_again(X509 *old, EVP_PKEY *new_key, time_t not_before, time_t not_after, X509 *ca,
		     EVP_PKEY *ca_key) MUST_CHECK;

/* As PEM; owned by the caller. NULL on failure. */
char *pki_certificate_pem(X509 *x) MUST_CHECK;
/* Overwrites, then frees. */
void pki_free_secret(char *text);

#endif
