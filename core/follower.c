/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follower: the process, and the program's end of the pair between them.
 *
 * On the pair each line is as it came; a line of one byte, GONE, says that the neighbour is away.
 */
#include "core/follower.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/container.h"
#include "core/file.h"
#include "core/isolation.h"
#include "gen/follower_calls.h"

#define GONE '\x18' /* CAN: no line of text begins with it */

/* ---- the follower ---- */

struct follower_process {
	int fd; /* to the program */
	struct sockaddr_un address;
	char hello[256];
	int retry_ms;
};

#define SOCKET_TYPE (SOCK_STREAM | SOCK_CLOEXEC)

static const struct isolation_plan follower_plan = {.calls = &follower_calls};

/* To the program; ends with it.
 *
 * #syscalls:follower sendto(4 is 0)
 */
static void follower_tell(const struct follower_process *f, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = send(f->fd, bytes, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			_exit(0);
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
	}
}

/* #syscalls:follower socket(0 is AF_UNIX, 1 is SOCK_STREAM | SOCK_CLOEXEC) connect close */
static int connect_once(const struct follower_process *f)
{
	size_t len = strlen(f->hello);
	int fd = socket(AF_UNIX, SOCKET_TYPE, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&f->address, sizeof(f->address)) ||
	    send(fd, f->hello, len, MSG_NOSIGNAL) != (ssize_t)len) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Waits for the neighbour (fd; -1: none) or the program's end; true when the neighbour has more.
 *
 * #syscalls:follower poll|ppoll
 */
static bool follower_await(const struct follower_process *f, int fd, int timeout_ms)
{
	/* A negative descriptor is passed over by poll(2). */
	struct pollfd p[] = {{.fd = f->fd, .events = POLLRDHUP}, {.fd = fd, .events = POLLIN}};

	if (poll(p, 2, timeout_ms) < 0 && errno != EINTR)
		_exit(1);
	if (p[0].revents)
		_exit(0);
	return p[1].revents != 0;
}

/* Hands on whole lines until the neighbour ends, or sends one without end.
 *
 * #syscalls:follower read
 */
static void follower_hand_on(const struct follower_process *f, int fd)
{
	static char held[FOLLOWER_LINE_MAX];
	size_t have = 0;

	while (have < sizeof(held)) {
		const char *end;
		ssize_t n;

		if (!follower_await(f, fd, -1))
			continue;
		n = read(fd, held + have, sizeof(held) - have);
		if (n == 0 || (n < 0 && errno != EINTR))
			return;
		have += n > 0 ? (size_t)n : 0;
		end = memrchr(held, '\n', have);
		if (!end)
			continue;
		size_t whole = (size_t)(end - held) + 1;
		follower_tell(f, held, whole);
		have -= whole;
		memmove(held, held + whole, have);
	}
}

static _Noreturn void follower_follow(struct follower_process *f, pid_t parent)
{
	static const char gone[] = {GONE, '\n'};
	static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)prctl(PR_SET_NAME, "postern-follow", 0, 0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(1);
	file_close_others(&f->fd, 1);
	if (isolation_confine(&follower_plan))
		_exit(1);
	for (;;) {
		int fd = connect_once(f);

		if (fd >= 0) {
			follower_hand_on(f, fd);
			close(fd);
		}
		follower_tell(f, gone, sizeof(gone));
		(void)follower_await(f, -1, f->retry_ms);
	}
}

int follower_start(struct follower *f, const char *path, const char *hello)
{
	struct follower_process child = {
		.address.sun_family = AF_UNIX,
		.retry_ms = f->retry_ms > 0 ? f->retry_ms : FOLLOWER_RETRY_MS,
	};
	pid_t self = getpid(), pid;
	int pair[2];

	f->fd = -1;
	if (strlen(path) >= sizeof(child.address.sun_path) || strlen(hello) >= sizeof(child.hello))
		return -ENAMETOOLONG;
	memcpy(child.address.sun_path, path, strlen(path) + 1);
	memcpy(child.hello, hello, strlen(hello) + 1);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	child.fd = pair[1];
	pid = fork();
	if (pid == 0)
		follower_follow(&child, self);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return -EAGAIN;
	}
	(void)fcntl(pair[0], F_SETFL, O_NONBLOCK);
	f->fd = pair[0];
	return 0;
}

/* ---- the program's end ---- */

static void follower_line_came(struct lines *l, const char *line, size_t len)
{
	struct follower *f = container(l, struct follower, lines);

	if (len == 1 && line[0] == GONE)
		f->gone(f);
	else
		f->line(f, line, len);
}

static void follower_lines_ended(struct lines *l)
{
	struct follower *f = container(l, struct follower, lines);

	f->attached = false;
	f->fd = -1;
	f->gone(f);
	f->ended(f);
}

void follower_attach(struct follower *f, struct ring *ring)
{
	f->lines = (struct lines){
		.ring = ring,
		.fd = f->fd,
		.line_max = FOLLOWER_LINE_MAX,
		.output_max = 0,
		.line = follower_line_came,
		.ended = follower_lines_ended,
	};
	f->attached = true;
	lines_start(&f->lines);
}

void follower_close(struct follower *f)
{
	if (f->attached) {
		lines_close(&f->lines);
		return;
	}
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	f->ended(f);
}

void follower_free(struct follower *f)
{
	if (f->attached)
		lines_free(&f->lines);
	else if (f->fd >= 0)
		close(f->fd);
	f->attached = false;
	f->fd = -1;
}
