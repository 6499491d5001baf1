/* SPDX-License-Identifier: Apache-2.0 */
/*
 * announce_listener: what the gateway tells all hosts on UDP 5350.
 *
 * NAT-PMP (RFC 6886 section 3.2.1) and PCP (RFC 6887 section 14.1) announce a new external address
 * and lost mappings to 224.0.0.1 or ff02::1, and a PCP server may tell one host alone. Other
 * programs on this host may listen to the same port. Only datagrams from the gateway's address get
 * through; since that can be forged, what they say is a reason to ask, not a truth.
 */
#ifndef POSTERN_NATPMP_DRIVER_ANNOUNCE_LISTENER_H
#define POSTERN_NATPMP_DRIVER_ANNOUNCE_LISTENER_H

#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/ring.h"
#include "portmap/gateway/driver.h"

#define ANNOUNCE_PORT	   5350u
#define ANNOUNCE_BYTES_MAX 1100u

struct announce_socket {
	struct announce_listener *listener;
	enum portmap_family family;
	int fd; /* -1: none */
	struct addr gateway;
	struct ring_op op;
};

struct announce_listener {
	/* The owner sets these first. */
	struct ring *ring;
	/* One for each family, read by the start only; without a gateway that family is not
	 * listened to. */
	const struct portmap_place *places;
	/* At most ANNOUNCE_BYTES_MAX bytes from the gateway of that family. */
	void (*heard)(struct announce_listener *l, enum portmap_family family, const uint8_t *in,
		      size_t len);

	/* The listener's own. */
	struct announce_socket sockets[PORTMAP_FAMILIES];
	struct timer pause; /* after an error of a socket */
	uint64_t others;    /* datagrams from elsewhere */
	bool closing;
};

/* Returns 0, or -errno when a family that was asked for cannot be listened to (the other is). */
int announce_listener_start(struct announce_listener *l) MUST_CHECK;
/* Ends; idle when it returns true, else ask again after the ring has turned. */
bool announce_listener_stop(struct announce_listener *l) MUST_CHECK;

#endif
