/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netlink: questions to the kernel, and its answers; netlink(7).
 *
 * What the files that ask (rtnetlink.c, sockdiag.c) share: a socket, sending, waiting, and the walk
 * through an answer's messages. A world without a kernel has its own in place of netlink.c.
 */
#ifndef POSTERN_PORTMAP_NETLINK_H
#define POSTERN_PORTMAP_NETLINK_H

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

#define NETLINK_ANSWER_BYTES 32768u /* more than one datagram of the kernel's has */

struct netlink {
	int fd;		 /* -1: closed */
	uint32_t number; /* of the last question: tells its answers from those of another */
};

/* The messages of one answer go to this, in their order, those of errors and ends left out. False:
 * enough was read. A message has at least its own header's length. */
struct netlink_reader {
	bool (*message)(struct netlink_reader *r, const struct nlmsghdr *head);
};

/* A non-blocking socket of one of NETLINK_*, in these groups. 0 or -errno. */
int netlink_open(struct netlink *n, int protocol, unsigned groups) MUST_CHECK;
/* Harmless when it is closed. */
void netlink_close(struct netlink *n);

/*
 * Sends a question, whose length, type and flags are set, and reads all of its answer, which the
 * kernel has ready before it returns; a second for all of it is more than enough. 0, or -errno: the
 * kernel's, -ETIMEDOUT, -EMSGSIZE (a datagram was cut), -EPROTO.
 */
int netlink_ask(struct netlink *n, struct nlmsghdr *question, struct netlink_reader *r) MUST_CHECK;

/* One datagram that came to a socket with groups, if there is one. 1: its messages went to r; 0:
 * there is none; -errno: -ENOBUFS where the kernel dropped some, after which it goes on. */
int netlink_take(struct netlink *n, struct netlink_reader *r) MUST_CHECK;
/* Takes what came to a socket with groups; what it says is not looked at. */
void netlink_drain(struct netlink *n);

/* One datagram of the answer to question number, aligned as its messages are. 1: it was the last;
 * 0: more follows; or -errno. */
int netlink_read(const void *datagram, size_t len, uint32_t number,
		 struct netlink_reader *r) MUST_CHECK;

#endif
