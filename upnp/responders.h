/* SPDX-License-Identifier: Apache-2.0 */
/*
 * responders: which of the hosts that answer searches to leave alone for a while.
 *
 * A host that made a worker die or wait in vain is avoided for RESPONDERS_WAIT_MS, and twice as
 * long each further time, up to RESPONDERS_WAIT_MAX_MS. Of RESPONDERS_MAX such hosts, the one whose
 * time is over first makes room for another.
 */
#ifndef POSTERN_UPNP_RESPONDERS_H
#define POSTERN_UPNP_RESPONDERS_H

#include "core/addr.h"

#define RESPONDERS_MAX	       16u
#define RESPONDERS_WAIT_MS     5000u
#define RESPONDERS_WAIT_MAX_MS 3600000u

struct responders {
	struct responder {
		struct addr host; /* len 0: free */
		uint64_t until_ms;
		uint32_t wait_ms;
	} hosts[RESPONDERS_MAX];
};

/* Zero-initialised is empty. Ports are not looked at. */
void responders_avoid(struct responders *r, const struct addr *host, uint64_t now_ms);
bool responders_avoided(const struct responders *r, const struct addr *host,
			uint64_t now_ms) MUST_CHECK;
/* It works, or says that it is new: what was is forgotten. */
void responders_pardon(struct responders *r, const struct addr *host);

#endif
