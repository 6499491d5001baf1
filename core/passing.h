/* SPDX-License-Identifier: Apache-2.0 */
/* passing: one descriptor along with a packet between processes (SCM_RIGHTS, unix(7)). */
#ifndef POSTERN_CORE_PASSING_H
#define POSTERN_CORE_PASSING_H

#include <sys/socket.h>

/* Room for it beside a message. */
union passing {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

/* fd goes along when m is sent; m refers to room until then. */
void passing_put(struct msghdr *m, union passing *room, int fd);
/* The descriptor that came along with m, which had such room: the caller's. -1: none, or more than
 * one, which are closed. */
int passing_take(struct msghdr *m);

#endif
