/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve: host names to addresses, and services to hosts, by c-ares, on a program's ring.
 *
 * c-ares keeps its own retries and time-outs; its sockets are watched by ring_poll(), and it makes
 * and closes them through us, so that no descriptor is closed under an operation.
 *
 * One question, two ways. c-ares asks for A and AAAA at once and answers when both are in, or one
 * has failed for good: after seconds, where something on the way drops the questions for AAAA. So
 * when it has not answered after RESOLVE_PATIENCE_MS, A is asked for once more by itself, and
 * what comes first is told (RFC 8305 section 3: A does not wait for AAAA longer than that); so it
 * is when the servers fail for one of the two. A name that was found slow so has no patience the
 * next time. Two questions from the start, one for each family, would be one round trip quicker
 * there and wrong elsewhere: each would go through hosts and the search list by itself, so that a
 * name could get its A from one place and its AAAA from another.
 *
 * What came is kept for its time to live (resolve_cache.h); answers of hosts have none. It is
 * forgotten when hosts or the resolver's configuration change, and by resolver_forget() when none
 * of the addresses could be connected to.
 *
 * Networks change under a laptop. Before a query, and at most once a second, it is looked whether
 * the configuration is another file or has been written; then new queries go to its servers, and
 * those under way end where they were begun. So they do each RESOLVE_FRESH_MS, since a socket that
 * is busy keeps the source address that it had.
 *
 * A server that was silent while a later one answered is asked last for RESOLVE_SILENT_MS.
 */
#ifndef POSTERN_CORE_PROGRAM_RESOLVE_H
#define POSTERN_CORE_PROGRAM_RESOLVE_H

/* c-ares 1.28 and 1.34 deprecate what 1.18 (Debian 12) has nothing instead of. */
#define CARES_NO_DEPRECATED
#include <ares.h>

#include "core/addr.h"
#include "core/program/resolve_cache.h"
#include "core/ring.h"

#define RESOLVE_ADDRESSES_MAX 32u
#define RESOLVE_QUERIES_MAX   1024u
#define RESOLVE_SERVICES_MAX  8u
#define RESOLVE_SERVERS_MAX   8u
#define RESOLVE_FRESH_MS      30000u
#define RESOLVE_LOOK_MS	      1000u
#define RESOLVE_PATIENCE_MS   50u
#define RESOLVE_SILENT_MS     600000u
/* After this an error is told; what comes later is kept for the next query. */
#define RESOLVE_MS 4500u

/* A file as it was seen last. */
struct resolve_file {
	uint64_t device, inode, size;
	int64_t written_ns, changed_ns;
};

/* A name server that did not answer while others did, or lately. */
struct resolve_silent {
	struct addr server;
	uint64_t since_ms; /* 0: free */
};

struct resolve_channel;

struct resolver {
	struct ring *ring;
	const char *conf, *hosts; /* the files; a test has its own */
	uint16_t port;		  /* of name servers; 0: 53 */
	bool closing;
	struct resolve_channel *channels; /* the newest first; others until their queries end */
	size_t queries;
	uint64_t looked_ms;
	struct resolve_file conf_seen, hosts_seen;
	struct resolve_silent silent[RESOLVE_SERVERS_MAX];
	struct resolve_cache cache;
};

/* Returns 0 or -errno. */
int resolver_open(struct resolver *r, struct ring *ring) MUST_CHECK;
/* Ends all queries: each reports an error unless it is cancelled. */
void resolver_close(struct resolver *r);
/* Closed, and nothing is in flight. */
bool resolver_idle(const struct resolver *r);
/* The network or the configuration may be another one: nothing that is kept counts, and the next
 * query goes out of new sockets. */
void resolver_changed(struct resolver *r);
/* The addresses of that name are of no use. */
void resolver_forget(struct resolver *r, const char *host);

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

/* While done is told an error: this host itself lacks something, and the error says what to do. */
bool resolve_failed_here(const struct resolve_query *q) MUST_CHECK;
/* done will not come. */
void resolve_cancel(struct resolve_query *q);

#endif
