/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state: what core/engine/configuring.h keeps, across restarts.
 *
 * A sealed agent can open no file for writing. So the files of state_dir are opened before, two for
 * each thing that must not be lost, and each save writes the older of them: when that is cut short,
 * the other one is whole.
 */
#ifndef POSTERN_AGENT_CONFIG_STATE_H
#define POSTERN_AGENT_CONFIG_STATE_H

#include <stddef.h>
#include <jansson.h>

#include "core/must_check.h"

struct agent_state;

/* Before the agent seals itself in. NULL: why has a sentence. */
struct agent_state *state_open(const char *dir, char *why, size_t why_size) MUST_CHECK;
void state_close(struct agent_state *s);

/* What was saved last, owned by the caller. NULL: nothing yet; json_null(): neither file is whole,
 * and they are not both empty. */
json_t *state_load(struct agent_state *s) MUST_CHECK;
/* Returns 0 or -errno. */
int state_save(struct agent_state *s, const json_t *kept) MUST_CHECK;

/* Both likewise of signed revocations (core/engine/signed_revocations.h). */
json_t *state_load_revocations(struct agent_state *s) MUST_CHECK;
int state_save_revocations(struct agent_state *s, const json_t *kept) MUST_CHECK;

/* Likewise what relays have told of tag keys: {"HOST:PORT": hex digits}. */
int state_save_tag_keys(struct agent_state *s, const json_t *keys) MUST_CHECK;
/* Owned by the caller. NULL: nothing that is whole. */
json_t *state_load_tag_keys(struct agent_state *s) MUST_CHECK;

#endif
