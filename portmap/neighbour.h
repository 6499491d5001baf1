/* SPDX-License-Identifier: Apache-2.0 */
/* neighbour: which network card the kernel has seen behind an address of this link (ARP, NDP). */
#ifndef POSTERN_PORTMAP_NEIGHBOUR_H
#define POSTERN_PORTMAP_NEIGHBOUR_H

#include <stdbool.h>

#include "portmap/netlink.h"

#define NEIGHBOUR_CARD_BYTES 6u

/* 1: it answers, and *card is its address (zeros where that is none of Ethernet's); 0: nobody does,
 * or nobody was asked; or -errno. */
int neighbour_find(struct netlink *n, const struct addr *a, unsigned index,
		   uint8_t card[NEIGHBOUR_CARD_BYTES]) MUST_CHECK;
/* Has the kernel look for it, by a datagram to the port that discards (RFC 863). */
void neighbour_poke(const struct addr *a);

#endif
