/* SPDX-License-Identifier: Apache-2.0 */
/* client: what every STUN client of ours begins with. Apart, since they do not link each other. */
#include "stun/client/client.h"

#include <errno.h>
#include <unistd.h>

#include <openssl/rand.h>

/* #syscalls socket(0 is AF_INET) bind
 * #syscalls-rare socket(0 is AF_INET6); where a server has such an address
 */
int stun_client_socket(int family, const struct addr *at)
{
	return stun_client_socket_by(family, at, 0);
}

/* SO_BINDTOIFINDEX needs no right since Linux 5.7.
 *
 * #syscalls:natd setsockopt(1 is SOL_SOCKET)
 */
int stun_client_socket_by(int family, const struct addr *at, unsigned index)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error;
	int number = (int)index;

	if (fd < 0)
		return -errno;
	if ((index == 0 ||
	     setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &number, sizeof(number)) == 0) &&
	    (at->len == 0 || bind(fd, &at->sa, at->len) == 0))
		return fd;
	error = -errno;
	close(fd);
	return error;
}

void stun_client_id(uint8_t id[STUN_ID_BYTES])
{
	RAND_bytes(id, STUN_ID_BYTES);
}
