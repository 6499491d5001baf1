/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backoff: how long to wait before trying again.
 *
 * The bound doubles with each failure; the delay is drawn evenly from its upper half, so that the
 * agents that lost one relay together do not come back together. A connection that held for
 * BACKOFF_STABLE_MS proves the trouble over; one that broke at once does not.
 */
#ifndef POSTERN_AGENT_ENGINE_BACKOFF_H
#define POSTERN_AGENT_ENGINE_BACKOFF_H

#include <stdint.h>

#define BACKOFF_STABLE_MS 60000u

struct backoff {
	uint64_t first_ms, max_ms;
	uint64_t bound_ms; /* of the next delay */
	uint64_t state;	   /* of the generator */
};

/* max_ms below first_ms counts as first_ms. The same seed gives the same delays. */
void backoff_init(struct backoff *b, uint64_t first_ms, uint64_t max_ms, uint64_t seed);

/* From the next delay on. */
void backoff_set_max(struct backoff *b, uint64_t max_ms);

/* The delay before the next attempt. */
uint64_t backoff_next(struct backoff *b);
/* As backoff_next(), but with a bound of at least floor_ms, which may grow up to cap_ms. */
uint64_t backoff_next_slow(struct backoff *b, uint64_t floor_ms, uint64_t cap_ms);

/* A delay of this bound, in which failures do not count; the next ones are as without it. */
uint64_t backoff_within(struct backoff *b, uint64_t bound_ms);
/* A connection that lasted lasted_ms has ended. */
void backoff_lasted(struct backoff *b, uint64_t lasted_ms);

#endif
