/* SPDX-License-Identifier: Apache-2.0 */
/* backoff: how long to wait before trying again. Apart, since links and legs each have theirs. */
#include "agent/engine/backoff.h"

#include "core/random.h"

void backoff_init(struct backoff *b, uint64_t first_ms, uint64_t max_ms, uint64_t seed)
{
	*b = (struct backoff){
		.first_ms = first_ms ? first_ms : 1,
		.max_ms = max_ms > first_ms ? max_ms : first_ms,
		.state = seed,
	};
	b->bound_ms = b->first_ms;
}

void backoff_set_max(struct backoff *b, uint64_t max_ms)
{
	b->max_ms = max_ms > b->first_ms ? max_ms : b->first_ms;
}

uint64_t backoff_within(struct backoff *b, uint64_t bound_ms)
{
	uint64_t half = bound_ms / 2;

	return half + random_next(&b->state) % (bound_ms - half + 1);
}

static uint64_t next_below(struct backoff *b, uint64_t cap_ms)
{
	uint64_t delay = backoff_within(b, b->bound_ms);

	b->bound_ms = b->bound_ms > cap_ms / 2 ? cap_ms : b->bound_ms * 2;
	return delay;
}

uint64_t backoff_next(struct backoff *b)
{
	if (b->bound_ms > b->max_ms)
		b->bound_ms = b->max_ms;
	return next_below(b, b->max_ms);
}

uint64_t backoff_next_slow(struct backoff *b, uint64_t floor_ms, uint64_t cap_ms)
{
	uint64_t delay;

	if (b->bound_ms < floor_ms)
		b->bound_ms = floor_ms;
	delay = next_below(b, cap_ms);
	return delay < floor_ms ? floor_ms : delay;
}

void backoff_lasted(struct backoff *b, uint64_t lasted_ms)
{
	if (lasted_ms >= BACKOFF_STABLE_MS)
		b->bound_ms = b->first_ms;
}
