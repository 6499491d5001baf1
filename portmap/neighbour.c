/* SPDX-License-Identifier: Apache-2.0 */
/* neighbour: one question to the kernel's table of neighbours. */
#include "portmap/neighbour.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DISCARD_PORT 9u
/* What answered, be it a while ago. */
#define ANSWERED (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT)

struct neighbour_question {
	struct nlmsghdr head;
	struct ndmsg body;
};

struct neighbour_reader {
	struct netlink_reader reader; /* first */
	const struct addr *wanted;
	unsigned index;
	bool found;
	uint8_t card[NEIGHBOUR_CARD_BYTES];
};

static bool is_wanted(const struct neighbour_reader *r, const struct rtattr *a)
{
	bool v6 = r->wanted->sa.sa_family == AF_INET6;
	const void *bytes =
		v6 ? (const void *)&r->wanted->v6.sin6_addr : (const void *)&r->wanted->v4.sin_addr;
	size_t size = v6 ? sizeof r->wanted->v6.sin6_addr : sizeof r->wanted->v4.sin_addr;

	return RTA_PAYLOAD(a) == size && memcmp(RTA_DATA(a), bytes, size) == 0;
}

static bool neighbour_message(struct netlink_reader *reader, const struct nlmsghdr *head)
{
	struct neighbour_reader *r = (struct neighbour_reader *)reader;
	const struct ndmsg *body = NLMSG_DATA(head);
	uint8_t card[NEIGHBOUR_CARD_BYTES] = {0};
	const struct rtattr *a;
	bool wanted = false;
	unsigned left;

	if (head->nlmsg_type != RTM_NEWNEIGH || head->nlmsg_len < NLMSG_LENGTH(sizeof *body) ||
	    body->ndm_family != r->wanted->sa.sa_family || !(body->ndm_state & ANSWERED) ||
	    (r->index > 0 && (unsigned)body->ndm_ifindex != r->index))
		return true;
	left = (unsigned)(head->nlmsg_len - NLMSG_LENGTH(sizeof *body));
	for (a = (const struct rtattr *)((const char *)body + NLMSG_ALIGN(sizeof *body));
	     RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == NDA_DST)
			wanted = is_wanted(r, a);
		else if (a->rta_type == NDA_LLADDR && RTA_PAYLOAD(a) == sizeof card)
			memcpy(card, RTA_DATA(a), sizeof card);
	}
	if (!wanted)
		return true;
	r->found = true;
	memcpy(r->card, card, sizeof card);
	return false;
}

int neighbour_find(struct netlink *n, const struct addr *a, unsigned index,
		   uint8_t card[NEIGHBOUR_CARD_BYTES])
{
	struct neighbour_question q = {.body.ndm_family = (uint8_t)a->sa.sa_family};
	struct neighbour_reader r = {
		.reader.message = neighbour_message, .wanted = a, .index = index};
	int error;

	q.head = (struct nlmsghdr){.nlmsg_len = (uint32_t)NLMSG_LENGTH(sizeof q.body),
				   .nlmsg_type = RTM_GETNEIGH,
				   .nlmsg_flags = NLM_F_DUMP};
	error = netlink_ask(n, &q.head, &r.reader);
	if (error)
		return error;
	if (r.found)
		memcpy(card, r.card, sizeof r.card);
	return r.found;
}

/* #syscalls socket sendto close */
void neighbour_poke(const struct addr *a)
{
	struct addr to = *a;
	int fd = socket(a->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return;
	addr_set_port(&to, DISCARD_PORT);
	(void)!sendto(fd, "", 0, MSG_DONTWAIT | MSG_NOSIGNAL, &to.sa, to.len);
	close(fd);
}
