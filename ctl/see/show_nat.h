/* SPDX-License-Identifier: Apache-2.0 */
/* show_nat: what a relay or an agent knows of the NAT that it is behind, as its status tells it. */
#ifndef POSTERN_CTL_SEE_SHOW_NAT_H
#define POSTERN_CTL_SEE_SHOW_NAT_H

#include <jansson.h>

/* On standard output, with a title; nothing for NULL. */
void show_nat(const json_t *nat);

#endif
