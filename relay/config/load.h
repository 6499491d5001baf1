/* SPDX-License-Identifier: Apache-2.0 */
/* load: the configuration that a relay starts with: its file's, or what was applied last. */
#ifndef POSTERN_RELAY_CONFIG_LOAD_H
#define POSTERN_RELAY_CONFIG_LOAD_H

#include <jansson.h>

#include "core/engine/configuring.h"
#include "core/parse/signing.h"
#include "relay/config/config.h"

/* Below state_dir: what configuring.h keeps. */
#define STATE_NAME "applied.json"

/* A file's text, from which the signer has taken the private keys (relay/signer/signer.h). */
struct load_source {
	const char *path, *text;
	size_t len;
	bool (*has_key)(void *context, const uint8_t id[SIGNING_KEY_BYTES]); /* the signer */
	void *context;
};

/* From the file and, where its state_dir keeps what consoles changed, from both together: config
 * says what s->document does. s is owned by the caller. False: errors tell. */
bool load_config(const struct load_source *from, struct relay_config *config,
		 struct configuring_start *s, struct conf_errors *errors) MUST_CHECK;
/* Whether identity.key is a reference, as the signer leaves it; else adds an error. */
bool load_key_apart(const struct relay_config *config, struct conf_errors *errors) MUST_CHECK;
/* The file's text, checked by itself: its document. NULL: errors tell. */
json_t *load_document(const char *text, size_t len, struct conf_errors *errors) MUST_CHECK;

#endif
