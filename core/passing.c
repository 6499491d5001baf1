/* SPDX-License-Identifier: Apache-2.0 */
/* passing: one descriptor along with a packet between processes. Apart, since both ends of the
 * keeper and of the launcher have to agree on it. */
#include "core/passing.h"

#include <string.h>
#include <unistd.h>

void passing_put(struct msghdr *m, union passing *room, int fd)
{
	struct cmsghdr *c;

	memset(room, 0, sizeof(*room));
	m->msg_control = room->bytes;
	m->msg_controllen = sizeof(room->bytes);
	c = CMSG_FIRSTHDR(m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
}

/* The kernel puts as many descriptors into the process as there is room for, and CMSG_SPACE(int) of
 * a 64-bit machine has room for two: what is not taken is closed, or a peer could fill the table.
 * recvmsg(2) has to be called with MSG_CMSG_CLOEXEC: no later call could close the gap until a
 * fork. */
int passing_take(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	size_t count = 0;
	int fd = -1;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len >= CMSG_LEN(0))
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	for (size_t i = 0; i < count; i++) {
		int came;

		memcpy(&came, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
		if (count == 1)
			fd = came;
		else
			close(came);
	}
	return fd;
}
