/* SPDX-License-Identifier: Apache-2.0 */
/* bundle: the one file that a relay, an agent or a console runs from, written from a command's
 * options. */
#ifndef POSTERN_CTL_PKI_BUNDLE_H
#define POSTERN_CTL_PKI_BUNDLE_H

#include <time.h>

#include "core/engine/identity.h"
#include "ctl/terminal/arguments.h"

struct bundle {
	enum identity_role role;
	const char *name;
	const char *organisation; /* of the CA */
	const char *file;	  /* what it will be called; "-": standard output */
	time_t not_after;
	const char *ca_pem, *certificate_pem, *key_pem, *tag_keys;
};

/* LEFT=RIGHT of an option's value; right points behind the first '='. */
struct bundle_pair {
	const char *left, *right;
	size_t left_len;
};
bool bundle_split(const char *value, struct bundle_pair *out) MUST_CHECK;

/*
 * The YAML text of the options of 'pki issue', which must be well-formed pairs; owned by the caller
 * and secret. NULL when out of memory.
 */
char *bundle_write(const struct bundle *b, const struct arguments *a) MUST_CHECK;
/* Whether the program that will read text accepts it; otherwise tells why not. */
bool bundle_check(const struct bundle *b, const char *text) MUST_CHECK;

#endif
