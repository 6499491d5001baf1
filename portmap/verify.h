/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify: whether something from outside really comes in through a mapping.
 *
 * Theory of operation. A gateway's word is not proof. Two things are:
 *
 *   - TCP: a connection to the mapped port, of a listener of this host, whose other end is on the
 *     internet (visits.h). It takes no more than the first client to prove the mapping, and each
 * that comes renews the proof. Until the first, connections are looked at every VERIFY_LOOK_MS, the
 *     longer the less often; then every recheck. Those that end are heard of in between.
 *   - UDP, where no program has the port: it is bound here for a moment and a STUN server asked
 *     from it. The answer must name the mapping's external address and port, and another one, sent
 *     by the server's other address (RFC 5780 section 4.4), must arrive: that address was never
 *     written to, so only the mapping can have let it in. A server without RFC 5780 proves that the
 *     address is right, not that anything gets in. Where the other one does not arrive, the
 *     server's other address is asked itself, from another port, since who was written to gets in
 *     without a mapping: only when that answers is something known to have been kept out
 *     (verify_kept_out()). It is done again every recheck, but not more often than once a minute,
 *     and from the other address's two ports in turn: a NAT remembers who came in, and lets that
 * one in again for a while though the mapping is gone (Linux for 30 s; RFC 4787 section 4.3 has two
 *     minutes as the least). One that fails after it had worked is repeated once, since datagrams
 *     are lost; then the mapping is dead (portmap/engine/proof.c), which no renewal would tell.
 *
 * The port is held for VERIFY_UDP_MS at most, so that a program that starts meanwhile does not find
 * it taken for long. What cannot be proven is said to be so, with the reason. For TCP nothing shows
 * that a mapping works no longer: that nobody comes is no sign of it, so the age of the proof is
 * told (engine/proof.c says until when).
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

struct verify;

/* NULL without memory. Opens its socket to the kernel: before isolation. */
struct verify *verify_new(struct natd *n) MUST_CHECK;
/* A mapping is new: look soon. */
void verify_wanted(struct verify *v);
/* Somebody wants to know: what is not proven, or was a minute ago or longer, is looked at now; busy
 * until all of it was. */
void verify_again(struct verify *v);
bool verify_is_busy(const struct verify *v);
/* The last datagram that a STUN server sent from its other address to a mapped IPv4 port did not
 * come in. Falls when one does, or the network goes. */
bool verify_kept_out(const struct verify *v);
/* The network has gone: what is under way ends. */
void verify_forget(struct verify *v);
/* Ends; idle when it returns true, else ask again later. */
bool verify_stop(struct verify *v) MUST_CHECK;
void verify_free(struct verify *v);

#endif
