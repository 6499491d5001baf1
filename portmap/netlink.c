/* SPDX-License-Identifier: Apache-2.0 */
/* netlink: a socket to the kernel, and its answers, waited for. */
#include "portmap/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <unistd.h>

#define ANSWER_MS 1000

int netlink_open(int protocol, unsigned groups)
{
	struct sockaddr_nl any = {.nl_family = AF_NETLINK, .nl_groups = groups};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	int error;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

/* #syscalls poll|ppoll recvfrom */
ssize_t netlink_receive(int fd, void *bytes, size_t room)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct sockaddr_nl from;
	socklen_t from_len = sizeof from;
	ssize_t n;
	int ready;

	do {
		ready = poll(&p, 1, ANSWER_MS);
	} while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		return ready == 0 ? -ETIMEDOUT : -errno;
	n = recvfrom(fd, bytes, room, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
	if (n < 0)
		return -errno;
	return from.nl_pid == 0 ? n : 0;
}
