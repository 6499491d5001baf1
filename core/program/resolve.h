/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve: host names to addresses, and services to hosts, by c-ares, on a program's ring.
 *
 * c-ares keeps its own retries and time-outs; its sockets are watched by ring_poll(), and it makes
 * and closes them through us, so that no descriptor is closed under an operation. A network may
 * change under a laptop: with no query running, a channel older than RESOLVE_FRESH_MS is replaced
 * by one that reads the system's resolver configuration again.
 */
#ifndef POSTERN_CORE_PROGRAM_RESOLVE_H
#define POSTERN_CORE_PROGRAM_RESOLVE_H

/* c-ares 1.28 and 1.34 deprecate what 1.18 (Debian 12) has nothing instead of. */
#define CARES_NO_DEPRECATED
#include <ares.h>

#include "core/addr.h"
#include "core/ring.h"

#define RESOLVE_ADDRESSES_MAX 32u
#define RESOLVE_QUERIES_MAX   1024u
#define RESOLVE_SERVICES_MAX  8u
#define RESOLVE_FRESH_MS      30000u

struct resolve_watch;

struct resolver {
	struct ring *ring;
	ares_channel channel;
	bool open, closing;
	uint64_t opened_ms;
	struct timer timer;
	struct resolve_watch *watches;
	size_t queries;
};

/* Returns 0 or -errno. */
int resolver_open(struct resolver *r, struct ring *ring) MUST_CHECK;
/* Ends all queries: each reports an error unless it is cancelled. */
void resolver_close(struct resolver *r);
/* Closed, and nothing is in flight. */
bool resolver_idle(const struct resolver *r);

struct resolve_query;
/* error NULL: count > 0 addresses, families alternating, the preferred one first. */
typedef void resolve_done_fn(void *owner, const struct addr *addresses, size_t count,
			     const char *error);

/* NULL when memory is out or too many names are being resolved. Never calls done at once. */
struct resolve_query *resolve_start(struct resolver *r, const char *host, uint16_t port,
				    resolve_done_fn *done, void *owner) MUST_CHECK;
/* error NULL: count > 0 hosts with ports, in the order of RFC 2782: by priority, and among equals
 * by chance in proportion to their weights. */
typedef void resolve_services_fn(void *owner, const struct endpoint *hosts, size_t count,
				 const char *error);

/* As resolve_start(), for the SRV records of a name: "_stun._udp.example.org". */
struct resolve_query *resolve_services_start(struct resolver *r, const char *name,
					     resolve_services_fn *done, void *owner) MUST_CHECK;

/* done will not come. */
void resolve_cancel(struct resolve_query *q);

#endif
