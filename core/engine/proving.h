/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proving: how often PROVE may be said on one link. One rule for agents, which keep it when they
 * speak and when they listen, and for relays, which hand it on.
 */
#ifndef POSTERN_ENGINE_PROVING_H
#define POSTERN_ENGINE_PROVING_H

#include <stdbool.h>
#include <stdint.h>

#include "core/must_check.h"

#define PROVING_SECOND 16u  /* of one link in a second, in the long run */
#define PROVING_ONCE   256u /* and at once: what a network held back comes in a heap */

/* Zero-initialised is full. */
struct proving {
	uint32_t since_ms; /* the clock, cut, when used was counted */
	uint32_t used_ms;  /* what is not earned back yet, in its time */
};

/* One more may be said, and is counted. */
static inline bool proving_may(struct proving *p, uint64_t now_ms)
{
	const uint32_t each_ms = 1000 / PROVING_SECOND, most_ms = PROVING_ONCE * each_ms;
	uint32_t passed_ms = (uint32_t)now_ms - p->since_ms;

	p->used_ms -= passed_ms < p->used_ms ? passed_ms : p->used_ms;
	p->since_ms = (uint32_t)now_ms;
	if (p->used_ms + each_ms > most_ms)
		return false;
	p->used_ms += each_ms;
	return true;
}

#endif
