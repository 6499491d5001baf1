/* SPDX-License-Identifier: Apache-2.0 */
/* netlink: a socket to the kernel, and its answers, waited for; netlink(7). */
#ifndef POSTERN_PORTMAP_NETLINK_H
#define POSTERN_PORTMAP_NETLINK_H

#include <sys/types.h>

#include "core/addr.h"

#define NETLINK_ANSWER_BYTES 32768u /* more than one datagram of the kernel's has */

/* Non-blocking, of one of NETLINK_*, in these groups. Returns the socket, or -errno. */
int netlink_open(int protocol, unsigned groups) MUST_CHECK;
/* One datagram, waited for at most a second. Returns its bytes (0: not from the kernel), or
 * -errno. */
ssize_t netlink_receive(int fd, void *bytes, size_t room) MUST_CHECK;

#endif
