/* SPDX-License-Identifier: Apache-2.0 */
/* limits: what a configuration's limits come to, in connections, tables and TLS states. */
#ifndef POSTERN_RELAY_SESSION_LIMITS_H
#define POSTERN_RELAY_SESSION_LIMITS_H

#include "relay/front/worker.h"

/* Shares the memory and descriptors of a configuration out, from now on. False without memory:
 * nothing has changed. */
bool limits_adopt(struct relay *r, const struct snapshot *snap) MUST_CHECK;
/* Descriptors of the sockets that all workers together have for its addresses. */
uint64_t limits_listening(const struct relay *r, const struct snapshot *snap);

#endif
