/* SPDX-License-Identifier: Apache-2.0 */
/* gateway_socket: what the drivers of PCP and NAT-PMP, which do not link each other, share. */
#include "natpmp/driver/gateway_socket.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>
#include <openssl/rand.h>

#define PER_TURN     16u /* datagrams before others get their turn */
#define ANSWER_LEAST 8u
#define GATEWAY_PORT 5351u /* RFC 6886 section 3, RFC 6887 section 19.1 */

struct addr gateway_address(const struct gateway_options *options)
{
	struct addr a = options->place.gateway;

	if (addr_port(&a) == 0)
		addr_set_port(&a, GATEWAY_PORT);
	return a;
}

/* #syscalls socket(0 is AF_INET) socket(0 is AF_INET6) setsockopt(1 is SOL_SOCKET) bind connect */
static int socket_open(const struct gateway_options *options, bool connected)
{
	struct addr to = gateway_address(options), from = options->place.source;
	int index = (int)options->place.index, err;
	int fd = socket(to.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);

	if (fd < 0)
		return -errno;
	addr_set_port(&from, 0);
	/* SO_BINDTOIFINDEX is of Linux 5.1, and needs CAP_NET_RAW no more since 5.7, as long as the
	 * socket is not bound to an interface yet. */
	if ((index && setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, sizeof(index)) < 0) ||
	    bind(fd, &from.sa, from.len) < 0 || (connected && connect(fd, &to.sa, to.len) < 0)) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

int gateway_socket_open(const struct gateway_options *options)
{
	return socket_open(options, true);
}

/* #syscalls sendto */
void gateway_wide_ask(struct gateway_wide *w, const uint8_t *bytes, size_t len)
{
	struct addr to = gateway_address(w->options);

	if (w->fd < 0)
		w->fd = socket_open(w->options, false);
	if (w->fd >= 0)
		(void)!sendto(w->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL, &to.sa, to.len);
}

/* Of both protocols an answer has eight bytes at least, and the highest bit of the second one.
 *
 * #syscalls recvfrom
 */
bool gateway_wide_heard(struct gateway_wide *w, struct addr *from)
{
	struct addr asked = gateway_address(w->options);
	uint8_t in[ANSWER_LEAST];

	for (unsigned i = 0; i < PER_TURN && w->fd >= 0; i++) {
		ssize_t n;

		*from = (struct addr){.len = sizeof(from->v6)};
		n = recvfrom(w->fd, in, sizeof(in), MSG_DONTWAIT, &from->sa, &from->len);
		if (n < 0)
			break;
		if (n == (ssize_t)sizeof(in) && in[1] & 0x80 &&
		    addr_port(from) == addr_port(&asked))
			return true;
	}
	return false;
}

void gateway_wide_close(struct gateway_wide *w)
{
	if (w->fd >= 0)
		ring_close_fd(w->options->ring, w->fd);
	w->fd = -1;
}

uint64_t gateway_seed(void)
{
	uint64_t seed;

	RAND_bytes((uint8_t *)&seed, sizeof(seed));
	return seed;
}
