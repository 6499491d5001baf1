/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resolve_cache: the addresses that names led to, kept as long as the name server lets them.
 *
 * A pure table: the time, in ms of any one clock, is a parameter. Names are compared without regard
 * to case. When it is full, what was used longest ago makes room.
 */
#ifndef POSTERN_CORE_PROGRAM_RESOLVE_CACHE_H
#define POSTERN_CORE_PROGRAM_RESOLVE_CACHE_H

#include "core/addr.h"

#define RESOLVE_CACHE_NAMES  256u
#define RESOLVE_CACHE_MOST_S 300u    /* however long the server lets it */
#define RESOLVE_SLOW_MS	     600000u /* how long it is remembered what was found slow */

struct resolve_kept {
	struct resolve_kept *next;
	uint64_t until_ms;	/* the addresses are good; 0: there are none */
	uint64_t slow_until_ms; /* not all families of it were answered in time */
	size_t count;
	struct addr *addresses; /* at port 0, in the order they came in */
	char name[];
};

/* All zero: empty. */
struct resolve_cache {
	struct resolve_kept *first; /* the one used last */
	size_t count;
};

/* NULL: nothing is known that still holds. Good until the next call of these. */
const struct resolve_kept *resolve_cache_find(struct resolve_cache *c, const char *name,
					      uint64_t now_ms);
/* Copies count addresses. ttl_s 0, or no memory: they are not kept. */
void resolve_cache_keep(struct resolve_cache *c, const char *name, const struct addr *addresses,
			size_t count, uint32_t ttl_s, uint64_t now_ms);
/* One family of the name was not answered in time, or (slow false) was. */
void resolve_cache_note(struct resolve_cache *c, const char *name, bool slow, uint64_t now_ms);
bool resolve_cache_is_slow(struct resolve_cache *c, const char *name, uint64_t now_ms);
/* Its addresses only; what was slow stays known. */
void resolve_cache_forget(struct resolve_cache *c, const char *name);
void resolve_cache_clear(struct resolve_cache *c);

#endif
