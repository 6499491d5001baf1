/* SPDX-License-Identifier: Apache-2.0 */
/* listening: a TCP socket that listens at an address. */
#ifndef POSTERN_CORE_LISTENING_H
#define POSTERN_CORE_LISTENING_H

#include <stdbool.h>

#include "core/addr.h"

/* A non-blocking socket, the caller's, or -errno. shared: others of this user may listen at the
 * same address, and the kernel spreads connections over all of them. */
int listening_open(const struct addr *address, bool shared) MUST_CHECK;

/* The same for an address that this host may not have yet, such as a VPN's or a bridge's: *absent
 * tells whether it has not. Connections come as soon as it has (ip(7), IP_FREEBIND), also after it
 * has gone and come again. */
int listening_open_ahead(const struct addr *address, bool *absent) MUST_CHECK;

/* Whether nothing listens at address yet, not even a program of this user that shares it. 0, or
 * -errno of the attempt to bind: -EADDRINUSE when something does. No connection can come to what
 * this opens and closes again. */
int listening_probe(const struct addr *address) MUST_CHECK;

#endif
