/* SPDX-License-Identifier: Apache-2.0 */
/* listening: a TCP socket that listens at an address. */
#ifndef POSTERN_CORE_LISTENING_H
#define POSTERN_CORE_LISTENING_H

#include <stdbool.h>

#include "core/addr.h"

/* A non-blocking socket, the caller's, or -errno. shared: others of this user may listen at the
 * same address, and the kernel spreads connections over all of them. */
int listening_open(const struct addr *address, bool shared) MUST_CHECK;

#endif
