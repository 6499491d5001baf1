/* SPDX-License-Identifier: Apache-2.0 */
/* load: what an agent starts with, and what its file says later. */
#ifndef POSTERN_AGENT_CONFIG_LOAD_H
#define POSTERN_AGENT_CONFIG_LOAD_H

#include "agent/config/config.h"
#include "agent/config/state.h"
#include "core/engine/configuring.h"

/* Reads the file path and, where its state_dir keeps what consoles changed, brings both together:
 * *config says what start->document does. start is owned by the caller; *state is NULL without
 * state_dir. False: errors tell. */
bool agent_load(const char *path, struct agent_config *config, struct configuring_start *start,
		struct agent_state **state, struct conf_errors *errors) MUST_CHECK;
/* The file alone, read again: its document, owned by the caller. NULL: errors tell. */
json_t *agent_load_document(const char *path, struct conf_errors *errors) MUST_CHECK;

#endif
