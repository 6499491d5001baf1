/* SPDX-License-Identifier: Apache-2.0 */
/* link: an agent's control connection. */
#ifndef POSTERN_RELAY_SESSION_LINK_H
#define POSTERN_RELAY_SESSION_LINK_H

#include "relay/front/conn.h"

/* Whose link this is; NULL: it is none. Good until the next call that may end it. */
const char *link_agent(struct conn *c);

#endif
