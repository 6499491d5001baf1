/* SPDX-License-Identifier: Apache-2.0 */
/* load: the configuration that a relay starts with: its file's, or what was applied last. */
#ifndef POSTERN_RELAY_CONFIG_LOAD_H
#define POSTERN_RELAY_CONFIG_LOAD_H

#include <jansson.h>

#include "core/engine/configuring.h"
#include "core/engine/signed_revocations.h"
#include "core/parse/signing.h"
#include "relay/config/config.h"

/* Below state_dir: what configuring.h keeps. */
#define STATE_NAME	    "applied.json"
#define SIGNED_REVOKED_NAME "revocations.json" /* signed_revocations_keep() */

/* Whether the signer has a key for this use. */
typedef bool load_has_key_fn(void *context, const uint8_t id[SIGNING_KEY_BYTES],
			     enum signing_use use);

/* A file's text, from which the signer has taken the private keys (relay/signer/signer.h). */
struct load_source {
	const char *path, *text;
	size_t len;
	load_has_key_fn *has_key;
	/* The signer has the keys that it has made below this directory from now on. */
	void (*state)(void *context, const char *state_dir);
	void *context;
};

/* From the file and, where its state_dir keeps what consoles changed, from both together: config
 * says what s->document does. s is owned by the caller. False: errors tell. */
bool load_config(const struct load_source *from, struct relay_config *config,
		 struct configuring_start *s, struct conf_errors *errors) MUST_CHECK;
/* The signed revocations that are kept below its state_dir, into an empty table. What is lost is
 * logged. */
void load_signed_revocations(const struct relay_config *config, struct signed_revocations *out);
/* Whether identity.key is a reference, as the signer leaves it; else adds an error. */
bool load_key_apart(const struct relay_config *config, struct conf_errors *errors) MUST_CHECK;
/* Whether the signer has the keys of identity.certificate and, if it is set, of tls.certificate.
 * False: why has a sentence. */
bool load_keys_there(const struct relay_config *config, load_has_key_fn *has, void *context,
		     char *why, size_t why_size) MUST_CHECK;
/* The file's text, checked by itself: its document. NULL: errors tell. */
json_t *load_document(const char *text, size_t len, struct conf_errors *errors) MUST_CHECK;

#endif
