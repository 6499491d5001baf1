/* SPDX-License-Identifier: Apache-2.0 */
/* netlink: a socket to the kernel, a question, and its answer, waited for. */
#include "portmap/netlink.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "core/clock.h"

#define ANSWER_MS 1000

int netlink_open(struct netlink *n, int protocol, unsigned groups)
{
	struct sockaddr_nl any = {.nl_family = AF_NETLINK, .nl_groups = groups};
	int error;

	n->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
	if (n->fd < 0)
		return -errno;
	if (bind(n->fd, (struct sockaddr *)&any, sizeof any) == 0)
		return 0;
	error = -errno;
	netlink_close(n);
	return error;
}

void netlink_close(struct netlink *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}

/* The message behind head in what is left of a datagram, or the first (head NULL); NULL: no whole
 * one is left. Not NLMSG_NEXT(): it takes more off than there is where the last is not padded. */
static const struct nlmsghdr *message_next(const struct nlmsghdr *head, const uint8_t **at,
					   size_t *left)
{
	size_t step = head ? NLMSG_ALIGN(head->nlmsg_len) : 0;

	if (step > *left)
		return NULL;
	*at += step;
	*left -= step;
	head = (const struct nlmsghdr *)(const void *)*at;
	if (*left < sizeof *head || head->nlmsg_len < sizeof *head || head->nlmsg_len > *left)
		return NULL;
	return head;
}

int netlink_read(const void *datagram, size_t len, uint32_t number, struct netlink_reader *r)
{
	const struct nlmsghdr *head = NULL;
	const uint8_t *at = datagram;

	while ((head = message_next(head, &at, &len))) {
		const struct nlmsgerr *e = NLMSG_DATA(head);

		if (head->nlmsg_seq != number)
			continue; /* of a question given up before */
		if (head->nlmsg_type == NLMSG_DONE)
			return 1;
		if (head->nlmsg_type == NLMSG_ERROR) {
			if (head->nlmsg_len < NLMSG_LENGTH(sizeof *e))
				return -EPROTO;
			return e->error < 0 ? e->error : 1; /* 0 acknowledges */
		}
		if (!r->message(r, head))
			return 1;
		if (!(head->nlmsg_flags & NLM_F_MULTI))
			return 1;
	}
	return 0;
}

/* #syscalls recvfrom */
/* One datagram, if there is one. Its bytes (0: there is none, or it is not from the kernel), or
 * -errno. */
static ssize_t receive_now(int fd, void *bytes, size_t room)
{
	struct sockaddr_nl from = {.nl_pid = 0};
	socklen_t from_len = sizeof from;
	/* MSG_TRUNC: the datagram's own length, also of one that was cut. */
	ssize_t n = recvfrom(fd, bytes, room, MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from,
			     &from_len);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (from_len != sizeof from || from.nl_pid != 0)
		return 0; /* of another process */
	return (size_t)n <= room ? n : -EMSGSIZE;
}

/* #syscalls poll|ppoll */
/* As receive_now(), waited for until due_ms. */
static ssize_t netlink_receive(int fd, void *bytes, size_t room, uint64_t due_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int64_t left = (int64_t)(due_ms - clock_ms(CLOCK_MONOTONIC));
	int ready;

	if (left <= 0)
		return -ETIMEDOUT;
	ready = poll(&p, 1, (int)left);
	if (ready <= 0)
		return ready == 0 ? -ETIMEDOUT : errno == EINTR ? 0 : -errno;
	return receive_now(fd, bytes, room);
}

/* #syscalls sendto */
int netlink_ask(struct netlink *n, struct nlmsghdr *question, struct netlink_reader *r)
{
	union {
		struct nlmsghdr head;
		char bytes[NETLINK_ANSWER_BYTES];
	} answer = {.head = {.nlmsg_len = 0}};
	uint64_t due_ms = clock_ms(CLOCK_MONOTONIC) + ANSWER_MS;
	ssize_t len;
	int end = 0;

	question->nlmsg_seq = ++n->number;
	question->nlmsg_flags |= NLM_F_REQUEST;
	if (send(n->fd, question, question->nlmsg_len, 0) < 0)
		return -errno;
	while (end == 0) {
		len = netlink_receive(n->fd, &answer, sizeof answer, due_ms);
		if (len < 0)
			return (int)len;
		end = netlink_read(&answer, (size_t)len, n->number, r);
	}
	return end < 0 ? end : 0;
}

int netlink_take(struct netlink *n, struct netlink_reader *r)
{
	union {
		struct nlmsghdr head;
		char bytes[NETLINK_ANSWER_BYTES];
	} news = {.head = {.nlmsg_len = 0}};
	ssize_t len = receive_now(n->fd, &news, sizeof news);
	int end;

	if (len <= 0)
		return (int)len;
	end = netlink_read(&news, (size_t)len, 0, r); /* news answer no question */
	return end < 0 ? end : 1;
}

/* #syscalls recvfrom */
void netlink_drain(struct netlink *n)
{
	char bytes[8192];

	/* ENOBUFS, more changes than it could hold, is one error, after which it goes on. */
	while (recv(n->fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0 || errno == ENOBUFS)
		errno = 0;
}
