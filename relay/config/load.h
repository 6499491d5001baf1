/* SPDX-License-Identifier: Apache-2.0 */
/* load: the configuration that a relay starts with: its file's, or what was applied last. */
#ifndef POSTERN_RELAY_CONFIG_LOAD_H
#define POSTERN_RELAY_CONFIG_LOAD_H

#include <jansson.h>

#include "core/log.h"
#include "relay/config/config.h"

/* Below state_dir: what is in force, and what the file said when it was last read. */
#define STATE_NAME	"applied.json"
#define STATE_FILE_NAME "file.json"

struct loaded {
	json_t *document; /* what config says */
	json_t *file;	  /* what the file said when it was read for what is in force */
};

/* Reads path and, where its state_dir holds one, the configuration applied last, which then counts.
 * out is owned by the caller. False: errors tell. */
bool load_config(const char *path, struct relay_config *config, struct loaded *out,
		 struct conf_errors *errors) MUST_CHECK;
/* The file's text, checked by itself: its document. NULL: errors tell. */
json_t *load_document(const char *text, size_t len, struct conf_errors *errors) MUST_CHECK;
/* Each of these lines (borrowed; may be NULL) as one of the log. */
void load_log(enum log_level level, const char *lines);
void loaded_free(struct loaded *l);

#endif
