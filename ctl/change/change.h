/* SPDX-License-Identifier: Apache-2.0 */
/* change: the commands that change what relays and agents do. */
#ifndef POSTERN_CTL_CHANGE_CHANGE_H
#define POSTERN_CTL_CHANGE_CHANGE_H

#include "ctl/terminal/arguments.h"

extern const struct command relay_config_commands[], agent_config_commands[];
extern const struct command relay_act_commands[], grant_commands[];

#endif
