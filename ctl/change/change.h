/* SPDX-License-Identifier: Apache-2.0 */
/* change: the commands that change what relays and agents do. */
#ifndef POSTERN_CTL_CHANGE_CHANGE_H
#define POSTERN_CTL_CHANGE_CHANGE_H

#include <jansson.h>

#include "ctl/terminal/arguments.h"

extern const struct command relay_config_commands[], agent_config_commands[];
extern const struct command relay_act_commands[], grant_commands[], revoke_commands[];

/* revoke.c: who is revoked, of an answer of "grants". */
void revoke_print(const json_t *grants);

/* What was changed may be in force, and not kept for the next start: label says where. */
void change_tell_unsaved(const json_t *result, const char *label);

#endif
