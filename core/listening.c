/* SPDX-License-Identifier: Apache-2.0 */
/* listening: socket, options, bind and listen. Apart, since the keeper runs it, whose list of
 * system calls is short. */
#include "core/listening.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096 /* net.core.somaxconn may allow less */

/* What its address names may come later.
 *
 * #syscalls-rare:agent setsockopt(1 is IPPROTO_IP, 2 is IP_FREEBIND); an address that is not there
 * #syscalls-rare:agent setsockopt(1 is IPPROTO_IPV6, 2 is IPV6_FREEBIND); likewise
 */
static int listening_bind_ahead(int fd, const struct addr *address)
{
	const int on = 1;
	int error = address->sa.sa_family == AF_INET6
			    ? setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on))
			    : setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on));

	return error ? error : bind(fd, &address->sa, address->len);
}

/* A bound socket that does not listen yet, or -errno. absent: NULL, or see
 * listening_open_ahead().
 *
 * #syscalls:keeper,agent socket(0 is AF_INET, 1 is SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
 * #syscalls:keeper,agent socket(0 is AF_INET6, 1 is SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
 * #syscalls:keeper,agent setsockopt(1 is SOL_SOCKET) bind close
 */
static int listening_bind(const struct addr *address, bool shared, bool *absent)
{
	const int on = 1;
	int fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	/* Without SO_REUSEADDR connections of a predecessor in TIME_WAIT keep the address for a
	 * minute; it does not let two listeners have one address. SO_REUSEPORT does, when it is set
	 * on each socket of the address before bind(2), and all are of one user: else EADDRINUSE.
	 */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on))) ||
	    bind(fd, &address->sa, address->len)) {
		int error = errno;

		if (absent && error == EADDRNOTAVAIL && !listening_bind_ahead(fd, address)) {
			*absent = true;
			return fd;
		}
		close(fd);
		return -error;
	}
	return fd;
}

/* #syscalls:keeper,agent listen */
static int listening_begin(const struct addr *address, bool shared, bool *absent)
{
	int fd = listening_bind(address, shared, absent);

	if (fd >= 0 && listen(fd, BACKLOG)) {
		int error = errno;

		close(fd);
		return -error;
	}
	return fd;
}

int listening_open(const struct addr *address, bool shared)
{
	return listening_begin(address, shared, NULL);
}

int listening_open_ahead(const struct addr *address, bool *absent)
{
	*absent = false;
	return listening_begin(address, false, absent);
}

int listening_probe(const struct addr *address)
{
	int fd = listening_bind(address, false, NULL);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}
