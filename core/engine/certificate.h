/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certificate: X.509 certificates out of PEM, and what one says, as values and as texts for people.
 *
 * Texts out of certificates are the other side's: cut and made printable before they are shown.
 */
#ifndef POSTERN_ENGINE_CERTIFICATE_H
#define POSTERN_ENGINE_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>
#include <openssl/x509.h>

#include "core/must_check.h"

#define CERTIFICATE_TEXT_BYTES 96
/* "postern pki" makes certificates that begin so long before they are made, for clocks that are
 * behind. */
#define CERTIFICATE_BACKDATE_S 3600L

#define CERTIFICATE_SERIAL_BYTES 48

/* The first certificate of a PEM text, all of them in order, or its private key, which is not
 * encrypted; each owned by the caller. NULL where there is none, or one of them is broken. */
X509 *certificate_of_pem(const char *pem) MUST_CHECK;
STACK_OF(X509) * certificates_of_pem(const char *pem) MUST_CHECK;
EVP_PKEY *certificate_key_of_pem(const char *pem) MUST_CHECK;

/* Seconds since 1970, also before it and beyond 2038; 0 for what cannot be read. */
time_t certificate_time(const ASN1_TIME *t);
/* Organisation, else common name (or the other way round); "an unnamed CA" without either. */
void certificate_name_text(const X509_NAME *name, bool common_name_first,
			   char out[CERTIFICATE_TEXT_BYTES]);
/* In hexadecimal. False when it is longer than any CA may make it; out untouched then. */
bool certificate_serial(X509 *x, char out[CERTIFICATE_SERIAL_BYTES]) MUST_CHECK;
/* "a.example, 192.0.2.1": the DNS names and addresses it is for, as many as fit; "no name". */
void certificate_hosts(X509 *x, char *out, size_t room);

#endif
