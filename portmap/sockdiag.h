/* SPDX-License-Identifier: Apache-2.0 */
/* sockdiag: TCP connections of this host, as the kernel lists them (sock_diag(7)). */
#ifndef POSTERN_PORTMAP_SOCKDIAG_H
#define POSTERN_PORTMAP_SOCKDIAG_H

#include <stdbool.h>

#include "core/addr.h"
#include "portmap/netlink.h"

/* A socket to ask on. 0 or -errno. */
int sockdiag_open(struct netlink *n) MUST_CHECK;

/* Whether this is the one looked for. IPv4 addresses are that, also of IPv6 sockets. */
typedef bool sockdiag_test(void *context, const struct addr *local, const struct addr *peer);

/* True when a connection that is established from or to the local port passes the test;
 * only_listen: when there is a listener on the port. -errno where the kernel cannot be asked. */
int sockdiag_any(struct netlink *n, uint16_t port, bool only_listen, sockdiag_test *test,
		 void *context) MUST_CHECK;

#endif
