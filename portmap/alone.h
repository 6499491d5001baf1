/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alone: one natd for each network of a host.
 *
 * Two that map the same ports at one gateway delete each other's mappings, whatever their sockets
 * are called. Each holds an abstract Unix socket while it runs, named after the interface that it
 * is pinned to: such names are those of a network namespace, and end with the process. Another
 * user's process that holds the name is no natd of this host: it keeps nobody from running.
 */
#ifndef POSTERN_PORTMAP_ALONE_H
#define POSTERN_PORTMAP_ALONE_H

#include <stdbool.h>
#include <stddef.h>

/* interface: the configuration's; NULL: that of the default route. After natd has become its user
 * and started its other processes, which are not to hold it. False: another natd runs, and why has
 * a sentence; true also where that cannot be found out. The name is held until the process ends. */
bool alone_take(const char *interface, char *why, size_t why_size);

#endif
