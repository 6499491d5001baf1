/* SPDX-License-Identifier: Apache-2.0 */
/*
 * udp: a worker's UDP sockets, and what comes in on them.
 *
 * Theory of operation. A datagram's first byte says what it belongs to (RFC 7983 section 7): 0 to 3
 * is STUN; the rest is counted and dropped. A link's request is answered on every socket
 * (stun_link.h). Any other one is where the socket is there for anyone: it passes the limits of its
 * sender's network, and is answered in the same turn of the loop, from the address it came to. On a
 * socket for links alone it is counted and dropped, like what belongs to no protocol: to all others
 * the port is one where nothing answers. Nothing is kept about any
 * client, nothing is sent but answers, and nothing larger than STUN_ANSWER_MAX.
 *
 * Work is done in batches (core/datagrams.h): system calls, the lock of the limits and the counters
 * cost once per batch. After BATCHES_PER_TURN of them the socket waits for its turn again, so that
 * a flood leaves the connections of this worker their share. A socket that had several datagrams at
 * one look lets more gather for a millisecond before the next: waking up costs more than answering.
 *
 * Sockets stay while the relay drains, since answers then say where to go instead.
 */
#ifndef POSTERN_RELAY_FRONT_UDP_H
#define POSTERN_RELAY_FRONT_UDP_H

#include "relay/config/bind_list.h"
#include "relay/front/worker.h"

/* Room for a worker's batches and its list of sockets. NULL without memory. */
struct udp *udp_new(struct worker *w) MUST_CHECK;
/* After the ring is closed: closes what is left. */
void udp_free(struct udp *u);

/* Takes fd over; it hears nothing before udp_start(). False without memory: fd is closed. */
bool udp_add(struct udp *u, const struct bind_address *at, int fd) MUST_CHECK;
/* All that have been added and do not run yet. */
void udp_start(struct udp *u);
/* Closes those that next does not ask for, and adopts the places of the others. */
void udp_keep(struct udp *u, const struct bind_list *next);

#endif
