/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proving: how often an agent may speak of its sessions. PROVE: one rule for agents, which keep it
 * when they speak and when they listen, and for relays, which hand it on. ENDED: a relay's, for an
 * agent has no more to say than it has sessions.
 *
 * A relay counts by the name that says it, over all its links: no name can fill the link of
 * another. An agent counts by its session, which needs few, and by the link that it comes on, where
 * there is room for several names that say as much as they may: none can take the turns of others.
 */
#ifndef POSTERN_ENGINE_PROVING_H
#define POSTERN_ENGINE_PROVING_H

#include <stdbool.h>
#include <stdint.h>

#include "core/must_check.h"

#define PROVING_SECOND 16u  /* of one name in a second, in the long run */
#define PROVING_ONCE   256u /* and at once: what a network held back comes in a heap */
#define PROVING_NAMES  4u   /* so many of them may say as much on one link */
#define PROVING_AGAIN  4u   /* in one session at once, and then */
#define PROVING_EACH_S 15u  /* one in so many seconds: it is said again after a minute */

#define PROVING_ENDS_SECOND 250u  /* ENDED, of one name in a second, in the long run */
#define PROVING_ENDS_ONCE   4096u /* and at once: a list that changes ends many sessions */

enum proving_of { PROVING_OF_NAME, PROVING_OF_LINK, PROVING_OF_SESSION, PROVING_OF_ENDS };

/* Zero-initialised is full. */
struct proving {
	uint32_t since_ms; /* the clock, cut, when used was counted */
	uint32_t used_ms;  /* what is not earned back yet, in its time */
};

/* One more may be said, and is counted. */
static inline bool proving_may(struct proving *p, enum proving_of what, uint64_t now_ms)
{
	static const struct {
		uint32_t each_ms, once;
	} rates[] = {
		[PROVING_OF_NAME] = {1000 / PROVING_SECOND, PROVING_ONCE},
		[PROVING_OF_LINK] = {1000 / PROVING_SECOND / PROVING_NAMES,
				     PROVING_ONCE * PROVING_NAMES},
		[PROVING_OF_SESSION] = {1000 * PROVING_EACH_S, PROVING_AGAIN},
		[PROVING_OF_ENDS] = {1000 / PROVING_ENDS_SECOND, PROVING_ENDS_ONCE},
	};
	const uint32_t each_ms = rates[what].each_ms, most_ms = rates[what].once * each_ms;
	uint32_t passed_ms = (uint32_t)now_ms - p->since_ms;

	p->used_ms -= passed_ms < p->used_ms ? passed_ms : p->used_ms;
	p->since_ms = (uint32_t)now_ms;
	if (p->used_ms + each_ms > most_ms)
		return false;
	p->used_ms += each_ms;
	return true;
}

#endif
