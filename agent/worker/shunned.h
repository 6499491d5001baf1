/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shunned: addresses that could be connected to and were not who was looked for.
 *
 * Behind one address of a name there may be a balancer without a backend, which says nothing, or by
 * now another server, whose certificate does not fit. A connection is the last that a connector
 * looks at, so that it would take the same one each time: what failed afterwards is noted here, and
 * tried last for SHUNNED_MS. A pure table with the time, in ms, as a parameter.
 */
#ifndef POSTERN_AGENT_WORKER_SHUNNED_H
#define POSTERN_AGENT_WORKER_SHUNNED_H

#include "core/addr.h"

#define SHUNNED_MAX 32u
#define SHUNNED_MS  600000u

/* All zero: empty. */
struct shunned {
	struct {
		char host[ADDR_HOST_BYTES];
		struct addr at;
		uint64_t until_ms; /* 0: free */
	} list[SHUNNED_MAX];
};

/* In the place of the one that would be forgotten first, where all are taken. */
void shunned_add(struct shunned *s, const char *host, const struct addr *at, uint64_t now_ms);
/* It was who was looked for. */
void shunned_remove(struct shunned *s, const char *host, const struct addr *at);
bool shunned_has(const struct shunned *s, const char *host, const struct addr *at,
		 uint64_t now_ms) MUST_CHECK;
/* Those of host come last; among themselves, and the others, in the order that they had. Returns
 * how many of them there are. */
size_t shunned_order(const struct shunned *s, const char *host, struct addr *list, size_t count,
		     uint64_t now_ms);

#endif
