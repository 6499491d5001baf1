/* SPDX-License-Identifier: Apache-2.0 */
/*
 * natpmp: NAT-PMP to one IPv4 gateway, for the mapping engine (portmap/gateway/driver.h).
 *
 * Theory of operation
 *
 * libnatpmp writes the requests and reads the answers. What it does not do is done around it:
 *
 *   - It opens its own socket, unbound. Here each natpmp_t gets one that is bound to our address
 *     and connected to the gateway (gateway_socket.h).
 *   - It reads 16 bytes of a datagram of any length and does not ask what it answers. Here each one
 *     is looked at first where it lies in the socket (MSG_PEEK, natpmp/natpmp.h); what does not
 *     pass is taken out and counted, and the library reads only what is right.
 *   - It has one request in flight, and no way to tell the answer to a request from a late one to
 *     the request before. Here each request has a natpmp_t and a socket of its own, a
 *     *transaction*, so that a late answer finds its port closed.
 *   - Its retransmission runs on the wall clock, and stands still for an hour when that is set back
 *     by an hour. Here the ring's timers do it, by asking the library to send the same request
 *     again: 250 ms, doubling, nine tries (RFC 6886 section 3.1).
 *   - It finds the gateway by itself and does not look at metrics. Here it is told.
 *   - It knows no epochs and no announcements (natpmp/epoch.h, natpmp/natpmp.h).
 *
 * Requests wait in a table until one of NATPMP_TRANSACTIONS transactions is free, first come, first
 * served. The gateway is asked for its external address: as a probe, when it was restarted or
 * announced something, and after a mapping when that was long ago. Silence is told after four tries
 * (3.75 s) to a probe and to what is asked of a gateway that is not known to be there, and after
 * six (15.75 s) without a word to anything otherwise; an address request goes on to nine all the
 * same, and after that the gateway is asked at intervals that grow from 8 s to 1024 s. A probe that
 * stays unanswered is also sent so that answers from other addresses are seen, and told as such.
 *
 * The external port asked for is the engine's: never 0 or below 1024 unless that says so. Internal
 * port 0 would delete everything (section 3.4) and is refused. Deliberately absent: prefer_failure
 * and third_party, which the protocol does not have.
 */
#ifndef POSTERN_NATPMP_DRIVER_NATPMP_H
#define POSTERN_NATPMP_DRIVER_NATPMP_H

#include <stddef.h>
#include <stdint.h>

#include "natpmp/driver/gateway_socket.h"
#include "portmap/gateway/driver.h"

/* Returns 0 or -errno (-EAFNOSUPPORT: the gateway is not IPv4). The owner sets (*out)->stopped
 * before it stops it. */
int driver_natpmp_open(struct portmap_driver **out,
		       const struct gateway_options *options) MUST_CHECK;

/* A datagram that came from the gateway's address, or so it says, to port 5350: at most a reason to
 * ask the gateway. */
void driver_natpmp_announced(struct portmap_driver *driver, const uint8_t *in, size_t len);

#endif
