/* SPDX-License-Identifier: Apache-2.0 */
/* nat: the commands about the NAT that this host is behind. */
#ifndef POSTERN_CTL_NAT_NAT_H
#define POSTERN_CTL_NAT_NAT_H

#include "ctl/terminal/arguments.h"

extern const struct command nat_commands[], stun_commands[];

#endif
