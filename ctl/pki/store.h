/* SPDX-License-Identifier: Apache-2.0 */
/* pki_store: a CA's directory: ca.pem, ca.key, tag.keys and issued.log. Failures are told to the
 * user. */
#ifndef POSTERN_CTL_PKI_STORE_H
#define POSTERN_CTL_PKI_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <openssl/x509.h>

#include "core/must_check.h"

struct pki_store {
	char *directory;
	char *pem; /* of ca */
	X509 *ca;
	EVP_PKEY *key;
	char *tag_keys; /* lines of hex digits, the newest first */
};

/* One line of issued.log: what a certificate was made for. */
struct pki_record {
	char serial[48];
	char role[16];
	char name[64];
	time_t not_after;
};

/* Makes the directory, which must not be there or be empty, and a CA in it. */
bool pki_store_create(const char *directory, const char *organisation, time_t now,
		      time_t not_after) MUST_CHECK;
/* with_key: the CA's key and the tag keys too, to issue. */
bool pki_store_open(const char *directory, bool with_key, struct pki_store *out) MUST_CHECK;
void pki_store_close(struct pki_store *s);

/* Puts a new tag key before those of the directory, the oldest of which goes when there are too
 * many; with only, all of them go. *count: how many there are now. */
bool pki_store_rotate_tag(const char *directory, bool only, size_t *count) MUST_CHECK;

/* A new key and certificate for the CA of the directory, the old one of which signs the new one and
 * stays behind it in ca.pem until it ends; its key becomes ca.key.old. */
bool pki_store_rotate_ca(const char *directory, time_t now, time_t not_after) MUST_CHECK;

/* When a certificate that is made now ends: after so long, or with its CA, which is told. False
 * after saying so: the CA has ended. */
bool pki_store_end(const struct pki_store *s, time_t now, uint64_t life_s,
		   time_t *not_after) MUST_CHECK;

bool pki_store_record(const struct pki_store *s, const struct pki_record *r) MUST_CHECK;
/* All records, oldest first; *out is owned. */
bool pki_store_records(const struct pki_store *s, struct pki_record **out,
		       size_t *count) MUST_CHECK;

#endif
