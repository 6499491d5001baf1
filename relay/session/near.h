/* SPDX-License-Identifier: Apache-2.0 */
/*
 * near: sockets of busy directions whose peer is close by.
 *
 * A pacing congestion control (BBR) spreads what is sent over a round trip by timers. Within a
 * machine or a rack the round trip is shorter than a timer is precise: pacing then halves a bulk
 * transfer and doubles its cost (docs/benchmarks.md), and protects no queue. Such a socket goes on
 * with Reno; everything farther away keeps what the system gave it.
 */
#ifndef POSTERN_RELAY_SESSION_NEAR_H
#define POSTERN_RELAY_SESSION_NEAR_H

#define NEAR_RTT_US 1000u /* a measured minimal round trip below this is near */

/* Looks once at the socket that a direction sends on; failures change nothing. */
void near_unpace(int fd);

#endif
