/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify: whether something from outside really comes in through a mapping.
 *
 * Theory of operation. A gateway's word is not proof. Two things are:
 *
 *   - TCP: a connection to the mapped port, of a listener of this host, whose other end is on the
 *     internet. The kernel tells which connections there are (sock_diag), so it takes no more than
 *     the first client to prove the mapping. Until then connections are looked at every
 *     VERIFY_LOOK_MS, the longer the less often. Three kinds prove nothing: those from this LAN,
 *     also when they come by the gateway's external address (a hairpin); those to another address
 *     of this host; and those that were there before the mapping was, or before its external
 *     address was what it is.
 *   - UDP, where no program has the port: it is bound here for a moment and a STUN server asked
 *     from it. The answer must name the mapping's external address and port, and another one, sent
 *     by the server's other address (RFC 5780 section 4.4), must arrive: that address was never
 *     written to, so only the mapping can have let it in. A server without RFC 5780 proves that the
 *     address is right, not that anything gets in. Where the other one does not arrive, the
 *     server's other address is asked itself: only when that answers is something known to have
 * been kept out (verify_kept_out()).
 *
 * The port is held for VERIFY_UDP_MS at most, so that a program that starts meanwhile does not find
 * it taken for long. What cannot be proven is said to be so, with the reason.
 *
 * Deliberately absent: having the relay dial here, which it never does; and connecting to our own
 * external address, which shows only that the gateway can hairpin.
 */
#ifndef POSTERN_PORTMAP_VERIFY_H
#define POSTERN_PORTMAP_VERIFY_H

#include "portmap/natd.h"

#define VERIFY_LOOK_MS	   2000u
#define VERIFY_LOOK_MAX_MS 60000u
#define VERIFY_UDP_MS	   2000u
#define VERIFY_EARLIER_MAX 4096u /* connections before a mapping; with more, nothing proves it */

struct verify;

/* NULL without memory. Opens its socket to the kernel: before isolation. */
struct verify *verify_new(struct natd *n) MUST_CHECK;
/* A mapping is new: look soon. */
void verify_wanted(struct verify *v);
/* The last datagram that a STUN server sent from its other address to a mapped IPv4 port did not
 * come in. Falls when one does, or the network goes. */
bool verify_kept_out(const struct verify *v);
/* The network has gone: what is under way ends. */
void verify_forget(struct verify *v);
/* Ends; idle when it returns true, else ask again later. */
bool verify_stop(struct verify *v) MUST_CHECK;
void verify_free(struct verify *v);

#endif
