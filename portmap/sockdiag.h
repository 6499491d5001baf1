/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockdiag: TCP connections of this host, as the kernel lists them and tells of their end
 * (sock_diag(7)).
 *
 * The list has those that are there, also those of which one side or both have ended what they
 * send. It does not have a connection that came and went between two looks: of one that the client
 * closed first nothing stays here at all, since only the side that closes first waits (TIME_WAIT,
 * RFC 9293 section 3.6.1). Those are told when they end, however short they were.
 */
#ifndef POSTERN_PORTMAP_SOCKDIAG_H
#define POSTERN_PORTMAP_SOCKDIAG_H

#include <stdbool.h>

#include "core/addr.h"
#include "portmap/netlink.h"

/* A socket to ask on. 0 or -errno. */
int sockdiag_open(struct netlink *n) MUST_CHECK;
/* A socket that hears of ends, of all ports of this network namespace. 0 or -errno. */
int sockdiag_open_ends(struct netlink *n) MUST_CHECK;

/* One connection. IPv4 addresses are that, also of IPv6 sockets. */
typedef void sockdiag_seen(void *context, const struct addr *local, const struct addr *peer);

/* 1: there is a listener on the local port, at this address or all; 0: none; -errno where the
 * kernel cannot be asked. */
int sockdiag_listens(struct netlink *n, uint16_t port, const struct addr *at) MUST_CHECK;
/* All connections that were established from or to the local port. 0 or -errno. */
int sockdiag_list(struct netlink *n, uint16_t port, sockdiag_seen *seen, void *context) MUST_CHECK;
/* The next that ended since the last call, if data or acknowledgements ever came from its other
 * end. 1: there was one, perhaps passed over; 0: no more; -errno, after which it goes on. */
int sockdiag_take_end(struct netlink *n, sockdiag_seen *seen, void *context) MUST_CHECK;

#endif
