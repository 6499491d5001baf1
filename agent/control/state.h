/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state: what was applied last, kept across restarts, and what the agent starts with.
 *
 * A sealed agent can open no file for writing. So both files of state_dir are opened before, and
 * each save writes the older of them: whatever is cut short, the other one is whole. What is kept
 * says which file of configuration it was applied to; when that has been edited since, the file
 * counts.
 */
#ifndef POSTERN_AGENT_CONTROL_STATE_H
#define POSTERN_AGENT_CONTROL_STATE_H

#include <jansson.h>

#include "agent/config/config.h"

#define STATE_ORIGIN_BYTES 65 /* SHA-256 in hexadecimal */

struct state;

/* Before the agent seals itself in. NULL: why has a sentence. */
struct state *state_open(const char *dir, char *why, size_t why_size) MUST_CHECK;
void state_close(struct state *s);

/* The document kept last, when it was applied to origin; owned by the caller. NULL: there is none,
 * and *changed tells whether there is one of another origin. */
json_t *state_load(struct state *s, const char origin[STATE_ORIGIN_BYTES],
		   bool *changed) MUST_CHECK;
/* Returns 0 or -errno. */
int state_save(struct state *s, const json_t *document) MUST_CHECK;

/* Reads the file path and, where its state_dir keeps what was applied to it, takes that instead.
 * *document (owned by the caller) says the same as *config; *state is NULL without state_dir.
 * False: errors tell. */
bool agent_load(const char *path, struct agent_config *config, json_t **document,
		struct state **state, struct conf_errors *errors) MUST_CHECK;

#endif
