/* SPDX-License-Identifier: Apache-2.0 */
/* log_out: writes that do not wait, by what standard error is. */
#include "core/log_out.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static enum {
	WAY_PLAIN,  /* a file, which does not block; or a tool's standard error */
	WAY_SOCKET, /* flags of send(2) do it */
	WAY_OWN,    /* a description of our own, in own_fd */
	WAY_POLLED, /* it could not be had: asked first whether there is room */
} way;
static int own_fd = -1, journal_fd = -1;
static char rest[LOG_OUT_LINE_BYTES]; /* of a line of which half has gone */
static size_t rest_len;

/* ---- standard error -------------------------------------------------------------------------- */

/* Of files a second description would have an offset of its own, and overwrite what others write.
 * Who started us may be another user, whose pipe we may write to and not open. */
void log_out_never_wait(void)
{
	struct stat st;

	log_out_reset();
	if (fstat(STDERR_FILENO, &st) < 0)
		return;
	if (S_ISSOCK(st.st_mode)) {
		way = WAY_SOCKET;
	} else if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
		own_fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		way = own_fd >= 0 ? WAY_OWN : WAY_POLLED;
	}
}

void log_out_reset(void)
{
	if (own_fd >= 0)
		close(own_fd);
	if (journal_fd >= 0)
		close(journal_fd);
	own_fd = journal_fd = -1;
	way = WAY_PLAIN;
	rest_len = 0;
}

/* Between the question and the answer another process may fill the pipe, and we would wait with it:
 * it needs one that shares the pipe, which this one cannot open, and that nobody reads.
 *
 * #syscalls-rare poll|ppoll; only where standard error cannot be opened once more
 */
static bool has_room(void)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&p, 1, 0) == 1;
}

/* Bytes, or -1 with errno.
 *
 * #syscalls write
 * #syscalls-rare sendto(4 is 0, 3 without MSG_FASTOPEN); only where standard error is a socket
 */
static ssize_t send_some(const char *bytes, size_t len)
{
	switch (way) {
	case WAY_SOCKET:
		return send(STDERR_FILENO, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	case WAY_OWN:
		return write(own_fd, bytes, len);
	case WAY_POLLED:
		if (!has_room()) {
			errno = EAGAIN;
			return -1;
		}
		return write(STDERR_FILENO, bytes, len);
	default:
		return write(STDERR_FILENO, bytes, len);
	}
}

static ssize_t send_again(const char *bytes, size_t len)
{
	ssize_t n;

	while ((n = send_some(bytes, len)) < 0 && errno == EINTR)
		;
	return n;
}

bool log_out_line(const char *line, size_t len)
{
	ssize_t n;

	if (rest_len > 0) {
		n = send_again(rest, rest_len);
		if (n > 0) {
			rest_len -= (size_t)n;
			memmove(rest, rest + n, rest_len);
		}
		if (rest_len > 0)
			return false;
	}
	n = send_again(line, len);
	if (n < 0)
		return false;
	if ((size_t)n < len && len - (size_t)n <= sizeof(rest)) {
		rest_len = len - (size_t)n;
		memcpy(rest, line + n, rest_len);
	}
	return true;
}

/* ---- the journal ------------------------------------------------------------------------------
 */

int log_out_connect(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd, error;

	if (strlen(path) >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

int log_out_journal(const char *path)
{
	int fd = log_out_connect(path);

	if (fd < 0)
		return fd;
	if (journal_fd >= 0)
		close(journal_fd);
	journal_fd = fd;
	return 0;
}

int log_out_entry(const char *entry, size_t len)
{
	if (journal_fd < 0)
		return -ENOTCONN;
	if (send(journal_fd, entry, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	return errno == ENOBUFS ? -EAGAIN : -errno;
}
