/* SPDX-License-Identifier: Apache-2.0 */
/*
 * datagrams: UDP in batches: what waits at a socket is taken at once, and what answers it leaves at
 * once, from the address that was asked.
 *
 * Theory of operation. The owner waits with ring_poll() for POLLIN, then takes batch after batch by
 * datagrams_receive() until one is short, and polls again. A batch costs two system calls however
 * many datagrams it holds, on either engine of the ring; under load batches fill up by themselves.
 * Nothing here waits: an answer that the socket has no room for is dropped, as UDP allows.
 *
 * A socket that is bound to a wildcard hears of each datagram which of the host's addresses it came
 * to (IP_PKTINFO, RFC 3542 section 6.2), and answers from there; one that is bound to an address
 * has no need to. What came to a multicast or broadcast address is dropped: the one
 * purpose of asking many servers at a time is that all of them answer a victim.
 *
 * One struct serves any number of sockets of one thread, one after the other.
 */
#ifndef POSTERN_CORE_DATAGRAMS_H
#define POSTERN_CORE_DATAGRAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

#define DATAGRAMS_BATCH 64u
#define DATAGRAM_MAX	1500u /* bytes; longer ones are dropped */

struct datagrams;

struct datagram {
	const uint8_t *bytes; /* good until the next datagrams_receive() */
	size_t len;
	struct addr from;  /* an IPv4 client of an IPv6 socket is an IPv4 address here */
	struct addr local; /* where it came to, without a port; len 0: the socket's own address */
};

/* A bound, non-blocking socket that may share its address with others of this user (SO_REUSEPORT).
 * 0 and the descriptor in *fd, or -errno. */
int datagrams_open(const struct addr *address, int *fd) MUST_CHECK;

/* NULL without memory. */
struct datagrams *datagrams_new(void) MUST_CHECK;
void datagrams_free(struct datagrams *d);

/* Takes at most DATAGRAMS_BATCH of what waits. *count of them are in out, which has room for as
 * many; the return value says whether more may be waiting. */
bool datagrams_receive(struct datagrams *d, int fd, struct datagram *out, size_t *count) MUST_CHECK;

/* Puts one datagram into the batch, with the local address it shall leave from (len 0: the
 * socket's). bytes stay the caller's and unchanged until datagrams_send(). At most DATAGRAMS_BATCH
 * between two of those. */
void datagrams_put(struct datagrams *d, const uint8_t *bytes, size_t len, const struct addr *to,
		   const struct addr *local);
/* Sends the batch through fd. Returns how many could not be sent. */
size_t datagrams_send(struct datagrams *d, int fd);
/* One datagram by itself, from the socket's address. False when it could not be sent. */
bool datagrams_send_one(int fd, const uint8_t *bytes, size_t len, const struct addr *to) MUST_CHECK;

#endif
