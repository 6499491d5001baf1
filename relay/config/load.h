/* SPDX-License-Identifier: Apache-2.0 */
/* load: the configuration that a relay starts with: its file's, or what was applied last. */
#ifndef POSTERN_RELAY_CONFIG_LOAD_H
#define POSTERN_RELAY_CONFIG_LOAD_H

#include <jansson.h>

#include "core/engine/configuring.h"
#include "relay/config/config.h"

/* Below state_dir: what configuring.h keeps. */
#define STATE_NAME "applied.json"

/* Reads path and, where its state_dir keeps what consoles changed, brings both together: config
 * says what s->document does. s is owned by the caller. False: errors tell. */
bool load_config(const char *path, struct relay_config *config, struct configuring_start *s,
		 struct conf_errors *errors) MUST_CHECK;
/* The file's text, checked by itself: its document. NULL: errors tell. */
json_t *load_document(const char *text, size_t len, struct conf_errors *errors) MUST_CHECK;

#endif
