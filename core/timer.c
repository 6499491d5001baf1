/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer: a pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986) that is made of the timers.
 *
 * A timer's children are due no earlier than itself. next and prev are its neighbours below one
 * parent; the first child's prev is the parent, and the root's is itself.
 */

#include "core/timer.h"

void timers_init(struct timers *ts)
{
	*ts = (struct timers){0};
}

static void timers_set_root(struct timers *ts, struct timer *root)
{
	ts->root = root;
	if (root) {
		root->next = NULL;
		root->prev = root;
	}
}

/* The one that is due first takes the other as its child. */
static struct timer *meld(struct timer *a, struct timer *b)
{
	if (!a || !b)
		return a ? a : b;
	if (b->due_ms < a->due_ms) {
		struct timer *first = b;

		b = a;
		a = first;
	}
	b->prev = a;
	b->next = a->child;
	if (b->next)
		b->next->prev = b;
	a->child = b;
	return a;
}

/* One heap of all below t: in pairs first, which is what bounds the cost. */
static struct timer *meld_children(struct timer *t)
{
	struct timer *left = t->child, *pairs = NULL, *all = NULL;

	t->child = NULL;
	while (left) {
		struct timer *a = left, *b = a->next;

		left = b ? b->next : NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs) {
		struct timer *after = pairs->next;

		all = meld(all, pairs);
		pairs = after;
	}
	return all;
}

void timers_cancel(struct timers *ts, struct timer *t)
{
	struct timer *below;

	if (!timer_pending(t))
		return;
	below = meld_children(t);
	if (t == ts->root) {
		timers_set_root(ts, below);
	} else {
		if (t->prev->child == t)
			t->prev->child = t->next;
		else
			t->prev->next = t->next;
		if (t->next)
			t->next->prev = t->prev;
		timers_set_root(ts, meld(ts->root, below));
	}
	t->next = t->prev = NULL;
}

void timers_set(struct timers *ts, struct timer *t, uint64_t due_ms)
{
	timers_cancel(ts, t);
	t->due_ms = due_ms < ts->floor_ms ? ts->floor_ms : due_ms;
	timers_set_root(ts, meld(ts->root, t));
}

void timers_run(struct timers *ts, uint64_t now_ms)
{
	/* A timer that sets itself again at once has its turn in the next run. */
	ts->floor_ms = now_ms + 1;
	while (ts->root && ts->root->due_ms <= now_ms) {
		struct timer *t = ts->root;
		timers_cancel(ts, t);
		t->fire(t, now_ms);
	}
	ts->floor_ms = 0;
}

uint64_t timers_next(const struct timers *ts)
{
	return ts->root ? ts->root->due_ms : TIMERS_NEVER;
}
