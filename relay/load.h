/* SPDX-License-Identifier: Apache-2.0 */
/* load: the configuration that a relay starts with: its file's, or what was applied last. */
#ifndef POSTERN_RELAY_LOAD_H
#define POSTERN_RELAY_LOAD_H

#include <jansson.h>

#include "relay/config.h"

#define STATE_NAME "applied.json" /* below state_dir */

/* Reads path and, where its state_dir holds one, the configuration applied last, which then counts.
 * *document (owned by the caller) says the same as *config. False: errors tell. */
bool load_config(const char *path, struct relay_config *config, json_t **document,
		 struct conf_errors *errors) MUST_CHECK;

#endif
