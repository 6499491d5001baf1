/* SPDX-License-Identifier: Apache-2.0 */
/* listening: a TCP socket that listens at an address. */
#ifndef POSTERN_CORE_LISTENING_H
#define POSTERN_CORE_LISTENING_H

#include <stdbool.h>

#include "core/addr.h"

/* A non-blocking socket, the caller's, or -errno. shared: others of this user may listen at the
 * same address, and the kernel spreads connections over all of them. */
int listening_open(const struct addr *address, bool shared) MUST_CHECK;

/* Whether nothing listens at address yet, not even a program of this user that shares it. 0, or
 * -errno of the attempt to bind: -EADDRINUSE when something does. No connection can come to what
 * this opens and closes again. */
int listening_probe(const struct addr *address) MUST_CHECK;

#endif
