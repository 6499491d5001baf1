/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper: the relay's side: starts the keeper, asks it, and never waits long for it.
 *
 * All of this works in a sealed relay: it takes sendmsg, recvmsg and poll.
 */
#include "relay/keeper/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/file.h"
#include "core/passing.h"
#include "relay/keeper/internal.h"

/* ---- packets -------------------------------------------------------------------------------- */

/* A keeper that ended with a request unread resets the connection. */
static int failure(int error)
{
	return error == ECONNRESET ? -EPIPE : -error;
}

/* 0, -ETIMEDOUT or -errno.
 *
 * #syscalls poll|ppoll
 */
static int keeper_wait_for(const struct keeper *k, short events, uint64_t deadline)
{
	struct pollfd p = {.fd = k->fd, .events = events};
	uint64_t now = clock_ms(CLOCK_MONOTONIC);
	int n = poll(&p, 1, deadline > now ? (int)(deadline - now) : 0);

	if (n < 0 && errno != EINTR)
		return -errno;
	return n == 0 ? -ETIMEDOUT : 0;
}

/* #syscalls sendmsg(2 without MSG_FASTOPEN) */
static int keeper_send_packet(const struct keeper *k, struct keeper_head *head, const char *bytes,
			      size_t size, uint64_t deadline)
{
	struct iovec parts[] = {{head, sizeof(*head)}, {(void *)bytes, size}};
	struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
	int error;

	for (;;) {
		if (sendmsg(k->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			return failure(errno);
		error = keeper_wait_for(k, POLLOUT, deadline);
		if (error)
			return error;
	}
}

/* The reply to number; earlier ones are dropped. *fd: the descriptor that came along, or -1.
 *
 * #syscalls recvmsg
 */
static int receive_reply(const struct keeper *k, uint64_t number, struct keeper_head *head, int *fd,
			 uint64_t deadline)
{
	union passing along;
	struct iovec whole = {head, sizeof(*head)};
	int error;

	for (;;) {
		struct msghdr m = {.msg_iov = &whole,
				   .msg_iovlen = 1,
				   .msg_control = along.bytes,
				   .msg_controllen = sizeof(along.bytes)};
		ssize_t n = recvmsg(k->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

		if (n == 0)
			return -EPIPE;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return failure(errno);
		if (n < 0) {
			error = keeper_wait_for(k, POLLIN, deadline);
			if (error)
				return error;
			continue;
		}
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
	uint64_t deadline = clock_ms(CLOCK_MONOTONIC) + k->wait_ms;
	size_t sent = 0, size;
	int error;

	if (k->fd < 0)
		return -EPIPE;
	if (len > KEEPER_DATA_MAX)
		return -EFBIG;
	head->number = ++k->number;
	head->length = (uint32_t)len;
	do {
		size = len - sent < KEEPER_CHUNK_BYTES ? len - sent : KEEPER_CHUNK_BYTES;
		error = keeper_send_packet(k, head, text + sent, size, deadline);
		if (error)
			return error;
		sent += size;
	} while (sent < len);
	return keeper_await(k, k->number, fd, deadline);
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

/* The child. Ctrl-C and a service manager's SIGTERM reach the whole group, but the relay may need
 * its keeper until its own end, which the socket tells. */
static _Noreturn void keeper_main(int fd, const struct keeper_places *places, pid_t parent)
{
	const int keep[] = {fd, places->state_dir};
	static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE};
	const struct timeval patience = {.tv_sec = KEEPER_WAIT_MS / 1000};
	struct keeper_head head = {0};

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)prctl(PR_SET_NAME, "postern-keeper", 0, 0, 0);
	/* Not relied on: a relay that became another user may not signal its keeper. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(0);
	file_close_others(keep, sizeof(keep) / sizeof(keep[0]));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	head.status = keeper_confine(places);
	if (head.status == 0)
		keeper_serve(fd, places);
	(void)!send(fd, &head, sizeof(head), MSG_NOSIGNAL);
	_exit(1);
}

int keeper_start(struct keeper *k, const char *state_dir)
{
	pid_t self = getpid(), child;
	struct keeper_places places;
	int pair[2], came = -1, error = places_open(&places, state_dir);

	if (error)
		return error;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		error = -errno;
		places_close(&places);
		return error;
	}
	child = fork();
	if (child == 0)
		keeper_main(pair[1], &places, self);
	error = child < 0 ? -errno : 0;
	places_close(&places);
	close(pair[1]);
	*k = (struct keeper){.fd = pair[0], .pid = child, .wait_ms = KEEPER_WAIT_MS};
	if (!error)
		error = keeper_await(k, 0, &came, clock_ms(CLOCK_MONOTONIC) + k->wait_ms);
	if (error)
		keeper_stop(k);
	return error;
}

void keeper_stop(struct keeper *k)
{
	if (k->fd < 0)
		return;
	close(k->fd);
	k->fd = -1;
	/* A sealed relay can do neither; its keeper sees the socket end.
	 *
	 * #syscalls-denied kill wait4|waitid; a relay sends no signals
	 */
	if (k->pid > 0 && kill(k->pid, SIGKILL) == 0)
		(void)waitpid(k->pid, NULL, 0);
	k->pid = 0;
}
