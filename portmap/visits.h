/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visits: TCP connections that came in through mappings.
 *
 * Theory of operation. A visit is a connection to the mapped port, of a listener of this host,
 * whose other end is on the internet, and which was not there before. Where no program listens
 * there is none: the kernel takes any port above 32767 that is free for what this host connects to.
 * Two sources tell of them: the kernel's list, looked at when verify.c says so, and its word of
 * connections that end, since most visits of a web server are shorter than any wait between two
 * looks (sockdiag.h).
 *
 * What was there is remembered from one look to the next, so that each connection counts once, when
 * it comes. One that was there before its mapping was, or before the mapping had the external
 * address that it has, proves nothing: it came in by another path, or by a mapping that is gone; a
 * router that was restarted may even carry it on. Neither does one from this LAN, also when it
 * comes by the gateway's external address (a hairpin), nor one to another address of this host.
 *
 * Limits: VISITS_MAX connections of a mapping are told apart; with more, its list proves nothing.
 * Ends are read once in VISITS_ENDS_MS, at most VISITS_ENDS_MAX at a time; of a host where more
 * end, some are missed.
 *
 * What can be missed, therefore: a visit to a host on which hundreds of connections end each
 * second; and one that is reset before its first round trip. What can be mistaken: a connection
 * that a program makes itself from the mapped port, on which it listens as well (SO_REUSEPORT), or
 * did until just before.
 */
#ifndef POSTERN_PORTMAP_VISITS_H
#define POSTERN_PORTMAP_VISITS_H

#include "portmap/natd.h"

#define VISITS_MAX	4096u
#define VISITS_ENDS_MS	1000u
#define VISITS_ENDS_MAX 256u

struct visits;

/* NULL without memory. Opens its sockets to the kernel: before isolation. */
struct visits *visits_new(struct natd *n) MUST_CHECK;
/* A mapping is new: notes what is there, and forgets what the engine no longer has. */
void visits_wanted(struct visits *v);
/* Looks at what came in through a TCP mapping to this host, and tells the engine. */
void visits_look(struct visits *v, const struct portmap_mapping *m);
/* Ends; idle when it returns true, else ask again later. */
bool visits_stop(struct visits *v) MUST_CHECK;
void visits_free(struct visits *v);

#endif
