/* SPDX-License-Identifier: Apache-2.0 */
/* keeper: the relay's side: starts the keeper, and asks it. */
#include "relay/keeper/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/passing.h"
#include "relay/keeper/internal.h"

/* ---- packets -------------------------------------------------------------------------------- */

static int keeper_send_packet(const struct keeper *k, struct keeper_head *head, const char *bytes,
			      size_t size, uint64_t deadline)
{
	struct iovec parts[] = {{head, sizeof(*head)}, {(void *)bytes, size}};
	struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};

	return helper_send(&k->helper, &m, deadline);
}

/* The reply to number; earlier ones are dropped. *fd: the descriptor that came along, or -1. */
static int receive_reply(const struct keeper *k, uint64_t number, struct keeper_head *head, int *fd,
			 uint64_t deadline)
{
	union passing along;
	struct iovec whole = {head, sizeof(*head)};

	for (;;) {
		struct msghdr m = {.msg_iov = &whole,
				   .msg_iovlen = 1,
				   .msg_control = along.bytes,
				   .msg_controllen = sizeof(along.bytes)};
		ssize_t n = helper_receive(&k->helper, &m, deadline);

		if (n < 0)
			return (int)n;
		*fd = passing_take(&m);
		if (n == (ssize_t)sizeof(*head) && head->number == number)
			return 0;
		if (*fd >= 0)
			close(*fd);
	}
}

/* ---- calls ---------------------------------------------------------------------------------- */

/* What has come with a reply: *fd, -1 where there is none. 0 or -errno. */
static int keeper_await(const struct keeper *k, uint64_t number, int *fd, uint64_t deadline)
{
	struct keeper_head head;
	int status;

	*fd = -1;
	status = receive_reply(k, number, &head, fd, deadline);
	if (status == 0 && head.status)
		status = head.status < 0 ? head.status : -EPROTO;
	if (status && *fd >= 0) {
		close(*fd);
		*fd = -1;
	}
	return status;
}

/* Sends the request and waits for the reply; *fd as keeper_await(). */
static int keeper_call(struct keeper *k, struct keeper_head *head, const char *text, size_t len,
		       int *fd)
{
	uint64_t deadline = helper_deadline(&k->helper);
	size_t sent = 0, size;
	int error;

	if (k->helper.fd < 0)
		return -EPIPE;
	if (len > KEEPER_DATA_MAX)
		return -EFBIG;
	head->number = ++k->helper.number;
	head->length = (uint32_t)len;
	do {
		size = len - sent < KEEPER_CHUNK_BYTES ? len - sent : KEEPER_CHUNK_BYTES;
		error = keeper_send_packet(k, head, text + sent, size, deadline);
		if (error)
			return error;
		sent += size;
	} while (sent < len);
	return keeper_await(k, k->helper.number, fd, deadline);
}

static bool keeper_set_name(struct keeper_head *head, const char *name)
{
	if (strlen(name) >= sizeof(head->name))
		return false;
	memcpy(head->name, name, strlen(name) + 1);
	return keeper_name_ok(head->name);
}

static int fetch_socket(struct keeper *k, enum keeper_duty duty, const struct addr *address,
			int *fd)
{
	struct keeper_head head = {.duty = duty, .address = *address};
	int came, error = keeper_call(k, &head, "", 0, &came);

	if (error)
		return error;
	if (came < 0) /* but this process may have no more descriptors */
		return -EMFILE;
	*fd = came;
	return 0;
}

int keeper_listen(struct keeper *k, const struct addr *address, int *fd)
{
	return fetch_socket(k, KEEPER_LISTEN, address, fd);
}

int keeper_bind_udp(struct keeper *k, const struct addr *address, int *fd)
{
	return fetch_socket(k, KEEPER_BIND_UDP, address, fd);
}

int keeper_save(struct keeper *k, const char *name, const char *text, size_t len)
{
	struct keeper_head head = {.duty = KEEPER_SAVE};
	int came = -1;
	int error =
		keeper_set_name(&head, name) ? keeper_call(k, &head, text, len, &came) : -EINVAL;

	if (came >= 0)
		close(came);
	return error;
}

/* ---- start and stop -------------------------------------------------------------------------- */

static void places_close(struct keeper_places *p)
{
	if (p->state_dir >= 0)
		close(p->state_dir);
}

static int places_open(struct keeper_places *p, const char *state_dir)
{
	int error = 0;

	*p = (struct keeper_places){.state_dir = -1};
	if (!state_dir)
		return 0;
	p->state_dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->state_dir < 0 || faccessat(p->state_dir, ".", W_OK | X_OK, AT_EACCESS))
		error = -errno;
	if (error)
		places_close(p);
	return error;
}

/* The child. */
static _Noreturn void keeper_main(int fd, const struct keeper_places *places)
{
	struct keeper_head head = {.status = keeper_confine(places)};

	if (head.status == 0)
		keeper_serve(fd, places);
	(void)!send(fd, &head, sizeof(head), MSG_NOSIGNAL);
	_exit(1);
}

int keeper_start(struct keeper *k, const char *state_dir)
{
	struct keeper_places places;
	int fd, came = -1, side = places_open(&places, state_dir);

	*k = (struct keeper){.helper.fd = -1};
	if (side)
		return side;
	side = helper_fork(&k->helper, "postern-keeper", &places.state_dir, 1, &fd);
	if (side == 1)
		keeper_main(fd, &places);
	places_close(&places);
	if (!side)
		side = keeper_await(k, 0, &came, helper_deadline(&k->helper));
	if (side)
		keeper_stop(k);
	return side;
}

void keeper_stop(struct keeper *k)
{
	helper_stop(&k->helper);
}
