/* SPDX-License-Identifier: Apache-2.0 */
/* timer: a binary min-heap of deadlines; every timer knows its place in it. */

#include "core/timer.h"

#include <errno.h>
#include <stdlib.h>

#define ROOM_AT_FIRST 64u

void timers_init(struct timers *ts)
{
	*ts = (struct timers){0};
}

void timers_free(struct timers *ts)
{
	/* The timers themselves may be gone already. */
	free(ts->heap);
	*ts = (struct timers){0};
}

static void timers_place(struct timers *ts, size_t i, struct timer *t)
{
	ts->heap[i] = t;
	t->slot = i + 1;
}

/* Moves t, for which place i is free, towards the root as far as it belongs. */
static void sift_up(struct timers *ts, size_t i, struct timer *t)
{
	while (i > 0) {
		size_t parent = (i - 1) / 2;
		if (ts->heap[parent]->due_ms <= t->due_ms)
			break;
		timers_place(ts, i, ts->heap[parent]);
		i = parent;
	}
	timers_place(ts, i, t);
}

static void sift_down(struct timers *ts, size_t i, struct timer *t)
{
	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= ts->count)
			break;
		if (child + 1 < ts->count && ts->heap[child + 1]->due_ms < ts->heap[child]->due_ms)
			child++;
		if (ts->heap[child]->due_ms >= t->due_ms)
			break;
		timers_place(ts, i, ts->heap[child]);
		i = child;
	}
	timers_place(ts, i, t);
}

static void timers_settle(struct timers *ts, size_t i, struct timer *t)
{
	if (i > 0 && ts->heap[(i - 1) / 2]->due_ms > t->due_ms)
		sift_up(ts, i, t);
	else
		sift_down(ts, i, t);
}

static int timers_make_room(struct timers *ts)
{
	if (ts->count < ts->room)
		return 0;
	size_t room = ts->room ? ts->room * 2 : ROOM_AT_FIRST;
	struct timer **heap = reallocarray(ts->heap, room, sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	ts->heap = heap;
	ts->room = room;
	return 0;
}

int timers_set(struct timers *ts, struct timer *t, uint64_t due_ms)
{
	if (due_ms < ts->floor_ms)
		due_ms = ts->floor_ms;
	if (t->slot) {
		t->due_ms = due_ms;
		timers_settle(ts, t->slot - 1, t);
		return 0;
	}
	if (timers_make_room(ts))
		return -ENOMEM;
	t->due_ms = due_ms;
	sift_up(ts, ts->count++, t);
	return 0;
}

void timers_cancel(struct timers *ts, struct timer *t)
{
	if (!t->slot)
		return;
	size_t i = t->slot - 1;
	t->slot = 0;
	struct timer *last = ts->heap[--ts->count];
	if (last != t)
		timers_settle(ts, i, last);
}

void timers_run(struct timers *ts, uint64_t now_ms)
{
	/* A timer that sets itself again at once has its turn in the next run. */
	ts->floor_ms = now_ms + 1;
	while (ts->count && ts->heap[0]->due_ms <= now_ms) {
		struct timer *t = ts->heap[0];
		timers_cancel(ts, t);
		t->fire(t, now_ms);
	}
	ts->floor_ms = 0;
}

uint64_t timers_next(const struct timers *ts)
{
	return ts->count ? ts->heap[0]->due_ms : TIMERS_NEVER;
}
