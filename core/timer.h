/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer: a heap of deadlines. Pure: the clock is a parameter, nothing sleeps here.
 *
 * The owner embeds a struct timer. Setting a pending timer moves it; cancelling an idle one is
 * harmless. All operations are O(log n); the heap grows by doubling and never shrinks.
 */
#ifndef POSTERN_CORE_TIMER_H
#define POSTERN_CORE_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/must_check.h"

struct timer {
	void (*fire)(struct timer *t, uint64_t now_ms); /* the owner sets this */
	uint64_t due_ms;
	size_t slot; /* 1-based place in the heap; 0 when idle */
};

struct timers {
	struct timer **heap;
	size_t count, room;
	uint64_t floor_ms; /* while timers_run() works: deadlines set now are no earlier */
};

#define TIMERS_NEVER UINT64_MAX

void timers_init(struct timers *ts);
void timers_free(struct timers *ts);

/* Returns 0 or -ENOMEM; on failure the timer is as it was. */
int timers_set(struct timers *ts, struct timer *t, uint64_t due_ms) MUST_CHECK;
void timers_cancel(struct timers *ts, struct timer *t);
/* Fires everything due at now_ms, each once, in order of deadline. */
void timers_run(struct timers *ts, uint64_t now_ms);
/* The next deadline, or TIMERS_NEVER. */
uint64_t timers_next(const struct timers *ts);

static inline bool timer_pending(const struct timer *t)
{
	return t->slot != 0;
}

#endif
