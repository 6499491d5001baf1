/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sources: where connections come from, as a tree of prefixes. No sockets, no clock.
 *
 * A source is an address that is accountable, inside of the networks that it is part of:
 *
 *   IPv4   the address (/32)  in  its /24
 *   IPv6   the /64            in  its /56  in  its /48
 *
 * Each prefix counts the unproven connections and the public sessions below it. Prefixes of one
 * parent stand in an order by their unproven connections, kept as a list of ranks: all prefixes
 * with the same count share one. A count changes by one at a time, so that a prefix moves to a
 * neighbouring rank, and the fullest is known without a search. Each address keeps its unproven
 * connections from the oldest to the newest.
 *
 * All tables are made at the start, for so many connections; an operation takes no memory and the
 * same time for any number of sources. A prefix is kept only while something is counted there. The
 * hash is keyed at random: a client that picks its addresses cannot pick collisions.
 */
#ifndef POSTERN_RELAY_LEDGER_SOURCES_H
#define POSTERN_RELAY_LEDGER_SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

#define SOURCE_LEVELS 3u /* at most, from the address outwards */
#define SOURCES_ALL   0u /* the root: everything */

struct sources;

/* The prefixes of an address, from itself outwards. */
struct source_key {
	uint64_t bits[SOURCE_LEVELS];
	unsigned levels;
	uint32_t kind; /* of the first; the next one's is one more */
};

void source_key_make(struct source_key *out, const struct addr *from);

/* For entries up to this number, of which half and one or two may be charged to sources. */
struct sources *sources_new(uint32_t connections) MUST_CHECK;
void sources_free(struct sources *s);

/* One more: what is returned is its source, an address's prefix, for the calls below. */
uint32_t sources_add_unproven(struct sources *s, const struct source_key *key, uint32_t entry);
/* No longer unproven, and counted no more. */
void sources_remove_unproven(struct sources *s, uint32_t source, uint32_t entry);
/* No longer unproven, but a public session from now on; and its end. */
void sources_become_public(struct sources *s, uint32_t source, uint32_t entry);
void sources_remove_public(struct sources *s, uint32_t source);

/* The prefix of this level that key lies in, SOURCES_ALL when nothing is counted there. */
uint32_t sources_find(const struct sources *s, const struct source_key *key, unsigned level);
/* The next wider prefix; SOURCES_ALL at the end. */
uint32_t sources_wider(const struct sources *s, uint32_t source);
uint32_t sources_unproven(const struct sources *s, uint32_t source);
uint32_t sources_public(const struct sources *s, uint32_t source);
/* The oldest unproven connection of the fullest address of the fullest prefix within this one; 0
 * when it has none. */
uint32_t sources_oldest(const struct sources *s, uint32_t within);
/* How many prefixes are kept. */
size_t sources_count(const struct sources *s);

#endif
