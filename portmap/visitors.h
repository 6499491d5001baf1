/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visitors: connections that were there before a mapping was. They came in some other way, or by a
 * mapping that is gone; a router that was restarted may even carry them on, since it lets answers
 * to what goes out come back in. So they prove nothing about the mapping.
 */
#ifndef POSTERN_PORTMAP_VISITORS_H
#define POSTERN_PORTMAP_VISITORS_H

#include <stddef.h>

#include "core/addr.h"
#include "portmap/engine/engine.h"

#define VISITORS_MAX 4096u /* of one mapping; with more before it, nothing proves it */

struct visitors_of {
	uint32_t id;	    /* the mapping; 0: a free place */
	uint64_t since_ms;  /* when it came to be, which tells it from what it was before */
	struct addr *peers; /* owned */
	size_t count, room;
	bool too_many;
};

struct visitors {
	struct visitors_of of[PORTMAP_MAPPINGS_MAX];
};

/* The list of this mapping; *fresh: it is empty and new, to be filled. NULL: no place is left. */
struct visitors_of *visitors_find(struct visitors *v, const struct portmap_mapping *m, bool *fresh);
/* Forgets mappings that the engine no longer has. */
void visitors_prune(struct visitors *v, const struct portmap_mapping *mappings);
void visitors_add(struct visitors_of *of, const struct addr *peer);
bool visitors_has(const struct visitors_of *of, const struct addr *peer) MUST_CHECK;
void visitors_free(struct visitors *v);

#endif
