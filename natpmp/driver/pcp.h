/* SPDX-License-Identifier: Apache-2.0 */
/* pcp: PCP to one gateway, for the mapping engine (portmap/gateway/driver.h). */
#ifndef POSTERN_NATPMP_DRIVER_PCP_H
#define POSTERN_NATPMP_DRIVER_PCP_H

#include <stddef.h>
#include <stdint.h>

#include "natpmp/driver/gateway_socket.h"
#include "portmap/gateway/driver.h"

/* Of the gateway's family: mappings over IPv4, pinholes over IPv6. Returns 0 or -errno. The owner
 * sets (*out)->stopped before it stops it. */
int driver_pcp_open(struct portmap_driver **out, const struct gateway_options *options) MUST_CHECK;

/* A datagram that came from the gateway's address to port 5350. */
void driver_pcp_announced(struct portmap_driver *driver, const uint8_t *in, size_t len);

#endif
