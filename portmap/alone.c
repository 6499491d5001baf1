/* SPDX-License-Identifier: Apache-2.0 */
/* alone: the name that a natd holds while it runs. */
#include "portmap/alone.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/log.h"

#define LISTENERS 1

/* The user whose process holds the name; -1: none does, or it is not known. */
static long holder(const struct sockaddr_un *name, socklen_t len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t size = sizeof(struct ucred);
	struct ucred who;
	long uid = -1;

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)name, len) == 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0)
		uid = (long)who.uid;
	close(fd);
	return uid;
}

static bool is_held(const struct sockaddr_un *name, socklen_t len, const char *interface, char *why,
		    size_t why_size)
{
	long uid = holder(name, len);

	if (uid != 0 && uid != (long)getuid()) {
		log_warning("portmap",
			    "whether another natd runs on this host is not known: a process of "
			    "user %ld holds the name by which it would be",
			    uid);
		return false;
	}
	snprintf(why, why_size,
		 "another natd (of user %ld) runs on this host%s%s, and two delete each other's "
		 "mappings: end one, and have the other keep all (map, or 'postern nat map'); or "
		 "give each an interface of its own, where they are of different networks",
		 uid, interface ? " on " : "", interface ? interface : "");
	return true;
}

bool alone_take(const char *interface, char *why, size_t why_size)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), length;
	socklen_t len;

	/* A zero byte before it: it is no file. */
	length = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "postern-natd/%s",
			  interface ? interface : "");
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&name, len) == 0 && listen(fd, LISTENERS) == 0)
		return true; /* it stays open */
	if (fd >= 0 && errno == EADDRINUSE) {
		close(fd);
		return !is_held(&name, len, interface, why, why_size);
	}
	log_warning("portmap", "whether another natd runs on this host is not known: %s",
		    strerror(errno));
	if (fd >= 0)
		close(fd);
	return true;
}
