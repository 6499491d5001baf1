/* SPDX-License-Identifier: Apache-2.0 */
/* check: whether an agent's or a console's file leads to its relays, step by step. */
#ifndef POSTERN_CTL_CHECK_H
#define POSTERN_CTL_CHECK_H

#include "ctl/terminal/arguments.h"

extern const struct command check_commands[];

#endif
