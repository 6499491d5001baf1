/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer: a heap of deadlines. Pure: the clock is a parameter, nothing sleeps here.
 *
 * The owner embeds a struct timer. Setting a pending timer moves it; cancelling an idle one is
 * harmless. Nothing is allocated, so that no deadline can be lost for want of memory; all
 * operations are O(log n), amortised.
 */
#ifndef POSTERN_CORE_TIMER_H
#define POSTERN_CORE_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
	void (*fire)(struct timer *t, uint64_t now_ms); /* the owner sets this */
	uint64_t due_ms;
	struct timer *child, *next, *prev; /* in the heap; prev is NULL when idle */
};

struct timers {
	struct timer *root; /* due first */
	uint64_t floor_ms;  /* while timers_run() works: deadlines set now are no earlier */
};

#define TIMERS_NEVER UINT64_MAX

void timers_init(struct timers *ts);
void timers_set(struct timers *ts, struct timer *t, uint64_t due_ms);
void timers_cancel(struct timers *ts, struct timer *t);
/* Fires everything due at now_ms, each once, in order of deadline. */
void timers_run(struct timers *ts, uint64_t now_ms);
/* The next deadline, or TIMERS_NEVER. */
uint64_t timers_next(const struct timers *ts);

static inline bool timer_pending(const struct timer *t)
{
	return t->prev != NULL;
}

#endif
