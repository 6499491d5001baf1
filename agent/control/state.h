/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state: what core/engine/configuring.h keeps, across restarts, and what the agent starts with.
 *
 * A sealed agent can open no file for writing. So both files of state_dir are opened before, and
 * each save writes the older of them: when that is cut short, the other one is whole.
 */
#ifndef POSTERN_AGENT_CONTROL_STATE_H
#define POSTERN_AGENT_CONTROL_STATE_H

#include <jansson.h>

#include "agent/config/config.h"
#include "core/engine/configuring.h"

struct agent_state;

/* Before the agent seals itself in. NULL: why has a sentence. */
struct agent_state *state_open(const char *dir, char *why, size_t why_size) MUST_CHECK;
void state_close(struct agent_state *s);

/* What was saved last, owned by the caller. NULL: nothing yet. */
json_t *state_load(struct agent_state *s) MUST_CHECK;
/* Returns 0 or -errno. */
int state_save(struct agent_state *s, const json_t *kept) MUST_CHECK;

/* Reads the file path and, where its state_dir keeps what consoles changed, brings both together:
 * *config says what start->document does. start is owned by the caller; *state is NULL without
 * state_dir. False: errors tell. */
bool agent_load(const char *path, struct agent_config *config, struct configuring_start *start,
		struct agent_state **state, struct conf_errors *errors) MUST_CHECK;
/* The file alone, read again: its document, owned by the caller. NULL: errors tell. */
json_t *agent_load_document(const char *path, struct conf_errors *errors) MUST_CHECK;

#endif
