/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyblock: private keys in a text, a configuration file's for instance, before it is read as one.
 *
 * The process that parses what comes from the internet gets a file's text with another body in each
 * PEM block of a private key: a reference, which is the key's id in hexadecimal and then as many
 * "A" as it takes to the old length. So the text is as well-formed as before, in YAML or JSON, its
 * errors are told at the right place, and the same key makes the same text.
 */
#ifndef POSTERN_PARSE_KEYBLOCK_H
#define POSTERN_PARSE_KEYBLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/bytestring.h>

#include "core/must_check.h"

#define KEYBLOCK_ID_BYTES  32u
#define KEYBLOCK_LABEL_MAX 32u
#define KEYBLOCK_PEM_MAX   16384u /* an RSA key with 16384 bits takes 12,800 */

struct keyblock {
	char label[KEYBLOCK_LABEL_MAX]; /* "EC PRIVATE KEY" */
	CBS body;			/* between the two marks; to the end of a text cut short */
};

/* The next one in text, which moves behind its body. False: there is none any more. */
bool keyblock_next(CBS *text, struct keyblock *out) MUST_CHECK;

/* The block as PEM of its own: without indentation and escapes. False: it is no base64, or too
 * long; out may hold a part of it then. */
bool keyblock_pem(const struct keyblock *b, char out[KEYBLOCK_PEM_MAX]) MUST_CHECK;

/* Writes the reference over a body. id NULL: it is no key, and refers to none. */
void keyblock_blank(uint8_t *body, size_t len, const uint8_t id[KEYBLOCK_ID_BYTES]);

/* Whether a PEM text is a reference, and to which key. False: out is untouched. */
bool keyblock_refers(const char *pem, uint8_t id[KEYBLOCK_ID_BYTES]) MUST_CHECK;

#endif
