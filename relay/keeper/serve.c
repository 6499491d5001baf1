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
		{.fd = places->config_dir, .rights = LANDLOCK_ACCESS_FS_READ_FILE},
		{.fd = places->config_real_dir, .rights = LANDLOCK_ACCESS_FS_READ_FILE},
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

/* The one request's or reply's data; a byte more, to see that a file is too large. */
static uint8_t data[KEEPER_DATA_MAX + 1];

bool keeper_name_ok(const char name[KEEPER_NAME_BYTES])
{
	size_t len = strnlen(name, KEEPER_NAME_BYTES);

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

/* #syscalls read */
static int keeper_read_all(int fd, size_t *len)
{
	size_t used = 0;
	ssize_t n;

	while (used < sizeof(data) && (n = read(fd, data + used, sizeof(data) - used)) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		used += n > 0 ? (size_t)n : 0;
	}
	if (used > KEEPER_DATA_MAX)
		return -EFBIG;
	*len = used;
	return 0;
}

/* What the configuration file holds.
 *
 * #syscalls openat fstat|newfstatat
 */
static int keeper_read_file(const struct keeper_places *p, size_t *len)
{
	struct stat st;
	int fd, error;

	/* O_NONBLOCK: to open a FIFO would wait for its other end to be opened, too. */
	fd = openat(p->config_dir, p->config_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		error = -errno;
	else
		error = S_ISREG(st.st_mode) ? keeper_read_all(fd, len) : -EINVAL;
	close(fd);
	return error;
}

/* ---- requests and replies -------------------------------------------------------------------- */

/* One packet. listener -1: none. False when the relay is gone or does not read. A keeper that was
 * taken over could send datagrams by it; MSG_FASTOPEN would connect.
 *
 * #syscalls sendmsg(2 without MSG_FASTOPEN)
 */
static bool keeper_send_reply(const struct keeper_server *s, struct keeper_head *head,
			      const uint8_t *bytes, size_t size, int listener)
{
	struct iovec parts[] = {{head, sizeof(*head)}, {(void *)bytes, size}};
	union passing along;
	struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
	ssize_t n;

	if (listener >= 0)
		passing_put(&m, &along, listener);
	while ((n = sendmsg(s->fd, &m, MSG_NOSIGNAL)) < 0 && errno == EINTR)
		;
	return n >= 0;
}

static void keeper_answer(struct keeper_server *s, uint64_t number, int status, size_t len,
			  int listener)
{
	struct keeper_head head = {.number = number, .status = status, .length = (uint32_t)len};
	size_t sent = 0, size;

	do {
		size = len - sent < KEEPER_CHUNK_BYTES ? len - sent : KEEPER_CHUNK_BYTES;
		if (!keeper_send_reply(s, &head, data + sent, size, listener))
			break; /* the relay has given it up */
		sent += size;
	} while (sent < len);
	s->finished = number;
	s->request.number = 0;
}

static void keeper_perform(struct keeper_server *s)
{
	const struct keeper_head *r = &s->request;
	const struct keeper_places *p = s->places;
	int status = -EINVAL, listener = -1;
	size_t len = 0;

	switch (r->duty) {
	case KEEPER_LISTEN:
		status = open_listener(&r->address, &listener);
		break;
	case KEEPER_BIND_UDP:
		if (address_ok(&r->address))
			status = datagrams_open(&r->address, &listener);
		break;
	case KEEPER_READ_CONFIG:
		status = keeper_read_file(p, &len);
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
	keeper_answer(s, r->number, status, status ? 0 : len, listener);
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
		keeper_answer(s, head->number, -EINVAL, 0, -1);
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
	keeper_answer(s, 0, 0, 0, -1); /* ready */
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
