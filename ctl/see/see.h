/* SPDX-License-Identifier: Apache-2.0 */
/* see: the commands that show what relays and agents do. */
#ifndef POSTERN_CTL_SEE_SEE_H
#define POSTERN_CTL_SEE_SEE_H

#include "ctl/terminal/arguments.h"

extern const struct command relay_see_commands[], agent_see_commands[];

/* top.c */
extern const struct option_row relay_top_options[];
enum status relay_top_run(const struct arguments *a);

#endif
