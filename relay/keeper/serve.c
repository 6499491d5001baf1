/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper_serve: the keeper's side: its isolation, and one request after the other, until the relay
 * is gone.
 *
 * Its isolation is tighter than the relay's where it can be. It keeps what the relay has given up,
 * to open files and bind ports, and nothing of what the relay still does: it neither accepts nor
 * receives from the network. Landlock knows ports only one by one, so binding stays open there;
 * connecting is denied by it and by seccomp.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/datagrams.h"
#include "core/file.h"
#include "core/isolation.h"
#include "core/listening.h"
#include "core/parse/signing.h"
#include "core/passing.h"
#include "gen/keeper_calls.h"
#include "relay/keeper/internal.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- isolation ------------------------------------------------------------------------------- */

#define WRITE_FILES                                                                                \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |                             \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE)

int keeper_confine(const struct keeper_places *places)
{
	const struct isolation_place files[] = {
		{.fd = places->state_dir, .rights = WRITE_FILES},
	};
	const struct isolation_plan plan = {
		.calls = &keeper_calls,
		.places = files,
		.place_count = COUNT(files),
		.capabilities = UINT32_C(1) << CAP_NET_BIND_SERVICE,
		.binds_tcp = true,
	};

	return isolation_confine(&plan);
}

/* ---- names ----------------------------------------------------------------------------------- */

/* The one request's data. */
static uint8_t data[KEEPER_DATA_MAX];

bool keeper_name_ok(const char name[KEEPER_NAME_BYTES])
{
	size_t len = strnlen(name, KEEPER_NAME_BYTES);

	/* The signer's (relay/signer/made.h): the relay could take its own key away. */
	if (strncmp(name, SIGNING_KEY_FILES, sizeof(SIGNING_KEY_FILES) - 1) == 0)
		return false;
	return len > 0 && len < KEEPER_NAME_BYTES && name[0] != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == len;
}

/* ---- duties: each returns 0 or -errno -------------------------------------------------------- */

static bool address_ok(const struct addr *a)
{
	return (a->len == sizeof(a->v4) && a->sa.sa_family == AF_INET) ||
	       (a->len == sizeof(a->v6) && a->sa.sa_family == AF_INET6);
}

/* As the workers open theirs at start. */
static int open_listener(const struct addr *address, int *out)
{
	int fd = address_ok(address) ? listening_open(address, true) : -EINVAL;

	if (fd < 0)
		return fd;
	*out = fd;
	return 0;
}

/* ---- requests and replies -------------------------------------------------------------------- */

/* listener -1: none. A relay that is gone or does not read goes without. A keeper that was taken
 * over could send datagrams by it; MSG_FASTOPEN would connect.
 *
 * #syscalls sendmsg(2 without MSG_FASTOPEN)
 */
static void keeper_answer(struct keeper_server *s, uint64_t number, int status, int listener)
{
	struct keeper_head head = {.number = number, .status = status};
	struct iovec whole = {&head, sizeof(head)};
	struct msghdr m = {.msg_iov = &whole, .msg_iovlen = 1};
	union passing along;

	if (listener >= 0)
		passing_put(&m, &along, listener);
	while (sendmsg(s->fd, &m, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
	s->finished = number;
	s->request.number = 0;
}

static void keeper_perform(struct keeper_server *s)
{
	const struct keeper_head *r = &s->request;
	const struct keeper_places *p = s->places;
	int status = -EINVAL, listener = -1;

	switch (r->duty) {
	case KEEPER_LISTEN:
		status = open_listener(&r->address, &listener);
		break;
	case KEEPER_BIND_UDP:
		if (address_ok(&r->address))
			status = datagrams_open(&r->address, &listener);
		break;
	case KEEPER_SAVE:
		if (keeper_name_ok(r->name))
			status = p->state_dir < 0
					 ? -ENOTDIR
					 : file_replace(p->state_dir, r->name, data, s->have);
		break;
	default:
		break;
	}
	keeper_answer(s, r->number, status, listener);
	if (listener >= 0)
		close(listener);
}

/* A packet came: of the request that is being gathered, or of a new one. */
static void keeper_gather(struct keeper_server *s, const struct keeper_packet *packet, size_t size)
{
	const struct keeper_head *head = &packet->head;

	if (head->number == 0 || head->number == s->finished)
		return; /* none, or the rest of one that was refused */
	if (head->number != s->request.number) {
		s->request = *head;
		s->have = 0;
	}
	if (s->request.length > KEEPER_DATA_MAX || size > s->request.length - s->have) {
		keeper_answer(s, head->number, -EINVAL, -1);
		return;
	}
	memcpy(data + s->have, packet->data, size);
	s->have += size;
	if (s->have == s->request.length)
		keeper_perform(s);
}

void keeper_server_begin(struct keeper_server *s, int fd, const struct keeper_places *places)
{
	*s = (struct keeper_server){.fd = fd, .places = places};
	keeper_answer(s, 0, 0, -1); /* ready */
}

/* #syscalls recvmsg */
bool keeper_server_turn(struct keeper_server *s)
{
	static struct keeper_packet packet;
	struct iovec whole = {&packet, sizeof(packet)};
	/* Without room for control data: descriptors that came along are dropped. */
	struct msghdr m = {.msg_iov = &whole, .msg_iovlen = 1};
	ssize_t n = recvmsg(s->fd, &m, 0);

	if (n == 0 || (n < 0 && errno != EINTR))
		return false;
	if (n >= (ssize_t)sizeof(packet.head) && !(m.msg_flags & MSG_TRUNC))
		keeper_gather(s, &packet, (size_t)n - sizeof(packet.head));
	return true;
}

void keeper_serve(int fd, const struct keeper_places *places)
{
	struct keeper_server s;

	keeper_server_begin(&s, fd, places);
	while (keeper_server_turn(&s))
		;
	_exit(0);
}
