/* SPDX-License-Identifier: Apache-2.0 */
/* notify: the sending half of sd_notify(3), without its library. */
#include "core/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define STATUS_BYTES 1024u

static int notify_fd = -1;
static char concern[256], status[700], told[STATUS_BYTES];

/* A path, or '@' and an abstract name (unix(7)). vsock addresses are of no use to us. */
static int parse_socket(const char *name, struct sockaddr_un *out, socklen_t *out_len)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t len = strlen(name);

	if (len < 2 || (name[0] != '/' && name[0] != '@'))
		return -EAFNOSUPPORT;
	if (len >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	memcpy(sun.sun_path, name, len);
	*out_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (name[0] == '@')
		sun.sun_path[0] = '\0';
	else
		*out_len += 1;
	*out = sun;
	return 0;
}

int notify_open(void)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sun;
	socklen_t len;
	int fd, r;

	if (!name || !name[0])
		return 0;
	r = parse_socket(name, &sun, &len);
	unsetenv("NOTIFY_SOCKET");
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&sun, len) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	notify_close();
	notify_fd = fd;
	return 0;
}

void notify_close(void)
{
	if (notify_fd >= 0)
		close(notify_fd);
	notify_fd = -1;
	concern[0] = status[0] = told[0] = '\0';
}

/* #syscalls-rare sendto(4 is 0, 3 without MSG_FASTOPEN); only under systemd */
static void notify_send(const char *state, int flags)
{
	if (notify_fd >= 0)
		(void)!send(notify_fd, state, strlen(state), MSG_NOSIGNAL | flags);
}

void notify_ready(void)
{
	notify_send("READY=1", 0);
}

void notify_stopping(void)
{
	notify_send("STOPPING=1", 0);
}

/* Each line is a variable of its own: a line feed in a text would set another. A busy manager
 * misses a status, rather than our thread its turn; the next one comes by itself. */
static void tell_status(void)
{
	char state[STATUS_BYTES];

	snprintf(state, sizeof(state), "STATUS=%s%s%s", concern,
		 concern[0] && status[0] ? "; " : "", status);
	for (char *c = state; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	}
	if (strcmp(state, told) == 0)
		return;
	notify_send(state, MSG_DONTWAIT);
	memcpy(told, state, sizeof(told));
}

void notify_status(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(status, sizeof(status), format, args);
	va_end(args);
	tell_status();
}

void notify_concern(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(concern, sizeof(concern), format, args);
	va_end(args);
	tell_status();
}
