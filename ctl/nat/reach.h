/* SPDX-License-Identifier: Apache-2.0 */
/* nat_reach: the way from a command line to natd, which is on this host. */
#ifndef POSTERN_CTL_NAT_REACH_H
#define POSTERN_CTL_NAT_REACH_H

#include "ctl/talk/connection.h"

/* Consoles reach relays and agents, not natd. False: told so. */
bool nat_reach_here(const struct arguments *a) MUST_CHECK;
const char *nat_reach_path(const struct arguments *a);
/* Whether this error of connection_open_path() means that no natd listens. */
bool nat_reach_is_absent(int error) MUST_CHECK;
void nat_reach_complain(const char *path, int error);
/* False: told why. */
bool nat_reach_open(const struct arguments *a, struct connection *conn) MUST_CHECK;

#define NAT_REACH_RETRY_MS 500 /* between two tries while natd is away */

#endif
