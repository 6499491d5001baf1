/* SPDX-License-Identifier: Apache-2.0 */
/* gateway_socket: how the drivers of PCP and NAT-PMP reach the gateway, and what time it is. */
#ifndef POSTERN_NATPMP_DRIVER_GATEWAY_SOCKET_H
#define POSTERN_NATPMP_DRIVER_GATEWAY_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/ring.h"
#include "portmap/gateway/driver.h"

/* One gateway in one network, for a driver. */
struct gateway_options {
	struct ring *ring;
	struct portmap_heard *heard;
	struct portmap_place place; /* the gateway's port may be set, for tests */
};

/*
 * A non-blocking UDP socket on the interface, bound to the source address and connected to the
 * gateway's port 5351, so that the kernel drops what comes from anywhere else. Returns it, or
 * -errno.
 */
int gateway_socket_open(const struct gateway_options *options) MUST_CHECK;
/*
 * A question to the gateway whose answers are heard from anywhere: a pair of routers that share an
 * address (VRRP, CARP) may answer from their own ones, which is no answer to the socket above. fd
 * is -1 at first. Best effort: what cannot be asked so is not.
 */
struct gateway_wide {
	const struct gateway_options *options;
	int fd;
};

void gateway_wide_ask(struct gateway_wide *w, const uint8_t *bytes, size_t len);
/* The next answer that has come, from the gateway's port at an address that may be another one.
 * False: there is no more. */
bool gateway_wide_heard(struct gateway_wide *w, struct addr *from) MUST_CHECK;
void gateway_wide_close(struct gateway_wide *w);

/* The gateway with its port: 5351, unless the place says otherwise. */
struct addr gateway_address(const struct gateway_options *options);

/* A seed that differs from host to host and from start to start. */
uint64_t gateway_seed(void);

#endif
