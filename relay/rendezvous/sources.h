/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sources: how many unauthenticated connections each source holds. No sockets, no clock.
 *
 * A source is an IPv4 address or an IPv6 /64 (addr_source_key()). The table holds an entry only
 * while a source has connections, so its size is bounded by their number. The hash is keyed at
 * random: a client that picks its addresses cannot pick collisions. The caller serialises calls.
 */
#ifndef POSTERN_RELAY_RENDEZVOUS_SOURCES_H
#define POSTERN_RELAY_RENDEZVOUS_SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"

struct sources;

/* limit: connections one source may hold. NULL when memory is out. */
struct sources *sources_new(uint64_t limit) MUST_CHECK;
void sources_free(struct sources *s);

/* Counts one more; false when the source is at its limit or memory is out: nothing is counted. */
bool sources_enter(struct sources *s, struct addr_key key) MUST_CHECK;
/* One less: the connection ended or proved who it is. */
void sources_leave(struct sources *s, struct addr_key key);
/* For those that come from now on. */
void sources_set_limit(struct sources *s, uint64_t limit);
size_t sources_count(const struct sources *s);

#endif
