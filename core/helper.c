/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helper: starts one, asks it, and never waits long for it.
 *
 * To ask works in a sealed program: it takes sendmsg, recvmsg and poll.
 */
#include "core/helper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/file.h"

/* ---- packets -------------------------------------------------------------------------------- */

uint64_t helper_deadline(const struct helper *h)
{
	return clock_ms(CLOCK_MONOTONIC) + h->wait_ms;
}

/* One that ended with a request unread resets the connection. */
static int helper_failure(int error)
{
	return error == ECONNRESET ? -EPIPE : -error;
}

/* 0, -ETIMEDOUT or -errno.
 *
 * #syscalls:relay,keeper_test poll|ppoll
 */
static int helper_wait(const struct helper *h, short events, uint64_t deadline)
{
	struct pollfd p = {.fd = h->fd, .events = events};
	uint64_t now = clock_ms(CLOCK_MONOTONIC);
	int n = poll(&p, 1, deadline > now ? (int)(deadline - now) : 0);

	if (n < 0 && errno != EINTR)
		return -errno;
	return n == 0 ? -ETIMEDOUT : 0;
}

/* #syscalls:relay,keeper_test sendmsg(2 without MSG_FASTOPEN) */
int helper_send(const struct helper *h, const struct msghdr *m, uint64_t deadline)
{
	int error;

	for (;;) {
		if (sendmsg(h->fd, m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			return helper_failure(errno);
		error = helper_wait(h, POLLOUT, deadline);
		if (error)
			return error;
	}
}

/* #syscalls:relay,keeper_test recvmsg */
ssize_t helper_receive(const struct helper *h, struct msghdr *m, uint64_t deadline)
{
	const struct msghdr as_given = *m;
	int error;

	for (;;) {
		*m = as_given; /* a call that failed may have written to it */
		ssize_t n = recvmsg(h->fd, m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

		if (n > 0)
			return n;
		if (n == 0)
			return -EPIPE;
		if (errno != EAGAIN && errno != EINTR)
			return helper_failure(errno);
		error = helper_wait(h, POLLIN, deadline);
		if (error)
			return error;
	}
}

/* ---- start and stop -------------------------------------------------------------------------- */

/* Ctrl-C and a service manager's SIGTERM reach the whole group, but the program may need its helper
 * until its own end, which the socket tells. */
static void helper_begin(const char *name, int fd, const int *keep, size_t count, pid_t parent)
{
	static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE};
	const struct timeval patience = {.tv_sec = HELPER_WAIT_MS / 1000};
	int kept[8] = {fd};

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)prctl(PR_SET_NAME, name, 0, 0, 0);
	/* Not relied on: a program that became another user may not signal its helper. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent || count >= sizeof(kept) / sizeof(kept[0]))
		_exit(0);
	for (size_t i = 0; i < count; i++)
		kept[i + 1] = keep[i];
	file_close_others(kept, count + 1);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

int helper_fork(struct helper *h, const char *name, const int *keep, size_t count, int *fd)
{
	pid_t self = getpid();
	int pair[2], error;

	*h = (struct helper){.fd = -1, .wait_ms = HELPER_WAIT_MS};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	h->pid = fork();
	if (h->pid == 0) {
		helper_begin(name, pair[1], keep, count, self);
		*fd = pair[1];
		return 1;
	}
	error = h->pid < 0 ? -errno : 0;
	close(pair[1]);
	h->fd = pair[0];
	if (error)
		helper_stop(h);
	return error;
}

void helper_stop(struct helper *h)
{
	if (h->fd < 0)
		return;
	close(h->fd);
	h->fd = -1;
	/* A sealed program can do neither; its helper sees the socket end.
	 *
	 * #syscalls-denied:relay,keeper_test kill wait4|waitid; a relay sends no signals
	 */
	if (h->pid > 0 && kill(h->pid, SIGKILL) == 0)
		(void)waitpid(h->pid, NULL, 0);
	h->pid = 0;
}
